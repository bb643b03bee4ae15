"""Shapes of JSON as Python writes them, and the JSON Schema of each.

A shape is a type hint (`str`, `float | None`, a record class), a list of one shape (`[str]`: an array of them), a dict
from keys to shapes (an object; a key that ends in `?` may be absent), or several of these (`OneOf`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.records.schema import hint_schema


@dataclass(frozen=True)
class Extended:
    """A record, or an object of a known shape, with keys beside its own."""

    base: object
    more: dict[str, object]


@dataclass(frozen=True)
class OneOf:
    """One of several shapes."""

    shapes: tuple[object, ...]


@dataclass(frozen=True)
class MapOf:
    """An object with any keys and values of one shape."""

    shape: object


def one_of(*shapes: object) -> OneOf:
    """A value that has one of these shapes; None is null."""
    return OneOf(shapes)


def schema_of_shape(shape: object, definitions: dict[str, object]) -> object:
    """The JSON Schema of a shape; those of the records in it are put into `definitions`. Errors: TypeError."""
    if shape is None:
        return {"type": "null"}
    if isinstance(shape, dict):
        return object_schema(shape, definitions)
    if isinstance(shape, list):
        assert len(shape) == 1, "an array has entries of one shape"
        return {"type": "array", "items": schema_of_shape(shape[0], definitions)}
    if isinstance(shape, OneOf):
        return {"anyOf": [schema_of_shape(one, definitions) for one in shape.shapes]}
    if isinstance(shape, MapOf):
        return {"type": "object", "additionalProperties": schema_of_shape(shape.shape, definitions)}
    if isinstance(shape, Extended):
        parts = [schema_of_shape(shape.base, definitions), schema_of_shape(shape.more, definitions)]
        return {"allOf": parts}
    return hint_schema(shape, definitions)


def object_schema(shape: Mapping[str, object], definitions: dict[str, object]) -> dict[str, object]:
    """The JSON Schema of an object with these keys. Errors: TypeError."""
    keys: Sequence[str] = [key.removesuffix("?") for key in shape]
    return {
        "type": "object",
        "properties": {key: schema_of_shape(one, definitions) for key, one in zip(keys, shape.values(), strict=True)},
        "required": [key for key in shape if not key.endswith("?")],
    }
