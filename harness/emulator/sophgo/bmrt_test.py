"""`bmrt_test` of libsophon, played: a context folder or a bmodel, loops, output.dat, the runtime's own log lines.

What it prints and when it fails is tpu-runtime/app/bmrt_test.cpp of libsophon.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.emulator.sophgo import simulation
from harness.records import ModelInfo

Array = npt.NDArray[Any]

_VALUES = (
    "context_dir", "bmodel", "devid", "loopnum", "accuracy_f", "accuracy_i", "core_list", "calculate_times",
    "thread_num", "net_idx", "stage_idx", "compare",
)  # fmt: skip
_SWITCHES = ("export_output", "export_neuron", "debug_output", "subnet_time", "profile")
_PROFILE_SWITCH = "BMRUNTIME_ENABLE_PROFILE"


class Fatal(Exception):
    """The runtime gave up: its line, and then exit code 255."""


def say(level: str, text: str, place: str = "bmrt_test") -> None:
    """One line of the runtime's log."""
    print(f"[BMRT][{place}:{1000}] {level}:{text}", flush=True)


def run(arguments: Sequence[str]) -> int:
    """The tool's exit code: 0, or 255 after a FATAL line."""
    try:
        given = _options(arguments)
        folder = Path(given.get("context_dir", ""))
        with tempfile.TemporaryDirectory(prefix="harness-sophgo-") as name:
            if "context_dir" in given:
                with simulation.faulty(folder) as context:
                    return _infer(context, folder, given, Path(name))
            alone = Path(name) / "alone"
            alone.mkdir()
            shutil.copyfile(given["bmodel"], alone / "compilation.bmodel")
            with simulation.faulty(alone) as context:
                return _infer(context, None, given, Path(name))
    except Fatal as fatal:
        say("FATAL", str(fatal))
        return 255


def _options(arguments: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    words = list(arguments)
    while words:
        name, _, value = words.pop(0).removeprefix("--").partition("=")
        if name in _SWITCHES:
            given[name] = "1"
        elif name in _VALUES and (value or words):
            given[name] = value or words.pop(0)
        else:
            raise Fatal(f"unknown option {name}")
    if ("context_dir" in given) == ("bmodel" in given):
        raise Fatal("context_dir or bmodel is expected")
    return given


def _infer(context: Path, folder: Path | None, given: dict[str, str], work: Path) -> int:
    model = context / "compilation.bmodel"
    if not model.is_file():
        raise Fatal(f"Load model failed: {model.name} is not there")
    say("INFO", f"Loading bmodel from [{folder or given.get('bmodel')}]. Thanks for your patience...", "load_bmodel")
    info = simulation.model_facts(model)
    inputs = _inputs(context, info, compares=folder is not None)
    outcome = simulation.simulate(model, info, inputs, work)
    if outcome.trouble:
        raise Fatal(f"launch failed: {outcome.trouble[-300:]}")
    loops = int(given.get("loopnum", "1"))
    for loop in range(loops):
        _tell(info, inputs, outcome, loop)
    if folder and "export_output" in given:
        (folder / "output.dat").write_bytes(b"".join(outcome.outputs))
    if os.environ.get(_PROFILE_SWITCH) == "1" and outcome.profile:
        _keep_profile(outcome.profile)
    simulation.write_side_file(Path.cwd())
    return _compare(folder, info, outcome) if folder else 0


def _inputs(context: Path, info: ModelInfo, *, compares: bool) -> dict[str, Array]:
    if not compares:
        return {spec.name: np.zeros(spec.shape, simulation.dtype_of(spec)) for spec in info.inputs}
    file = context / "input_ref_data.dat"
    if not file.is_file():
        raise Fatal(f"cannot open file {file.name}")
    arrays = simulation.read_inputs(file.read_bytes(), info.inputs)
    if arrays is None:
        raise Fatal(f"Failed to fread reference data of net #0, but just {file.stat().st_size} bytes left")
    return arrays


def _tell(info: ModelInfo, inputs: dict[str, Array], outcome: simulation.Outcome, loop: int) -> None:
    say("INFO", f"==> running network #0, name: {info.name}, loop: {loop}")
    for i, array in enumerate(inputs.values()):
        say("INFO", f"reading input #{i}, bytesize={array.nbytes}")
    for i, data in enumerate(outcome.outputs):
        say("INFO", f"reading output #{i}, bytesize={len(data)}")
    if outcome.cycles_us is not None:
        total = round(outcome.cycles_us)
        say(
            "INFO",
            f"net[{info.name}] stage[0], launch total time is {total} us (npu {total} us, cpu 0 us), "
            f"(launch func time 0 us, sync {total} us)",
        )
    say("INFO", f"+++ The network[{info.name}] stage[0] output_data +++")


def _keep_profile(profile: Path) -> None:
    target = Path.cwd() / "bmprofile_data-0"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(profile, target)


def _compare(folder: Path, info: ModelInfo, outcome: simulation.Outcome) -> int:
    """With output_ref_data.dat, byte by byte: the played tool has no tolerance, which its log says by failing."""
    wanted = folder / "output_ref_data.dat"
    if not wanted.is_file():
        raise Fatal(f"cannot open file {wanted}")
    ours = b"".join(outcome.outputs)
    with wanted.open("rb") as stream:
        equal = stream.read(len(ours)) == ours
    say("INFO", "==>comparing output in mem #0 ... ")
    if not equal:
        raise Fatal(f"+++ The network[{info.name}] stage[0] cmp failed +++")
    say("INFO", f"+++ The network[{info.name}] stage[0] cmp success +++")
    return 0
