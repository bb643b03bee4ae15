"""Replay of nights: how often a pair is called slower or faster and is not, and how soon it is where it is.

    python -m benchmarks.nights                          # 10,000 series-nights of every kind of noise
    python -m benchmarks.nights --seed 7 --frames f.npy  # other series; frames (blocks x frames, us)

Every night of every series goes through `harness.regressions.judge`, as in `harness nightly`; sittings are played with
the noise of blocks, drawn or as it was recorded on this PC. Words of a night are those that the next night reads.
Also counted: reruns (sittings), and nights called slower for the board without one (`lasting`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.nights_parts.boards import KINDS, NIGHTS, NoiseKind, PlayedBoard
from benchmarks.nights_parts.frames import block_noise, recorded_frames
from harness.regressions.confirmation import Confirmation, confirmation, confirmed, order_of, pairs_for, wants_more
from harness.regressions.gate import GateLimits
from harness.regressions.judge import SuspectedPair, final, suspected
from harness.regressions.series import NightPoint

LIMITS = GateLimits()
PER_NIGHT = 40  # pairs of one farm, judged together


@dataclass
class ReplayedPair:
    """One pair with its earlier nights and what was said of it."""

    board: PlayedBoard
    points: list[NightPoint] = field(default_factory=list)
    words: dict[int, tuple[str, str]] = field(default_factory=dict)  # night -> word, alarm
    sittings: int = 0

    def now(self, night: int) -> NightPoint:
        board = self.board
        return NightPoint(f"{night:03d}", board.value_us(night), str(board.epoch[night]), str(board.model[night]), "")


def replayed(pairs: Sequence[ReplayedPair]) -> None:
    """All nights of one farm, in order."""
    for night in range(max(pair.board.nights for pair in pairs)):
        tonight = {
            place: pair.now(night)
            for place, pair in enumerate(pairs)
            if night < pair.board.nights and not pair.board.is_gap[night]
        }
        suspects = {place: suspected(pairs[place].points, now, LIMITS) for place, now in tonight.items()}
        words = sat(pairs, night, {place: one for place, one in suspects.items() if one.wants_a_sitting})
        for place, now in tonight.items():
            judged = final(suspects[place], words.get(str(place), ""))
            pairs[place].words[night] = judged.word, judged.alarm
            point = replace(now, word=judged.word, alarm=judged.alarm)
            pairs[place].points.append(point)


def sat(pairs: Sequence[ReplayedPair], night: int, wanted: dict[int, SuspectedPair]) -> dict[str, str]:
    """The sittings of a night: blocks of both models in the order of the plan."""
    sittings: dict[str, Confirmation] = {}
    for place, suspect in wanted.items():
        board = pairs[place].board
        pairs[place].sittings += 1
        models = {"A": int(suspect.artefact), "B": board.model[night]}
        pairs_wanted = pairs_for(len(wanted))
        board.sit_down()
        blocks = [(side, board.block_us(night, models[side])) for side in order_of(pairs_wanted)]
        while wants_more(blocks, LIMITS.percent):
            blocks += [(side, board.block_us(night, models[side])) for side in order_of(len(blocks) // 2)]
        result = confirmation(blocks)
        assert result is not None
        sittings[str(place)] = result
    return confirmed(sittings, dict.fromkeys(sittings, LIMITS.percent))


def farms(pairs: list[ReplayedPair]) -> Iterator[list[ReplayedPair]]:
    """Pairs of one farm, judged together."""
    for first in range(0, len(pairs), PER_NIGHT):
        yield pairs[first : first + PER_NIGHT]


# --------------------------------------------------------------------------- what is counted


def flat(kind: NoiseKind, series: int, seed: int, noise: NDArray[np.float64] | None) -> dict[str, float]:
    """Series without a change: every word of a model or a board is false."""
    pairs = [
        ReplayedPair(PlayedBoard(kind, np.random.default_rng([seed, n]), block_noise=noise)) for n in range(series)
    ]
    for farm in farms(pairs):
        replayed(farm)
    calls = [[words for words in pair.words.values() if words[0] in ("slower", "faster")] for pair in pairs]
    alarms = [sum(alarm in ("confirmed", "unconfirmed") for _, alarm in one) for one in calls]
    lasting = [sum(alarm == "lasting" for _, alarm in one) for one in calls]
    quarters = series * NIGHTS / 90
    return {
        "false": sum(alarms),
        "false_of_boards": sum(lasting),
        "false_per_cell_quarter": (sum(alarms) + sum(lasting)) / quarters,
        "sittings_per_cell_quarter": sum(pair.sittings for pair in pairs) / quarters,
    }


def stepped(
    kind: NoiseKind, step: float, series: int, seed: int, noise: NDArray[np.float64] | None
) -> dict[str, float]:
    """Series whose model becomes slower by `step`: on which of its valid nights that is said."""
    pairs = []
    for n in range(series):
        chance = np.random.default_rng([seed, 1, n])
        at = int(chance.integers(30, 80))
        pairs.append(ReplayedPair(PlayedBoard(kind, chance, step, at, noise, nights=at + 10)))
    for farm in farms(pairs):
        replayed(farm)
    delays = [_delay(pair) for pair in pairs]
    return {f"in_{n}": float(np.mean([delay <= n for delay in delays])) for n in (1, 2, 3, 7)}


def _delay(pair: ReplayedPair) -> int:
    """Valid nights from the step on until it is said; 99 where it never is."""
    nights = [night for night in sorted(pair.words) if night >= pair.board.step_at]
    hits = [place for place, night in enumerate(nights, 1) if pair.words[night][0] == "slower"]
    return hits[0] if hits else 99


def measured(series: int, seed: int, noise: NDArray[np.float64]) -> dict[str, object]:
    """All kinds of noise, drawn; and `frames`, whose blocks are those that were recorded."""
    rows: dict[str, dict[str, float]] = {}
    for place, kind in enumerate((*KINDS, NoiseKind("frames", odd=0.03))):
        blocks = noise if kind.name == "frames" else None
        own = seed * 100 + place
        rows[kind.name] = flat(kind, series, own, blocks)
        for percent in (3, 5):
            shares = stepped(kind, percent / 100, series, own, blocks)
            rows[kind.name] |= {f"found_{percent}pct_{key}": value for key, value in shares.items()}
    return {
        "kinds": rows,
        "series_nights": series * NIGHTS * len(rows),
        "false_per_cell_quarter": max(row["false_per_cell_quarter"] for row in rows.values()),
        "mean_false_per_cell_quarter": float(np.mean([row["false_per_cell_quarter"] for row in rows.values()])),
        "found_3pct_in_3": min(row["found_3pct_in_3"] for row in rows.values()),
        "found_5pct_in_1": min(row["found_5pct_in_1"] for row in rows.values()),
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=112, help="of each kind, 90 nights each (112: 10,080)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=Path, help="recorded frames, .npy of blocks x frames in us")
    arguments = parser.parse_args()
    frames = np.load(arguments.frames) if arguments.frames else recorded_frames()
    noise = block_noise(frames)
    result = measured(arguments.series, arguments.seed, noise)
    print(json.dumps({"block_noise": float(np.std(noise)), **result}, indent=1))


if __name__ == "__main__":
    main()
