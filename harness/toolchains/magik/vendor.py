"""What reading knows of Magik."""

from __future__ import annotations

from harness.toolchains.base import ToolchainVendor
from harness.toolchains.magik import programs
from harness.toolchains.magik.readers import READERS

# The executor's dump, and the debug trees of the transform tool, newer and older; all of them of one input.
VENDOR = ToolchainVendor(
    (*programs.READERS, *READERS),
    beside=("magik_transform.log",),
    model_suffixes={".mgk": "Magik model"},
    stage_folders=(
        ("float", "magik_dump_path/float_model"),
        ("float", "result/path/float_model"),
        ("quantized", "MAGIK_DATA_DUMP"),
        ("quantized", "magik_dump_path/ptq_model"),
        ("quantized", "result/path/ptq_model"),
    ),
)
