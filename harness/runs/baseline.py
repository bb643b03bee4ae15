"""Which earlier run a new one is held against: the one that is named, or the newest good one like it in a folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import InputError
from harness.records import Run
from harness.runs import folder

AUTO = "auto"  # of --previous: look where this run's own folder goes, too
_GOOD = ("consistent", "consistent_within", "consistent_accumulated", "not_compared")


def baseline_path(text: str, runs: Path) -> str:
    """What --previous means, as an absolute path: the run.json that is named, or a folder to look through.

    Errors: InputError for a path that is not there, and for a run that is named and was not judged.
    """
    if text == AUTO:
        return str(runs.absolute())
    path = Path(text)
    if not path.exists():
        raise InputError(
            f"{path}: no such run or folder (from --previous)",
            f"give a run, a folder of runs, or --previous {AUTO} for the newest like run under --runs",
        )
    named = folder.find_run(path) if path.is_file() else path / "run.json"
    return str(_checked(named) if named.is_file() else path.absolute())


def _checked(named: Path) -> Path:
    run = folder.load_run(named)
    if run.damage:
        raise InputError(
            f"{named}: cannot be used as a baseline, run.json is damaged: {run.damage[0]}", "give another run"
        )
    if run.sweep is not None or run.soak is not None:
        what = "a sweep" if run.sweep is not None else "a soak"
        raise InputError(f"{named}: cannot be used as a baseline: it is {what}", "give a run of harness run")
    if not _is_judged(run):
        raise InputError(f"{named}: cannot be used as a baseline: its state is {run.state!r}")
    return named.absolute()


def _is_judged(run: Run) -> bool:
    """Whether it is a run with one latency; a sweep and a soak have many."""
    return (
        run.sweep is None
        and run.soak is None
        and run.state == "complete"
        and run.verdict is not None
        and not run.damage
    )


def find_baseline(place: Path, now: Run) -> tuple[Run | None, str]:
    """(the run to hold `now` against, what was passed over) or (None, why there is none).

    `place` is what `baseline_path` gave. A run that is named is taken whatever it is. In a folder it is the newest good
    run before `now` that is like it (`likeness`), with a latency where `now` has one. A run that was bad or slower is
    passed over: held against it, the night after a regression would be good again.
    """
    if place.is_file():
        return folder.load_run(place), ""
    unlike: list[Run] = []
    passed: list[str] = []
    for run in _same_model_and_board(place, now):
        if likeness(run) != likeness(now) or (_latency(now) and not _latency(run)):
            unlike.append(run)
        elif fault := _fault(run):
            passed.append(fault)
        else:
            return run, _passed_over(passed, "newer") if passed else ""
    return None, _why_none(place, now, unlike, passed)


def _fault(run: Run) -> str:
    """Why a run is no baseline unless it is named, in a word: its verdict, or its gate's; "" of a good one."""
    word = run.verdict.word if run.verdict else ""
    return (run.gate if run.gate == "slower" else "") if word in _GOOD else word.replace("_", " ")


def _passed_over(faults: Sequence[str], which: str) -> str:
    """`2 newer runs passed over: slower, diverges`; a word of several runs with their number."""
    words = [word if number == 1 else f"{word} ({number})" for word, number in Counter(faults).items()]
    return f"{len(faults)} {which} run{'' if len(faults) == 1 else 's'} passed over: {', '.join(words)}"


def _why_none(place: Path, now: Run, unlike: Sequence[Run], passed: Sequence[str]) -> str:
    subject = f"{now.case.model.name if now.case.model else 'this model'} on {now.board.name}"
    if passed:
        return f"no good run like this one of {subject} in {place.name}, {_passed_over(passed, 'like')}"
    if not unlike:
        return f"no complete run of {subject} in {place.name}"
    count = f"{len(unlike)} complete run{'' if len(unlike) == 1 else 's'}"
    return f"{count} of {subject} in {place.name}, none like this one: the newest has {_differing(unlike[0], now)}"


def likeness(run: Run) -> dict[str, object]:
    """What has to be the same in two runs for one to be a baseline of the other without being named."""
    case, board = run.case, run.board
    return {
        "model": (case.model.name if case.model else "", case.model_name),
        "board": (board.name, board.emulated),
        "soc": (board.platform, board.soc),
        "core": str(case.core),
        "threads": case.threads,
        "load beside": case.beside,
        "input sizes": tuple(fed.size_bytes for fed in case.inputs),
        "modes": tuple(sorted({mode.mode.split("-")[0] for mode in run.modes} - {"beside"})),
    }


def _latency(run: Run) -> bool:
    return run.profile is not None and run.profile.latency.mean_us > 0


def _differing(before: Run, now: Run) -> str:
    """`threads 8 (now 1), core 1 (now 0)`."""
    sides = likeness(before), likeness(now)
    unlike = [f"{what} {_words(sides[0][what])} (now {_words(sides[1][what])})" for what in sides[1]
              if sides[0][what] != sides[1][what]]  # fmt: skip
    return ", ".join(unlike) or "no latency"


def _words(value: object) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    return " ".join(str(part) for part in parts if part != "" and not isinstance(part, bool)) or "none"


def _same_model_and_board(place: Path, now: Run) -> Iterator[Run]:
    """Judged runs before `now` whose file names its model and its board, newest first."""
    model = now.case.model.name if now.case.model else ""
    words = [json.dumps(name, ensure_ascii=False) for name in (model, now.board.name)]
    files = sorted(place.rglob("run.json"), key=lambda file: (file.parent.name, str(file))) if place.is_dir() else []
    for file in reversed(files):
        run = _judged_run(file, words)
        if run is not None and run.id != now.id and run.started_utc <= now.started_utc:
            yield run


def _judged_run(file: Path, words: list[str]) -> Run | None:
    """A run that can be a baseline; None for any other. Most files of a large folder are not parsed for it."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
        if not all(word in text for word in words):
            return None
        run = folder.load_run(file.parent)
    except (OSError, InputError):
        return None
    return run if _is_judged(run) else None
