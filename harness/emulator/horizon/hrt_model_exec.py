"""The emulated `hrt_model_exec`: `python -m harness.emulator.horizon.hrt_model_exec infer --model_file=...`."""

from __future__ import annotations

import sys

from harness.emulator.horizon.tool import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
