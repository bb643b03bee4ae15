"""A JSON Schema of a record class, made of its type hints. `run.schema.json` beside this file is that of a whole run.

`python -m harness.records.schema` prints it. Keys that the schema does not name are allowed: within one format a newer
harness may add some.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from harness.records.codec import WORDS
from harness.records.json_values import Json
from harness.records.run import Run
from harness.records.slots import slots

FILE = Path(__file__).with_name("run.schema.json")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NUMBER = "number"  # NaN and infinities are words: JSON has none for them
_SCALARS: dict[Any, object] = {
    str: {"type": "string"},
    Path: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"$ref": f"#/$defs/{_NUMBER}"},
    Json: True,
    object: True,
}


def schema_of(kind: type) -> Mapping[str, object]:
    """The schema of a record class; those that it holds are under `$defs`. Errors: TypeError for a hint without one."""
    definitions: dict[str, object] = {_NUMBER: {"anyOf": [{"type": "number"}, {"enum": list(WORDS)}]}}
    head = _record(kind, definitions)
    return {"$schema": _DIALECT, "title": kind.__name__, **head, "$defs": dict(sorted(definitions.items()))}


def hint_schema(hint: Any, definitions: dict[str, object]) -> object:
    """The schema of a value of this type hint; those of the records in it are put into `definitions`, with `number`.

    Errors: TypeError for a hint without one.
    """
    definitions.setdefault(_NUMBER, {"anyOf": [{"type": "number"}, {"enum": list(WORDS)}]})
    return _shape(hint, definitions)


def as_text(kind: type) -> str:
    """The schema as it is shipped."""
    return json.dumps(schema_of(kind), indent=1) + "\n"


def _record(kind: Any, definitions: dict[str, object]) -> dict[str, object]:
    kept = [slot for slot in slots(kind) if not slot.rest]
    return {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split("\n\n")[0].split()),
        "properties": {slot.key: _shape(slot.hint, definitions) for slot in kept},
        "required": [slot.key for slot in kept if slot.default is None],
    }


def _shape(hint: Any, definitions: dict[str, object]) -> object:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if dataclasses.is_dataclass(hint):
        name = hint.__name__ if isinstance(hint, type) else str(hint)
        if name not in definitions:
            definitions[name] = True  # so that a class that holds itself ends
            definitions[name] = _record(hint, definitions)
        return {"$ref": f"#/$defs/{name}"}
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        shapes = [_shape(one, definitions) for one in inside if one is not NoneType]
        return {"anyOf": [*shapes, *([{"type": "null"}] if NoneType in inside else [])]}
    if origin is tuple and inside[-1] is Ellipsis:
        return {"type": "array", "items": _shape(inside[0], definitions)}
    if origin is tuple:
        shapes = [_shape(one, definitions) for one in inside]
        return {"type": "array", "prefixItems": shapes, "minItems": len(shapes), "maxItems": len(shapes)}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _shape(inside[1], definitions)}
    raise TypeError(f"{hint}: no schema is known of this hint")


if __name__ == "__main__":
    sys.stdout.write(as_text(Run))
