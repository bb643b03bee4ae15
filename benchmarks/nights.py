"""Replay of nights: how often a pair is called slower or faster and is not, and how soon it is where it is.

    python -m benchmarks.nights                          # 10,000 series-nights of every kind of noise
    python -m benchmarks.nights --seed 7 --frames f.npy  # other series; frames (blocks x frames, us)

Every night of every series is judged by the command `harness history replay`, a process for each farm of 40 pairs, with
the blocks of a sitting beside each night: drawn, or as they were recorded on this PC. The command takes them where it
suspects, as many as a night would have measured; words of a night are those that the next night reads.
Also counted: sittings, and nights called slower for the board without one (`lasting`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.nights_parts.boards import KINDS, NIGHTS, NoiseKind, PlayedBoard
from benchmarks.nights_parts.frames import block_noise, recorded_frames
from harness.regressions.confirmation import MOST_PAIRS, order_of

PER_NIGHT = 40  # pairs of one farm, judged together
PROCESSES = 2


@dataclass
class ReplayedPair:
    """One pair, and what the command said of it."""

    board: PlayedBoard
    words: dict[int, tuple[str, str]] = field(default_factory=dict)  # night -> word, alarm
    sittings: int = 0

    def rows(self, name: str) -> Iterator[str]:
        """Its valid nights as the command takes them; the last good model is any of before the step."""
        board = self.board
        for night in range(board.nights):
            if not board.is_gap[night]:
                board.sit_down()
                model = board.model[night]
                last_good = board.model[0]
                blocks = []
                for side in order_of(MOST_PAIRS):
                    figures = board.block(night, last_good if side == "A" else model)
                    blocks.append(side + "/".join(f"{one:.4f}" for one in figures))
                yield (
                    f"{night:03d},{board.value_us(night):.4f},{board.epoch[night]},{model},{' '.join(blocks)},{name}"
                )


def replayed(pairs: Sequence[ReplayedPair]) -> None:
    """All nights of one farm, by the command."""
    with tempfile.TemporaryDirectory(prefix="nights-") as folder:
        file = Path(folder) / "farm.csv"
        rows = [row for place, pair in enumerate(pairs) for row in pair.rows(str(place))]
        file.write_text("\n".join(["night,median_us,epoch,model,sitting,series", *rows]) + "\n")
        command = [sys.executable, "-m", "harness", "history", "replay", str(file), "--json"]
        ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode not in (0, 1):
        raise RuntimeError(ended.stderr or ended.stdout)
    for night in json.loads(ended.stdout)["nights"]:
        pair = pairs[int(night["series"])]
        pair.words[int(night["night"])] = night["word"], night["alarm"]
        pair.sittings += night["sat"]


def replay_all(pairs: list[ReplayedPair]) -> None:
    """Farm by farm, PER_NIGHT pairs each, some at once."""
    farms = [pairs[first : first + PER_NIGHT] for first in range(0, len(pairs), PER_NIGHT)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(replayed, farms))


# --------------------------------------------------------------------------- what is counted


def flat(kind: NoiseKind, series: int, seed: int, noise: NDArray[np.float64] | None) -> dict[str, float]:
    """Series without a change: every word of a model or a board is false."""
    pairs = [
        ReplayedPair(PlayedBoard(kind, np.random.default_rng([seed, n]), block_noise=noise)) for n in range(series)
    ]
    replay_all(pairs)
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
    replay_all(pairs)
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
    print(json.dumps({"block_noise": [float(one) for one in np.std(noise, axis=0)], **result}, indent=1))


if __name__ == "__main__":
    main()
