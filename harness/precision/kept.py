"""Answers on disk: a measurement that was stopped goes on, and what was measured is read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from harness.errors import InputError
from harness.files.safe import append_file, write_file
from harness.precision.levels import Level
from harness.precision.sensitivity import Kept, OpSensitivity, OutputAnswer, Sensitivity

FORMAT = 1
MOST_BYTES = 256 * 2**20


def fingerprint(model: Path, calibration: Path, *settings: str) -> str:
    """md5 of the model, every sample and the settings: answers of anything else are not gone on with."""
    digest = hashlib.md5("\0".join(settings).encode(), usedforsecurity=False)
    files = sorted(path for path in calibration.rglob("*") if path.is_file()) if calibration.is_dir() else [calibration]
    for path in (model, *files):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def journal(path: Path, mark: str) -> Kept:
    """Answers in the file at `path`, which is begun anew where it is of something else; new ones are added to it."""
    answers = dict(_read(path, mark))
    if not answers:
        write_file(path, _line({"format": FORMAT, "fingerprint": mark}))

    def keep(name: str, mode: str, answer: OutputAnswer) -> None:
        append_file(path, _line({"op": name, "mode": mode, "answer": asdict(answer)}), path.parent)

    return Kept(answers, keep)


def _line(value: object) -> bytes:
    return (json.dumps(value) + "\n").encode()


def read_lines(path: Path) -> list[dict[str, object]]:
    """The records of a file of lines; empty for one that is absent or too large, without lines that were cut."""
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [record for record in map(_record, lines) if record]


def _read(path: Path, mark: str) -> Mapping[tuple[str, str], OutputAnswer]:
    records = read_lines(path)
    if not records or records[0].get("fingerprint") != mark:
        return {}
    answers = {}
    for record in records[1:]:
        answer = read_answer(record.get("answer"))
        if answer is not None:
            answers[str(record.get("op")), str(record.get("mode"))] = answer
    return answers


def _record(line: str) -> dict[str, object]:
    """One line; empty for one that was cut when the process ended."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def read_answer(value: object) -> OutputAnswer | None:
    """An answer as `asdict` gave it; None for anything else."""
    if not isinstance(value, dict) or not isinstance(value.get("outputs"), dict):
        return None
    try:
        outputs = {str(name): Level(**{k: float(v) for k, v in one.items()}) for name, one in value["outputs"].items()}
        task = value.get("task")
        return OutputAnswer(outputs, None if task is None else float(task))
    except (TypeError, ValueError, AttributeError):
        return None


# --------------------------------------------------------------------------- the result


def to_json(result: Sensitivity, facts: Mapping[str, object]) -> dict[str, object]:
    """The whole of a measurement, as it is written and printed."""
    return {"format": FORMAT, "emulated": True, **facts, **asdict(result)}


def read_result(path: Path) -> Sensitivity:
    """What `to_json` wrote. Errors: InputError for any other file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        ops = tuple(_op(one) for one in record["ops"])
        baseline = read_answer(record["baseline"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no result of harness sensitivity ({error})", "measure it again") from None
    if baseline is None:
        raise InputError(f"{path}: no baseline in it", "measure it again")
    return Sensitivity(baseline, record.get("float_task"), ops)


def _op(record: dict[str, object]) -> OpSensitivity:
    given = record["answers"]
    assert isinstance(given, dict)
    answers = {str(mode): answer for mode, one in given.items() if (answer := read_answer(one)) is not None}
    own, cumulative = record.get("own_db"), record.get("cumulative_db")
    return OpSensitivity(
        str(record["name"]),
        str(record["kind"]),
        str(record["unit"]),
        int(str(record["place"])),
        answers,
        float(str(own)) if own is not None else None,
        float(str(cumulative)) if cumulative is not None else None,
    )
