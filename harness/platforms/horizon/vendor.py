"""Horizon and D-Robotics among the platforms."""

from __future__ import annotations

from harness.platforms.base import PlatformVendor

VENDOR = PlatformVendor(
    probe="probe",
    modules={"hbdnn": "hbdnn", "ucp": "ucp"},
    socs={
        "hbdnn": ("x3", "j3", "x5", "j5", "ultra"),
        "ucp": ("j6e", "j6m", "j6p", "j6h", "j6b", "s100", "s100p", "s600"),
    },
    board_words=("rdk", "horizon", "d-robotics", "drobotics", "journey", "sunrise"),
)
