"""`infer` and `perf` of the emulated tool."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from harness.emulator.cost import bands, timing
from harness.emulator.horizon import dump_files, monitors, profile_files, tool_faults
from harness.emulator.horizon.call import FAILED, Call
from harness.emulator.horizon.dialect import RunFacts, ToolFailure
from harness.emulator.horizon.tool_inputs import Frames, ToolInputError, random_frames, read_frames
from harness.emulator.model.compiled import CompiledModel
from harness.emulator.model.execute import Executor
from harness.emulator.model.layout import Array

Effects = Sequence[dict[str, object]]
PROGRESS_FRAMES = 200
PROGRESS_LINES = 50  # a timed run prints no more than these


def infer(call: Call) -> int:
    """Run the given input, print the time, leave dumps."""
    model = call.chosen()
    _check(call)
    for name in model.outputs:
        call.dialect.output_form(call.line, model.tensor(name))
    call.dialect.handles()
    try:
        frames = read_frames(model, call.input_files)
    except ToolInputError as error:
        return _refuse_input(call, error)
    call.dialect.read_inputs([len(data) for data in frames.raw.values()])
    intermediate = int(call.line.text("dump_intermediate"))
    executor = Executor(call.files[model.name], model, call.numeric)
    values: dict[str, Array] = {}
    for index in range(_frames(call, 1)):
        values = executor.run(frames.feed, _wanted(model, intermediate), debug=intermediate != 0)
        _say_time(call, model, index)
    written = _dump(call, model, frames, values, intermediate)
    _write_side(call, Path.cwd(), None, executor.effects)
    if call.line.on("enable_cls_post_process"):
        _classify(call, model, values)
    tool_faults.spoil(call, written)
    return 0


def _check(call: Call) -> int:
    """Flags that infer and perf share; how many cores serve the run."""
    if call.line.text("dump_intermediate") not in ("0", "1", "2", "3"):
        raise ToolFailure(f"dump_intermediate [{call.line.text('dump_intermediate')}] is invalid, range [0, 3]")
    return call.dialect.cores(call.line, call.chosen().cores)


def _refuse_input(call: Call, error: ToolInputError) -> int:
    call.console.glog("function_util.cpp:541", f"{error}", level="E")
    call.console.error(f"[E][EMU]{call.subcommand} failed: read input file failed")
    return FAILED


def _frames(call: Call, default: int) -> int:
    """The frame count; 0 and below mean the default."""
    return call.line.number("frame_count") if call.line.number("frame_count") > 0 else default


def _threads(call: Call) -> int:
    """Clamped to the documented range."""
    return min(max(call.line.number("thread_num"), 1), call.dialect.max_threads)


def _wanted(model: CompiledModel, intermediate: int) -> Collection[str]:
    if not intermediate:
        return model.outputs
    return dict.fromkeys((*model.outputs, *(tensor.name for _, tensor, _ in dump_files.node_files(model))))


def _say_time(call: Call, model: CompiledModel, index: int) -> None:
    """Infer time, as in a profile of one frame; nothing where none is estimated."""
    if call.soc.not_estimated:
        return
    times = timing.step_times(model, call.soc, 1, call.slow)
    call.dialect.frame(index, timing.simulate(times, 1, 1, 1).latency_us[0] / 1000.0)


# --------------------------------------------------------------------------- dumps


def _dump(call: Call, model: CompiledModel, frames: Frames, values: dict[str, Array], intermediate: int) -> list[Path]:
    folder = Path(call.line.text("dump_path") or ".")
    if not folder.is_dir() and (call.line.on("enable_dump") or intermediate):
        folder.mkdir(parents=True)
    tool_faults.full_disk(call, folder)
    seed = int.from_bytes(os.urandom(3), "little")  # undefined memory differs from run to run
    written: list[Path] = []
    if intermediate:
        nodes = dump_files.NodeDump(folder, call.soc.family, intermediate, seed, frames.pictures)
        written += nodes.write(model, values)
    if call.line.on("enable_dump"):
        written += _dump_model(call, model, frames, values, folder, seed)
    return written


def _dump_model(
    call: Call, model: CompiledModel, frames: Frames, values: dict[str, Array], folder: Path, seed: int
) -> list[Path]:
    written = []
    for i, item in enumerate(model.inputs):
        path = folder / f"{call.dialect.input_name(i, item.name)}.bin"
        path.write_bytes(frames.raw[item.name])
        written.append(path)
    for i, name in enumerate(model.outputs):
        tensor = model.tensor(name)
        form = call.dialect.output_form(call.line, tensor)
        stem = folder / call.dialect.output_name(i, name)
        writer = dump_files.OutputDump(
            form, call.line.number("dump_precision"), call.line.number("dump_txt_axis"), seed
        )
        written.append(writer.write(stem, values[name], tensor))
    for path in written:
        call.dialect.dumped(str(path))
    return written


def _classify(call: Call, model: CompiledModel, values: dict[str, Array]) -> None:
    call.console.glog("main.cpp:786", "Attention: please make sure model is for classfication")
    tensor = model.tensor(model.outputs[0])
    scores = dump_files.dequantized(values[tensor.name], tensor.spec).reshape(-1)
    best = int(np.argmax(scores))
    call.console.glog("main.cpp:788", f"class result: [id]{best}, [score]{scores[best]:.4f}")


def _write_side(call: Call, folder: Path, line: timing.Timeline | None, effects: Effects) -> None:
    band = bands.band_of(call.chosen(), call.soc, timing.cpu_share(line)) if line else None
    ucp = call.soc.family == "ucp"
    text = profile_files.side_record(call.soc.name, line, call.faults, effects, band, ucp=ucp)
    if line is not None:
        text = json.dumps(json.loads(text) | {"activity": monitors.activity(call.chosen(), line)}, indent=2) + "\n"
    (folder / profile_files.SIDE_FILE).write_text(text)


# --------------------------------------------------------------------------- perf


def perf(call: Call) -> int:
    """Loop over frames and print the summary."""
    model = call.chosen()
    cores = _check(call)
    if call.soc.not_estimated:
        raise ToolFailure(f"no estimate of times on {call.soc.name}: {call.soc.not_estimated}")
    profile = call.line.text("profile_path")
    if profile and Path(profile).is_dir():
        call.console.glog("main.cpp:233", f"profile_path: {profile} exsit!")
    call.dialect.handles()
    try:
        frames = read_frames(model, call.input_files) if call.input_files else random_frames(model)
    except ToolInputError as error:
        return _refuse_input(call, error)
    effects = _compute(call, model, frames)
    line = _play(call, model, cores)
    _say_progress(call, line)
    call.dialect.summary(line, _threads(call))
    if profile:
        _write_profile(call, model, line, Path(profile), effects)
    return 0


def _compute(call: Call, model: CompiledModel, frames: Frames) -> Effects:
    """Run the model once, unless it was built for its times only; what planted faults changed."""
    if not model.graph:
        return ()
    executor = Executor(call.files[model.name], model, call.numeric)
    executor.run(frames.feed, model.outputs)
    return executor.effects


def _play(call: Call, model: CompiledModel, cores: int) -> timing.Timeline:
    threads, frames, seconds = _threads(call), _frames(call, 200), call.dialect.seconds(call.line)
    if seconds > 0:
        trial = timing.simulate(timing.step_times(model, call.soc, 20), 20, threads, cores)
        frames = max(1, round(seconds * 1e6 / trial.run_us * 20))
    warm = call.dialect.warms_up(call.line)
    times = timing.step_times(model, call.soc, frames, call.slow, warm=warm)
    return timing.simulate(times, frames, threads, cores)


def _say_progress(call: Call, line: timing.Timeline) -> None:
    """One line per 200 frames, or one at the end."""
    frames = len(line.latency_us)
    ends = [*range(PROGRESS_FRAMES, frames + 1, PROGRESS_FRAMES)] or [frames]
    for end in ends[:PROGRESS_LINES]:
        call.dialect.progress(end, np.array(line.latency_us[:end]) / 1000.0, frames / (line.run_us / 1e6))


def _write_profile(call: Call, model: CompiledModel, line: timing.Timeline, folder: Path, effects: Effects) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tool_faults.full_disk(call, folder / "profiler.log")
    facts = RunFacts(model.name, call.line.text("core_id"), _threads(call))
    written = []
    for name, text in call.dialect.profile_files(line, facts).items():
        (folder / name).write_text(text)
        written.append(folder / name)
    _write_side(call, folder, line, effects)
    tool_faults.spoil(call, written)
