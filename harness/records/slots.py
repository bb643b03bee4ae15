"""The fields of a record class as they are stored: their key, their type, and what stands for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

ABSENT: Any = object()


def stored(
    *, key: str = "", damaged: Any = ABSENT, optional: bool = False, rest: bool = False, kept: bool = True
) -> dict[str, object]:
    """Metadata of a record's field: what its hint cannot say.

    `key` is its name in JSON, `damaged` what it is where the file is damaged (else its default), `optional` leaves it
    out while it has its default, `rest` collects the keys that no other field has, `kept=False` never writes it.
    """
    return {"key": key, "damaged": damaged, "optional": optional, "rest": rest, "kept": kept}


@dataclass(frozen=True)
class Slot:
    """One field of a record class, as it is stored."""

    name: str
    key: str
    hint: Any
    default: Callable[[], Any] | None  # None: the field is required
    damaged: Any
    optional: bool
    rest: bool
    nullable: bool


_SLOTS: dict[Any, tuple[Slot, ...]] = {}


def slots(kind: Any) -> tuple[Slot, ...]:
    """The stored fields of a record class, in order."""
    if kind not in _SLOTS:
        hints = get_type_hints(kind)
        kept = (f for f in dataclasses.fields(kind) if f.metadata.get("kept", True))
        _SLOTS[kind] = tuple(_slot(f, hints[f.name]) for f in kept)
    return _SLOTS[kind]


def _slot(one: dataclasses.Field[Any], hint: Any) -> Slot:
    metadata = one.metadata
    default: Callable[[], Any] | None = None
    if one.default is not MISSING:
        default = _constant(one.default)
    elif one.default_factory is not MISSING:
        default = one.default_factory
    return Slot(
        one.name,
        metadata.get("key") or one.name,
        hint,
        default,
        metadata.get("damaged", ABSENT),
        metadata.get("optional", False),
        metadata.get("rest", False),
        is_nullable(hint),
    )


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def is_nullable(hint: Any) -> bool:
    """Whether a type hint takes None."""
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)
