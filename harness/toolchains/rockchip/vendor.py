"""What reading knows of Rockchip."""

from __future__ import annotations

from harness.toolchains.base import ToolchainVendor
from harness.toolchains.rockchip.consoles import CONSOLES
from harness.toolchains.rockchip.readers import READERS

VENDOR = ToolchainVendor(READERS, of_consoles=CONSOLES, model_suffixes={".rknn": "Rockchip model"})
