"""md5 sums of both sides: where they are asked for they are the files' own; where not, nothing else changes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.consistency.compare import CompareSettings, compare
from harness.dumps.folders import read_dumps
from harness.records import Layer
from harness.reference.open import open_reference


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    for folder in ("reference", "board"):
        (tmp_path / folder).mkdir()
    for index in range(4):
        values = rng.standard_normal((1, 4, 6, 5)).astype(np.float32)
        np.save(tmp_path / "reference" / f"t{index}.npy", values)
        board = values + np.float32(index == 2)
        np.save(tmp_path / "board" / f"t{index}.npy", board)
    return tmp_path / "reference", tmp_path / "board"


def layers(reference: Path, board: Path, *, hashes: bool) -> tuple[Layer, ...]:
    return compare(open_reference(reference), read_dumps(board), CompareSettings(hashes=hashes)).layers


def test_without_sums_the_rows_are_the_same_but_for_them(folders: tuple[Path, Path]) -> None:
    plain, hashed = (layers(*folders, hashes=wanted) for wanted in (False, True))
    none = {"file_md5_board": "", "file_md5_reference": "", "valid_md5_board": "", "valid_md5_reference": ""}
    assert list(plain) == [replace(row, **none) for row in hashed]
    assert [row.verdict for row in plain] == ["exact", "exact", "differs", "exact"]


def test_the_sums_are_those_of_the_files(folders: tuple[Path, Path]) -> None:
    reference, board = folders
    for row in layers(reference, board, hashes=True):
        values = [np.load(folder / f"{row.name}.npy").tobytes() for folder in (board, reference)]
        sums = [hashlib.md5(data, usedforsecurity=False).hexdigest() for data in values]
        assert [row.valid_md5_board, row.valid_md5_reference] == sums
        file = (board / f"{row.name}.npy").read_bytes()
        assert row.file_md5_board == hashlib.md5(file, usedforsecurity=False).hexdigest()
