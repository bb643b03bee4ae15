"""What reading knows of Sophgo."""

from __future__ import annotations

from harness.toolchains.base import ToolchainVendor
from harness.toolchains.sophgo.readers import READERS

VENDOR = ToolchainVendor(READERS, model_suffixes={".bmodel": "Sophgo model", ".cvimodel": "Sophgo model (CV18xx)"})
