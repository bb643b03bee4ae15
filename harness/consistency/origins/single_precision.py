"""Which float arithmetic single ops show: run alone with rounded operands, do they give the board's own values?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from harness.consistency.arithmetic import BF16, F16, PRECISIONS, TF32, Evidence, Precision, precision_of, rounded
from harness.consistency.origins.alone import OpRunner, as_stored, request_of
from harness.consistency.origins.isolate import Request
from harness.consistency.origins.origins import Reach
from harness.consistency.origins.rounded import STYLES, WEIGHTED, Rounding
from harness.consistency.reading.tensor_files import Array
from harness.records import Layer

TRIED = 12  # ops with weights
EXPLAINED = 0.3  # of the error that is left when the rounding is the board's own; of any other cause nearly all is
TRIALS = tuple((p, style) for p in (BF16, TF32) for style in STYLES)


def of_single_ops(reached: Mapping[str, Reach], rows: Mapping[str, Layer], runner: OpRunner) -> Evidence | None:
    """The precision that explains half of the differing ops with weights, and these are half of all such ops.

    Of an interval with several such ops nobody knows what was rounded in between: it says nothing. Ops whose own
    inputs were compared say most.
    """
    weighted = [name for name, reach in reached.items() if _has_one(reach) and _is_float(rows[name])]
    differing = [name for name in weighted if rows[name].role in ("origin", "suspect", "propagated")]
    if not differing or 2 * len(differing) < len(weighted):
        return None
    tried = sorted(differing, key=lambda name: (len(reached[name].unseen), rows[name].size_bytes))[:TRIED]
    trials_explained: list[list[tuple[Precision, str]]] = []
    for name in tried:
        trials_explained.append(_explanations(reached[name], rows, runner))
        if 2 * sum(not trials for trials in trials_explained) > len(tried):
            return None  # whatever the others show, no precision explains half of them
    counts = Counter(precision for trials in trials_explained for precision in {precision for precision, _ in trials})
    precision, count = max(counts.items(), key=lambda item: item[1], default=(TF32, 0))
    if 2 * count < len(tried) or (count < 2 and len(weighted) > 1) or not count:
        return None
    styles = Counter(style for trials in trials_explained for p, style in trials if p is precision)
    return _evidence(precision, max(STYLES, key=lambda style: styles[style]), count, len(tried))


def _has_one(reach: Reach) -> bool:
    return sum(kind in WEIGHTED for kind in reach.kinds) == 1


def _evidence(precision: Precision, style: str, count: int, tried: int) -> Evidence:
    if style == "weights" and precision is TF32:
        precision = F16  # weights are stored so; TF32 is an arithmetic
    what = {"weights": "weights", "operands": "operands", "everything": "operands and results"}[style]
    ops = f"{count} of {tried} ops with weights reproduce" if tried > 1 else "the op with weights reproduces"
    return Evidence(precision, f"{ops} the board's values once their {what} are rounded to {precision.name}")


def _is_float(row: Layer) -> bool:
    return row.dtype in ("f32", "f64")


def _explanations(reach: Reach, rows: Mapping[str, Layer], runner: OpRunner) -> list[tuple[Precision, str]]:
    """The trials that leave little of an op's single error."""
    plain = request_of(reach, rows, runner)
    if plain is None:
        return []
    roundings = [None, *(Rounding(p.significant_bits, style) for p, style in TRIALS)]
    requests = [Request(plain.target, plain.feeds, plain.float_side, rounding) for rounding in roundings]
    values = [value for _, value in runner.isolator.run(requests)]
    pair = runner.pair(reach.tensor)
    if values[0] is None or pair.board.dtype.kind != "f":
        return []
    board = np.asarray(pair.board, np.float64)
    error = _distance(as_stored(values[0], pair), board)
    held = precision_of(pair.board)
    trials_explained = []
    for (precision, style), value in zip(TRIALS, values[1:], strict=True):
        if value is not None and _left(as_stored(value, pair), board, held) <= EXPLAINED * error and error > 0:
            trials_explained.append((precision, style))
    return trials_explained


def _left(value: Array, board: Array, held: Precision | str | None) -> float:
    kept = rounded(value, held) if held in PRECISIONS and isinstance(held, Precision) else value
    return _distance(kept, board)


def _distance(value: Array, board: Array) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        length = float(np.linalg.norm((np.asarray(value, np.float64) - board).reshape(-1)))
    return length if np.isfinite(length) else float("inf")
