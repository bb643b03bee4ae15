"""Boards with ONNX Runtime among the platforms."""

from __future__ import annotations

from harness.platforms.base import PlatformVendor

VENDOR = PlatformVendor(modules={"ort": "platform"}, probe="probe", socs={"ort": ()})
