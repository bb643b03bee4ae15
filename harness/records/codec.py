"""Records to plain JSON and back, driven by their type hints. The one place that knows how a record is written.

Reading is strict on types and never fails on a part: what is damaged takes its default and is named in `damage`, a
key that is absent or null takes its default, a key that is not known is named in `unknown` and left out.
What the hints cannot say stands in a field's metadata: see slots.py.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin

from harness.records.json_values import Json
from harness.records.old_keys import OLD_KEYS, OLD_VALUES
from harness.records.slots import ABSENT, Slot, slots

T = TypeVar("T")
Reader = Callable[[Any, "_RecordReader"], Any]

WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # JSON has no word for them
MOST_TOLD = 50  # damaged or unknown parts that are named; the rest is counted
DEEPEST = 60  # of values that nobody knows the shape of
LARGEST_INT = 2**63
LARGEST_FLOAT = 10**300  # of what is written without a point
_READERS: dict[Any, Reader] = {}


# --------------------------------------------------------------------------- writing


def to_json(value: Any) -> Any:
    """Records to plain JSON values. NaN and infinities become "nan", "inf", "-inf". Errors: TypeError."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(float(value))
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(one) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _written(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy here
        return to_json(value.tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _written(record: Any) -> dict[str, Json]:
    written: dict[str, Json] = {}
    for slot in slots(type(record)):
        value = getattr(record, slot.name)
        if slot.rest:
            written |= to_json(value)
        elif not (slot.optional and slot.default is not None and value == slot.default()):
            written[slot.key] = to_json(value)
    return written


# --------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Read(Generic[T]):
    """A record as it was read. `damage` are sentences, each with the place; `unknown` are places."""

    value: T
    damage: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def from_json(kind: type[T], value: Any, old_keys: Mapping[str, Mapping[str, str]] = OLD_KEYS) -> Read[T] | None:
    """A record of `kind` from plain JSON; None where that is no object, or lacks what no default stands for.

    `old_keys`: class -> key as it was once written -> key now.
    """
    reading = _RecordReader(old_keys)
    try:
        record = _reader(kind)(value, reading)
    except _Damaged:
        return None
    return Read(
        record, reading.counted(reading.damage, "damaged parts"), reading.counted(reading.unknown, "unknown keys")
    )


class _Damaged(Exception):
    """A value that is not what it should be; caught where something can stand for it."""

    def __init__(self, wanted: str, value: Any, at: str = "") -> None:
        super().__init__(wanted)
        self.wanted, self.value, self.at = wanted, value, at


class _RecordReader:
    """Where we are in the file, and what was seen to be wrong until now."""

    def __init__(self, old_keys: Mapping[str, Mapping[str, str]]) -> None:
        self.path: list[str | int] = []
        self.old_keys = old_keys
        self.damage: list[str] = []
        self.unknown: list[str] = []

    def tell(self, error: _Damaged) -> None:
        self.damage.append(f"{error.at or self.place()} {_why(error)}")

    def place(self, *more: str | int) -> str:
        named = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*self.path, *more))
        return _short(named.removeprefix("."), 200)

    @staticmethod
    def counted(problems: list[str], what: str) -> tuple[str, ...]:
        more = len(problems) - MOST_TOLD
        return (*problems[:MOST_TOLD], *([f"and {more} more {what}"] if more > 0 else []))


def _why(error: _Damaged) -> str:
    return "is missing" if error.value is ABSENT else f"is not {error.wanted}: {_shown(error.value)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= LARGEST_INT:
        return "a number of too many digits"
    return _short(repr(value), 60)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."


def _text(value: Any, _: _RecordReader) -> Any:
    if type(value) is str:
        return value
    raise _Damaged("text", value)


def _whole(value: Any, _: _RecordReader) -> Any:
    if type(value) is int and -LARGEST_INT <= value < LARGEST_INT:
        return value
    raise _Damaged("a whole number", value)


def _number(value: Any, _: _RecordReader) -> Any:
    if type(value) is float:
        return value
    if type(value) is int and -LARGEST_FLOAT < value < LARGEST_FLOAT:
        return value
    if type(value) is str and value in WORDS:
        return WORDS[value]
    raise _Damaged("a number", value)


def _flag(value: Any, _: _RecordReader) -> Any:
    if type(value) is bool:
        return value
    raise _Damaged("true or false", value)


def _path(value: Any, reading: _RecordReader) -> Any:
    return Path(_text(value, reading))


def _any_value(value: Any, _: _RecordReader) -> Any:
    if _is_deeper(value, DEEPEST):
        raise _Damaged(f"at most {DEEPEST} levels deep", value)
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inside)


_SCALARS: dict[Any, Reader] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _flag,
    Path: _path,
    Json: _any_value,
}


def _reader(hint: Any) -> Reader:
    """How a value of this hint is read. Made once per hint."""
    if hint not in _READERS:
        _READERS[hint] = _new_reader(hint)
    return _READERS[hint]


def _new_reader(hint: Any) -> Reader:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if dataclasses.is_dataclass(hint):
        return _record_reader(hint)
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union_reader([one for one in inside if one is not NoneType], NoneType in inside)
    if origin is tuple and inside[-1] is Ellipsis:
        return _list_reader(inside[0])
    if origin is tuple:
        return _fixed_reader(inside)
    if origin in (dict, Mapping):
        return _map_reader(inside[1])
    raise TypeError(f"{hint}: the codec does not know this hint")


def _union_reader(hints: list[Any], nullable: bool) -> Reader:
    readers = [_reader(hint) for hint in hints]
    first = readers[0]

    def read(value: Any, reading: _RecordReader) -> Any:
        if value is None and nullable:
            return None
        if len(readers) == 1:
            return first(value, reading)
        for reader in readers:
            try:
                return reader(value, reading)
            except _Damaged:
                continue
        raise _Damaged(" or ".join(getattr(hint, "__name__", str(hint)) for hint in hints), value)

    return read


def _list_reader(hint: Any) -> Reader:
    """Entries that are damaged are left out, and named."""
    one = _reader(hint)

    def read(value: Any, reading: _RecordReader) -> Any:
        if type(value) is not list:
            raise _Damaged("a list", value)
        entries, path = [], reading.path
        for place, entry in enumerate(value):
            path.append(place)
            try:
                entries.append(one(entry, reading))
            except _Damaged as error:
                reading.tell(error)
            path.pop()
        return tuple(entries)

    return read


def _fixed_reader(hints: tuple[Any, ...]) -> Reader:
    readers = [_reader(hint) for hint in hints]

    def read(value: Any, reading: _RecordReader) -> Any:
        if type(value) is not list or len(value) != len(readers):
            raise _Damaged(f"a list of {len(readers)}", value)
        return tuple(reader(entry, reading) for reader, entry in zip(readers, value, strict=True))

    return read


def _map_reader(hint: Any) -> Reader:
    """Entries that are damaged are left out, and named."""
    one = _reader(hint)

    def read(value: Any, reading: _RecordReader) -> Any:
        if type(value) is not dict:
            raise _Damaged("an object", value)
        entries, path = {}, reading.path
        for key, entry in value.items():
            path.append(key)
            try:
                entries[key] = one(entry, reading)
            except _Damaged as error:
                reading.tell(error)
            path.pop()
        return entries

    return read


def _record_reader(kind: Any) -> Reader:
    plan = [(slot, slot.key, _reader(slot.hint)) for slot in slots(kind) if not slot.rest]
    known = {slot.key for slot, _, _ in plan}
    rest = next((slot.name for slot in slots(kind) if slot.rest), "")

    def read(value: Any, reading: _RecordReader) -> Any:
        if type(value) is not dict:
            raise _Damaged("an object", value)
        value = _with_new_keys(kind, value, reading)
        values, path = {}, reading.path
        for slot, key, reader in plan:
            entry = value.get(key, ABSENT)
            path.append(key)
            try:
                values[slot.name] = _read_slot(slot, entry, reader, reading)
            finally:
                path.pop()
        extra = {} if value.keys() <= known else {key: one for key, one in value.items() if key not in known}
        if rest:
            values[rest] = {key: entry for key, entry in extra.items() if not _is_deeper(entry, DEEPEST)}
        else:
            reading.unknown += [reading.place(key) for key in extra]
        return kind(**values)

    return read


def _with_new_keys(kind: Any, value: dict[str, Json], reading: _RecordReader) -> dict[str, Json]:
    """The same with keys and words of an older harness as they are today."""
    if table := reading.old_keys.get(kind.__name__):
        value = {
            (new if (new := table.get(key, key)) == key or new not in value else key): one for key, one in value.items()
        }
    if words := OLD_VALUES.get(kind.__name__):
        value = {key: _today(words.get(key, {}), one) for key, one in value.items()}
    return value


def _today(words: Mapping[str, str], value: Json) -> Json:
    return words.get(value, value) if isinstance(value, str) else value


def _read_slot(slot: Slot, entry: Any, reader: Reader, reading: _RecordReader) -> Any:
    if entry is ABSENT or entry is None:
        if entry is None and slot.nullable:
            return None
        if slot.default is not None:
            return slot.default()
        return _stand_in(slot, _Damaged("a value", entry), reading)
    try:
        return reader(entry, reading)
    except _Damaged as error:
        return _stand_in(slot, error, reading)


def _stand_in(slot: Slot, error: _Damaged, reading: _RecordReader) -> Any:
    """What is shown in the place of a damaged value. Nothing can stand for a number that counts, or a whole record."""
    if slot.damaged is not ABSENT:
        reading.tell(error)
        return slot.damaged
    if slot.default is not None:
        reading.tell(error)
        return slot.default()
    if slot.nullable:
        reading.tell(error)
        return None
    nothing = _NOTHING.get(slot.hint, _NOTHING.get(get_origin(slot.hint), ABSENT))
    if nothing is ABSENT:
        raise _Damaged(error.wanted, error.value, error.at or reading.place()) from None
    reading.tell(error)
    return nothing() if callable(nothing) else nothing


_NOTHING: dict[Any, Any] = {str: "", float: math.nan, tuple: (), dict: dict, Mapping: dict}
