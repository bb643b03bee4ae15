"""Horizon / D-Robotics boards with libdnn: RDK X3, X5, Ultra and Journey 5. The tool is `hrt_model_exec`.

Facts and their sources: docs/boards/x5.md, x3.md, j5.md, ultra.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import InputError
from harness.platforms.base import Platform
from harness.platforms.emulated import mark_estimates
from harness.platforms.horizon import dumps as horizon_dumps
from harness.platforms.horizon import failures, inputs, model_file, model_info, options, stage_inputs
from harness.platforms.horizon import gaps as horizon_gaps
from harness.platforms.horizon.monitors import read_hrut_ddr, read_ucp_monitor
from harness.platforms.horizon.perf import TOLERANCE, latency_of, read_infer, read_perf
from harness.platforms.horizon.profiler import ProfilerLog, op_times, read_profiler_log
from harness.platforms.horizon.somstatus import read_somstatus
from harness.platforms.horizon.text import read_versions
from harness.platforms.options import seconds_of
from harness.platforms.text import read_text
from harness.profiling.telemetry import Sense
from harness.records import (
    BoardIdentity,
    BuiltPixels,
    Dump,
    Failure,
    Gap,
    InputFacts,
    Invocation,
    Job,
    Latency,
    ModelInfo,
    OpTime,
    TensorSpec,
)

OPTIONS: Mapping[str, str] = {
    "core": "BPU core: 0 any, 1 first, 2 second (as many as the chip has)",
    "threads": "threads of a profile run, 1 to 8",
    "frames": "frames of a profile run",
    "time": "seconds of a profile run, a multiple of 60 (this tool counts whole minutes); replaces frames",
    "model_name": "model of a packed file",
    "roi": "regions of resizer inputs: left,top,right,bottom;... in the model's input order, inclusive",
    "monitor": "true: run the board's own monitor (hrut_ddr, hrt_ucp_monitor) beside each profile; default false",
    "repeat_frames": "frames of an infer run (same input), default 1",
}


class Hbdnn(Platform):
    """`hrt_model_exec` of libdnn 1.x: see platforms/base.py for the contract."""

    name = "hbdnn"
    modes: tuple[str, ...] = ("release", "debug", "profile")
    units: tuple[str, ...] = ("BPU", "CPU")
    tools: tuple[str, ...] = ("hrt_model_exec",)
    status_command: tuple[str, ...] = ("hrut_somstatus", "-n", "1")
    tool_hint = "set its folder in hosts.yaml: `tools: [/usr/hobot/bin]`"
    options: Mapping[str, str] = OPTIONS
    max_threads = 8
    several_cores = False
    suffix = ".bin"
    compiler = "hb_mapper makertbin (D-Robotics OpenExplorer)"
    alignment = horizon_dumps.HBDNN_ALIGNMENT
    expected: Mapping[str, tuple[str, ...]] = failures.FILES
    warmup_excluded: bool | None = False  # only the UCP tool leaves the first frame out

    # ---- sensors

    def read_status(self, text: str) -> tuple[Sense, ...]:
        """What `hrut_somstatus` printed."""
        return read_somstatus(text)

    def monitors(self, board: BoardIdentity) -> tuple[tuple[str, ...], ...]:
        """DDR traffic of every unit, once a second."""
        return (("hrut_ddr", "-t", "all", "-p", "1000"),)

    def read_monitor(self, program: str, text: str) -> tuple[Sense, ...]:
        """What `hrut_ddr` or `hrt_ucp_monitor` printed."""
        return read_ucp_monitor(text) if program == "hrt_ucp_monitor" else read_hrut_ddr(text)

    # ---- before the run

    def check_model(self, path: Path, board: BoardIdentity) -> None:
        model_file.check_model(path, board, self.suffix, self.compiler)

    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        """The tool's command line. Errors: InputError for a mode, option or value that it does not take."""
        values = options.merged(job)
        flags = {"info": self._info_flags, "profile": self._perf_flags}.get(job.mode, self._infer_flags)
        if job.mode not in (*self.modes, "info"):
            raise InputError(f"platform {self.name} has no mode {job.mode!r}", f"its modes: {', '.join(self.modes)}")
        argv = ("hrt_model_exec", *flags(board, job, values))
        return Invocation(argv, self._environment(values), expected=self.expected.get(job.mode, ()))

    def _environment(self, values: Mapping[str, object]) -> dict[str, str]:
        return {}

    def _model_flags(self, job: Job, values: Mapping[str, object]) -> list[str]:
        flags = [f"--model_file={options.file_list((job.model,), 'model')}"]
        if values["model_name"]:
            flags.append(f"--model_name={values['model_name']}")
        return flags

    def _info_flags(self, board: BoardIdentity, job: Job, values: Mapping[str, object]) -> list[str]:
        return ["model_info", *self._model_flags(job, values)]

    def _run_flags(self, board: BoardIdentity, job: Job, values: Mapping[str, object]) -> list[str]:
        """Flags that infer and perf share."""
        flags = self._model_flags(job, values)
        flags.append(f"--core_id={options.core(values, options.chip_named(board.soc), self.several_cores)}")
        if job.inputs:
            flags.append(f"--input_file={options.file_list(job.inputs, 'input')}")
        if "roi" in values:
            flags += ["--roi_infer=true", f"--roi={options.roi(values)}"]
        return flags

    def _infer_flags(self, board: BoardIdentity, job: Job, values: Mapping[str, object]) -> list[str]:
        """The tool dumps into its current folder, which is the job's: older tools have no --dump_path."""
        flags = ["infer", *self._run_flags(board, job, values), "--enable_dump=true", "--dump_format=bin"]
        if "repeat_frames" in values:
            flags.append(f"--frame_count={options.integer(values, 'repeat_frames', 1, 1_000_000)}")
        if job.mode == "debug":
            flags.append("--dump_intermediate=1")
        return flags

    def _perf_flags(self, board: BoardIdentity, job: Job, values: Mapping[str, object]) -> list[str]:
        threads = options.integer(values, "threads", 1, self.max_threads, f" on {self.name} boards")
        flags = ["perf", *self._run_flags(board, job, values), f"--thread_num={threads}"]
        return [*flags, *self._length_flags(values), "--profile_path=."]

    def _length_flags(self, values: Mapping[str, object]) -> list[str]:
        seconds = seconds_of(values)
        if seconds == 0:
            return [f"--frame_count={options.integer(values, 'frames', 1, 100_000_000)}"]
        refuse_parts(seconds, 60, "whole minutes (its --perf_time)")
        return [f"--perf_time={int(seconds // 60)}"]

    def sweep_axes(self, board: BoardIdentity) -> Mapping[str, tuple[str, ...]]:
        """Threads and cores, as the manuals' own latency and throughput runs vary them."""
        return {
            "threads": options.SWEPT_THREADS,
            "core": options.swept_cores(options.chip_named(board.soc), self.several_cores),
        }

    # ---- reading

    def read_model_info(self, text: str) -> ModelInfo:
        return model_info.read_model_info(text)

    def read_versions(self, text: str) -> dict[str, str]:
        return read_versions(text)

    def read_latency(self, folder: Path, log: str) -> Latency | None:
        console = latency_of(read_perf(log), log, self.warmup_excluded)
        profiler = read_profiler_log(read_text(folder / "profiler.log"))
        if console is None:
            return _profiler_latency(profiler) or read_infer(log)
        op_times(profiler)  # for what it could not read
        problems = (*console.problems, *profiler.problems, *_disagreements(console, profiler))
        core = profiler.sections.get("running_condition", {}).get("core_id")
        return replace(console, core=console.core or ("" if core is None else str(core)), problems=problems)

    def read_ops(self, folder: Path, log: str) -> tuple[OpTime, ...]:
        ops = op_times(read_profiler_log(read_text(folder / "profiler.log")))
        return mark_estimates(folder, ops)

    def read_outputs(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        return horizon_dumps.model_outputs(folder, info)

    def read_dumps(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        """Node dumps of infer, or the convolution dumps of `hrt_bin_dump` with their map where it lies beside them."""
        nodes = horizon_dumps.with_pictures(folder, horizon_dumps.node_dumps(folder))
        mapping = next(iter(sorted(folder.glob("*conv_output_map.json"))), None)
        return nodes or horizon_dumps.bin_dumps(folder, mapping)

    def gaps(self, dumps: Sequence[Dump]) -> tuple[Gap, ...] | None:
        return horizon_gaps.gaps(dumps)

    def storages(self, spec: TensorSpec, unit: str) -> tuple[TensorSpec, ...]:
        return horizon_dumps.storages(spec, unit, self.alignment)

    def read_failure(self, mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
        return failures.judge(mode, code, log, present, self.expected)

    # ---- inputs

    def read_input_facts(self, info: ModelInfo) -> tuple[InputFacts, ...]:
        return inputs.input_facts(info)

    def reference_feed(self, info: ModelInfo, spec: TensorSpec, board_input: bytes) -> bytes:
        return inputs.reference_feed(info, spec, board_input)

    def reference_feeds(
        self,
        info: ModelInfo,
        wanted: Sequence[TensorSpec],
        given: Mapping[str, bytes],
        pixels: Mapping[str, BuiltPixels],
    ) -> dict[str, bytes]:
        return stage_inputs.reference_feeds(info, wanted, given, pixels)


def refuse_parts(seconds: float, step_s: int, counts: str) -> None:
    """Errors: InputError for a time that the tool's own unit cannot say; it is never rounded."""
    if seconds % step_s:
        below = int(seconds // step_s) * step_s
        near = [f"--time {value}" for value in (below, below + step_s) if value]
        raise InputError(
            f"--time {seconds:g} is {seconds:g} seconds; the board's hrt_model_exec takes {counts}",
            f"give a multiple of {step_s} seconds: {' or '.join(near)}",
        )


def _profiler_latency(profiler: ProfilerLog) -> Latency | None:
    """From profiler.log alone, when the console's summary was lost."""
    mean_ms = profiler.figure("perf_result", "average_latency")
    if mean_ms is None:
        return None
    run_ms = profiler.figure("running_condition", "run_time")
    core = profiler.sections.get("running_condition", {}).get("core_id")
    op_times(profiler)
    return Latency(
        mean_us=mean_ms * 1000.0,
        fps=profiler.figure("perf_result", "FPS"),
        frames=profiler.count("running_condition", "frame_count"),
        threads=profiler.count("running_condition", "thread_num"),
        core="" if core is None else str(core),
        total_us=None if run_ms is None else run_ms * 1000.0,
        problems=("the console's summary is missing; values are from profiler.log", *profiler.problems),
    )


def _disagreements(console: Latency, profiler: ProfilerLog) -> list[str]:
    """Console and profiler.log of one run must tell the same."""
    pairs = (
        ("average latency", console.mean_us / 1000.0, profiler.figure("perf_result", "average_latency")),
        ("FPS", console.fps, profiler.figure("perf_result", "FPS")),
        ("frame count", console.frames, profiler.figure("running_condition", "frame_count")),
    )
    return [
        f"{what}: the console says {printed:g}, profiler.log {other:g}: they may be of different runs"
        for what, printed, other in pairs
        if printed is not None
        and other is not None
        and abs(printed - other) > TOLERANCE * max(abs(printed), abs(other))
    ]


PLATFORM: Platform = Hbdnn()
