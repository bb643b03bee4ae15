"""Ingenic boards with Venus: T40, X2500 (NNA1), T41, A1 (NNA2). The tools are the user's own programs.

A run has four builds of one program (release, debug, profile, nmem), each linked to its own library. Facts
and their sources: docs/boards/magik.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.errors import InputError
from harness.images.pixels import normalised
from harness.platforms.base import Platform
from harness.platforms.emulated import EMULATOR_MAGIC, mark_estimates, read_emulated_meta
from harness.platforms.magik import dumps, failures
from harness.platforms.magik import options as magik_options
from harness.platforms.magik.profile import ProfileTables, op_times, read_profile
from harness.platforms.magik.text import (
    read_boxes,
    read_nmem,
    read_reserved,
    read_times_us,
    read_versions,
    skew,
)
from harness.platforms.text import plain, read_text
from harness.records import (
    BoardIdentity,
    Dump,
    Failure,
    InputFacts,
    Invocation,
    Job,
    Latency,
    ModelInfo,
    OpTime,
    TensorSpec,
)

INPUT = "input"
MOST_BOXES = 8  # in a remark; the log holds them all
RUN_LABEL = "test_net run"  # the vendor's sample: time of all runs together
_INPUT_LINE = re.compile(r"^harness: input ([0-9]+),([0-9]+),([0-9]+),([0-9]+)$")
_PIXELS_LINE = re.compile(r"^harness: pixels (mean \S+ var \S+)$")
_PIXELS = re.compile(r"mean (\S+) var (\S+)")


class Magik(Platform):
    """Venus programs: see platforms/base.py for the contract."""

    name = "magik"
    modes: tuple[str, ...] = magik_options.MODES
    units: tuple[str, ...] = ("NNA",)
    sampled_mode = "debug"  # programs hand no output out: the dumps hold them
    options: Mapping[str, str] = magik_options.OPTIONS

    # ---- before the run

    def check_model(self, path: Path, board: BoardIdentity) -> None:
        """The format of magik.bin is not published: only what cannot be one is refused. Errors: InputError."""
        if path.suffix.lower() in (".onnx", ".mgk", ".h", ".pb"):
            raise InputError(
                f"{path}: {path.suffix} files do not run on a board",
                "convert it with magik-transform-tools and use its .bin",
            )
        if path.stat().st_size == 0:
            raise InputError(f"{path}: empty")
        with path.open("rb") as stream:
            is_emulated = stream.read(len(EMULATOR_MAGIC)) == EMULATOR_MAGIC
        if board.emulated is not None and not is_emulated:
            raise InputError(
                f"{path}: not a model for an emulated board, and {board.name} is one",
                f"harness emulator build MODEL.onnx --soc {board.soc} -o {path.name}",
            )
        if board.emulated is None and is_emulated:
            raise InputError(f"{path}: a model for emulated boards only", "use --board emu-t40")
        if is_emulated:
            _check_generation(path, board)

    def files(self, board: BoardIdentity, job: Job) -> tuple[Path, ...]:
        return magik_options.supply(board, magik_options.merged(board, job)).files

    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        """The tool's command line. Errors: InputError for a mode, option or value that it does not take."""
        values = magik_options.merged(board, job)
        if job.mode == "info":
            return Invocation(self._info_line(job, values), {})
        if job.mode not in self.modes:
            raise InputError(f"platform magik has no mode {job.mode!r}", f"its modes: {', '.join(self.modes)}")
        magik_options.refuse_without_effect(job)
        argv = magik_options.run_line(board, job, values)
        keep = magik_options.KEEP.get(job.mode, magik_options.PICTURES)
        return Invocation(argv, {}, expected=failures.EXPECTED.get(job.mode, ()), keep=keep)

    def _info_line(self, job: Job, values: Mapping[str, str]) -> tuple[str, ...]:
        """There is no tool that tells of a model: the shape is what the case says, the memory what the kernel says."""
        parts = []
        if values.get("mean") or values.get("var"):
            mean, var = values.get("mean", "0,0,0"), values.get("var", "255,255,255")
            parts.append(f"pixels mean {mean.replace(' ', '')} var {var.replace(' ', '')}")
        if values.get("shape"):
            parts.append("input {},{},{},{}".format(*magik_options.shape_of(values)))
        where = (values["proc"], values.get("info_program", ""), job.model)
        return ("sh", "-c", magik_options.INFO_SCRIPT, "venus", *where, *parts)

    # ---- reading

    def read_model_info(self, text: str) -> ModelInfo:
        lines = plain(text).lines
        shape = next((m for line in lines if (m := _INPUT_LINE.match(line))), None)
        pixels = next((m[1] for line in lines if (m := _PIXELS_LINE.match(line))), "")
        problems = [] if shape else ["Magik has no tool to list a model's inputs; give option shape"]
        spec = TensorSpec(INPUT, "u8", tuple(int(n) for n in shape.groups()), "NHWC") if shape else None
        return ModelInfo(
            name="",
            inputs=(spec,) if spec else (),
            input_sources=("ddr",) if spec else (),
            input_types=(pixels,),
            versions=self.read_versions(text),
            problems=tuple(problems),
        )

    def read_versions(self, text: str) -> dict[str, str]:
        """Venus' versions, and from the info mode the memory that the kernel set aside (`nmem`, `rmem`, `mem`)."""
        line = next((line for line in plain(text).lines if line.startswith("harness: cmdline ")), "")
        reserved = {key.removesuffix("_bytes"): f"{size // 1024}K" for key, size in read_reserved(line).items()}
        return read_versions(text) | reserved

    def read_latency(self, folder: Path, log: str) -> Latency | None:
        """End to end from the program's own clock; the nmem build is about ten times slower and tells none."""
        if folder.name.startswith("nmem"):
            return None
        tables, total_us = read_profile(log), read_times_us(log).get(RUN_LABEL)
        if total_us is None:
            return _sum_of_ops(tables)
        runs = tables.cycles or 1
        return Latency(
            mean_us=total_us / runs,
            frames=runs,
            threads=1,
            total_us=total_us,
            warmup_excluded=False,
            problems=tables.problems,
            notes=("the profile build's own time, warm-ups included",) if folder.name.startswith("profile") else (),
        )

    def read_ops(self, folder: Path, log: str) -> tuple[OpTime, ...]:
        return mark_estimates(folder, op_times(read_profile(log)))

    def read_memory(self, folder: Path) -> dict[str, int] | None:
        """Bytes of /tmp/nmem_memory.txt as the run left it: total, peak, free, ... as far as known."""
        nmem = read_nmem(read_text(folder / "nmem_memory.txt"))
        if nmem is None:
            return None
        peak = nmem.peak_bytes
        return nmem.values | ({} if peak is None else {"peak_bytes": peak})

    def read_outputs(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        """Programs hand no output tensor out: boxes are printed, layers are dumped."""
        return ()

    def read_dumps(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        """A board's debug dumps, or a PC's folder where it is one."""
        return dumps.board_dumps(folder) or dumps.pc_dumps(folder)

    def read_notes(self, mode: str, folder: Path, log: str) -> tuple[str, ...]:
        """Sentences on a run that worked: skewed versions, stale bytes, dumps that could not be written."""
        notes = list(skew(log))
        lost = failures.unwritten_dumps(log) if mode.startswith("debug") else ()
        if lost:
            more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
            notes.append(f"not dumped, names with a slash or too long:  {', '.join(lost[:5])}{more}")
        if mode.startswith("nmem"):
            nmem = read_nmem(read_text(folder / "nmem_memory.txt"))
            notes += [f"nmem_memory.txt: {problem}" for problem in (nmem.problems if nmem else ())]
            notes += [line for line in plain(log).lines if line.startswith("harness: stale")]
        boxes = read_boxes(log) if mode.startswith("release") else ()
        if boxes:
            shown = "; ".join(f"{b.left} {b.top} {b.right} {b.bottom} {b.score:.2f}" for b in boxes[:MOST_BOXES])
            notes.append(f"{len(boxes)} boxes (left top right bottom score): {shown}")
        if mode.startswith("profile"):
            notes += [f"profile: {problem}" for problem in read_profile(log).problems]
        return tuple(dict.fromkeys(notes))

    def reference_inputs(self, reference: Path) -> dict[str, str]:
        """md5 by name of the inputs that lie in a PC's dump folder: what the board must be fed with."""
        return dumps.pc_inputs(reference)

    def input_files(self, reference: Path) -> tuple[Dump, ...]:
        return dumps.input_files(reference)

    def storages(self, spec: TensorSpec, unit: str) -> tuple[TensorSpec, ...]:
        return dumps.storages(spec)

    def read_failure(self, mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
        return failures.judge(mode, code, log, present)

    # ---- inputs

    def read_input_facts(self, info: ModelInfo) -> tuple[InputFacts, ...]:
        """One input. Its size is known where option shape tells it; pictures are taken by programs that decode them."""
        spec = info.inputs[0] if info.inputs else None
        shape = "x".join(map(str, spec.shape)) if spec else "option shape tells its size"
        size = int(np.prod(spec.shape)) if spec else None
        return (
            InputFacts(
                name=INPUT if spec is None else f"input_data_shape_{'_'.join(map(str, spec.shape))}",
                size_bytes=size,
                dtype="u8",
                describe=f"{shape} u8 NHWC",
                shapes=(spec.shape,) if spec else ((1, -1, -1, -1),),
                convert=_convert_options(spec),
                encoded_suffixes=(".jpg", ".jpeg", ".png", ".bmp", ".nv12"),
                raw_modes=("debug",),  # the debug program reads pixels; the others decode pictures
            ),
        )

    def reference_feed(self, info: ModelInfo, spec: TensorSpec, board_input: bytes) -> bytes:
        """u8 NHWC to the float NCHW (or u8) that an ONNX takes: (pixel - mean) / var. Errors: InputError."""
        shape = (spec.shape[0], spec.shape[2], spec.shape[3], spec.shape[1]) if len(spec.shape) == 4 else spec.shape
        if len(board_input) != int(np.prod(shape)):
            raise InputError(
                f"the reference's input {spec.name!r} takes {'x'.join(map(str, shape))} bytes (NHWC), "
                f"got {len(board_input)}",
                "check that the input file has the ONNX's shape (3 channels, channels last)",
            )
        pixels = np.frombuffer(board_input, np.uint8).reshape(shape)
        turned = pixels.transpose(0, 3, 1, 2) if len(shape) == 4 else pixels
        if spec.dtype == "u8":
            return np.ascontiguousarray(turned).tobytes()
        match = _PIXELS.search(info.input_types[0] if info.input_types else "")
        mean, var = (match[1], match[2]) if match else ("0,0,0", "255,255,255")
        return normalised(turned, mean, var).tobytes()


def _convert_options(spec: TensorSpec | None) -> str:
    """What `harness convert` is to be asked for: u8 pixels, NHWC; the size stands open where no option tells it."""
    if spec is None:
        return "--size WIDTHxHEIGHT"
    return f"--size {spec.shape[2]}x{spec.shape[1]}" + (f" --channels {spec.shape[3]}" if spec.shape[3] != 3 else "")


def _check_generation(path: Path, board: BoardIdentity) -> None:
    """An emulated model is for one generation of the accelerator. Errors: InputError for another's."""
    models = read_emulated_meta(path).get("models")
    built = {str(m.get("march", "")) for m in models if isinstance(m, dict)} if isinstance(models, list) else set()
    generation = magik_options.GENERATIONS.get(board.soc, "")
    if built and generation and built != {generation.lower()}:
        raise InputError(
            f"{path}: built for {', '.join(sorted(built))}, but {board.name} ({board.soc}) needs {generation.lower()}",
            f"harness emulator build MODEL.onnx --soc {board.soc} -o {path.name}",
        )


PARTIAL = "the profiler's table is truncated (no total line): the sum is partial, a lower bound"


def _sum_of_ops(tables: ProfileTables) -> Latency | None:
    """Where the program printed no time: the sum of its ops, said to be that."""
    total_ms = tables.sum_ms
    if total_ms is None:
        return None
    note = "the program printed no time: sum of the profiler's ops"
    return Latency(
        mean_us=total_ms * 1000.0,
        frames=tables.cycles,
        threads=1,
        warmup_excluded=True,
        problems=tables.problems,
        notes=(note, *([PARTIAL] if tables.is_partial else [])),
    )


PLATFORM: Platform = Magik()
