"""A run held against an earlier one: what was run, the verdict, layers, latency. Two run.json are all it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD, InputError
from harness.records import Verdict
from harness.runs import folder

Run = Mapping[str, Any]
_RUN_RANK = {"consistent": 0, "consistent_within": 1, "consistent_accumulated": 2, "slower": 3, "diverges": 4}
_RUN_RANK |= {"not_deterministic": 4, "board_fault": 4}
_LAYER_RANK = {"exact": 0, "within": 1, "differs": 2}


def find_previous(path: Path) -> Path:
    """The run.json meant by a run folder, the file itself, or a folder of runs (the newest complete one inside).

    Errors: InputError where there is none, or where the one that is named was not judged.
    """
    direct = folder.find_run(path) if path.is_file() else path / "run.json"
    if direct.is_file():
        state = folder.load_run(path).get("state")
        if not _is_judged(direct):
            raise InputError(f"{direct}: its state is {state!r}, so there is nothing to hold a run against")
        return direct.absolute()
    inside = sorted(path.rglob("run.json"), key=lambda file: (file.parent.name, str(file))) if path.is_dir() else []
    found = next((file for file in reversed(inside) if _is_judged(file)), None)
    if found is None:
        raise InputError(f"{path}: no complete run here", "give a run folder, or the folder of a case's runs")
    return found.absolute()


def _is_judged(file: Path) -> bool:
    try:
        run = folder.load_run(file.parent)
    except InputError:
        return False
    return run.get("state") == "complete" and isinstance(run.get("verdict"), dict)


def against(before: Run, now: Run) -> dict[str, Any]:
    """Both runs side by side, for run.json. What cannot be held against each other says why."""
    return {
        "run": before.get("id", ""),
        "started_utc": before.get("started_utc", ""),
        "changed": [vars(change) for change in _changes(before, now)],
        "verdict": _verdicts(_part(before, "verdict").get("word", ""), _part(now, "verdict").get("word", "")),
        "layers": _layers(_standing(before), _standing(now)),
        "latency": _latency(before, now),
    }


def judged(word: Verdict, latency: Mapping[str, Any], max_slower_percent: float | None) -> Verdict:
    """The word on a good run once its latency is held against the earlier run's, where a limit was given."""
    if max_slower_percent is None or word.exit_code != GOOD:
        return word
    if latency["why_not"]:
        why = f"the latency cannot be held against the earlier run's: {latency['why_not']}"
        return Verdict("not_measured", f"{why} (--max-slower); {word.detail}", COULD_NOT_MEASURE)
    if latency["percent"] <= max_slower_percent:
        return word
    told = f"{latency['now_us']:.0f} µs after {latency['before_us']:.0f} µs: {latency['percent']:+.1f} %"
    return Verdict("slower", f"{told}, more than the {max_slower_percent:g} % allowed; {word.detail}", MEASURED_BAD)


def _part(value: Run, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        found = value.get(key)
        value = found if isinstance(found, Mapping) else {}
    return value


# --------------------------------------------------------------------------- what was run


@dataclass(frozen=True)
class Change:
    """Something that was not the same in both runs."""

    what: str
    before: str
    now: str


def _changes(before: Run, now: Run) -> Iterator[Change]:
    sides = [dict(_facts(run)) for run in (before, now)]
    for what in dict.fromkeys([*sides[0], *sides[1]]):
        values = [str(side.get(what, "")) for side in sides]
        if values[0] != values[1]:
            yield Change(what, *values)


def _facts(run: Run) -> Iterator[tuple[str, Any]]:
    case, board = _part(run, "case"), _part(run, "board")
    yield "model (md5)", _part(case, "model").get("md5", "")
    for row in case.get("inputs") or ():
        yield f"input {row.get('tensor', '')} (md5)", row.get("md5", "")
    yield "reference", _part(case, "reference").get("name", "none")
    yield "policy", case.get("policy", "")
    yield from ((name, case.get(name, "")) for name in ("model_name", "core", "threads", "frames", "time_s"))
    yield "options", ", ".join(f"{key}={value}" for key, value in sorted(_part(case, "options").items()))
    yield from ((f"board {name}", board.get(name, "")) for name in ("name", "platform", "soc"))
    yield from ((f"version of {name}", value) for name, value in _part(run, "versions").items())
    yield "harness", run.get("harness_version", "")


# --------------------------------------------------------------------------- verdicts


def _verdicts(before: str, now: str) -> dict[str, str]:
    return {"before": before, "now": now, "change": _change(_RUN_RANK.get(before), _RUN_RANK.get(now), before == now)}


def _change(before: int | None, now: int | None, same: bool) -> str:
    """`same`, `better`, `worse`, or `other` where one of the two cannot be ranked."""
    if same or before is None or now is None:
        return "same" if same else "other"
    return "same" if before == now else "better" if now < before else "worse"


def _standing(run: Run) -> dict[str, str]:
    """Verdict by layer."""
    layers = _part(run, "comparison").get("layers") or ()
    return {str(layer.get("name")): str(layer.get("verdict")) for layer in layers}


def _layers(before: dict[str, str], now: dict[str, str]) -> dict[str, Any]:
    """Layers whose verdict is another one, by kind of change; how many were compared in both runs."""
    found: dict[str, Any] = {"both": 0, "worse": [], "better": [], "no_longer_compared": [], "newly_compared": []}
    for name in dict.fromkeys([*now, *before]):
        words = before.get(name, "not_compared"), now.get(name, "not_compared")
        ranks = _LAYER_RANK.get(words[0]), _LAYER_RANK.get(words[1])
        found["both"] += None not in ranks
        kind = {"better": "better", "worse": "worse"}.get(_change(*ranks, words[0] == words[1]))
        if kind is None and words[0] != words[1]:
            kind = "newly_compared" if ranks[0] is None else "no_longer_compared"
        if kind is not None:
            found[kind].append({"name": name, "before": words[0], "now": words[1]})
    return found


# --------------------------------------------------------------------------- latency


def _latency(before: Run, now: Run) -> dict[str, Any]:
    """Mean end-to-end latency of both, their ratio in percent where it means something, and the parts of the time."""
    sides = [_part(run, "profile") for run in (before, now)]
    means = [_part(side, "latency").get("mean_us") for side in sides]
    why_not = _why_not(before, now)
    percent = None if why_not else (float(means[1] or 0) / float(means[0] or 1) - 1) * 100
    parts = [_part(side, "split_us") for side in sides]
    return {
        "before_us": means[0],
        "now_us": means[1],
        "percent": percent,
        "why_not": why_not,
        "estimated": bool(sides[0].get("estimated") or sides[1].get("estimated")),
        "parts": [
            {"part": part, "before_us": parts[0].get(part), "now_us": parts[1].get(part)}
            for part in dict.fromkeys([*parts[0], *parts[1]])
        ],
    }


def _why_not(before: Run, now: Run) -> str:
    """Why two latencies say nothing about each other; "" where they do."""
    for word, run in (("earlier", before), ("new", now)):
        mean = _part(run, "profile", "latency").get("mean_us")
        if not isinstance(mean, int | float) or not mean > 0:
            return f"the {word} run tells none"
    for what, told in (("measured by", "source"), ("estimated", "estimated")):
        sides = [_part(run, "profile").get(told) for run in (before, now)]
        if sides[0] != sides[1]:
            return f"{what}: {sides[0]} before, {sides[1]} now"
    for what in ("threads", "core", "warmup_excluded"):
        sides = [_part(run, "profile", "latency").get(what) for run in (before, now)]
        if sides[0] != sides[1]:
            return f"{what.replace('_', ' ')}: {sides[0]} before, {sides[1]} now"
    boards = [[_part(run, "board").get(key) for key in ("platform", "soc", "emulated")] for run in (before, now)]
    return "" if boards[0] == boards[1] else "they are of different chips, or one of an emulated board"
