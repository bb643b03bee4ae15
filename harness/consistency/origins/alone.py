"""Ops that ran alone: fed with the board's own tensors, judged, and what an op misses without any fault.

Five things make an op miss the board's values although it is right: it was fed something else, the board rounds more
than the PC does or at other places, what ran alone is not what the reference was computed with (the float op of a
quantized network), an integer lies on the edge between two steps, and the board's runtime has a kernel of its own for
the fused op. The first is settled by the board's own tensors. The next two are floors: what the op's roundings do to
its result, and what it misses of the reference when it is fed the reference's own tensors. Edges are told by the real
value before its rounding. The last is played: one step to one side only is run again with the optimizer on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.consistency.arithmetic import Precision
from harness.consistency.grid import rounds_to
from harness.consistency.metrics.pointwise import measure
from harness.consistency.origins import origins as on_graph
from harness.consistency.origins.isolate import Isolator, Request
from harness.consistency.origins.played import is_rounding
from harness.consistency.origins.requantized import PRODUCTS
from harness.consistency.origins.ties import (
    INTERPOLATING,
    RESAMPLING,
    by_integer_kernel,
    cut_towards_zero,
    on_edges,
)
from harness.consistency.origins.unseen_roundings import is_requantizing
from harness.consistency.reading.pairs import Pair, as_stored
from harness.consistency.reading.tensor_files import Array
from harness.records import Layer, Metrics, Quantization

OpenPair = Callable[[str], Pair]
Allowed = Callable[[Layer, Pair, Metrics], bool]
SLIGHT = 1e-3  # relative L2 of floats that are run alone although all that they were made of is equal
MANY = 24  # wrong ops: then what is clear is not played for each of them
CLEAR = 2e-4  # relative L2
SMALL = 0.02  # relative L2; after so many trials in vain nobody looks for a wrong file behind it
NEARER = 0.5  # of the error: where many ops are wrong, what leaves more is not judged
# Rounded so, one op moves by about what the policy allows it (1e-5): sums in another order, Winograd's kernels and fast
# exponentials are that far apart, and what many unseen ops in a row make of it is played.
FLOAT_NOISE = Precision("f32", "float32", 19, 2.0**-126, 3.4e38)
REPRODUCTION_ROOM = 2.0  # the same op misses about as much with the board's inputs as with the reference's


def _no_real(_name: str) -> Array | None:
    return None


@dataclass(frozen=True)
class OpRunner:
    """What isolation needs: the op runner, the pairs by name, graph inputs as the reference was fed, the limits.

    `precision`: the float arithmetic that the board is known to compute in.
    """

    isolator: Isolator
    pair: OpenPair
    fed: Callable[[str], Array]
    allowed: Allowed
    precision: Precision | None = None
    kernels: Callable[[], Isolator] | None = None  # the same ops with the optimizer on, as the runtime fuses them
    casts: tuple[str, ...] = ()  # ("cast",) where the runtime may cut what a Resize of integers gives
    real: Callable[[str], Array | None] = _no_real  # of a quantized network input: the real values that it is made of


@dataclass(frozen=True)
class Single:
    """What came of an op alone: its figures, whether it is right, and what it misses of the reference by itself."""

    metrics: Metrics
    right: bool
    floor: float | None = None  # relative L2; set where the op alone does not reproduce the reference either
    kernel: bool = False  # right as the runtime computes it fused
    near_edges: bool = False  # right as the integer kernel of an interpolation leaves it
    cut: bool = False  # right as a kernel leaves it that interpolates the stored integers and casts
    dynamic: bool = False  # right as a product gives it that quantizes its inputs once more
    requantized: bool = False  # right as far as the roundings of unseen ops move it
    unseen: int = 0  # the same of floats: how many ops before it were not compared


def run_alone(
    reached: Mapping[str, on_graph.Reach], wanted: Iterable[str], rows: Mapping[str, Layer], runner: OpRunner
) -> dict[str, Single]:
    """Single error of every wanted row that can be run. An op that misses the reference as well is not judged by it."""
    requests = (r for r in (request_of(reached[name], rows, runner) for name in wanted) if r is not None)
    singles = {}
    for request, value in runner.isolator.run(requests):
        if value is not None:
            singles[request.target] = _judged(rows[request.target], value, runner)
    singles |= _with_floors(
        {name: single for name, single in singles.items() if not single.right}, reached, rows, runner
    )
    for name in [name for name, single in singles.items() if not single.right]:
        given = request_of(reached[name], rows, runner)
        if given is not None:
            singles[name] = _by_arithmetic(singles[name], given, reached[name], rows, runner)
    in_vain = 0
    for name in [name for name, single in singles.items() if not single.right]:
        if in_vain < MANY or not _is_small(singles[name].metrics):
            singles[name] = _of_wrong_files(name, singles, reached, rows, runner)
            in_vain = 0 if singles[name].right else in_vain + 1
    return singles


def is_near(metrics: Metrics | None) -> bool:
    """Whether integers differ by one step at most."""
    return metrics is not None and metrics.mismatched > 0 and metrics.max_step is not None and metrics.max_step <= 1


def is_slight(metrics: Metrics | None) -> bool:
    """Whether a difference may be nothing but the noise of right arithmetic: integers one step off, close floats."""
    if metrics is None or is_near(metrics):
        return metrics is not None
    return metrics.max_step is None and metrics.relative_l2 is not None and metrics.relative_l2 <= SLIGHT


def _of_wrong_files(
    name: str,
    singles: Mapping[str, Single],
    reached: Mapping[str, on_graph.Reach],
    rows: Mapping[str, Layer],
    runner: OpRunner,
) -> Single:
    """Right where the op gives the board's values once the wrong tensors that it read are what their own ops give: it
    read these, and what was dumped of them is something else."""
    single, plain = singles[name], request_of(reached[name], rows, runner)
    if plain is None:
        return single
    wrong = [n for n in plain.feeds if n in reached and _is_wrong(n, singles, rows)]
    makers = [request_of(reached[n], rows, runner) for n in wrong]
    feeds = {n: value for n, value in plain.feeds.items() if n not in wrong}
    for maker in makers:
        feeds |= {n: value for n, value in maker.feeds.items() if n not in wrong} if maker is not None else {}
    request = replace(plain, feeds=feeds)
    value = next(iter(runner.isolator.run([request])))[1] if wrong else None
    if value is None or value.size != runner.pair(name).board.size:
        return single
    if len(singles) > MANY and not _is_nearer(value, single, runner.pair(name)):
        return single
    again = _judged(rows[name], value, runner)
    if not again.right:
        again = _by_arithmetic(again, request, reached[name], rows, runner)
    return replace(single, right=again.right)


def _is_small(metrics: Metrics) -> bool:
    """Floats that miss by less than a wrong file makes of them."""
    return metrics.max_step is None and metrics.relative_l2 is not None and metrics.relative_l2 <= SMALL


def _is_nearer(value: Array, single: Single, pair: Pair) -> bool:
    """A quick look at floats: whether much less of an error is left."""
    size = single.metrics.relative_l2
    if size is None or pair.form != "float" or value.dtype.kind != "f":
        return True
    given, board = (array.reshape(-1).astype(np.float32, copy=False) for array in (value, pair.board))
    with np.errstate(all="ignore"):
        off = given - board
        left = float(np.dot(off, off))
        return not left > (NEARER * size) ** 2 * float(np.dot(board, board))


def _is_wrong(name: str, singles: Mapping[str, Single], rows: Mapping[str, Layer]) -> bool:
    differs = name in rows and rows[name].verdict == "differs"
    return differs and (name not in singles or not singles[name].right)


def _by_arithmetic(
    single: Single, request: Request, reach: on_graph.Reach, rows: Mapping[str, Layer], runner: OpRunner
) -> Single:
    """What right arithmetic may do to integers beside the policy: either step at an edge, the kernel of a fused op."""
    if is_near(single.metrics):
        single = _on_edges(single, request, reach, runner)
    whole = single.metrics.max_step is not None
    if not single.right and (is_near(single.metrics) or (reach.unseen and whole)):
        single = _fused(single, request, rows, runner)
    if not single.right and is_near(single.metrics) and reach.op.kind in PRODUCTS:
        right = _is_dynamic(request, runner)
        single = replace(single, right=right, dynamic=right)
    if not single.right and reach.unseen and whole:
        pair = runner.pair(request.target)
        right = is_requantizing(
            runner.isolator,
            request,
            pair,
            runner.casts,
            lambda value: _judged(rows[request.target], value, runner).right,
        )
        single = replace(single, right=right, requantized=right)
    return single


def _on_edges(single: Single, request: Request, reach: on_graph.Reach, runner: OpRunner) -> Single:
    """Right where every integer that differs lies on the edge between two steps."""
    if request.float_side:
        return single
    value = next(iter(runner.isolator.run([request])))[1]
    real = next(iter(runner.isolator.run([replace(request, unrounded=True)])))[1]
    pair = runner.pair(reach.tensor)
    if value is None or real is None or value.dtype != pair.board.dtype:
        return single
    quantization = runner.isolator.tensors[reach.tensor].spec.quantization
    if on_edges(pair.board, as_stored(value, pair), real, quantization):
        return replace(single, right=True)
    if reach.op.kind in INTERPOLATING and by_integer_kernel(pair.board, real, quantization):
        return replace(single, right=True, near_edges=True)
    own_steps = all(_quantization(name, runner) == quantization for name in request.feeds)
    if reach.op.kind not in RESAMPLING or not own_steps or reach.unseen:
        return single
    cut = bool(runner.casts) and cut_towards_zero(pair.board, real, quantization)
    twice = not cut and len(request.feeds) == 1 and _in_two_passes(request, pair, quantization, runner)
    return replace(single, right=cut or twice, cut=cut, near_edges=twice)


def _is_dynamic(request: Request, runner: OpRunner) -> bool:
    """Whether the integers are those of inputs quantized once more, but for a few near an edge."""
    styled, pair = replace(request, integers="dynamic"), runner.pair(request.target)
    value = next(iter(runner.isolator.run([styled])))[1]
    if value is None or value.dtype != pair.board.dtype or value.size != pair.board.size:
        return False
    given = as_stored(value, pair)
    if np.array_equal(given, pair.board):
        return True
    real = next(iter(runner.isolator.run([replace(styled, unrounded=True)])))[1]
    return real is not None and by_integer_kernel(pair.board, real, _quantization(request.target, runner))


def _in_two_passes(request: Request, pair: Pair, quantization: Quantization | None, runner: OpRunner) -> bool:
    """Whether the integers are those of one axis at a time, rounded in between, but for either step at an edge."""
    for first in ("rows", "columns"):
        styled = replace(request, integers=first)
        value = next(iter(runner.isolator.run([styled])))[1]
        real = next(iter(runner.isolator.run([replace(styled, unrounded=True)])))[1]
        if value is None or real is None or value.dtype != pair.board.dtype:
            continue
        given = as_stored(value, pair)
        if np.array_equal(given, pair.board) or on_edges(pair.board, given, real, quantization):
            return True
    return False


def _quantization(name: str, runner: OpRunner) -> Quantization | None:
    tensor = runner.isolator.tensors.get(name)
    return None if tensor is None else tensor.spec.quantization


def _fused(single: Single, request: Request, rows: Mapping[str, Layer], runner: OpRunner) -> Single:
    """The op as this PC's runtime fuses it: if that gives the board's values, it is the runtime's kernel."""
    if runner.kernels is None:
        return single
    for value in (_plain(request, runner.kernels()), _between(request, runner)):
        if value is not None and value.dtype == runner.pair(request.target).board.dtype:
            fused = _judged(rows[request.target], value, runner)
            if fused.metrics.mismatched == 0:
                return replace(fused, kernel=True)
    return single


def _plain(request: Request, kernels: Isolator) -> Array | None:
    return next(iter(kernels.run([request])))[1]


def _between(request: Request, runner: OpRunner) -> Array | None:
    """The integers of an op between two quantizers: runtimes fuse it only where a dequantizer reads it, whose values
    are divided by the step again."""
    pair = runner.pair(request.target)
    quantization = pair.spec_reference.quantization
    if runner.kernels is None or request.float_side or quantization is None or len(quantization.scales) != 1:
        return None
    real = _plain(replace(request, dequantized=True), runner.kernels())
    if real is None or real.dtype.kind != "f" or pair.board.dtype.kind not in "iu":
        return None
    zero = quantization.zero_points[0] if quantization.zero_points else 0
    steps: Array = np.rint(real.astype(np.float64) / quantization.scales[0]) + zero
    limits = np.iinfo(pair.board.dtype)
    return np.clip(steps, limits.min, limits.max).astype(pair.board.dtype)


def request_of(
    reach: on_graph.Reach, rows: Mapping[str, Layer], runner: OpRunner, side: str = "board"
) -> Request | None:
    """The op alone, fed with that side's tensors; None where one of them does not fit the model."""
    feeds: dict[str, Array] = {}
    for name in reach.frontier:
        value = value_of(name, rows, runner, side)
        if value is None:
            runner.isolator.problems.append(f"{reach.tensor}: {_unfit(name, runner)}")
            return None
        feeds[name] = value
    return Request(reach.tensor, feeds, float_side=runner.pair(reach.tensor).reference.dtype.kind == "f")


def value_of(name: str, rows: Mapping[str, Layer], runner: OpRunner, side: str) -> Array | None:
    """What an op was given; for graph inputs that the board did not dump, what the reference was."""
    row = rows.get(name)
    if row is None or row.verdict == "not_compared":
        return runner.fed(name)
    pair = runner.pair(name)
    reference = _in_model_dtype(pair)
    if side == "reference":
        return reference
    if pair.form == "float":
        with np.errstate(over="ignore"):
            return pair.board.astype(reference.dtype, copy=False)
    return pair.board if pair.form == "integer" and pair.board.dtype == pair.reference.dtype else None


def _in_model_dtype(pair: Pair) -> Array:
    """The reference as an op takes it: one that needs float64 is judged as float32, and so is its network."""
    if pair.form != "float" or pair.spec_reference.dtype != "f32":
        return pair.reference
    with np.errstate(over="ignore"):
        return pair.reference.astype(np.float32, copy=False)


def _unfit(name: str, runner: OpRunner) -> str:
    pair = runner.pair(name)
    if pair.form == "rescaled":
        return f"{name} has a different scale than in the model"
    return f"{name} is {pair.board.dtype} on the board and {pair.reference.dtype} in the reference"


def _judged(row: Layer, value: Array, runner: OpRunner) -> Single:
    pair = runner.pair(row.name)
    metrics = measure(pair.board, as_stored(value, pair), pair.spec_board, pair.spec_reference)
    allowed = runner.allowed(row, replace(pair, reference=as_stored(value, pair)), metrics)
    return Single(metrics, allowed or (pair.form == "float" and rounds_to(value, pair.board)))


def _with_floors(
    wrong: Mapping[str, Single], reached: Mapping[str, on_graph.Reach], rows: Mapping[str, Layer], runner: OpRunner
) -> dict[str, Single]:
    """The same, with what each op misses of the reference where both are fed alike."""
    judged = dict(wrong)
    for name, single in wrong.items():
        precision = runner.precision or FLOAT_NOISE
        if runner.precision is None and len(wrong) > MANY and _is_clear(single.metrics, reached[name]):
            continue
        plain, unseen = request_of(reached[name], rows, runner), len(reached[name].unseen)
        right = plain is not None and is_rounding(single.metrics, plain, runner.isolator, precision, unseen)
        judged[name] = replace(single, right=right, unseen=unseen if right else 0)
    again = (
        request_of(reached[name], rows, runner, "reference") for name, single in judged.items() if not single.right
    )
    for request, value in runner.isolator.run(request for request in again if request is not None):
        floor = None if value is None else _missed_of_reference(request.target, value, rows, runner)
        if floor is not None:
            single = judged[request.target]
            size = single.metrics.relative_l2
            explained = size is not None and size <= REPRODUCTION_ROOM * floor and single.metrics.nonfinite_agree
            judged[request.target] = replace(single, right=explained, floor=floor)
    return judged


def _is_clear(single: Metrics, reach: on_graph.Reach) -> bool:
    """Far more than one op's own roundings make of float32; of several unseen ops nobody knows that."""
    return not reach.unseen and single.relative_l2 is not None and single.relative_l2 > CLEAR


def _missed_of_reference(name: str, value: Array, rows: Mapping[str, Layer], runner: OpRunner) -> float | None:
    """Relative L2 of what an op gave of the reference's own inputs, against the reference; None where it reproduces
    it."""
    pair, row = runner.pair(name), rows[name]
    made = replace(pair, board=as_stored(value, pair), spec_board=pair.spec_reference)
    metrics = measure(made.board, pair.reference, made.spec_board, pair.spec_reference)
    if metrics.mismatched == 0 or runner.allowed(row, made, metrics):
        return None
    return metrics.relative_l2 if metrics.relative_l2 is not None else 0.0
