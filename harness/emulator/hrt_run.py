"""`infer` and `perf` of the played tool."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.emulator import dump_files, hrt_flags, layout, profile_files, timing, tool_faults
from harness.emulator.compiled import CompiledModel
from harness.emulator.execute import Executor
from harness.emulator.layout import Array
from harness.emulator.tool_inputs import Frames, ToolInputError, random_frames, read_frames

if TYPE_CHECKING:
    from harness.emulator.hrt_tool import Call

PROGRESS_FRAMES = 200


def infer(call: Call) -> int:
    """Run the given input, print the time, leave dumps."""
    from harness.emulator.hrt_tool import FAILED, ToolFailure

    model = call.chosen()
    _check_common(call)
    if call.line.text("dump_format") not in ("bin", "txt"):
        raise ToolFailure(f"dump_format [{call.line.text('dump_format')}] is not supported, only support [bin, txt]")
    _say_handles(call)
    try:
        frames = read_frames(model, [part for part in call.line.text("input_file").split(",") if part])
    except ToolInputError as error:
        call.console.glog("function_util.cpp:541", f"{error}", level="E")
        call.console.error("[E][EMU]infer failed: read input file failed")
        return FAILED
    _say_read(call, frames)
    intermediate = int(call.line.text("dump_intermediate"))
    executor = Executor(call.files[model.name], model, call.numeric)
    values: dict[str, Array] = {}
    for index in range(hrt_flags.frames(call.line, 1)):
        values = executor.run(frames.feed, _wanted(model, intermediate), debug=intermediate != 0)
        _say_time(call, model, index)
    written = _dump(call, model, frames, values, intermediate)
    _write_side(call, Path.cwd(), None, executor)
    if call.line.on("enable_cls_post_process"):
        _classify(call, model, values)
    tool_faults.spoil(call, written)
    return 0


def _check_common(call: Call) -> None:
    from harness.emulator.hrt_tool import ToolFailure

    core = call.line.number("core_id")
    if not 0 <= core <= call.soc.cores:
        raise ToolFailure(f"core_id [{core}] is invalid, this board has {call.soc.cores} bpu core(s)")
    if call.line.text("dump_intermediate") not in ("0", "1", "2", "3"):
        raise ToolFailure(f"dump_intermediate [{call.line.text('dump_intermediate')}] is invalid, range [0, 3]")
    if call.line.on("roi_infer") or call.line.text("roi"):
        raise ToolFailure("roi is given but the model has no resizer input")


def _say_handles(call: Call) -> None:
    call.console.glog("function_util.cpp:323", "get model handle success")
    call.console.glog("function_util.cpp:656", "get model input count success")


def _say_read(call: Call, frames: Frames) -> None:
    for data in frames.raw.values():
        call.console.out(f"file length: {len(data)}")
        call.console.glog("function_util.cpp:687", "read file success!")
    call.console.glog("function_util.cpp:697", "get model output count success")
    call.console.glog("function_util.cpp:704", "prepare output tensor success")


def _wanted(model: CompiledModel, intermediate: int) -> Collection[str]:
    if not intermediate:
        return model.outputs
    return dict.fromkeys((*model.outputs, *(tensor.name for _, tensor, _ in dump_files.node_files(model))))


def _say_time(call: Call, model: CompiledModel, index: int) -> None:
    """Infer time: BPU estimated, CPU measured, as in a profile of one frame."""
    times = timing.measure(call.files[model.name], model, call.soc, 1, call.slow)
    line = timing.play(times, 1, 1, 1)
    if index == 0:
        call.console.glog("main.cpp:674", "infer success")
        call.console.glog("main.cpp:689", "task done")
    for text in ("", "-" * 42, f"Infer time: {line.latency_us[0] / 1000.0:.3f} ms", "-" * 42):
        call.console.out(text)


def _dump(call: Call, model: CompiledModel, frames: Frames, values: dict[str, Array], intermediate: int) -> list[Path]:
    folder = Path(call.line.text("dump_path") or ".")
    if not folder.is_dir() and (call.line.on("enable_dump") or intermediate):
        folder.mkdir(parents=True)
    tool_faults.full_disk(call, folder)
    seed = int.from_bytes(os.urandom(3), "little")  # undefined memory differs from run to run
    written: list[Path] = []
    if intermediate:
        written += dump_files.NodeDump(folder, call.soc.family, intermediate, seed, frames.pictures).write(
            model, values
        )
    if call.line.on("enable_dump"):
        written += _dump_model(call, model, frames, values, folder, seed)
    return written


def _dump_model(
    call: Call, model: CompiledModel, frames: Frames, values: dict[str, Array], folder: Path, seed: int
) -> list[Path]:
    written = []
    for i, item in enumerate(model.inputs):
        path = folder / dump_files.input_name(i, item.name, "bin")
        path.write_bytes(frames.raw[item.name])
        written.append(path)
    for i, name in enumerate(model.outputs):
        written.append(_dump_output(call, model, i, values[name], folder, seed))
    for path in written:
        call.console.glog("function_util.cpp:1129", f"Dump path: {path}")
    return written


def _dump_output(call: Call, model: CompiledModel, index: int, value: Array, folder: Path, seed: int) -> Path:
    from harness.emulator.hrt_tool import ToolFailure

    tensor = model.tensor(model.outputs[index])
    given = dump_files.handed_out(value, tensor)
    dequantize = call.line.on("hybrid_dequantize_process")
    if dequantize and value.ndim != 4:
        raise ToolFailure(f"hybrid_dequantize_process only supports 4-D outputs, {tensor.name} has {value.ndim}")
    if not dequantize and call.line.text("dump_format") == "bin":
        path = folder / dump_files.output_name(index, tensor.name, "bin")
        dump_files.write_tensor(path, given, tensor.handed_out, seed)
        return path
    path = folder / dump_files.output_name(index, tensor.name, "txt")
    array = layout.to_stored_axes(
        dump_files.dequantized(value, tensor.spec) if dequantize else given, tensor.handed_out
    )
    path.write_text(dump_files.text_of(array, call.line.number("dump_precision"), call.line.number("dump_txt_axis")))
    return path


def _classify(call: Call, model: CompiledModel, values: dict[str, Array]) -> None:
    call.console.glog("main.cpp:786", "Attention: please make sure model is for classfication")
    tensor = model.tensor(model.outputs[0])
    scores = dump_files.dequantized(values[tensor.name], tensor.spec).reshape(-1)
    best = int(np.argmax(scores))
    call.console.glog("main.cpp:788", f"class result: [id]{best}, [score]{scores[best]:.4f}")


def _write_side(call: Call, folder: Path, line: timing.Timeline | None, executor: Executor | None) -> None:
    effects = executor.effects if executor else []
    (folder / profile_files.SIDE_FILE).write_text(profile_files.side_record(call.soc.name, line, call.faults, effects))


# --------------------------------------------------------------------------- perf


def perf(call: Call) -> int:
    """Loop over frames and print the summary."""
    from harness.emulator.hrt_tool import FAILED

    model = call.chosen()
    _check_common(call)
    profile = call.line.text("profile_path")
    if profile and Path(profile).is_dir():
        call.console.glog("main.cpp:233", f"profile_path: {profile} exsit!")
    _say_handles(call)
    try:
        frames = _perf_frames(call, model)
    except ToolInputError as error:
        call.console.glog("function_util.cpp:541", f"{error}", level="E")
        call.console.error("[E][EMU]perf failed: read input file failed")
        return FAILED
    call.console.glog("function_util.cpp:687", "prepare input tensor success!")
    call.console.glog("function_util.cpp:697", "get model output count success")
    executor = Executor(call.files[model.name], model, call.numeric)
    executor.run(frames.feed, model.outputs)
    line = _play(call, model)
    _say_progress(call, line)
    _say_summary(call, line)
    if profile:
        _write_profile(call, model, line, Path(profile), executor)
    return 0


def _perf_frames(call: Call, model: CompiledModel) -> Frames:
    files = [part for part in call.line.text("input_file").split(",") if part]
    return read_frames(model, files) if files else random_frames(model)


def _play(call: Call, model: CompiledModel) -> timing.Timeline:
    cores = 1 if call.line.number("core_id") else call.soc.cores
    threads = hrt_flags.threads(call.line)
    minutes = call.line.number("perf_time")
    frames = hrt_flags.frames(call.line, 200)
    if minutes > 0:
        trial = timing.play(timing.measure(call.files[model.name], model, call.soc, 20), 20, threads, cores)
        frames = max(1, round(minutes * 60e6 / trial.run_us * 20))
    times = timing.measure(call.files[model.name], model, call.soc, frames, call.slow)
    return timing.play(times, frames, threads, cores)


def _say_progress(call: Call, line: timing.Timeline) -> None:
    """One line per 200 frames, or one at the end."""
    frames = len(line.latency_us)
    ends = [*range(PROGRESS_FRAMES, frames + 1, PROGRESS_FRAMES)] or [frames]
    for end in ends[:50]:
        part = np.array(line.latency_us[:end]) / 1000.0
        fps = end / (line.run_us * end / frames / 1e6)
        call.console.out(
            f"Frame count: {end},  Thread Average: {part.mean():.6f} ms,  thread max latency: {part.max():.6f} ms,"
            f"  thread min latency: {part.min():.6f} ms,  FPS: {fps:.6f}"
        )


def _say_summary(call: Call, line: timing.Timeline) -> None:
    frames = len(line.latency_us)
    total_ms, run_ms = sum(line.latency_us) / 1000.0, line.run_us / 1000.0
    for text in (
        "",
        "Running condition:",
        f"  Thread number is: {hrt_flags.threads(call.line)}",
        f"  Frame count   is: {frames}",
        f"  Program run time: {run_ms:.6f} ms",
        "Perf result:",
        f"  Frame totally latency is: {total_ms:.6f} ms",
        f"  Average    latency    is: {total_ms / frames:.6f} ms",
        f"  Frame      rate       is: {frames / (run_ms / 1000.0):.6f} FPS",
    ):
        call.console.out(text)


def _write_profile(call: Call, model: CompiledModel, line: timing.Timeline, folder: Path, executor: Executor) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tool_faults.full_disk(call, folder / "profiler.log")
    condition = {
        "core_id": call.line.number("core_id"),
        "model_name": model.name,
        "thread_num": hrt_flags.threads(call.line),
    }
    text = profile_files.profiler_log(line, condition, "processor_latency")
    path = profile_files.write_profile(folder, text)
    _write_side(call, folder, line, executor)
    tool_faults.spoil(call, [path])
