"""What kind of fault a difference is, with the evidence; never a guess dressed as knowledge.

`certain` is True only where the evidence admits nothing else: a transform or a law rebuilds the board's tensor
exactly and no other kind does, or the board's own earlier frame or other run holds the very values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.fingerprint import places, values
from harness.consistency.fingerprint.channels import channel_law
from harness.consistency.fingerprint.context import FingerprintContext
from harness.consistency.fingerprint.dequantization import dequantization_mistake, real_values_mistake
from harness.consistency.fingerprint.error_stats import Errors, look
from harness.consistency.fingerprint.kinds import KINDS
from harness.consistency.fingerprint.layout_search import find_transform, multiset_equal
from harness.consistency.fingerprint.nearly import LEAST_WRONG, LEFT, Nearness, near_move, near_transform, rms
from harness.consistency.fingerprint.pictures import of_channels, of_picture
from harness.consistency.fingerprint.places import FEW
from harness.consistency.fingerprint.regions import find_memory_block
from harness.consistency.fingerprint.rounded_laws import not_quantized, rounded_law
from harness.consistency.grid import counts_on_one_grid, grid_step, two_grids
from harness.consistency.reading.tensor_files import value_range
from harness.records import Fingerprint, Metrics, TensorSpec

Array = npt.NDArray[Any]
__all__ = ["FingerprintContext", "classify"]

LOOK_BYTES = 1 << 24  # looked at; of a larger tensor the slab around the first error. Memory is up to 20 times that
INPUT_KINDS = ("zero_point", "scale", "shift", "permutation", "layout")
SIMILAR = 0.15  # largest distance of two distributions that are called alike (two frames of one camera)


def classify(
    board: Array,
    reference: Array,
    spec: TensorSpec,
    metrics: Metrics,
    context: FingerprintContext | None = None,
) -> Fingerprint:
    """Name the fault of a pair of logical arrays of one shape, axes as `spec` (the reference's) labels them.

    `board` should be the view that open_tensor (and to_layout) returned: its strides tell the board's memory.
    """
    context = context or FingerprintContext()
    if metrics.mismatched == 0 and metrics.nonfinite_agree:
        return Fingerprint("none", True, "equal values" if not metrics.max_abs else "equal within one step")
    if board.dtype.kind != reference.dtype.kind:
        mistake = dequantization_mistake(board, reference, spec)
        if mistake is not None:
            return mistake
        return _named("unclassified", False, f"board holds {board.dtype}, reference {reference.dtype}")
    errors = look(board, reference, spec, context, LOOK_BYTES // max(1, board.dtype.itemsize))
    mark = next(filter(None, (test(errors) for test in _TESTS)))
    if not errors.whole:
        mark = replace(mark, certain=False, evidence=f"{mark.evidence} ({errors.wrong.size} elements analysed)")
    if errors.noise and not mark.certain:
        mark = replace(mark, evidence=f"{mark.evidence} (besides noise of about {errors.noise:.2g})")
    return _of_input(mark, context)


def _named(kind: str, certain: bool, evidence: str, transform: str = "", **figures: Any) -> Fingerprint:
    assert kind in KINDS
    return Fingerprint(kind, certain, evidence, transform, figures)


def _of_input(mark: Fingerprint, context: FingerprintContext) -> Fingerprint:
    """What is a value fault of an op is wrong preprocessing where the tensor is the network's input itself."""
    if context.is_input and mark.kind in INPUT_KINDS:
        return replace(mark, kind="preprocessing", evidence=f"of the network's input: {mark.evidence}")
    return mark


# ------------------------------------------------------------------------- tests, in order


def _other_runs(e: Errors) -> Fingerprint | None:
    others = [other for other in e.context.repeats if not np.array_equal(other, e.board, equal_nan=e.is_float)]
    if not others:
        return None
    count, all_runs = len(others), len(e.context.repeats)
    return _named("nondeterminism", True, f"{count} of {all_runs} other runs of the same input give a different result")


def _recomputed(e: Errors) -> Fingerprint | None:
    """Hypotheses on the op's inputs, each tried by running the op alone on the PC."""
    for kind, name, inputs in e.context.hypotheses():
        if np.array_equal(e.context.recompute(inputs), e.board, equal_nan=e.is_float):  # type: ignore[misc]
            return _named(kind, True, f"the op alone reproduces the board's values with {name}", name)
    return None


def _transformed(e: Errors) -> Fingerprint | None:
    if not e.comparable:
        return None
    transform = find_transform(e.board, e.reference, e.spec, e.context.stored)
    if transform is None:
        return None
    moved = near_move(e) if "rotated" in transform.name else None
    if moved is not None:
        return _named(moved.kind, False, f"{transform.name}: {moved.name}", moved.name)
    certain = transform.unique and e.count >= FEW and e.distinct > 2
    return _named(transform.kind, certain, f"equal after undoing: {transform.name}", transform.name)


def _overflow(e: Errors) -> Fingerprint | None:
    """Infinite, or at the largest value of float16, exactly where the reference is larger than that."""
    if not e.is_float or not (np.abs(e.board) >= values.LARGEST_HALF).any():
        return None
    if not (np.abs(e.board[np.isfinite(e.board)]) <= values.LARGEST_HALF).all():
        return None
    size = np.abs(np.where(np.isfinite(e.reference), e.reference, 0.0))
    lost = e.wrong & (np.abs(e.board) >= values.LARGEST_HALF) & (size > values.LARGEST_HALF)
    count = int(np.count_nonzero(lost))
    stray = np.isinf(e.board) & ~np.isinf(e.reference) & ~lost
    if not count or stray.any() or (size > values.LARGEST_HALF * (1 + 2**-10))[~lost & ~np.isnan(e.board)].any():
        return None
    how = "infinite" if np.isinf(e.board[lost]).any() else "cut to 65504"
    text = f"{count} elements are {how} on the board, and beyond 65504 in the reference: overflow of half precision"
    return _named("overflow", True, f"{text} (largest {size.max():.6g})", count=count)


def _nonfinite(e: Errors) -> Fingerprint | None:
    if not e.is_float:
        return None
    for kind, mark in (("nan", np.isnan), ("inf", np.isinf)):
        board, reference = mark(e.board), mark(e.reference)
        new = int(np.count_nonzero(board & ~reference))
        if new:
            rest = e.count - int(np.count_nonzero(e.wrong & (board | reference)))
            also = f"; {rest} other elements differ" if rest else "; nothing else differs"
            return _named(kind, rest == 0, f"{new} elements are {kind} on the board only{also}", count=new)
    return None


def _earlier_frame(e: Errors) -> Fingerprint | None:
    previous = e.context.previous
    if previous is None or previous.shape != e.board.shape or not e.comparable or e.count < 4:
        return None  # three elements may be equal by chance
    equal = np.array_equal(previous[e.wrong], e.board[e.wrong])
    if not equal and not _near_earlier(e, previous):
        return None
    text = "holds the previous frame's values" if equal else "holds the previous frame's values, within noise"
    certain = equal and e.count >= FEW and e.distinct > 2 and e.distinct_on_board > 2
    if np.array_equal(previous, e.board, equal_nan=e.is_float):
        return _named("stale", certain, f"the whole tensor {text}")
    block = find_memory_block(e.wrong, e.geometry)
    item = _stale_item(e, previous)
    if item is not None:
        sentence = f"item {item} of {len(e.board)} in the batch {text}"
        return _named("stale", certain and block is None, sentence)
    if block is not None:
        kind = {"line": "cache_line", "page": "page"}[block.what]
        return _named(kind, certain, f"what differs {text}: {block.sentence}")
    where = e.region.sentence if e.region else "scattered"
    return _named("stale", certain, f"what differs {text}: {where}")


def _stale_item(e: Errors, previous: Array) -> int | None:
    """The one item of a batch that differs, if all of it is that of the frame before."""
    if e.board.ndim < 2 or len(e.board) < 2 or e.spec.layout[:1] not in ("N", ""):
        return None
    items = np.flatnonzero(e.wrong.reshape(len(e.wrong), -1).any(axis=1))
    return int(items[0]) if len(items) == 1 and np.array_equal(e.board[items[0]], previous[items[0]]) else None


def _near_earlier(e: Errors, previous: Array) -> bool:
    now, before = e.board[e.wrong], previous[e.wrong]
    return e.count >= FEW and Nearness(rms(now, e.reference[e.wrong])).close(now, before)


def _dequantized_wrongly(e: Errors) -> Fingerprint | None:
    if not e.is_float or e.reference.dtype.kind != "f" or not e.whole or e.nonfinite_wrong or e.context.is_input:
        return None
    return real_values_mistake(e.board, e.reference)


def _by_law(e: Errors) -> Fingerprint | None:
    if not e.comparable or e.count == e.nonfinite_wrong:
        return None
    rails = None if e.is_float else value_range(e.spec_of_board)
    sample = values.pairs(*e.thinned, rails, e.zero_point)
    if not values.laws(sample, e.board.dtype):
        return None
    laws = values.laws(values.pairs(e.board, e.reference, rails, e.zero_point), e.board.dtype)
    if not laws or (laws[0].kind != "zero_point" and _poor(laws, e)):
        return None
    kinds = {law.kind for law in laws}
    certain = len(kinds) == 1 and e.count >= FEW and e.distinct >= 8 and not e.nonfinite_wrong
    return _named(laws[0].kind, certain, laws[0].sentence, laws[0].sentence, **laws[0].figures)


def _nearly_transformed(e: Errors) -> Fingerprint | None:
    """Another order, layout, place or pitch that leaves only noise."""
    transform = near_transform(e)
    return (
        None
        if transform is None
        else _named(transform.kind, False, f"equal within noise after undoing: {transform.name}", transform.name)
    )


def _by_rounded_law(e: Errors) -> Fingerprint | None:
    """One offset or factor before the rounding: integers, stored or dequantized, hide half a step on both sides."""
    if not e.comparable or e.count < FEW or e.board_constant or e.nonfinite_wrong:
        return None
    if e.is_float:
        return _by_law_of_counts(e)
    rails = value_range(e.spec_of_board)
    knows = e.spec.quantization is not None or e.reference.dtype.kind == "i"
    if rounded_law(values.pairs(*e.thinned, rails, e.zero_point), knows_zero_point=knows) is None:
        return None
    return _of_rounding(rounded_law(values.pairs(e.board, e.reference, rails, e.zero_point), knows_zero_point=knows))


def _by_law_of_counts(e: Errors) -> Fingerprint | None:
    """Of dequantized values: zero is zero, whatever integer stood for it."""
    mark = None
    for board, reference in (e.thinned, (e.board, e.reference)):
        counted = counts_on_one_grid(board, reference)
        pairs = values.pairs(counted.board, counted.reference, counted.rails) if counted else None
        mark = _of_rounding(rounded_law(pairs)) if pairs else None
        if counted is None or mark is None:
            return None
        mark = replace(mark, evidence=f"{mark.evidence} (counted in steps of {counted.step:.6g})")
    return mark


def _of_rounding(law: values.Law | None) -> Fingerprint | None:
    return None if law is None else Fingerprint(law.kind, False, law.sentence, figures=law.figures)


def _poor(laws: Sequence[values.Law], e: Errors) -> bool:
    """A law that changes one element, or makes everything one value, tells no more than that."""
    return e.board_constant or (e.count < 2 and laws[0].kind != "saturation")


def _by_channel(e: Errors) -> Fingerprint | None:
    """A law of each channel of an op with weights, whatever was rounded after it."""
    law = channel_law(e) if e.context.weighted and e.comparable and e.count >= FEW else None
    if law is None or e.board_constant_where_wrong is not None or (not e.is_float and e.max_step <= 1):
        return None
    return Fingerprint(law.kind, False, law.sentence, figures=law.figures)


def _clipped(e: Errors) -> Fingerprint | None:
    """One side is the other one, clipped, within rounding: a clip too many, or one left out."""
    if not e.comparable or e.count < 4:
        return None
    steps = grid_step(e.board) + grid_step(e.reference) if e.is_float else 0.0  # half of each was rounded away
    law = values.clip_law(e.board, e.reference, max(e.rounding_room, 0.55 * steps))
    if law is None or e.nonfinite_wrong or e.board_constant:
        return None
    other = two_grids(e.board, e.reference) if e.is_float else None
    if other is not None and other.board < other.reference and other.no_multiple:
        text = f"{other.sentence}; what lies beyond its range is cut: {law.sentence}"
        return Fingerprint("scale", False, text, figures={"factor": other.board / other.reference, **law.figures})
    return Fingerprint("saturation", False, law.sentence, figures=law.figures)


def _shuffled(e: Errors) -> Fingerprint | None:
    if not e.comparable or e.count < 2 or not multiset_equal(e.board, e.reference):
        return None
    return _named("permutation", False, "the same values in a different order; no known transform matches")


def _small_steps(e: Errors) -> Fingerprint | None:
    if not e.is_float:
        if e.max_step > 1:
            return None
        up, down = e.count_up, e.count - e.count_up
        way = e.truncated
        if way:
            return _named("truncation", False, f"{e.count} of {e.wrong.size} elements are one step off, always {way}")
        text = f"{e.count} of {e.wrong.size} elements differ by one step ({up} up, {down} down), scattered"
        return _named("rounding", False, text)
    low, high = e.ends_of_differences
    if high and low >= 0.98 * high - e.last_place and e.share < 0.9 and 0 < e.count_up < e.count:
        return _named("rounding", False, f"{e.count} scattered elements differ by {high:.4g}, up or down")
    if e.span and high <= e.span * 1e-3:
        return _named(
            "rounding", False, f"scattered differences of at most {high:.3g}, {high / e.span:.2g} of the range"
        )
    return None


def _not_quantized(e: Errors) -> Fingerprint | None:
    sentence = not_quantized(e)
    return _named("precision", False, sentence) if sentence else None


def _other_step(e: Errors) -> Fingerprint | None:
    """Dequantized values of two grids: the tensor was quantized with another scale."""
    other = two_grids(e.board, e.reference) if e.is_float else None
    if other is None or (e.count < FEW and not other.few_tell_it):
        return None
    return _named("scale", False, other.sentence, factor=other.board / other.reference)


def _nearly_scaled(e: Errors) -> Fingerprint | None:
    """A slope far from one that explains nearly all, so that only rounding is left."""
    slope, residual, left = e.slope()
    explained = e.is_float and e.count >= FEW and left <= LEFT
    room = e.rounding_room * max(1.0, (1 + abs(slope or 0.0)) / 2)
    if slope is None or abs(slope - 1) < 0.02 or not (explained or residual <= room):
        return None
    bits = np.log2(slope) if slope > 0 else 0.5
    kind = "shift" if abs(bits - round(bits)) < 0.01 and round(bits) else "scale"
    return _named(kind, False, f"board is reference x {slope:.4g}, within rounding", factor=slope)


def _nearly_offset(e: Errors) -> Fingerprint | None:
    """One constant that explains nearly all of what differs in floats, so that only noise is left."""
    if not e.is_float or e.count < LEAST_WRONG or e.nonfinite_wrong or e.board_constant:
        return None
    by = float(np.median(e.differences))
    if not by or rms(e.differences, np.full(1, by)) > LEFT * abs(by):
        return None
    where = "" if e.share > 0.9 else f" on {e.share:.0%} of the elements"
    return _named("zero_point", False, f"board = reference {by:+.6g}{where}, within noise", offset=by)


def _from_the_first(e: Errors) -> Fingerprint | None:
    if not e.context.first_op or e.context.inputs_equal:
        return None
    text = f"{e.share:.1%} of the first op's output differs: check the network input first"
    return _named("preprocessing", False, text)


def _another_frame(e: Errors) -> Fingerprint | None:
    if e.context.inputs_equal or e.share < 0.3 or e.count < 64 or abs(e.correlation) > 0.9:
        return None  # an op that read the right values and is wrong has another cause than an older frame
    distance = e.distribution_distance()
    if distance > SIMILAR:
        return None
    text = f"{e.share:.0%} differ, correlation {e.correlation:.2f}, but the value distributions match"
    return _named("stale", False, f"{text} (distance {distance:.2f}): probably another frame")


def _unknown(e: Errors) -> Fingerprint:
    text = f"{e.count} of {e.wrong.size} elements differ ({e.share:.1%}); no known fault kind matches"
    if e.board.size > 1 and (e.board == e.board.flat[0]).all():
        text += f"; the board has {e.board.flat[0]} everywhere"
    return _named("unclassified", False, text)


_TESTS: tuple[Callable[[Errors], Fingerprint | None], ...] = (
    _other_runs,
    _recomputed,
    of_picture,
    _transformed,
    _overflow,
    _nonfinite,
    _earlier_frame,
    _dequantized_wrongly,
    _by_law,
    of_channels,
    _by_rounded_law,
    _nearly_transformed,
    _clipped,
    _by_channel,
    _other_step,
    _not_quantized,
    places.few,
    places.where,
    places.striped,
    places.emptied,
    _shuffled,
    _small_steps,
    _nearly_offset,
    _nearly_scaled,
    _from_the_first,
    _another_frame,
    _unknown,
)


def tests() -> Iterator[str]:
    """Names of the tests in the order in which they are tried, for the documentation."""
    for test in _TESTS:
        yield test.__name__.strip("_")
