"""Does the board compute what the PC toolchain promised, layer by layer, and where does the time go?"""

import os

__version__ = "0.1.0"

# Read by ONNX Runtime when it is imported, also by a vendor's toolchain: nothing of a measurement leaves this PC.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
