"""Horizon / D-Robotics boards with UCP: Journey 6, RDK S100, RDK S600. The same tool name, another dialect.

Facts and their sources: docs/boards/j6.md, s100.md, s600.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

from harness.errors import InputError
from harness.platforms.base import Platform
from harness.platforms.horizon import dumps, options
from harness.platforms.horizon.failures import FILES
from harness.platforms.horizon.hbdnn import OPTIONS as SHARED_OPTIONS
from harness.platforms.horizon.hbdnn import Hbdnn, refuse_parts
from harness.platforms.horizon.perf import csv_problems, read_profiler_csv
from harness.platforms.horizon.profiler import read_profiler_log
from harness.platforms.options import seconds_of
from harness.platforms.text import read_text
from harness.records import BoardIdentity, Dump, Invocation, Job, Latency, ModelInfo

SHAPES = r"[0-9]+(,[0-9]+)*(;[0-9]+(,[0-9]+)*)*"

OPTIONS: Mapping[str, str] = {
    **SHARED_OPTIONS,
    "core": "BPU core: 0 any, 1 first, ... or a list like 1,2 for a model compiled for several cores",
    "threads": "threads of a profile run, 1 to 32",
    "time": "whole seconds of a profile run; replaces frames",
    "warmup": "true (default): exclude the first frame from the statistics",
    "priority": "task priority, 0 to 255",
    "task_timeout_ms": "time limit of one task, 0: none",
    "img_properties": "per image input: Y, UV, ... in the model's input order",
    "input_valid_shape": "of dynamic inputs: 1,300,300,1;1,150,150,2",
    "input_stride": "in bytes, of dynamic inputs: 96000,320,1,1;48000,320,2,1 (left out: follows from the shapes)",
    "l2": "L2 memory per core in MB, for models of several cores: 6:6:6:6",
}

# Rows of a dynamic image input are padded to this many bytes (S100 manual: 16 X5/J5, 32 J6/S100, 64 J6P/J6H/S600).
_ROW_BYTES = {"j6p": 64, "j6h": 64, "s600": 64}
_COUNTED_BY_CORE = ("j6p", "j6h", "s600")  # chips whose hrut_ddr knows bpu_p0, the first core, and no bpu
# As gflags takes a switch that is off; what is sent is `--enable_warmup=false`, a console may come from elsewhere.
_NO_WARMUP = re.compile(r"(?:^|\s)--?(?:enable_warmup[= ](?:false|f|no|n|0)|noenable_warmup)\b", re.IGNORECASE)
_PROPERTIES = r"[A-Za-z0-9_]+(,[A-Za-z0-9_]+)*"


class Ucp(Hbdnn):
    """`hrt_model_exec` of UCP 3.x, for .hbm models."""

    name = "ucp"
    options = OPTIONS
    max_threads = 32
    several_cores = True
    suffix = ".hbm"
    compiler = "hb_compile (OpenExplorer for J6 or RDK S)"
    alignment = dumps.UCP_ALIGNMENT
    expected: Mapping[str, tuple[str, ...]] = {**FILES, "debug": ("model_infer_output_*",)}  # node names: not public
    warmup_excluded = None  # depends on --enable_warmup, read from the run's own command line

    def _environment(self, values: Mapping[str, object]) -> dict[str, str]:
        if "l2" not in values:
            return {}
        takes = "megabytes per core with ':' between them, for example 6:6:6:6"
        return {"HB_DNN_USER_DEFINED_L2M_SIZES": options.word(values, "l2", r"[0-9]{1,3}(:[0-9]{1,3})*", takes)}

    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        """The tool's command line. Errors: InputError for a mode, option or value that it does not take."""
        if job.options.get("roi"):
            raise InputError("option roi: on this platform regions are a third input (a txt such as 0 0 199 199)")
        return super().invocation(board, job)

    def _run_flags(self, board: BoardIdentity, job: Job, values: Mapping[str, object]) -> list[str]:
        flags = super()._run_flags(board, job, values)
        if "img_properties" in values:
            flags.append(f"--input_img_properties={options.word(values, 'img_properties', _PROPERTIES, 'Y,UV')}")
        shapes, strides = _dynamic(board, values)
        flags += [f"--input_valid_shape={shapes}"] if shapes else []
        flags += [f"--input_stride={strides}"] if strides else []
        flags += _integers(values)
        return flags

    def _perf_flags(self, board: BoardIdentity, job: Job, values: Mapping[str, object]) -> list[str]:
        flags = super()._perf_flags(board, job, values)
        return [*flags, f"--enable_warmup={options.boolean(values, 'warmup')}"] if "warmup" in values else flags

    def _length_flags(self, values: Mapping[str, object]) -> list[str]:
        """Whole minutes by the flag that every version has, other times by the newer one."""
        seconds = seconds_of(values)
        if seconds == 0:
            return super()._length_flags(values)
        if seconds % 60 == 0:
            return [f"--perf_time={int(seconds // 60)}"]
        refuse_parts(seconds, 1, "whole seconds (its --perf_time_in_seconds)")
        return [f"--perf_time_in_seconds={int(seconds)}"]

    def core_presets(self, board: BoardIdentity, core: str) -> tuple[Mapping[str, str], ...]:
        """Several cores need L2 memory each; one core is tried without and with all of it."""
        preset = options.l2_preset(options.chip_named(board.soc), core)
        if not preset:
            return ({},)
        return ({"l2": preset},) if "," in core else ({}, {"l2": preset})

    def monitors(self, board: BoardIdentity) -> tuple[tuple[str, ...], ...]:
        """DDR traffic of the BPU, and load and memory, once a second for at most a day; both need the same counters."""
        counted = "bpu_p0" if board.soc.lower().startswith(_COUNTED_BY_CORE) else "bpu"
        day = str(24 * 3600)
        return (
            ("hrut_ddr", "-t", counted, "-p", "1000000", "-n", day, "-c"),
            ("hrt_ucp_monitor", "-b", "-d", "1000", "-f", "500", "-n", day),
        )

    # ---- reading

    def read_dumps(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        return dumps.node_dumps(folder) or dumps.loose_dumps(folder)

    def read_latency(self, folder: Path, log: str) -> Latency | None:
        latency = super().read_latency(folder, log)
        if latency is None:
            return None
        is_perf = latency.total_us is not None
        csv = read_profiler_csv(read_text(folder / "profiler.csv"))
        profiler = read_profiler_log(read_text(folder / "profiler.log"))
        figures = profiler.sections.get("perf_result", {}) | profiler.sections.get("running_condition", {})
        warmup = _warmup(log) if is_perf else False
        return replace(latency, warmup_excluded=warmup, problems=(*latency.problems, *csv_problems(csv, figures)))


def _warmup(log: str) -> bool | None:
    """The tool warms up unless `--enable_warmup=false`, and echoes its command line."""
    if _NO_WARMUP.search(log):
        return False
    return True if "hrt_model_exec perf" in log else None


def _integers(values: Mapping[str, object]) -> list[str]:
    flags = []
    if "priority" in values:
        flags.append(f"--task_priority={options.integer(values, 'priority', 0, 255)}")
    if "task_timeout_ms" in values:
        flags.append(f"--task_timeout={options.integer(values, 'task_timeout_ms', 0, None)}")
    return flags


# --------------------------------------------------------------------------- dynamic inputs


def _dynamic(board: BoardIdentity, values: Mapping[str, object]) -> tuple[str, str]:
    """(valid shapes, strides) of dynamic inputs; strides follow from shapes by the vendor's rule."""
    takes = "numbers with ',' inside and ';' between inputs, for example 1,300,300,1;1,150,150,2"
    shapes = options.word(values, "input_valid_shape", SHAPES, takes) if "input_valid_shape" in values else ""
    strides = options.word(values, "input_stride", SHAPES, takes) if "input_stride" in values else ""
    if shapes and not strides:
        rows = _ROW_BYTES.get(board.soc.lower(), 32)
        strides = ";".join(_strides(group, rows) for group in shapes.split(";"))
    _check_strides(shapes, strides)
    return shapes, strides


def _strides(shape: str, row_bytes: int) -> str:
    """Byte strides of a u8 image (1, H, W, C): rows are padded, stride[1] = align(stride[2] * W)."""
    sizes = [int(size) for size in shape.split(",")]
    if len(sizes) != 4:
        raise InputError(
            f"option input_valid_shape={shape}: strides can be derived for 4-D images only", "give input_stride"
        )
    _, height, width, channels = sizes
    row = dumps.align_up(width * channels, row_bytes)
    return f"{row * height},{row},{channels},1"


def _check_strides(shapes: str, strides: str) -> None:
    if not shapes or not strides:
        return
    pairs = list(zip(shapes.split(";"), strides.split(";"), strict=False))
    if len(shapes.split(";")) != len(strides.split(";")) or any(a.count(",") != b.count(",") for a, b in pairs):
        raise InputError(f"options input_valid_shape={shapes} and input_stride={strides} do not match")
    for shape, stride in pairs:
        sizes, steps = ([int(v) for v in group.split(",")] for group in (shape, stride))
        if steps[0] < prod(sizes[1:]) * steps[-1]:
            raise InputError(f"option input_stride={stride}: too small for shape {shape}")


PLATFORM: Platform = Ucp()
