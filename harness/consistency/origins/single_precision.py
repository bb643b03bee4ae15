"""Which float arithmetic single ops show: run alone with rounded operands, do they give the board's own values?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from harness.consistency.arithmetic import BF16, F16, PRECISIONS, TF32, Evidence, Precision, precision_of, rounded
from harness.consistency.origins.alone import OpRunner, request_of
from harness.consistency.origins.isolate import Request
from harness.consistency.origins.origins import Reach
from harness.consistency.origins.rounded import RECURRENT, STYLES, WEIGHTED, Rounding
from harness.consistency.reading.pairs import as_stored
from harness.consistency.reading.tensor_files import Array
from harness.records import Layer

TRIED = 12  # ops with weights
EXPLAINED = 0.3  # of the error that is left when the rounding is the board's own; of any other cause nearly all is
CORRELATED = 0.35  # of an interval's error and its own in that precision: sums and places of rounding differ
APART = 2.0  # times as much as its error in another precision: both go where the network is sensitive
ENOUGH = 256  # elements; of fewer, chance looks like that
ALIKE = 4.0  # times smaller or larger
TRIALS = tuple((p, style) for p in (BF16, TF32) for style in STYLES)


def of_single_ops(reached: Mapping[str, Reach], rows: Mapping[str, Layer], runner: OpRunner) -> Evidence | None:
    """The precision that explains half of the differing ops with weights, and these are half of all such ops.

    Of an interval with several such ops nobody knows what was rounded in between: there it is enough that the error
    goes the way of the rounding's. Ops whose own inputs were compared say most.
    """
    weighted = [name for name, reach in reached.items() if _weighted(reach) and _is_float(rows[name])]
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


def _weighted(reach: Reach) -> int:
    return sum(kind in WEIGHTED | RECURRENT for kind in reach.kinds)


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
    board, right = np.asarray(pair.board, np.float64), as_stored(values[0], pair)
    error = _distance(right, board)
    held = precision_of(pair.board)
    trials_explained = []
    for (precision, style), value in zip(TRIALS, values[1:], strict=True):
        if value is not None and _left(as_stored(value, pair), board, held) <= EXPLAINED * error and error > 0:
            trials_explained.append((precision, style))
    if trials_explained or not reach.unseen:
        return trials_explained
    moves = [None if value is None else as_stored(value, pair) - np.asarray(right, np.float64) for value in values[1:]]
    return _correlated(board - right, moves)


def _correlated(error: Array, moves: Sequence[Array | None]) -> list[tuple[Precision, str]]:
    """The trials whose error an interval's own goes along with, and not with that of another precision."""
    if error.size < ENOUGH:
        return []
    alike = [0.0 if move is None else _correlation(error, move) for move in moves]
    trials_explained = []
    for (precision, style), move, along in zip(TRIALS, moves, alike, strict=True):
        others = [one for (other, _), one in zip(TRIALS, alike, strict=True) if other is not precision]
        if move is not None and along >= CORRELATED and along >= APART * max(others) and _is_alike(error, move):
            trials_explained.append((precision, style))
    return trials_explained


def _is_alike(error: Array, move: Array) -> bool:
    size, moved = (float(np.linalg.norm(side.reshape(-1))) for side in (error, move))
    return moved / ALIKE <= size <= moved * ALIKE


def _correlation(error: Array, move: Array) -> float:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        lengths = float(np.linalg.norm(error.reshape(-1)) * np.linalg.norm(move.reshape(-1)))
        along = float(np.dot(error.reshape(-1), move.reshape(-1))) / lengths if lengths else 0.0
    return along if np.isfinite(along) else 0.0


def _left(value: Array, board: Array, held: Precision | str | None) -> float:
    kept = rounded(value, held) if held in PRECISIONS and isinstance(held, Precision) else value
    return _distance(kept, board)


def _distance(value: Array, board: Array) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        length = float(np.linalg.norm((np.asarray(value, np.float64) - board).reshape(-1)))
    return length if np.isfinite(length) else float("inf")
