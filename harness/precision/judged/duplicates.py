"""Samples that are there twice, and samples that are nearly another one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.emulator.compiler.calibration import Feed
from harness.precision.judged.observations import DUPLICATE, NOTE, WARNING, CalibrationObservation

Array = NDArray[Any]
NEAR = 0.05  # of the median distance of two samples
MOST_ELEMENTS = 4096  # of a sample that are looked at first
MOST_SAMPLES = 4000  # beyond, pairs would take more memory than the samples
MANY = 0.1  # of all samples: fewer copies do not change a calibration
SHOWN = 4


def duplicates(feeds: Sequence[Feed], stems: Sequence[str]) -> Iterator[CalibrationObservation]:
    """Groups of equal samples, then of nearly equal ones."""
    groups: dict[str, list[int]] = {}
    for place, feed in enumerate(feeds):
        groups.setdefault(_digest(feed), []).append(place)
    same = [group for group in groups.values() if len(group) > 1]
    extra = sum(len(group) - 1 for group in same)
    if extra:
        yield _remark("equal to another sample, byte by byte", extra, same, stems, len(feeds))
    firsts = [group[0] for group in groups.values()]
    near = _near_groups([feeds[place] for place in firsts]) if 2 < len(firsts) <= MOST_SAMPLES else []
    alike = [[firsts[place] for place in group] for group in near]
    extra = sum(len(group) - 1 for group in alike)
    if extra:
        words = f"nearly another sample (less than {100 * NEAR:.0f} % of the usual distance of two samples)"
        yield _remark(words, extra, alike, stems, len(feeds))
    if len(firsts) > MOST_SAMPLES:
        text = f"{len(firsts)} samples: nearly equal ones were not looked for beyond {MOST_SAMPLES}"
        yield CalibrationObservation(DUPLICATE, NOTE, "", text)


def _remark(
    words: str, extra: int, groups: Sequence[Sequence[int]], stems: Sequence[str], total: int
) -> CalibrationObservation:
    shown = "; ".join(" = ".join(stems[place] for place in group[:SHOWN]) for group in groups[:SHOWN])
    more = f"; {len(groups) - SHOWN} more groups" if len(groups) > SHOWN else ""
    severity = WARNING if extra >= MANY * total else NOTE
    text = f"{extra} of {total} samples are {words}: {shown}{more}"
    return CalibrationObservation(DUPLICATE, severity, stems[groups[0][0]], text, "leave copies out: they add no range")


def _digest(feed: Feed) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for name, value in sorted(feed.items()):
        digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _near_groups(feeds: Sequence[Feed]) -> list[list[int]]:
    """Places of samples that belong together: each is near the first of its group, of all of its values."""
    rows = np.stack([_thinned(feed) for feed in feeds])
    norms = np.square(rows).sum(axis=1)
    distances = np.sqrt(np.maximum(norms[:, None] + norms[None] - 2 * rows @ rows.T, 0.0))
    apart = distances[np.triu_indices(len(rows), 1)]
    limit = NEAR * float(np.median(apart))
    groups: list[list[int]] = []
    for place in range(len(rows)):
        home = next((group for group in groups if distances[group[0], place] < limit), None)
        if home is not None and _is_near(feeds[home[0]], feeds[place], limit / max(rows.shape[1], 1) ** 0.5):
            home.append(place)
        else:
            groups.append([place])
    return [group for group in groups if len(group) > 1]


def _thinned(feed: Feed) -> Array:
    whole: Array = np.concatenate([np.asarray(value, np.float64).ravel() for _, value in sorted(feed.items())])
    return whole[:: max(1, len(whole) // MOST_ELEMENTS)]


def _is_near(one: Feed, other: Feed, limit_rms: float) -> bool:
    """Over all values, so that a difference between those that were looked at is seen."""
    squares = [np.square(np.asarray(one[name], np.float64) - other[name]) for name in one]
    count = sum(square.size for square in squares)
    return float(np.sqrt(sum(square.sum() for square in squares) / max(count, 1))) < 2 * limit_rms
