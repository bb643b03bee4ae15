"""What reading knows of Horizon."""

from __future__ import annotations

from harness.toolchains.base import ToolchainVendor
from harness.toolchains.horizon import board_files, readers

VENDOR = ToolchainVendor(readers.READERS, board_files.READERS, board_files.CONSOLES)
