"""The shortest list of ops in another type that reaches what is wanted.

Greedy, then pruned: ops are ordered by what their int8 costs the outputs over what the change costs in time, the
shortest beginning of that list that reaches the figure is looked for by halving, and then every op of it that is not
needed is taken out again, the most expensive first; in a short list one other change takes the place of two where that
is enough. Every step is measured with the emulated compiler's quantization of the whole model: no sum of single
effects is believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.precision.base import FLOAT, TypeChange
from harness.precision.changed import ChangedModel, Price
from harness.precision.figures import Figure
from harness.precision.sensitivity import OpSensitivity, Sensitivity
from harness.records.callbacks import ProgressCallback

LEAST_COST_US = 0.5  # what costs less is not told apart
MOST_PRUNED = 60  # ops that are tried to be left out, one by one
MOST_EXCHANGED = 120  # lists that are tried with one change for two others
EXCHANGED_NODES = 2000  # nodes that are run for it, of all lists together: fewer lists of a large network
LONGEST_EXCHANGED = 6  # changes of a list that is tried so
LITTLE_LEFT = 0.3  # of an op's noise: what an option may leave and still count as the cheaper one that is enough


@dataclass(frozen=True)
class Point:
    """One set of changes that was measured."""

    changes: tuple[TypeChange, ...]
    value: float | None
    price: Price | None = None


@dataclass(frozen=True)
class Tuned:
    """Where a search ended. `ops` is how many ops could have been changed; `points` all that was measured."""

    start: Point
    chosen: Point
    is_reached: bool
    ops: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class TypeCandidate:
    """One op with one option: what it is expected to win and to cost."""

    change: TypeChange
    gain: float
    cost_us: float

    @property
    def worth(self) -> float:
        """Noise taken away for a microsecond."""
        return self.gain / max(self.cost_us, LEAST_COST_US)


def candidates(result: Sensitivity, model: ChangedModel, figure: Figure) -> list[TypeCandidate]:
    """Every op with the options that its march offers, most worth first; a stronger option follows a cheaper one."""
    costs = model.costs_us()
    made = [one for op in result.ops for one in _of_op(op, model, figure, costs.get(op.name, {}))]
    return sorted(made, key=lambda one: -one.worth)


def _of_op(
    op: OpSensitivity, model: ChangedModel, figure: Figure, costs_us: dict[str, float]
) -> Iterator[TypeCandidate]:
    if op.unit == "CPU":
        return
    whole = _noise(op, "alone", figure)
    left_before = whole
    for option in model.vendor.options(model.subject.soc.march, op.kind):
        left = _left(op, option, figure, model)
        if left >= left_before * (1 - 1e-6):
            continue
        why = f"{op.kind} alone in int8: {_shown(op, figure)}; {option}"
        yield TypeCandidate(TypeChange(op.name, op.kind, option, why), left_before - left, costs_us.get(option, 0.0))
        left_before = left
        if left <= LITTLE_LEFT * whole:
            return


def _left(op: OpSensitivity, option: str, figure: Figure, model: ChangedModel) -> float:
    """Noise that an option leaves: of the weights, where they stay in int8."""
    types = model.vendor.types(model.subject.soc.march, op.kind, option)
    if option == FLOAT or 1 in types.inputs or "weights" not in op.answers:
        return 0.0
    return min(_noise(op, "weights", figure), _noise(op, "alone", figure))


def _noise(op: OpSensitivity, mode: str, figure: Figure) -> float:
    """What the op alone adds, as noise over signal of the worst output or channel; a task is judged by its outputs."""
    levels = op.answers[mode].outputs.values() if mode in op.answers else ()
    of_channel = figure.name == "channel"
    shares = [10 ** (-(level.channel_sqnr_db if of_channel else level.sqnr_db) / 10) for level in levels]
    return max(shares, default=0.0)


def _shown(op: OpSensitivity, figure: Figure) -> str:
    value = figure.of(op.answers["alone"])
    return "not judged" if value is None else f"{figure.label} {value:.4g}{f' {figure.unit}' if figure.unit else ''}"


class Search:
    """One search; `points` grows with everything that was measured."""

    def __init__(self, model: ChangedModel, figure: Figure, wanted: float, step: ProgressCallback) -> None:
        self.model, self.figure, self.wanted, self.step = model, figure, wanted, step
        self.points: list[Point] = []

    def run(self, result: Sensitivity) -> Tuned:
        """The changes that are enough, or all that helped where nothing is."""
        start = self._measured(())
        listed = [one.change for one in candidates(result, self.model, self.figure)]
        ops = len({change.op for change in listed})
        if self._is_enough(start):
            return self._tuned(start, start, True, ops)
        last = self._shortest(listed)
        best = self._measured(_joined(listed[:last]))
        if not self._is_enough(best):
            best = min(self.points, key=lambda point: (self.figure.loss(point.value), len(point.changes)))
            return self._tuned(start, best, False, ops)
        short = self._exchanged(self._pruned(best.changes), listed)
        return self._tuned(start, self._measured(short), True, ops)

    def _tuned(self, start: Point, chosen: Point, is_reached: bool, ops: int) -> Tuned:
        priced = [Point(one.changes, one.value, self.model.price(one.changes)) for one in self._best()]
        prices = {one.changes: one for one in priced}
        start, chosen = (
            prices.get(one.changes) or Point(one.changes, one.value, self.model.price(one.changes))
            for one in (start, chosen)
        )
        return Tuned(start, chosen, is_reached, ops, tuple(priced))

    def _best(self) -> list[Point]:
        """Of each number of changes the best that was measured: what the picture shows."""
        by_count: dict[int, Point] = {}
        for point in self.points:
            other = by_count.get(len(point.changes))
            if other is None or self.figure.loss(point.value) < self.figure.loss(other.value):
                by_count[len(point.changes)] = point
        return [by_count[count] for count in sorted(by_count)]

    def _measured(self, changes: Sequence[TypeChange]) -> Point:
        self.step(f"{len(changes)} ops changed", len(self.points), -1)
        point = Point(tuple(changes), self.figure.of(self.model.answer(changes)))
        self.points.append(point)
        return point

    def _is_enough(self, point: Point) -> bool:
        return self.figure.reaches(point.value, self.wanted)

    def _shortest(self, listed: Sequence[TypeChange]) -> int:
        """How many from the front are enough: doubled until they are, then halved; all of them where none is."""
        high = 1
        while high < len(listed) and not self._is_enough(self._measured(_joined(listed[:high]))):
            high *= 2
        high = min(high, len(listed))
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            if self._is_enough(self._measured(_joined(listed[:middle]))):
                high = middle
            else:
                low = middle
        return high

    def _pruned(self, changes: tuple[TypeChange, ...]) -> tuple[TypeChange, ...]:
        """Without those that are not needed: the last of the list first, for they were worth least."""
        kept = list(changes)
        for change in list(reversed(changes))[:MOST_PRUNED]:
            rest = [one for one in kept if one is not change]
            if self._is_enough(self._measured(rest)):
                kept = rest
        return tuple(kept)

    def _exchanged(self, changes: tuple[TypeChange, ...], listed: Sequence[TypeChange]) -> tuple[TypeChange, ...]:
        """With one other change for two of them, as long as that is enough: a list that is minimal may not be short."""
        left = min(MOST_EXCHANGED, EXCHANGED_NODES // len(self.model.network.nodes))
        left = left if 2 <= len(changes) <= LONGEST_EXCHANGED else 0
        for shorter in _exchanges(changes, listed):
            if left <= 0:
                break
            left -= 1
            if self._is_enough(self._measured(shorter)):
                return self._exchanged(self._pruned(shorter), listed)
        return changes


def _exchanges(changes: Sequence[TypeChange], listed: Sequence[TypeChange]) -> Iterator[tuple[TypeChange, ...]]:
    """Every list that is one shorter: two out, one in. What is worth least goes first, what is worth most comes."""
    for first, second in reversed([*combinations(changes, 2)]):
        rest = [one for one in changes if one not in (first, second)]
        yield from ((*rest, one) for one in listed if one not in changes and one.op not in {two.op for two in rest})


def _joined(changes: Sequence[TypeChange]) -> tuple[TypeChange, ...]:
    """Each op once, with the strongest option that is in the list: it comes later."""
    return tuple({change.op: change for change in changes}.values())
