"""Change points of a series: where its level moved for good. Divisive by energy distance, tested by ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST = 4  # nights on either side
WINDOWS = (8, 14, 45)  # nights on either side that a test looks at: a stay of ten nights is lost in a long one
WINDOW = WINDOWS[-1]
MOST_P = 0.001


@dataclass(frozen=True)
class ChangePoint:
    """`index` is the first night of the new level. Levels are medians of the stretches on both sides; p of ranks."""

    index: int
    before: float
    after: float
    p: float

    @property
    def percent(self) -> float:
        """The change of the level."""
        return (self.after / self.before - 1) * 100


def change_points(values: Sequence[float], least_percent: float = 2.0, most_p: float = MOST_P) -> list[ChangePoint]:
    """Change points of positive values, oldest first; those that change less than `least_percent` are none.

    Deterministic: the same values give the same points. A step in the last FEWEST nights is not seen.
    """
    import numpy as np

    if len(values) < 2 * FEWEST or not _has_a_shift(values, least_percent):
        return []
    series = np.asarray(values, dtype=np.float64)
    cuts = sorted(_cuts(np.log(series), 0, len(series), most_p))
    return _merged(series, cuts, least_percent, most_p)


def _has_a_shift(values: Sequence[float], least_percent: float) -> bool:
    """Cheap: whether medians of neighbouring windows ever differ by so much. Nearly all series end with this."""
    import numpy as np

    series = np.asarray(values, dtype=np.float64)
    for width in (FEWEST, 14):
        if len(series) < 2 * width:
            continue
        medians = np.median(np.lib.stride_tricks.sliding_window_view(series, width), axis=1)
        if np.any(np.abs(medians[width:] / medians[:-width] - 1) * 100 >= 0.75 * least_percent):
            return True
    return False


def _cuts(logs: NDArray[np.float64], first: int, last: int, most_p: float) -> list[int]:
    """Divides a stretch where both sides are most unlike, while ranks say so; p is kept weak until merged."""
    if last - first < 2 * FEWEST:
        return []
    best = first + _best_split(logs[first:last])
    sides = [(logs[max(first, best - width) : best], logs[best : min(last, best + width)]) for width in WINDOWS]
    if min(rank_p(*pair) for pair in sides) > 10 * most_p:
        return []
    return [*_cuts(logs, first, best, most_p), best, *_cuts(logs, best, last, most_p)]


def _best_split(logs: NDArray[np.float64]) -> int:
    """Where the energy distance of left and right is largest. n x n of at most some hundred nights."""
    import numpy as np

    count = len(logs)
    distances = np.abs(logs[:, None] - logs[None, :])
    corner = distances.cumsum(axis=0).cumsum(axis=1)  # corner[i, j]: sum over rows to i and columns to j
    places = np.arange(FEWEST, count - FEWEST + 1)
    left, right = places.astype(np.float64), (count - places).astype(np.float64)
    within_left = corner[places - 1, places - 1]
    across = corner[places - 1, count - 1] - within_left
    within_right = corner[-1, -1] - within_left - 2 * across
    energy = 2 * across / (left * right) - within_left / left**2 - within_right / right**2
    return int(places[int(np.argmax(left * right / count * energy))])


def _merged(series: NDArray[np.float64], cuts: list[int], least_percent: float, most_p: float) -> list[ChangePoint]:
    """Drops the weakest cut until all that are left pass with the stretches that they then have."""
    cuts = list(cuts)
    while True:
        points = _points(series, cuts)
        weak = [one for one in points if abs(one.percent) < least_percent or one.p > most_p]
        if not weak:
            return points
        cuts.remove(min(weak, key=lambda one: (abs(one.percent) >= least_percent, -one.p)).index)


def _points(series: NDArray[np.float64], cuts: list[int]) -> list[ChangePoint]:
    import numpy as np

    edges = [0, *cuts, len(series)]
    points = []
    for place, cut in enumerate(cuts, 1):
        before, after = series[edges[place - 1] : cut][-WINDOW:], series[cut : edges[place + 1]][:WINDOW]
        middles = float(np.median(before)), float(np.median(after))
        points.append(ChangePoint(cut, *middles, rank_p(before, after)))
    return points


def rank_p(first: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Two-sided p of the Mann-Whitney test, by the normal approximation with continuity; ties by midranks."""
    import numpy as np

    count, more = len(first), len(other)
    if not count or not more:
        return 1.0
    values, places, sizes = np.unique(np.concatenate([first, other]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[places]
    u = float(ranks[:count].sum()) - count * (count + 1) / 2
    whole = count + more
    ties = float((sizes.astype(np.float64) ** 3 - sizes).sum()) / (whole * (whole - 1)) if len(values) else 0.0
    sigma = sqrt(count * more / 12 * (whole + 1 - ties))
    if sigma == 0:
        return 1.0
    return erfc(max(0.0, abs(u - count * more / 2) - 0.5) / sigma / sqrt(2))
