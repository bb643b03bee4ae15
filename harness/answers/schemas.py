"""The JSON Schemas that are shipped, made of the shapes."""

from __future__ import annotations

import json
from pathlib import Path

from harness.answers.commands import ANSWERS
from harness.answers.report import REPORT
from harness.answers.shapes import object_schema, schema_of_shape

FOLDER = Path(__file__).parent
ALL_ANSWERS, OF_REPORT = "answers.schema.json", "report.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, object]]:
    """File name -> schema: that of all answers, and that of report.json."""
    return {ALL_ANSWERS: _answers(), OF_REPORT: _report()}


def text_of(schema: dict[str, object]) -> str:
    """A schema as it is shipped."""
    return json.dumps(schema, indent=1) + "\n"


def _answers() -> dict[str, object]:
    """One schema for all: what holds for an answer stands under its name in `$defs`, and `answer` chooses it."""
    definitions: dict[str, object] = {}
    shapes = {f"answer-{name}": _named(name, shape, definitions) for name, shape in ANSWERS.items()}
    chosen = [
        {"if": {"properties": {"answer": {"const": name}}}, "then": {"$ref": f"#/$defs/answer-{name}"}}
        for name in ANSWERS
    ]
    return {
        "$schema": _DIALECT,
        "title": "harness --json",
        "description": "What every command of harness prints with --json. `answer` is its name, `format` its version.",
        "type": "object",
        "properties": {"answer": {"enum": list(ANSWERS)}, "format": {"type": "integer"}},
        "required": ["answer", "format"],
        "allOf": chosen,
        "$defs": {**dict(sorted(definitions.items())), **shapes},
    }


def _named(name: str, shape: object, definitions: dict[str, object]) -> dict[str, object]:
    head = {"properties": {"answer": {"const": name}, "format": {"type": "integer"}}, "required": ["answer", "format"]}
    return {"allOf": [{"type": "object", **head}, schema_of_shape(shape, definitions)]}


def _report() -> dict[str, object]:
    definitions: dict[str, object] = {}
    head = object_schema(REPORT, definitions)
    return {"$schema": _DIALECT, "title": "report.json", **head, "$defs": dict(sorted(definitions.items()))}
