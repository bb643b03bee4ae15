"""Two models measured in one sitting, A-B-B-A: what a board's day adds to both falls out of their ratio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite, log, log2, nan, sqrt
from statistics import median

PAIRS = 8  # the fewest nights can be told with p <= 0.01 by
MOST_PAIRS = 32
MOST_P = 0.01
FALSE_SHARE = 0.05  # of what a night confirms, by Benjamini and Hochberg
GROUPS = "ABBA"
SIGMAS_APART = 2.5  # of a sitting's median ratio, within which it is not told from 0 or from the limit
SURE = 1.645  # sigmas: a chance of 95 %


MEDIAN = "median"
QUIET = "quiet frames"  # the figure of a sitting whose medians tell too little
CALM = 0.05  # a block that is farther above the usual one of its side was disturbed as a whole


@dataclass(frozen=True)
class Confirmation:
    """What a sitting says: the median ratio of tonight's model (B) to the last good one (A), and its p.

    `can_find_pct`: the smallest change that it would have confirmed with a chance of 95 %. `figure`: MEDIAN or QUIET.
    """

    pairs: int
    percent: float
    p: float
    can_find_pct: float | None = None
    figure: str = MEDIAN


@dataclass(frozen=True)
class SittingBlock:
    """One block of a sitting; `side` is `A` or `B`. NaN is a figure that there is not.

    `quiet_us` is that of its quickest frames: where others use the board in bursts, half of the frames may be theirs,
    and a few are the model's own all the same.
    """

    side: str
    median_us: float
    quiet_us: float = nan


def pairs_for(suspects: int) -> int:
    """How many pairs each of so many suspects needs, so that one of them alone can pass the night's correction."""
    return min(MOST_PAIRS // 2, max(PAIRS, ceil(log2(2 * max(1, suspects) / FALSE_SHARE))))


def sat_blocks(blocks: Sequence[SittingBlock], suspects: int, percent: float) -> list[SittingBlock]:
    """Of the blocks of a sitting that was long enough, those that a night with so many suspects would have measured."""
    count = 2 * pairs_for(suspects)
    while count < len(blocks) and goes_on(blocks[:count], percent):
        count *= 2
    return list(blocks[:count])


def goes_on(blocks: Sequence[SittingBlock], percent: float) -> bool:
    """Whether a sitting that could end goes on: see `wants_more`."""
    return wants_more(_steady(blocks, percent)[1], percent)


def _steady(blocks: Sequence[SittingBlock], percent: float) -> tuple[str, list[tuple[str, float]]]:
    """Name, side and figure of each block: medians, or, where their pairs do not tell `percent` from 0 and quiet frames
    are steadier, those. Which one is chosen by the spread alone, never by what it says."""
    medians = _calm([(one.side, one.median_us) for one in blocks])
    quiet = _calm([(one.side, one.quiet_us) for one in blocks])
    spread = _spread_of_middle(_ratios(medians))
    is_restless = SIGMAS_APART * spread > percent / 100 / 2
    return (QUIET, quiet) if is_restless and _spread_of_middle(_ratios(quiet)) < spread else (MEDIAN, medians)


def _calm(figures: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """NaN in place of blocks that others' load met as a whole: far above what is usual of the same side.

    Each side is held against itself, so that which model is which decides nothing. All are kept where the sitting is at
    its end and would be left with too few.
    """
    limits = {side: _lower_quartile([value for own, value in figures if own == side]) * (1 + CALM) for side in "AB"}
    calm = [(side, value if value <= limits.get(side, inf) else nan) for side, value in figures]
    return calm if len(_ratios(calm)) >= PAIRS or len(figures) < 2 * MOST_PAIRS else list(figures)


def _lower_quartile(values: Sequence[float]) -> float:
    known = sorted(value for value in values if isfinite(value))
    return known[len(known) // 4] if known else inf


def _spread_of_middle(ratios: Sequence[float]) -> float:
    """One sigma of the median ratio; infinite where there are too few."""
    if len(ratios) < PAIRS:
        return inf
    middle = median(ratios)
    return 1.4826 * median(abs(ratio - middle) for ratio in ratios) * 1.25 / sqrt(len(ratios))


def sitting(blocks: Sequence[SittingBlock], percent: float) -> Confirmation | None:
    """What the blocks of a sitting say, by the steadier figure; None of fewer than PAIRS pairs."""
    figure, chosen = _steady(blocks, percent)
    result = confirmation(chosen)
    if result is None:
        return None
    can_find_pct = percent + 100 * SURE * _spread_of_middle(_ratios(chosen))
    return replace(result, can_find_pct=round(can_find_pct, 3), figure=figure)


def wants_more(blocks: Sequence[tuple[str, float]], percent: float) -> bool:
    """Whether a sitting that could end goes on: its pairs do not tell `percent` from 0 on a restless board, too few of
    them are calm, or they say a change but for a few that a burst of others' load met.

    Looked at after pairs_for() pairs, then after as many again, up to MOST_PAIRS.
    """
    ratios = _ratios(blocks)
    if len(blocks) > MOST_PAIRS:
        return False
    if len(ratios) < PAIRS:
        return True
    if abs(median(ratios) - 1) * 100 >= percent and not is_sure(len(ratios), _p_of(ratios)):
        return True
    spread = SIGMAS_APART * _spread_of_middle(ratios)
    return spread > percent / 100 / 2 and abs(abs(median(ratios) - 1) - percent / 100) < spread


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
    return Confirmation(len(ratios), (median(ratios) - 1) * 100, _p_of(ratios))


def _p_of(ratios: Sequence[float]) -> float:
    return signed_rank_p([log(one) for one in ratios])


def is_sure(pairs: int, p: float) -> bool:
    """Whether a p is small enough; after the first look a smaller one is asked for, as there are up to three looks."""
    return p <= (MOST_P if pairs < 2 * PAIRS else MOST_P / 3)


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
        is_change = key in passing and is_sure(one.pairs, one.p) and abs(one.percent) >= percents[key]
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
