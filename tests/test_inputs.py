"""Which file goes to which input: by name or by order, never by luck."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.inputs import plan_inputs

FACTS = (
    {"name": "images", "bytes": 12, "describe": "u8 (1,3,2,2)"},
    {"name": "mask", "bytes": 4, "describe": "u8 (1,1,2,2)"},
)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {"images": tmp_path / "a b.bin", "mask": tmp_path / "m.bin"}
    made["images"].write_bytes(bytes(12))
    made["mask"].write_bytes(bytes(4))
    return made


def test_by_name_the_order_is_the_models(files: dict[str, Path], tmp_path: Path) -> None:
    plan = plan_inputs([("mask", files["mask"]), ("images", files["images"])], FACTS, tmp_path)
    assert [(i.tensor, i.path.read_bytes()) for i in plan] == [("images", bytes(12)), ("mask", bytes(4))]


def test_by_order_the_names_come_from_the_model(files: dict[str, Path], tmp_path: Path) -> None:
    plan = plan_inputs([("", files["images"]), ("", files["mask"])], FACTS, tmp_path)
    assert [i.tensor for i in plan] == ["images", "mask"]


def test_swapped_order_is_caught_by_size(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"input 'images' takes 12 bytes \(u8 \(1,3,2,2\)\), the file has 4"):
        plan_inputs([("", files["mask"]), ("", files["images"])], FACTS, tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("image", "images"), ("mask", "mask")], "no input 'image'"),
        ([("images", "images")], "no file for input 'mask'"),
        ([("images", "images"), ("images", "mask")], "given twice"),
        ([("images", "images"), ("", "mask")], "mixed"),
        ([("", "images")], "takes 2 inputs"),
    ],
)
def test_a_wrong_choice_is_named(
    files: dict[str, Path], tmp_path: Path, given: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        plan_inputs([(name, files[file]) for name, file in given], FACTS, tmp_path)
    assert caught.value.hint or "twice" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such input file"):
        plan_inputs([("", tmp_path / "gone.bin")], FACTS, tmp_path)


def test_without_files_the_noise_is_the_same_each_time_and_said(tmp_path: Path) -> None:
    first = plan_inputs([], FACTS, tmp_path / "a")
    second = plan_inputs([], FACTS, tmp_path / "b")
    assert [i.path.read_bytes() for i in first] == [i.path.read_bytes() for i in second]
    assert all(i.generated and "seeded noise" in i.note for i in first)
    assert [i.path.stat().st_size for i in first] == [12, 4]


def test_noise_for_floats_is_finite(tmp_path: Path) -> None:
    (made,) = plan_inputs([], [{"name": "x", "bytes": 4000, "dtype": "f32"}], tmp_path / "n")
    assert np.isfinite(np.frombuffer(made.path.read_bytes(), "<f4")).all()


def test_an_input_of_unknown_size_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no fixed size"):
        plan_inputs([], [{"name": "x", "bytes": None}], tmp_path / "n")
