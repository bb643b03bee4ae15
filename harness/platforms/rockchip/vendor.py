"""Rockchip among the platforms."""

from __future__ import annotations

from harness.platforms.base import PlatformVendor

VENDOR = PlatformVendor(modules={"rknn": "platform"}, socs={"rknn": ()}, board_words=("rockchip",))
