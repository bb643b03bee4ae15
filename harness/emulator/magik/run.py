"""What the four builds of the emulated program do once the model is loaded."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.emulator.magik.call import Program, Stop, crash, place
from harness.emulator.magik.model import MagikModel
from harness.emulator.magik.ops import Described
from harness.emulator.magik.printing import error, nmem_new, nmem_old, overwritten, tables
from harness.emulator.model.faults import Fault
from harness.emulator.model.layout import Array
from harness.errors import InputError
from harness.images.pictures import Letterbox, letterbox, letterbox_of, load_picture

CYCLES = 10  # RUN_CNT of the vendor's profile build
NMEM_SLOWER = 9.65  # 375.4 ms against 38.9 ms, one model on one board
POST_MS = 0.5  # of the emulated post-processing; an assumption
NMEM_TOTAL_KB = {"t40": 131072, "t41": 16384}
MAGIC_SCORE = 0.99
SIDE_FILE = "emulated.json"


def run(program: Program, model: MagikModel) -> int:
    """Feed, compute, print, leave files; the exit code."""
    build_type = program.build_type
    if build_type == "debug":
        return _debug(program, model)
    data, box, size = _picture(program, model)
    values = model.values(data, program.numeric)
    runs = CYCLES if build_type == "profile" else 1
    runs = 3 if program.has("few_runs") and build_type == "profile" else runs
    _say(program, model, box, size, runs)
    _boxes(program, model, values, size)
    if build_type == "nmem":
        _nmem(program, model)
    if build_type == "profile":
        _profile(program, model, runs)
    _side(program)
    return 0


# --------------------------------------------------------------------------- input


def shape_of_name(program: Program) -> tuple[int, int, int, int]:
    """N, H, W, C as the sample reads them: cut at the first dot of the whole path, the last four parts between `_`."""
    parts = program.arguments[1].split(".")[0].split("_")[-4:]
    if len(parts) != 4 or not all(re.fullmatch("[0-9]{1,6}", part) for part in parts):
        raise Stop(crash())
    return int(parts[0]), int(parts[1]), int(parts[2]), int(parts[3])


def _picture(program: Program, model: MagikModel) -> tuple[bytes, Letterbox, tuple[int, int]]:
    """The input bytes, where the picture lies in them, and the picture's own size."""
    _, height, width, channels = model.input_nhwc
    path = place(program.arguments[1])
    data = path.read_bytes() if path.is_file() else b""
    if len(data) == height * width * channels:
        return data, letterbox_of((width, height), (width, height)), (width, height)
    try:
        pixels = load_picture(path)
    except InputError:
        raise Stop(crash()) from None  # cv::imread gives an empty picture and the sample goes on
    size = (pixels.shape[1], pixels.shape[0])
    framed = letterbox(pixels, width, height)[..., :channels]
    return framed.tobytes(), letterbox_of(size, (width, height)), size


# --------------------------------------------------------------------------- what the sample prints


def _say(program: Program, model: MagikModel, box: Letterbox, size: tuple[int, int], runs: int) -> None:
    _, height, width, _ = model.input_nhwc
    out, old = program.console.out, program.runtime.dialect in ("0.8", "0.9.0")
    if old:
        out(f"w:{size[0]} h:{size[1]}")
    out(f"ori_image w,h: {size[0]} ,{size[1]} ", f"model-->{width} ,{height} 4 ", "input shape:")
    out(f"-->{height} {width} ", f"scale---> {box.scale:.6f}", "resize padding over: ")
    out(f"resize valid_dst, w:{box.width} h {box.height}")
    out(f"padding info top :{box.top} bottom {box.bottom} left:{box.left} right:{box.right} ")
    if not old:
        described = Described(model.file, model.model, program.soc)
        run_ms = described.total_ms(_slow(program)) * runs * (NMEM_SLOWER if program.build_type == "nmem" else 1.0)
        out(f"test_net run time_ms:{run_ms:.6f}ms")
    out(f"pad_x:{box.left} pad_y:{box.top} scale:{box.scale:.6f} ")
    if not old:
        out(f"post net time_ms:{POST_MS:.6f}ms")


def _boxes(program: Program, model: MagikModel, values: dict[str, Array], size: tuple[int, int]) -> None:
    """Two boxes that follow from the first output: around its two largest places. It is a sample, no detector."""
    name = model.model.outputs[0]
    array = np.abs(values[name].astype(np.float64)) if name in values else np.zeros(1)
    flat = array.reshape(array.shape[0], -1)[0]
    for place_of in np.argsort(-flat, kind="stable")[:2]:
        share = float(place_of) / max(1, flat.size)
        score = min(MAGIC_SCORE, abs(float(flat[place_of])) / (1.0 + abs(float(flat.max()))))
        left, top = int(share * size[0] * 0.5), int(share * size[1] * 0.5)
        program.console.out(f"box:   {left} {top} {left + size[0] // 4} {top + size[1] // 4} {score:.2f} ")


def _slow(program: Program) -> dict[str, float]:
    return {f.target: f.number("by", 3.0) for f in program.faults if f.where == "step"}


# --------------------------------------------------------------------------- debug


def _debug(program: Program, model: MagikModel) -> int:
    shape = shape_of_name(program)
    path = place(program.arguments[1])
    data = path.read_bytes() if path.is_file() else b""
    if shape != model.input_nhwc or len(data) < int(np.prod(shape)):
        raise Stop(crash())
    n, height, width, _ = shape
    program.console.out(f"model-->{width} ,{height} 4 ", "input shape:", f"-->{height} {width} ")
    program.console.out(f"{n},{height},{width},4,")
    values = model.values(data[: int(np.prod(shape))], program.numeric, debug=True)
    written = _dump(program, model, values)
    _spoil(program, written)
    _side(program)
    return 0


def _dump(program: Program, model: MagikModel, values: dict[str, Array]) -> list[Path]:
    """One file per op, two more for a convolution, in the current folder; no folder is made for a name with a slash."""
    written: list[Path] = []
    parameters = model.parameters()
    for name, content in model.dump(values).items():
        files = {f"{name}_out.bin": content}
        files |= {f"{name}_{what}.bin": blob for what, blob in parameters.get(name, {}).items()}
        for file, blob in files.items():
            _write(program, file, blob, written)
    return written


def _write(program: Program, name: str, content: bytes, written: list[Path]) -> None:
    plain = name if program.has("raw_names") else name.replace("/", "_")
    if "/" in plain or program.has("no_space"):  # no folder is made for it
        program.console.error(error(f"Open file [{plain}] failed."))
        return
    Path(plain).write_bytes(content)
    written.append(Path(plain))


def _spoil(program: Program, written: list[Path]) -> None:
    outputs = [path for path in written if path.name.endswith("_out.bin")]
    if program.has("missing_file"):
        for path in written:
            path.unlink()
    elif program.has("truncated_dump") and outputs:
        os.truncate(outputs[-1], outputs[-1].stat().st_size // 2)


# --------------------------------------------------------------------------- profile and nmem


def _profile(program: Program, model: MagikModel, runs: int) -> None:
    """Printed when the net is destroyed, after the program's own lines; too few runs end in exit(0)."""
    if runs < 6:
        line = "The first 5 times are used to warm up the profiler, which should be run at least 10 times."
        program.console.error(error(line))
        raise Stop
    ops = Described(model.file, model.model, program.soc).timed(runs, _slow(program))
    program.console.out(*tables(program.runtime.dialect, ops, runs))


def _nmem(program: Program, model: MagikModel) -> None:
    """/tmp/nmem_memory.txt, rewritten at each allocation; the state at the end is what stays."""
    total = NMEM_TOTAL_KB[program.soc.name]
    used = min(total - 128, needed_kb(model))
    if program.soc.march == "nna1":
        text = nmem_old(total, used)
        if program.has("stale_nmem"):
            text = overwritten(nmem_old(total, used) + "####\n", text)
    else:
        final = nmem_new(total, used + 64, used, 0)
        earlier = nmem_new(total, used + 64, used, used)
        text = overwritten(earlier, final) if program.has("stale_nmem") else final
    path = place("/tmp/nmem_memory.txt") if "HARNESS_EMULATOR_JAIL" in os.environ else _root() / "tmp/nmem_memory.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _root() -> Path:
    return Path(os.environ["HARNESS_EMULATOR_ROOT"])


def needed_kb(model: MagikModel) -> int:
    """Weights, the two largest tensors at once and 1 MB of the library's own: an assumption."""
    sizes: NDArray[np.int64] = np.sort([int(np.prod(t.spec.shape)) for t in model.model.tensors])
    weights = sum(op.weight_bytes for op in model.model.ops)
    return (int(sizes[-2:].sum()) + weights + 2**20 + 64 * 1024) // 4096 * 4 + 4


def _side(program: Program) -> None:
    """Which times are estimates: all of them; and which faults were planted."""
    faults: list[Fault] = list(program.faults)
    record = {"emulated": True, "soc": program.soc.name, "estimated": ["NNA"], "faults": [f.text for f in faults]}
    Path(SIDE_FILE).write_text(json.dumps(record, indent=2) + "\n")
