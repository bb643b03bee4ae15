"""Which file goes to which input of the model: by name or by order, with the sizes the board's tool takes."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.safe_files import new_file, write_file
from harness.store import safe_name

NOISE_SEED = 20260101  # fixed, so that two runs without --input feed the same bytes


@dataclass(frozen=True)
class BoardInput:
    """One input file in the model's order."""

    tensor: str
    path: Path
    generated: bool = False
    note: str = ""
    given_name: str = ""  # as the user's file is called; `path` may be the copy in the run folder


def plan_inputs(
    given: Sequence[tuple[str, Path]], facts: Sequence[dict[str, Any]], scratch: Path
) -> tuple[BoardInput, ...]:
    """Order the given files as the model wants them; make seeded noise when none was given, and say so.

    What is used lies in `scratch` afterwards.
    `facts` is the platform's answer: name and size in bytes (None when unknown) per input, in the model's order.
    Errors: InputError for a missing file, an unknown or repeated tensor, a wrong number or a wrong size.
    """
    if not given:
        return tuple(_noise(fact, scratch) for fact in facts)
    for _, path in given:
        if not path.is_file():
            raise InputError(f"{path}: no such input file", "--input FILE or --input TENSOR=FILE")
    given = _planes(given, facts, scratch)
    ordered = _by_name(given, facts) if any(name for name, _ in given) else _by_order(given, facts)
    _check_sizes(ordered, facts)
    return tuple(_kept(item, position, scratch) for position, item in enumerate(ordered))


def _planes(
    given: Sequence[tuple[str, Path]], facts: Sequence[dict[str, Any]], scratch: Path
) -> Sequence[tuple[str, Path]]:
    """One NV12 file for a model that takes its two planes as inputs `..._y` and `..._uv`: two files in `scratch`.

    Newer toolchains compile an NV12 input so. Anything that is not surely one is given back as it is.
    """
    sizes = [int(fact.get("bytes") or 0) for fact in facts]
    names = [fact["name"] for fact in facts]
    if len(given) != 1 or len(facts) != 2 or 0 in sizes or given[0][1].stat().st_size != sum(sizes):
        return given
    stem = names[0].removesuffix("_y")
    if names != [f"{stem}_y", f"{stem}_uv"] or given[0][0] not in ("", stem) or sizes[0] != 2 * sizes[1]:
        return given
    data = given[0][1].read_bytes()
    planes = [(names[0], data[: sizes[0]]), (names[1], data[sizes[0] :])]
    for name, plane in planes:
        write_file(scratch / f"{safe_name(name)}.bin", plane, scratch.parent)
    return [(name, scratch / f"{safe_name(name)}.bin") for name, _ in planes]


def _kept(item: BoardInput, position: int, scratch: Path) -> BoardInput:
    """A copy in the run folder, so that the run can be judged again when the original is gone."""
    path = scratch / f"{position}_{safe_name(item.path.stem)}{item.path.suffix}"
    with item.path.open("rb") as source, new_file(path, scratch.parent) as target:
        shutil.copyfileobj(source, target)
    return replace(item, path=path, given_name=item.path.name)


def _noise(fact: dict[str, Any], scratch: Path) -> BoardInput:
    if not fact.get("bytes"):
        raise InputError(
            f"input {fact['name']!r} has no fixed size, so it cannot be made up", f"give --input {fact['name']}=FILE"
        )
    path = scratch / f"{safe_name(fact['name'])}.bin"
    write_file(path, _noise_bytes(fact), scratch.parent)
    note = f"input {fact['name']!r} is seeded noise (seed {NOISE_SEED}): no --input was given"
    return BoardInput(fact["name"], path, generated=True, note=note)


def _noise_bytes(fact: dict[str, Any]) -> bytes:
    """Noise that is a valid number in the input's type: raw random bytes read as floats would hold NaN."""
    source = random.Random(NOISE_SEED)
    size = int(fact["bytes"])
    if fact.get("dtype") in ("f16", "f32", "f64"):
        import numpy as np

        kind = np.dtype({"f16": "<f2", "f32": "<f4", "f64": "<f8"}[fact["dtype"]])
        return np.random.default_rng(NOISE_SEED).standard_normal(size // kind.itemsize).astype(kind).tobytes()
    return source.randbytes(size)


def _by_name(given: Sequence[tuple[str, Path]], facts: Sequence[dict[str, Any]]) -> tuple[BoardInput, ...]:
    names = [fact["name"] for fact in facts]
    files: dict[str, Path] = {}
    for name, path in given:
        if not name:
            raise InputError(f"{path}: inputs by name and by order are mixed", "give every input as TENSOR=FILE")
        if name not in names:
            near = get_close_matches(name, names, n=1)
            raise InputError(
                f"the model has no input {name!r}",
                f"did you mean {near[0]!r}?" if near else f"its inputs: {', '.join(names)}",
            )
        if name in files:
            raise InputError(f"input {name!r} was given twice: {files[name]} and {path}")
        files[name] = path
    missing = [name for name in names if name not in files]
    if missing:
        raise InputError(f"no file for input {missing[0]!r}", f"give --input {missing[0]}=FILE")
    return tuple(BoardInput(name, files[name]) for name in names)


def _by_order(given: Sequence[tuple[str, Path]], facts: Sequence[dict[str, Any]]) -> tuple[BoardInput, ...]:
    if len(given) != len(facts):
        names = ", ".join(repr(fact["name"]) for fact in facts)
        raise InputError(
            f"the model takes {len(facts)} input{'' if len(facts) == 1 else 's'} ({names}), given {len(given)}",
            "give one --input each, in this order or as TENSOR=FILE",
        )
    return tuple(BoardInput(fact["name"], path) for fact, (_, path) in zip(facts, given, strict=True))


def _check_sizes(inputs: Sequence[BoardInput], facts: Sequence[dict[str, Any]]) -> None:
    for item, fact in zip(inputs, facts, strict=True):
        size, expected = item.path.stat().st_size, fact.get("bytes")
        encoded = item.path.suffix.lower() in fact.get("encoded_suffixes", ())  # the tool decodes jpg and txt itself
        if expected and size != expected and not encoded:
            raise InputError(
                f"{item.path}: input {item.tensor!r} takes {expected} bytes ({fact.get('describe', '')}), "
                f"the file has {size}",
                "harness convert makes board inputs from images",
            )
