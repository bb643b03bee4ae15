"""The word on tonight's latency of one pair, in two steps: suspects first, then what a sitting or time says of them.

`harness nightly`, `harness history replay` (replay.py) and benchmarks/nights.py all ask these two functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.regressions.gate import Gate, GateLimits, Suspicion, gate, last_good
from harness.regressions.series import NightPoint, valid_points

# What became of an alarm. "" is none.
ALARMS = (
    "",
    "confirmed",  # in one sitting with the last good model
    "known",  # it was, on an earlier night, with the model of tonight
    "noise",  # the sitting finds both models alike
    "waiting",  # no other model to hold it against: it has to last
    "lasting",  # it lasted, and no new model explains it: the board's
    "unconfirmed",  # there is another model, and no sitting with it
)


@dataclass(frozen=True)
class JudgedLatency:
    """The word (`pass`, `slower`, `faster`, `new`) on one pair, and what became of its alarm: one of ALARMS."""

    word: str
    alarm: str = ""


@dataclass(frozen=True)
class SuspectedPair:
    """What the history says of a pair tonight. `artefact`: the md5 of the model that a sitting would hold it against.

    It is "" where nothing is to be confirmed: no suspicion, one that was confirmed before, or no other model.
    """

    gate: Gate
    artefact: str = ""
    known_since: str = ""  # the night whose sitting said so of this very model
    is_boards: bool = False  # last night it was the board's, and the model is the same

    @property
    def wants_a_sitting(self) -> bool:
        """Whether only a sitting can tell."""
        return bool(self.artefact) and not self.known_since and not self.is_boards


def suspected(points: Sequence[NightPoint], now: NightPoint, limits: GateLimits) -> SuspectedPair:
    """The first step. `points`: earlier nights of the pair with their final words, oldest first."""
    result = _held(gate(points, now, limits), points, now, limits)
    if result.suspicion is None:
        return SuspectedPair(result)
    known = _known_since(points, now, result.suspicion.word)
    last = valid_points(points)[-1]
    is_boards = last.alarm == "lasting" and _is_same(last, now, result.suspicion.word)
    return SuspectedPair(result, last_good(points, now, result.suspicion, limits), known, is_boards)


def _is_same(point: NightPoint, now: NightPoint, word: str) -> bool:
    """Whether a night said `word` of the model and the epoch of tonight."""
    return (point.word, point.artefact, point.epoch) == (word, now.artefact, now.epoch) and bool(now.artefact)


def _held(result: Gate, points: Sequence[NightPoint], now: NightPoint, limits: GateLimits) -> Gate:
    """A change that was said last night of this very model is gone only where tonight is nearer to the old level."""
    last = valid_points(points)[-1:]
    if result.suspicion is not None or result.level is None or not last or not now.artefact:
        return result
    same = (last[0].artefact, last[0].epoch) == (now.artefact, now.epoch)
    percent = (now.value_us / result.level.level_us - 1) * 100
    towards = {"slower": percent, "faster": -percent}.get(last[0].word, 0.0)
    if not same or towards <= limits.percent / 2:
        return result
    return replace(result, suspicion=Suspicion(last[0].word, "night", result.level.level_us, percent))


def _known_since(points: Sequence[NightPoint], now: NightPoint, word: str) -> str:
    """The night of a sitting, if every night since says the same of the same model."""
    for point in reversed(valid_points(points)):
        if not _is_same(point, now, word) or point.alarm not in ("confirmed", "known"):
            return ""
        if point.alarm == "confirmed":
            return point.night
    return ""


def final(suspect: SuspectedPair, sitting: str = "") -> JudgedLatency:
    """The second step. `sitting`: `slower`, `faster` or `noise` of a confirmation; "" where there was none."""
    suspicion, lasting = suspect.gate.suspicion, suspect.gate.lasting
    if suspicion is None:
        return JudgedLatency("new" if suspect.gate.level is None else "pass")
    if suspect.known_since:
        return JudgedLatency(suspicion.word, "known")
    if suspect.is_boards:
        return JudgedLatency(suspicion.word, "lasting")
    if sitting in ("slower", "faster"):
        return JudgedLatency(sitting, "confirmed")
    if lasting is not None:
        return JudgedLatency(lasting.word, "unconfirmed" if suspect.artefact and not sitting else "lasting")
    if sitting == "noise":
        return JudgedLatency("pass", "noise")
    return JudgedLatency("pass", "unconfirmed" if suspect.artefact else "waiting")
