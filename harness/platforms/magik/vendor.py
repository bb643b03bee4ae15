"""Ingenic among the platforms."""

from __future__ import annotations

from harness.platforms.base import PlatformVendor

VENDOR = PlatformVendor(
    probe="probe",
    modules={"magik": "platform"},
    socs={"magik": ("t40", "t41", "x2500", "t02", "a1")},
    board_words=("ingenic",),
    soc_ending=r"[a-z]{0,4}(?:[-_].*)?",
)
