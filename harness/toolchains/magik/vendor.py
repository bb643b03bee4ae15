"""What reading knows of Magik."""

from __future__ import annotations

from harness.toolchains.base import ToolchainVendor
from harness.toolchains.magik import programs
from harness.toolchains.magik.readers import READERS

VENDOR = ToolchainVendor(
    (*programs.READERS, *READERS), beside=("magik_transform.log",), model_suffixes={".mgk": "Magik model"}
)
