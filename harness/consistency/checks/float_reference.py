"""A float model as the reference of a board that computes in integers: every layer differs, and no op is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from harness.consistency.grid import grid_step
from harness.consistency.policy import Policy, Subject
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair
from harness.errors import COULD_NOT_MEASURE
from harness.records import Layer, Verdict
from harness.reference.open import Reference

NARROW = ("s4", "u4", "s8", "u8", "s16", "u16")
TRIED = 4  # differing layers whose values are looked at
SAMPLED = 16  # tensors of a reference that are looked at


def is_float(reference: Reference) -> bool:
    """Whether nothing in a reference is quantized; indices and masks do not count."""
    specs = [t.spec for t in reference.tensors.values() if t.spec is not None]
    floats = any(spec.dtype[:1] == "f" for spec in specs)
    return floats and not any(spec.dtype in NARROW or spec.quantization is not None for spec in specs)


def judges_noise(policy: Policy) -> bool:
    """Whether a policy judges floats by their noise, as one must who holds a quantized board against a float model."""
    return policy.limits(Subject(dtype="f32", form="float")).min_sqnr_db is not None


def of_integers(layers: Sequence[Layer], narrow: Mapping[str, str], opened: Callable[[str], Pair]) -> str:
    """What shows that the board computes in integers, in words; "" where nothing does.

    `narrow` are dumps that are integers by their size and values (name -> dtype). A network input may lie in any
    format that the board takes: it does not tell.
    """
    computed = [layer for layer in layers if layer.op_kind != "input"]
    whole = {row.name: row.dtype for row in computed if row.verdict != "not_compared" and row.dtype in NARROW}
    by_tensor = {**{row.name: narrow[row.name] for row in computed if row.name in narrow}, **whole}
    if _holds_steps(list(whole), opened):
        return ""  # the reference's floats are whole steps of the board's scale: a quantized model's, dequantized
    if by_tensor:
        dtypes = ", ".join(sorted(set(by_tensor.values())))
        return f"{len(by_tensor)} of the board's layers are integers ({dtypes})"
    for layer in [row for row in computed if row.verdict in ("differs", "within")][:TRIED]:
        with suppress(TensorError):
            pair = opened(layer.name)
            step = grid_step(pair.board)
            if step and not grid_step(pair.reference):
                dequantized = is_dequantized(layers, opened)
                return "" if dequantized else f"the board's {layer.name} holds only multiples of {step:.4g}"
    return ""


def _holds_steps(names: Sequence[str], opened: Callable[[str], Pair]) -> bool:
    """Whether a third of the reference's tensors, two at least where there are two, are whole steps of the board's
    scale. A constant one is that of any scale, and says nothing."""
    seen = [_as_steps(name, opened) for name in names[:: max(1, len(names) // SAMPLED)]]
    known = [steps for steps in seen if steps is not None]
    return bool(known) and sum(known) >= min(2, len(known)) and 3 * sum(known) >= len(known)


def _as_steps(name: str, opened: Callable[[str], Pair]) -> bool | None:
    with suppress(TensorError):
        pair = opened(name)
        constant = pair.reference.size == 0 or bool(np.all(pair.reference == pair.reference.flat[0]))
        return None if constant else pair.form == "integer"
    return False


def is_dequantized(layers: Sequence[Layer], opened: Callable[[str], Pair]) -> bool:
    """Whether the reference is a quantized model's, written as real values: a third of its float tensors, two at least,
    hold whole steps only. One does in float networks, too (a picture, a mask)."""
    rows = [row for row in layers if row.verdict != "not_compared" and row.dtype[:1] == "f" and row.op_kind != "input"]
    rows = rows[:: max(1, len(rows) // SAMPLED)]
    on_grid = sum(_of_steps(row.name, opened) for row in rows)
    return on_grid >= 2 and 3 * on_grid >= len(rows)


def _of_steps(name: str, opened: Callable[[str], Pair]) -> bool:
    with suppress(TensorError):
        return bool(grid_step(opened(name).reference))
    return False


def not_this_model(reference: Reference, evidence: str) -> Verdict:
    """The word on such a comparison: nothing is said of the board."""
    detail = (
        f"the reference is the float model (not quantized) and {evidence}: give the quantized model"
        f"{_sibling(reference)}, or use --policy float-reference to allow for quantization noise"
    )
    return Verdict("not_comparable", detail, COULD_NOT_MEASURE)


def _sibling(reference: Reference) -> str:
    """Its name, where it lies beside the float one; else how toolchains call it."""
    folder = reference.model.parent if reference.model is not None else None
    names = sorted(path.name for path in folder.glob("*quantized*.onnx")) if folder is not None else []
    stem = reference.model.stem.split("_")[0] if reference.model is not None else ""
    near = [name for name in names if stem and name.startswith(stem)]
    return f" ({(near or names)[0]})" if names else " (toolchains call it ..._quantized_model.onnx)"


LABEL = "compared with the float model: differences include quantization"
SCALES = (
    "integers without a scale cannot be compared with floats: give the quantized model as REFERENCE, and this "
    "one with --float"
)
