"""The user's Venus programs, emulated: `python -m harness.emulator.magik.program MODE MODEL IMAGE`.

MODE is release, debug, profile or nmem (the build), or info (an emulated board's own). Behind a board with a root of
its own, paths are those of that root ($HARNESS_EMULATOR_ROOT with $HARNESS_EMULATOR_JAIL set).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import numpy as np

from harness.emulator.console import Console
from harness.emulator.magik.call import Program, Stop, crash, place
from harness.emulator.magik.model import MagikModel
from harness.emulator.magik.printing import END, GREEN, error, info
from harness.emulator.magik.socs import DEFAULT, SOCS
from harness.emulator.model.faults import ENVIRONMENT, Fault, kind_named, parse_faults
from harness.emulator.this_board import RUNTIME, board_soc
from harness.errors import HarnessError

MODES = ("release", "debug", "profile", "nmem")
_COMMIT = "0a1b2c3"  # no commit of Ingenic's


def main(argv: Sequence[str]) -> int:
    """Run the program; the exit code, which is 0 for most failures."""
    mode, *arguments = argv[1:]
    console = Console()
    try:
        soc = board_soc(SOCS, DEFAULT)
        runtime = soc.runtime(os.environ.get(RUNTIME, ""))
        program = Program(mode, soc, runtime, console, arguments)
        return _info(program) if mode == "info" else _run(program)
    except Stop as stop:
        return stop.code
    except HarnessError as error_:
        console.error(f"{error(str(error_))}")
        return crash()


def _info(program: Program) -> int:
    model = MagikModel(place(program.arguments[0]))
    print("harness: input {},{},{},{}".format(*model.input_nhwc))
    print(f"harness: pixels mean {model.mean} var {model.var}")
    return 0


def _run(program: Program) -> int:
    from harness.emulator.magik import run

    if len(program.arguments) < 2:
        program.console.out(f"Usage: ./venus_sample_{program.mode} model_path image_path")
        return 0
    program.faults = _tool_faults()
    _before(program)
    if program.build_type == "debug":
        shape = run.shape_of_name(program)
        program.console.out("image_bin shape:{} {} {} {}".format(*shape))
    greet(program)
    model = load(program)
    program.faults = parse_faults(os.environ.get(ENVIRONMENT, ""), model.model)
    return run.run(program, model)


def _tool_faults() -> tuple[Fault, ...]:
    parts = [part.strip() for part in os.environ.get(ENVIRONMENT, "").split(";") if part.strip()]
    kinds = [(part, kind_named(part.partition("@")[0].partition(":")[0])) for part in parts]
    return parse_faults(";".join(part for part, kind in kinds if kind is not None and kind.where == "tool"))


def _before(program: Program) -> None:
    if program.has("garbage"):
        os.write(1, np.random.default_rng(0).integers(0, 256, 4096, np.uint8).tobytes())
        raise Stop
    while program.has("hang"):
        time.sleep(3600.0)
    if program.has("no_driver"):
        program.console.out("Error: /dev/soc-nna open failed:No such file or directory")
        program.console.error("venus init failed.")
        raise Stop
    if program.has("crash"):
        greet(program)
        raise Stop(crash())


def greet(program: Program) -> None:
    """The driver's line and venus' own."""
    driver, out = program.runtime.platform, program.console.out
    if driver and not program.has("old_soc_nna"):
        out(f"The soc-nna version is {driver}")
    else:
        out("Warning : The version number is not obtained. Please upgrade the soc-nna!")
    version = program.runtime.version
    old = program.runtime.dialect in ("0.8", "0.9.0")
    number = "".join(part.zfill(2) for part in version.split(".")[:3]).zfill(8)
    place_of_build = "aie" if old else program.soc.march.upper()
    if not old:
        out(info("venus memory map size: 0"))
    built = f"built:20220721-2110(7.2.0 r5.1.3 glibc2.29 mips@{place_of_build})"
    out(info(f"venus version:{version}({number}_{_COMMIT})  {built}"))


def load(program: Program) -> MagikModel:
    """Load the model and hold its version against the library's. The sample checks nothing: a bad model crashes it."""
    path = place(program.arguments[0])
    if not path.is_file():
        program.console.error(error(f"Open model file [{program.arguments[0]}] failed."))
        raise Stop(crash())
    model = MagikModel(path)
    if program.has("low_nmem"):
        program.console.out(f"Error: DDR Malloc size={path.stat().st_size} failed:Cannot allocate memory")
        program.console.error(error("Memory alloc failed."))
        raise Stop
    made = model.model.march.upper()
    version = "0.8.1" if program.has("wrong_version") else model.version
    fits = made == program.soc.march.upper() and version.split(".")[0] == program.runtime.version.split(".")[0]
    if program.has("wrong_march") or program.has("wrong_version") or not fits:
        line = f"model version is {version}.{made}, venus version: {program.runtime.version}"
        program.console.error(error(f"A mismatch occurs: {line}"))
        raise Stop
    if program.runtime.hbrt:
        shown_version = program.runtime.hbrt if program.runtime.version.startswith(version) else version
        program.console.out(f"{GREEN}INFO(magik): model version:{shown_version}.{made}_{_COMMIT} {END}")
    return model


# --------------------------------------------------------------------------- paths of the board


if __name__ == "__main__":
    from harness.emulator.magik.program import main as run  # the module by its own name: one class Stop, not two

    sys.exit(run(sys.argv))
