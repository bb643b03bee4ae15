"""The JSON Schema of run.json: what is shipped is what the records say, and every example run validates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from harness.records import Run
from harness.records.codec import to_json
from harness.records.schema import FILE, as_text
from tests.records.kit import typed
from tests.support import fixtures_run as runs

OLD = Path(__file__).resolve().parents[1] / "data" / "runs_0_1"
SCHEMA = json.loads(FILE.read_text(encoding="utf-8"))


def complaints(run: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in Draft202012Validator(SCHEMA).iter_errors(run)]


def test_the_schema_that_is_shipped_is_that_of_the_records() -> None:
    assert FILE.read_text(encoding="utf-8") == as_text(Run), "python -m harness.records.schema writes it anew"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", sorted(OLD.glob("*/run.json")), ids=lambda file: file.parent.name)
def test_every_old_run_validates_and_as_it_is_written_again(file: Path) -> None:
    run = json.loads(file.read_text(encoding="utf-8"))
    assert complaints(run) == []
    assert complaints(json.loads(json.dumps(to_json(typed(run)), allow_nan=False))) == []


@pytest.mark.parametrize("name", [name for name in runs.ALL if name != "large"])
def test_every_example_of_the_tests_validates(name: str) -> None:
    assert complaints(json.loads(json.dumps(to_json(typed(runs.ALL[name]())), allow_nan=False))) == []


def test_an_empty_run_validates() -> None:
    assert complaints(to_json(Run())) == complaints({}) == []


@pytest.mark.parametrize(
    ("part", "value"),
    [("format", "1"), ("modes", {}), ("verdict", {"word": "consistent"}), ("duration_s", "long"), ("memory", {"a": 1})],
)
def test_what_is_damaged_does_not_validate(part: str, value: Any) -> None:
    assert len(complaints(to_json(Run()) | {part: value})) == 1
