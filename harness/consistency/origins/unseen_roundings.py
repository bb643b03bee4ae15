"""Whether the integers behind ops that were not dumped are right, although they are not the PC's: roundings are played.

A runtime may round fewer times than the model says, at other places, or a value that lies on the edge between two steps
to the other one. Each is run on this PC; the board is right where it is what such a run gives, or as far off as these
runs are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.consistency.fingerprint.classify import classify
from harness.consistency.metrics.pointwise import measure
from harness.consistency.origins.isolate import Isolator, Request
from harness.consistency.origins.played_moves import goes_along, is_one_of, within_moves
from harness.consistency.reading.layouts import channel_axis
from harness.consistency.reading.pairs import Pair, as_stored
from harness.consistency.reading.tensor_files import Array

LAWS = ("zero_point", "scale", "shift", "channel", "channel_offset", "channel_scale", "channel_affine", "dead_channel")


def is_requantizing(
    isolator: Isolator, request: Request, pair: Pair, casts: Sequence[str], is_right: Callable[[Array], bool]
) -> bool:
    """Whether the board's integers are what a runtime leaves that rounds fewer times, or at other places, between ops
    that were not dumped: as played on the PC, or a part of the way there. What the values name a fault is none.

    `casts`: styles beside "fused"; `is_right`: whether the board's values are within limits of an array.
    """
    plain = _given(isolator, request, "", pair)
    if plain is None:
        return False
    played = [_given(isolator, request, style, pair) for style in ("fused", *casts)]
    near = [value for value in played if value is not None]
    if any(is_right(value) for value in near):
        return True
    channels = channel_axis(pair.spec_reference, plain.ndim)
    along = [value for value in near if goes_along(pair.board, plain, value, channels)]
    if along:
        return not _names_a_fault(pair, (plain, *along))
    return _is_by_ties(isolator, request, plain, channels, pair)


def _is_by_ties(isolator: Isolator, request: Request, plain: Array, channels: int | None, pair: Pair) -> bool:
    """The same where what lies on the edge between two steps goes to the other one, in any of the unseen quantizers."""
    sides = [_given(isolator, request, style, pair) for style in ("up", "down")]
    moved = [value for value in sides if value is not None]
    if len(moved) < len(sides):
        return False
    if is_one_of(pair.board, (plain, *moved), channels):
        return True
    return within_moves(pair.board, plain, moved, channels) and not _names_a_fault(pair, (plain,))


def _given(isolator: Isolator, request: Request, style: str, pair: Pair) -> Array | None:
    """What the ops give in that style, as integers of the board's shape; None where they cannot be run."""
    value = next(iter(isolator.run([replace(request, integers=style)])))[1]
    fits = value is not None and value.dtype == pair.board.dtype and value.size == pair.board.size
    return as_stored(value, pair) if value is not None and fits else None


def _names_a_fault(pair: Pair, given: Sequence[Array]) -> bool:
    spec = pair.spec_reference
    return any(classify(pair.board, v, spec, measure(pair.board, v, spec, spec)).kind in LAWS for v in given)
