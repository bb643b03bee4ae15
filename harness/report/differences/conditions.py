"""What was run, of several runs: models, inputs, settings, boards and versions that are not the same in all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.records import Run
from harness.report.private import LEFT_OUT
from harness.report.values import Row

Fact = tuple[tuple[str, str], Any]  # ((group, what), value); None and "": this run does not tell

# Where a thing that only one run has is a difference: a run has all of its inputs and settings.
_WHOLE = frozenset(("inputs", "files", "settings"))
# Facts of a board at one moment: never the same twice, and nothing that was chosen.
_OF_THE_MOMENT = frozenset(("uptime_s", "clock_offset_s", "free_bytes"))
GROUPS = ("model", "inputs", "files", "reference", "settings", "board", "versions", "this PC")
_COVERED = frozenset(("model", "input"))  # roles of files that have rows of their own


def changed_conditions(runs: Sequence[Run]) -> tuple[list[Row], int]:
    """(rows that are not the same in all runs, how many are).

    A row: {"group", "what", "values": text or None of each run, "changed"}. `changed` is False where the runs that tell
    a value tell the same one: what a run does not tell is unknown, which is no change.
    """
    sides = [dict(_facts(run)) for run in runs]
    rows = [_row(what, [side.get(what) for side in sides]) for what in dict.fromkeys(key for s in sides for key in s)]
    known = [row for row in rows if any(value is not None for value in row["values"])]
    differing = [row for row in known if len(set(row["values"])) > 1]
    return differing, len(known) - len(differing)


def _row(what: tuple[str, str], values: Sequence[Any]) -> Row:
    texts = [_text(value) for value in values]
    seen = {text for text in texts if text is not None or what[0] in _WHOLE}
    return {"group": what[0], "what": what[1], "values": texts, "changed": len(seen) > 1}


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _facts(run: Run) -> Iterator[Fact]:
    yield from _of_case(run)
    yield from _of_settings(run)
    yield from _of_board(run)
    yield from ((("versions", name), version) for name, version in run.versions.items())
    yield ("versions", "harness"), run.harness_version
    for what in ("os", "python", "machine", "cpu"):
        yield ("this PC", what), getattr(run.host, what)
    yield ("this PC", "cpu flags"), " ".join(sorted(run.host.cpu_flags))


def _of_case(run: Run) -> Iterator[Fact]:
    case, reference = run.case, run.case.reference
    yield ("model", "name"), case.model.name if case.model else None
    yield ("model", "md5"), case.model.md5 if case.model else None
    for fed in case.inputs:
        yield ("inputs", f"{fed.tensor} md5"), fed.md5
        yield ("inputs", f"{fed.tensor} source"), "seeded noise" if fed.generated else "a file"
    seen: Counter[str] = Counter()
    for file in case.files:
        if file.role not in _COVERED:
            seen[file.role] += 1
            number = f" {seen[file.role]}" if seen[file.role] > 1 else ""
            yield ("files", f"{file.role}{number} md5"), file.md5
    yield ("reference", "name"), reference.name if reference else "none"
    if reference:
        yield ("reference", "kind"), reference.kind
        yield ("reference", "md5"), reference.source_md5 or reference.md5
        runner = reference.provenance.get("runner")
        for name, value in runner.items() if isinstance(runner, Mapping) else ():
            yield ("reference", f"runner {name}"), value


def _of_settings(run: Run) -> Iterator[Fact]:
    case = run.case
    for what in ("policy", "model_name", "core", "threads", "frames", "time_s", "repeat", "rounds"):
        yield ("settings", what.replace("_", " ")), getattr(case, what)
    yield ("settings", "float model"), case.floats
    yield ("settings", "load beside"), case.beside
    yield ("settings", "modes"), ", ".join(dict.fromkeys(mode.mode.partition("-")[0] for mode in run.modes))
    yield from ((("settings", f"option {name}"), value) for name, value in case.options.items())


def _of_board(run: Run) -> Iterator[Fact]:
    for what in ("name", "platform", "soc", "transport", "emulated"):
        yield ("board", what), getattr(run.board, what)
    for name, value in run.board.facts.items():
        if f"facts.{name}" not in LEFT_OUT["Board"] and name not in _OF_THE_MOMENT:
            yield ("board", name), value
