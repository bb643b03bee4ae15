"""Faults of the compiled file and of the input, as boards have them: bytes of it are changed, or it is another build.

Weights are found by the compiler's own archive of addressed weights: their bytes occur once in the file. An array is
called after its layer: `<layer>_merge` (filter and bias together), `<layer>_filter...`, `<layer>_bias...`. What another
build is made of is in rebuilt.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from harness.emulator.model.fault_kinds import FaultKind, tool
from harness.emulator.model.faults import ENVIRONMENT
from harness.errors import UserError

KINDS: tuple[FaultKind, ...] = (
    tool("weight_bit", "Sophgo: one bit of the layer's weights is flipped in the compiled file.", at="byte, default 0"),
    tool(
        "weight_block", "Sophgo: 64 bytes of the layer's weights are zero in the compiled file.", at="byte, default 0"
    ),
    tool("weight_bias", "Sophgo: the layer's bias is zero in the compiled file (where it stands alone)."),
    tool("input_scaled", "Sophgo: the board's input is multiplied.", by="factor, default 0.5"),
    tool(
        "built_calibration", "Sophgo: built with another calibration threshold of the layer.", by="factor, default 0.5"
    ),
    tool("built_bf16", "Sophgo: built with the layer in BF16."),
    tool("built_int4", "Sophgo: built with the layer in INT4 (its quantize table says so)."),
    tool("built_mean", "Sophgo: built with another mean of the pixels.", by="added, default 40"),
    tool("built_scale", "Sophgo: built with another scale of the pixels.", by="factor, default 0.5"),
    tool("built_bgr", "Sophgo: built for pictures whose channels stand the other way round."),
)
OF_A_LAYER = ("weight_bit", "weight_block", "weight_bias", "built_calibration", "built_bf16", "built_int4")
WEIGHTS = "_weight.npz"
ADDRESSED = "_tpu_addressed_"
_NOTATION = re.compile(r"(\w+)(?:@([^:]*))?(?::(.*))?")


@dataclass(frozen=True)
class Planted:
    """One fault as it was asked for."""

    kind: str
    target: str
    args: dict[str, float]


def planted(text: str | None = None) -> tuple[Planted, ...]:
    """The faults of a notation, or of this board's environment. Errors: UserError for one that is not of these."""
    text = os.environ.get(ENVIRONMENT, "") if text is None else text
    return tuple(_one(part.strip()) for part in text.split(";") if part.strip())


def _one(text: str) -> Planted:
    match = _NOTATION.fullmatch(text)
    known = {kind.name: kind for kind in KINDS}
    if match is None or match[1] not in known:
        raise UserError(f"fault {text!r}: not a fault of these boards", f"known: {', '.join(known)}")
    args: dict[str, float] = {}
    for pair in filter(None, (match[3] or "").split(",")):
        name, _, value = pair.partition("=")
        if name not in known[match[1]].args:
            raise UserError(f"fault {text!r}: {match[1]} has no argument {name!r}", "see: harness emulator faults")
        try:
            args[name] = float(value)
        except ValueError:
            raise UserError(f"fault {text!r}: {name}={value} is not a number") from None
    target = match[2] or ""
    if match[1] in OF_A_LAYER and not target:
        raise UserError(f"fault {text!r}: names no layer", f"{match[1]}@LAYER")
    return Planted(match[1], target, args)


def weights_file(folders: Sequence[Path], stem: str = "*") -> Path | None:
    """The archive of addressed weights in one of these folders; None where there is none."""
    for folder in folders:
        archives = sorted(folder.glob(f"{stem}{ADDRESSED}*{WEIGHTS}"))
        if archives:
            return archives[0]
    return None


def changed(model: bytes, archive: Path, faults: Sequence[Planted]) -> bytes:
    """The compiled model with its faults. Errors: UserError for a layer without weights."""
    content = bytearray(model)
    for fault in faults:
        if fault.kind.startswith("weight_"):
            place, size = _place(model, archive, fault)
            _change(content, place, size, fault)
    return bytes(content)


def _place(model: bytes, archive: Path, fault: Planted) -> tuple[int, int]:
    """Offset and bytes of the array in the file."""
    with np.load(archive) as arrays:
        wanted = [name for name in arrays.files if _fits(name, fault)]
        held = [(name, arrays[name].tobytes()) for name in wanted]
        names = arrays.files
    for _, data in held:
        if data and model.count(data) == 1:
            return model.find(data), len(data)
    layers = sorted({re.sub(r"_(?:merge|filter\w*|bias\w*|table)$", "", name) for name in names})
    near = get_close_matches(fault.target, layers, n=3) or layers[:5]
    raise UserError(f"fault {fault.kind}@{fault.target}: no such array of weights", f"layers: {', '.join(near)}")


def _fits(name: str, fault: Planted) -> bool:
    if not name.startswith(f"{fault.target}_"):
        return False
    part = name[len(fault.target) + 1 :]
    return part.startswith("bias") if fault.kind == "weight_bias" else part.startswith(("merge", "filter"))


def _change(content: bytearray, place: int, size: int, fault: Planted) -> None:
    at = int(fault.args.get("at", 0))
    if not 0 <= at < size:
        raise UserError(
            f"fault {fault.kind}@{fault.target}: at={at} is outside of its {size} bytes", f"0 to {size - 1}"
        )
    if fault.kind == "weight_bit":
        content[place + at] ^= 0x40
    elif fault.kind == "weight_block":
        length = min(64, size - at)
        content[place + at : place + at + length] = bytes(length)
    else:
        content[place : place + size] = bytes(size)


def scaled(data: bytes, dtype: str, faults: Sequence[Planted]) -> bytes:
    """The input's bytes as the board is fed: multiplied where that is planted, rounded to its type."""
    for fault in faults:
        if fault.kind == "input_scaled":
            values = np.frombuffer(data, dtype)
            product = values.astype(np.float64) * fault.args.get("by", 0.5)
            if values.dtype.kind in "iu":
                limits = np.iinfo(values.dtype)
                product = np.clip(np.rint(product), limits.min, limits.max)
            data = product.astype(values.dtype).tobytes()
    return data
