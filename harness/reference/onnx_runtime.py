"""ONNX Runtime, imported in this one place, with its telemetry switched off.

Its official builds send events to their maker, and make a device identifier in the user's cache when they are imported.
The variable that keeps them from it is set in `harness/__init__.py`, before any import; the call is for older releases.
"""

from __future__ import annotations

import onnxruntime

__all__ = ["onnxruntime"]

onnxruntime.disable_telemetry_events()
