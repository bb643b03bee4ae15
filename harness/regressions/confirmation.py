"""Two models measured in one sitting, A-B-B-A: what a board's day adds to both falls out of their ratio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite, log, log2, sqrt
from statistics import median

PAIRS = 8  # the fewest nights can be told with p <= 0.01 by
MOST_PAIRS = 32
MOST_P = 0.01
FALSE_SHARE = 0.05  # of what a night confirms, by Benjamini and Hochberg
GROUPS = "ABBA"


@dataclass(frozen=True)
class Confirmation:
    """What a sitting says: the median ratio of tonight's model (B) to the last good one (A), and its p."""

    pairs: int
    percent: float
    p: float


def pairs_for(suspects: int) -> int:
    """How many pairs each of so many suspects needs, so that one of them alone can pass the night's correction."""
    return min(MOST_PAIRS // 2, max(PAIRS, ceil(log2(2 * max(1, suspects) / FALSE_SHARE))))


def wants_more(blocks: Sequence[tuple[str, float]], percent: float) -> bool:
    """Whether a sitting that could end goes on: the board is so restless that its pairs do not tell `percent` from 0.

    Looked at after pairs_for() pairs, then after as many again, up to MOST_PAIRS.
    """
    ratios = _ratios(blocks)
    if not PAIRS <= len(ratios) <= MOST_PAIRS // 2:
        return False
    middle = median(ratios)
    spread = 1.4826 * median(abs(ratio - middle) for ratio in ratios) * 1.25 / sqrt(len(ratios))
    return 2.5 * spread > percent / 100 / 2 and abs(abs(middle - 1) - percent / 100) < 2.5 * spread


def order_of(pairs: int) -> Iterator[str]:
    """`A` and `B` in the order that they are measured in: a drift of the sitting meets both alike."""
    for place in range(pairs):
        yield from GROUPS[:2] if place % 2 == 0 else GROUPS[2:]


def confirmation(blocks: Sequence[tuple[str, float]]) -> Confirmation | None:
    """From blocks (`A` or `B`, median in us) in the order that they were measured in; None of fewer than PAIRS pairs.

    Two neighbours make a pair; one with a figure that is none is left out.
    """
    ratios = _ratios(blocks)
    if len(ratios) < PAIRS:
        return None
    return Confirmation(len(ratios), (median(ratios) - 1) * 100, signed_rank_p([log(one) for one in ratios]))


def _ratios(blocks: Sequence[tuple[str, float]]) -> list[float]:
    ratios = []
    for first, other in zip(blocks[::2], blocks[1::2], strict=False):
        values = dict((first, other))
        if set(values) == {"A", "B"} and all(isfinite(value) and value > 0 for value in values.values()):
            ratios.append(values["B"] / values["A"])
    return ratios


def signed_rank_p(values: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, exact, ties by midranks; zeros are dropped. 1.0 of nothing."""
    kept = [value for value in values if value != 0]
    if not kept:
        return 1.0
    doubled = _doubled_midranks([abs(value) for value in kept])
    plus = sum(rank for rank, value in zip(doubled, kept, strict=True) if value > 0)
    whole = sum(doubled)
    ways = [1] + [0] * whole
    for rank in doubled:
        for total in range(whole, rank - 1, -1):
            ways[total] += ways[total - rank]
    tail = sum(ways[: min(plus, whole - plus) + 1])
    return float(min(1.0, 2 * tail / 2 ** len(kept)))


def _doubled_midranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, so that midranks are whole."""
    ordered = sorted(values)
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    counts = {value: ordered.count(value) for value in first}
    return [2 * first[value] + counts[value] + 1 for value in values]


def confirmed(sittings: Mapping[str, Confirmation], percents: Mapping[str, float]) -> dict[str, str]:
    """`slower`, `faster` or `noise` for every suspect of a night, all of them together.

    A change is real where p passes MOST_P and the night's correction, and the median ratio is beyond the suspect's
    limit `percents`.
    """
    passing = _passing({key: one.p for key, one in sittings.items()})
    words = {}
    for key, one in sittings.items():
        is_change = key in passing and one.p <= MOST_P and abs(one.percent) >= percents[key]
        words[key] = ("slower" if one.percent > 0 else "faster") if is_change else "noise"
    return words


def _passing(p_by_key: Mapping[str, float]) -> set[str]:
    """Benjamini and Hochberg at FALSE_SHARE."""
    ordered = sorted(p_by_key, key=lambda key: (p_by_key[key], key))
    last = 0
    for place, key in enumerate(ordered, 1):
        if p_by_key[key] <= FALSE_SHARE * place / len(ordered):
            last = place
    return set(ordered[:last])
