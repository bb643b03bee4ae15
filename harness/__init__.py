"""Check a compiled model on an NPU board against its PC reference, layer by layer, and show where the time goes.

For notebooks: `harness.load_run`, `harness.run`, `harness.compare` (docs/notebook.md). Their code loads when they are
first asked for: `import harness` brings neither numpy nor pandas. Their types are in `__init__.pyi`.
"""

import os
from typing import Any

__version__ = "0.1.0"

# Read by ONNX Runtime when it is imported, also by a vendor's toolchain: nothing of a measurement leaves this PC.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_LATE = {"load_run": "loaded", "run": "measuring", "compare": "measuring"}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"harness.notebook.{_LATE[name]}"), name)
