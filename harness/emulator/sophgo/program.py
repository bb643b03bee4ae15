"""The vendor's board tools, played: `python -m harness.emulator.sophgo.program TOOL ARGUMENTS...`.

Each takes the vendor's command line, lets the vendor's simulator compute, and prints the vendor's lines. No value is
ours; times are the simulator's cycles at the chip's clock, and `emulated.json` says so.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from harness.emulator.sophgo import bmrt_test, layer_tool, model_runner, rebuilt
from harness.emulator.sophgo.environment import call
from harness.errors import HarnessError


def main(argv: Sequence[str]) -> int:
    """Run the tool; its exit code."""
    tool, arguments = argv[1], list(argv[2:])
    try:
        if tool == "model_tool":
            arguments = [str(rebuilt.actual(Path(word))) if Path(word).is_file() else word for word in arguments]
            finished = call("model_tool", arguments)
            sys.stdout.write(finished.stdout)
            sys.stderr.write(finished.stderr)
            return finished.returncode
        played = {"bmrt_test": bmrt_test.run, "model_runner": model_runner.run, "soc_bmodel_infer.py": layer_tool.run}
        return played[tool](arguments)
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
