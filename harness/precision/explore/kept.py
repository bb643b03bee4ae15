"""Rows on disk: an exploration that was stopped goes on, and one that is asked again need not measure again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from harness.files.safe import append_file, write_file
from harness.precision.changed import Price
from harness.precision.explore.configurations import Configuration
from harness.precision.explore.measured import ExploredRow
from harness.precision.kept import read_answer, read_lines

FORMAT = 1


class KeptRows:
    """Rows of earlier calls with the same model, samples and settings, by the configuration's digest."""

    def __init__(self, path: Path, mark: str) -> None:
        self.path = path
        self._records = dict(_records(path, mark))
        if not self._records:
            write_file(path, _line({"format": FORMAT, "fingerprint": mark}))

    @property
    def count(self) -> int:
        """How many rows are known."""
        return len(self._records)

    def row(self, configuration: Configuration) -> ExploredRow | None:
        """The row that was measured of exactly this configuration; None where there is none."""
        record = self._records.get(digest_of(configuration))
        return None if record is None else _row(configuration, record)

    def keep(self, row: ExploredRow) -> None:
        """Add one row to the file."""
        record = {**asdict(row), "configuration": digest_of(row.configuration)}
        append_file(self.path, _line(record), self.path.parent)


def digest_of(configuration: Configuration) -> str:
    """md5 of all its settings."""
    text = json.dumps(asdict(configuration), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _line(value: object) -> bytes:
    return (json.dumps(value) + "\n").encode()


def _records(path: Path, mark: str) -> Mapping[str, Mapping[str, object]]:
    lines = read_lines(path)
    if not lines or lines[0].get("fingerprint") != mark or lines[0].get("format") != FORMAT:
        return {}
    return {str(one.get("configuration")): one for one in lines[1:]}


def _row(configuration: Configuration, record: Mapping[str, object]) -> ExploredRow | None:
    answer = read_answer(record.get("answer"))
    if answer is None:
        return None
    price, jitter, refused = record.get("price"), record.get("jitter"), record.get("refused")
    try:
        return ExploredRow(
            configuration,
            answer,
            {str(name): float(value) for name, value in jitter.items()} if isinstance(jitter, dict) else {},
            Price(**price) if isinstance(price, dict) else None,
            str(record.get("same_as", "")),
            str(record.get("method", "")),
            tuple(map(str, refused)) if isinstance(refused, list) else (),
        )
    except (TypeError, ValueError):
        return None
