"""What a command printed with --json, held against the shipped schema, with no key that the schema does not name."""

from __future__ import annotations

import json
from functools import cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator

from harness.answers.schemas import ALL_ANSWERS, FOLDER, OF_REPORT

MOST_TOLD = 10


def answer_of(printed: str, name: str) -> dict[str, Any]:
    """The one object in `printed`. Fails unless it is the answer `name`, exactly as the shipped schema has it."""
    answer = json.loads(printed)
    assert (answer["answer"], type(answer["format"])) == (name, int)
    assert errors_of(_validator(ALL_ANSWERS, f"answer-{name}"), answer) == []
    assert errors_of(_validator(ALL_ANSWERS, ""), answer) == []  # as a user would: the whole file
    return dict(answer)


def report_errors(report: object) -> list[str]:
    """What of a report.json is not as its schema has it."""
    return errors_of(_validator(OF_REPORT, "closed"), report)


def errors_of(validator: Draft202012Validator, value: object) -> list[str]:
    """At most MOST_TOLD sentences, each with the place."""
    errors = islice(validator.iter_errors(value), MOST_TOLD)
    return [f"{error.json_path}: {error.message[:200]}" for error in errors]


@cache
def _validator(file: str, name: str) -> Draft202012Validator:
    """Of a whole file as it is shipped (""), or of one definition (or "closed": its head) with no other keys."""
    whole = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(whole)
    if not name:
        return Draft202012Validator(whole)
    definitions = whole.pop("$defs")
    both = {key: closed(one) for key, one in definitions.items()}
    both |= {f"open-{key}": closed(one, inside=True) for key, one in definitions.items()}
    head = closed(whole) if name == "closed" else {"$ref": f"#/$defs/{name}"}
    return Draft202012Validator({**head, "$defs": both})


def closed(node: Any, inside: bool = False) -> Any:
    """The schema without room for other keys; `inside` an `allOf` the whole of it has the say, not its parts."""
    if isinstance(node, list):
        return [closed(one, inside) for one in node]
    if not isinstance(node, dict):
        return node
    made = {key: one for key, one in node.items() if key not in ("properties", "allOf", "anyOf", "items", "$ref")}
    if "$ref" in node:
        made["$ref"] = node["$ref"].replace("#/$defs/", "#/$defs/open-") if inside else node["$ref"]
    if "items" in node:
        made["items"] = closed(node["items"])
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = closed(made["additionalProperties"])
    if "anyOf" in node:
        made["anyOf"] = closed(node["anyOf"], inside)
    if "allOf" in node:
        made["allOf"] = closed(node["allOf"], inside=True)
        made |= {} if inside else {"unevaluatedProperties": False}
    if "properties" in node:
        made["properties"] = {key: closed(one) for key, one in node["properties"].items()}
        made |= {} if inside or "additionalProperties" in node else {"additionalProperties": False}
    return made
