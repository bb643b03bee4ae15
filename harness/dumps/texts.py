"""Dumps written as text: files of numbers and nothing else, as flat arrays under the same names.

Board scripts print what they have (`np.savetxt`, a loop of printf). The text tells no shape; the reference does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import InputError
from harness.files.safe import make_folder, new_file
from harness.files.scratch import scratch_folder

ENDINGS = (".txt", ".csv")
MOST_BYTES = 1 << 28  # of one text: as Python's numbers it takes many times that
BETWEEN = re.compile(rb"[\s,;\[\]()]+")
COMMENT = re.compile(rb"#[^\n]*")
HEAD_BYTES = 1 << 12
MOST_DIGITS = 400  # bytes of one number: a float64 printed in full takes 327
NUMBER = re.compile(rb"[-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE)


def of_texts(folder: Path) -> Path:
    """A folder with a flat .npy for each text of numbers; `folder` itself where it holds other files or none.

    Whole numbers become s32, others f32. Errors: InputError for a text of numbers that is too long, and for two texts
    of one name.
    """
    if not folder.is_dir() or any(file.suffix in (".npy", ".bin", ".json") for file in folder.rglob("*")):
        return folder
    return _converted(folder.resolve())


@cache
def _converted(folder: Path) -> Path:
    """Read once in a process: each way of reading the folder asks again."""
    arrays = {
        path.relative_to(folder): array
        for path in sorted(folder.rglob("*"))
        if path.suffix in ENDINGS and path.is_file() and (array := _numbers(path)) is not None
    }
    if not arrays:
        return folder
    _refuse_twins(folder, list(arrays))
    target = scratch_folder()
    write: Any = np.lib.format.write_array  # numpy 1.26 gives it no types
    for name, array in arrays.items():
        make_folder((target / name).parent)
        with new_file((target / name).with_suffix(".npy")) as file:
            write(file, array)
    return target


def _refuse_twins(folder: Path, names: Sequence[Path]) -> None:
    """y.txt and y.csv would both be y, and one of them lost."""
    seen: dict[Path, Path] = {}
    for name in names:
        other = seen.setdefault(name.with_suffix(""), name)
        if other != name:
            raise InputError(f"{folder}: {other} and {name} are tensors of one name", "rename or remove one of them")


def _is_number(word: bytes) -> bool:
    return len(word) <= MOST_DIGITS and NUMBER.fullmatch(word) is not None


def _numbers(path: Path) -> npt.NDArray[Any] | None:
    """All that a file holds, in its order; None where it holds anything but numbers."""
    with path.open("rb") as file:
        head = [word for word in BETWEEN.split(COMMENT.sub(b"", file.read(HEAD_BYTES)))[:-1] if word]
    if not all(map(_is_number, head)):
        return None
    if path.stat().st_size > MOST_BYTES:
        raise InputError(
            f"{path}: text of {path.stat().st_size} bytes, limit {MOST_BYTES}", "make the tool write raw bytes (.bin)"
        )
    words = [word for word in BETWEEN.split(COMMENT.sub(b"", path.read_bytes())) if word]
    if not words or not all(map(_is_number, words)):
        return None
    values = np.array(words, dtype=np.float64)
    whole = not any(mark in word for word in words for mark in (b".", b"e", b"E", b"n"))
    with np.errstate(over="ignore"):
        return values.astype(np.int32 if whole and np.abs(values).max() < 1 << 31 else np.float32)
