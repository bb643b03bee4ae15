"""Resize and GridSample with other modes and coordinates."""

from __future__ import annotations

from collections.abc import Iterator

from harness.consistency.hypotheses.bench import Attribute, NodeScene
from harness.consistency.hypotheses.variant import Variant, Variants

COORDINATES = ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric")
ROUNDINGS = ("round_prefer_floor", "floor", "round_prefer_ceil", "ceil")
DEFAULTS = {
    "mode": "nearest",
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "round_prefer_floor",
    "cubic_coeff_a": -0.75,
    "exclude_outside": 0,
    "antialias": 0,
}
SINCE = {"half_pixel_symmetric": 19, "antialias": 18}  # opset


def resampling(op: NodeScene) -> Variants:
    """Every other mode of the op."""
    changes = _resize(op) if op.kind == "Resize" else _grid(op) if op.kind == "GridSample" else iter(())
    for change in changes:
        words = ", ".join(f"{name} {value} instead of {_now(op, name)}" for name, value in change.items())
        yield Variant("resampling", words, op.again(None, **change))
    if op.kind == "Upsample":
        mode = "linear" if op.attribute("mode", "nearest") == "nearest" else "nearest"
        yield Variant("resampling", f"mode {mode}", op.again(mode=mode))


def _now(op: NodeScene, name: str) -> object:
    return op.attribute(name, DEFAULTS.get(name, {"mode": "linear", "padding_mode": "zeros"}.get(name, 0)))


def _resize(op: NodeScene) -> Iterator[dict[str, Attribute]]:
    """What is not as it stands, of each combination: one attribute first, then several."""
    changes = []
    for mode in ("nearest", "linear", "cubic"):
        for coordinates in [c for c in COORDINATES if SINCE.get(c, 0) <= op.bench.opset]:
            for more in _more(mode):
                wanted = {"mode": mode, "coordinate_transformation_mode": coordinates, **more}
                change = {name: value for name, value in wanted.items() if value != _now(op, name)}
                changes += [change] if change and change not in changes else []
    if op.bench.opset >= SINCE["antialias"]:
        changes.append({"antialias": 1 - int(_now(op, "antialias"))})  # type: ignore[call-overload]
    yield from sorted(changes, key=len)


def _more(mode: str) -> list[dict[str, Attribute]]:
    if mode == "nearest":
        return [{"nearest_mode": rounding} for rounding in ROUNDINGS]
    if mode == "cubic":
        return [{"cubic_coeff_a": a, "exclude_outside": outside} for a in (-0.75, -0.5) for outside in (0, 1)]
    return [{}]


def _grid(op: NodeScene) -> Iterator[dict[str, Attribute]]:
    align = int(op.attribute("align_corners", 0))
    yield {"align_corners": 1 - align}
    modes = ("bilinear", "nearest", "bicubic") if op.bench.opset < 20 else ("linear", "nearest", "cubic")
    for name, values in (("mode", modes), ("padding_mode", ("zeros", "border", "reflection"))):
        for value in values:
            if value != op.attribute(name, values[0]):
                yield {name: value}
                yield {name: value, "align_corners": 1 - align}
