"""Check a compiled model on an NPU board against its PC reference, layer by layer, and show where the time goes."""

import os

__version__ = "0.1.0"

# Read by ONNX Runtime when it is imported, also by a vendor's toolchain: nothing of a measurement leaves this PC.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
