"""Sophgo among the platforms."""

from __future__ import annotations

from harness.platforms.base import PlatformVendor
from harness.platforms.sophgo.chips import CHIPS

VENDOR = PlatformVendor(
    probe="probe",
    modules={"sophgo": "platform"},
    socs={"sophgo": tuple(CHIPS)},
    board_words=("sophgo", "sophon", "bitmain", "cvitek", "milkv"),
    soc_ending=r"[a-z]{0,4}(?:[-_].*)?",
)
