"""Which file goes to which input: by name or by order, never by luck."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import InputError
from harness.records import InputFacts
from harness.session.inputs import plan_inputs
from tests.support.builds import harness_here

FACTS = (
    InputFacts("images", 12, "u8", "u8 (1,3,2,2)"),
    InputFacts("mask", 4, "u8", "u8 (1,1,2,2)"),
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
    with pytest.raises(InputError, match=r"input 'images' needs 12 bytes \(u8 \(1,3,2,2\)\), the file has 4"):
        plan_inputs([("", files["mask"]), ("", files["images"])], FACTS, tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("image", "images"), ("mask", "mask")], "no input 'image'"),
        ([("images", "images")], "no file for input 'mask'"),
        ([("images", "images"), ("images", "mask")], "given twice"),
        ([("images", "images"), ("", "mask")], "mixed"),
        ([("", "images")], "expected 2 inputs"),
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
    (made,) = plan_inputs([], [InputFacts("x", 4000, "f32")], tmp_path / "n")
    assert np.isfinite(np.frombuffer(made.path.read_bytes(), "<f4")).all()


@pytest.mark.parametrize(
    ("dtype", "missing"), [("", "has no dtype reported by the board"), ("f8", "is of type 'f8'"), ("?", "is of type")]
)
def test_random_bytes_are_not_taken_for_numbers_of_a_type_that_nobody_told(
    tmp_path: Path, dtype: str, missing: str
) -> None:
    with pytest.raises(InputError, match=f"input 'x' {missing}") as caught:
        plan_inputs([], [InputFacts("x", 4000, dtype)], tmp_path / "n")
    assert caught.value.hint == "give --input x=FILE"


def test_an_input_of_unknown_size_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no fixed size"):
        plan_inputs([], [InputFacts("x", None, "f32")], tmp_path / "n")


# --------------------------------------------------------------------------- arrays and pictures

IMAGE = InputFacts("images", 48, "f32", "f32 1x3x2x2", ((1, 3, 2, 2),))
PIXELS = InputFacts("images", 24, "u8", "NV12 4x4", ((1, 6, 4),), "--size 4x4 --to nv12", (".jpg",))
VALUES = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)


def saved(path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Path:
    with path.open("wb") as file:  # whatever it is called
        np.save(file, array)
    return path


@pytest.mark.parametrize(
    "array",
    [VALUES, VALUES.astype(">f4"), np.asfortranarray(VALUES), VALUES[0], VALUES[None]],
    ids=["as it is", "big endian", "columns first", "no batch", "one more batch"],
)
@pytest.mark.parametrize("name", ["x.npy", "x.bin"])
def test_an_array_that_fits_is_taken_as_its_raw_bytes(
    tmp_path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], name: str
) -> None:
    (made,) = plan_inputs([("", saved(tmp_path / name, array))], [IMAGE], tmp_path / "in")
    assert made.path.read_bytes() == VALUES.tobytes() and made.path.suffix == ".bin"
    assert made.given_name == name and "as raw bytes" in made.note


@pytest.mark.parametrize(
    ("array", "hint"),
    [
        (VALUES.astype(np.float64), "array.astype('float32')"),
        (VALUES.transpose(0, 2, 3, 1), "array.transpose(0, 3, 1, 2)"),
        (VALUES.ravel(), "np.save(path, array)"),
        (np.zeros((2, 3, 2, 2), np.float32), "np.save(path, array)"),
    ],
)
def test_an_array_that_does_not_fit_is_answered_with_both_shapes_and_dtypes(
    tmp_path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], hint: str
) -> None:
    path = saved(tmp_path / "x.npy", array)
    with pytest.raises(InputError, match=r"is .*, input 'images' needs f32 1x3x2x2") as caught:
        plan_inputs([("", path)], [IMAGE], tmp_path / "in")
    assert hint in caught.value.hint and "x".join(map(str, array.shape)) in caught.value.message


def test_an_array_for_a_tool_that_reads_arrays_keeps_its_own_shape_where_the_input_is_open(tmp_path: Path) -> None:
    fact = InputFacts("x", None, "f32", shapes=((-1, 3, 2, 2),), encoded_suffixes=(".npy",))
    path = saved(tmp_path / "x.npy", np.zeros((5, 3, 2, 2), np.float32))
    (made,) = plan_inputs([("", path)], [fact], tmp_path / "in")
    assert made.path.read_bytes() == path.read_bytes() and made.path.suffix == ".npy"
    with pytest.raises(InputError, match=r"needs f32 \?x3x2x2"):
        plan_inputs([("", saved(path, np.zeros((3, 2, 2), np.float32)))], [fact], tmp_path / "in")


@pytest.mark.parametrize("content", [b"\x93NUMPY\x01", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', }"])
def test_a_damaged_array_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"not a readable \.npy"):
        plan_inputs([("", tmp_path / "x.npy")], [IMAGE], tmp_path / "in")


@pytest.mark.parametrize("raw", [True, False])
def test_a_picture_for_an_nv12_input_is_converted_and_the_line_is_told(tmp_path: Path, raw: bool) -> None:
    """As `harness convert` does it: the same bytes. Without a reference the board's tool decodes it as before."""
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(path)
    (made,) = plan_inputs([("", path)], [PIXELS], tmp_path / "in", raw=raw)
    if not raw:
        assert made.path.read_bytes() == path.read_bytes()
        return
    harness_here("convert", path, "--size", "4x4", "--to", "nv12", "-o", tmp_path / "photo.nv12", cwd=tmp_path)
    assert made.path.read_bytes() == (tmp_path / "photo.nv12").read_bytes()
    assert "harness convert photo.jpg --size 4x4 --to nv12" in made.note


@pytest.mark.parametrize("name", ["photo one.jpg", "photo one.bin"])
def test_a_picture_that_cannot_be_converted_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    with pytest.raises(InputError, match="not a readable picture"):
        plan_inputs([("", path)], [PIXELS], tmp_path / "in", raw=True)
    with pytest.raises(InputError, match="a picture") as caught:
        plan_inputs([("", path)], [IMAGE], tmp_path / "in")
    assert "np.save('input.npy', array)" in caught.value.hint


def test_a_picture_that_the_boards_tool_decodes_is_taken_where_no_reference_is_fed(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    (made,) = plan_inputs([("", path)], [PIXELS], tmp_path / "in")
    assert made.path.read_bytes() == path.read_bytes()


def test_raw_bytes_that_begin_as_pictures_or_archives_do_are_raw_bytes(tmp_path: Path) -> None:
    for start in (b"\xff\xd8\xff", b"BM", b"\x1f\x8b"):
        (tmp_path / "x.bin").write_bytes(start.ljust(48, b"\1"))
        (made,) = plan_inputs([("", tmp_path / "x.bin")], [IMAGE], tmp_path / "in", raw=True)
        assert made.path.stat().st_size == 48


@pytest.mark.parametrize("shape", [(6, 4), (1, 6, 4), (24,)])
def test_an_array_of_one_nv12_picture_feeds_both_planes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    facts = [InputFacts("p_y", 16, "u8", shapes=((1, 4, 4, 1),)), InputFacts("p_uv", 8, "u8", shapes=((1, 2, 2, 2),))]
    path = saved(tmp_path / "x.npy", np.arange(24, dtype=np.uint8).reshape(shape))
    luma, chroma = plan_inputs([("", path)], facts, tmp_path / "in")
    assert luma.path.read_bytes() == bytes(range(16)) and chroma.path.read_bytes() == bytes(range(16, 24))
    Image.fromarray(np.full((4, 4, 3), 200, np.uint8)).save(tmp_path / "photo.png")
    luma, chroma = plan_inputs([("", tmp_path / "photo.png")], facts, tmp_path / "in")
    assert luma.path.read_bytes() == bytes([200] * 16) and chroma.path.read_bytes() == bytes([128] * 8)
    assert "harness convert photo.png --size 4x4 --to nv12" in luma.note


def test_an_archive_is_its_arrays_by_name(tmp_path: Path) -> None:
    """Names that would be one file name stay two files; an array that is no input is left out."""
    left, right = np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32)
    np.savez(tmp_path / "in.npz", **{"a/b": left, "a:b": right, "layer": right})
    facts = [InputFacts(name, 8, "f32", shapes=((1, 2),)) for name in ("a/b", "a:b")]
    plan = plan_inputs([("", tmp_path / "in.npz")], facts, tmp_path / "inputs")
    assert [item.path.read_bytes() for item in plan] == [left.tobytes(), right.tobytes()]
    with pytest.raises(InputError, match="no array 'c' in it"):
        plan_inputs([("", tmp_path / "in.npz")], [InputFacts("c", 8, "f32", shapes=((1, 2),))], tmp_path / "inputs")


@pytest.mark.parametrize(
    ("size_bytes", "is_padded"), [(6 * 16, True), (6 * 5, True), (6 * 4 + 1, False), (6 * 3, False)]
)
def test_rows_that_are_padded_to_a_stride_are_named(size_bytes: int, is_padded: bool, tmp_path: Path) -> None:
    path = tmp_path / "p.nv12"
    path.write_bytes(bytes(size_bytes))
    facts = (InputFacts("images", 24, "u8", "NV12 4x4", shapes=((1, 6, 4), (24,))),)
    with pytest.raises(InputError) as caught:
        plan_inputs([("images", path)], facts, tmp_path / "in")
    assert ("padded to a stride" in caught.value.hint) is is_padded


def nv12_rows(width: int, height: int, stride: int, behind: str) -> tuple[bytes, bytes]:
    """A picture as NV12 without and with padded rows; `behind` says what lies in the padding."""
    rng = np.random.default_rng(width)
    rows = rng.integers(0, 256, (height * 3 // 2, width), dtype=np.uint8)
    padding = np.full((len(rows), stride - width), 16, np.uint8)
    if behind == "chroma too":
        padding[height:] = 128
    elif behind == "the ends":
        padding = np.tile(rows[:, -2:], (1, (stride - width + 1) // 2))[:, : stride - width]
    elif behind == "a picture":
        padding = rng.integers(0, 256, padding.shape, dtype=np.uint8)
    return rows.tobytes(), np.concatenate([rows, padding], axis=1).tobytes()


@pytest.mark.parametrize("stride", [112, 128])
@pytest.mark.parametrize("behind", ["one value", "chroma too", "the ends"])
def test_rows_of_a_camera_lose_their_padding_and_it_is_noted(stride: int, behind: str, tmp_path: Path) -> None:
    plain, padded = nv12_rows(100, 8, stride, behind)
    (tmp_path / "p.nv12").write_bytes(padded)
    whole = InputFacts("images", 1200, "u8", "NV12 100x8", shapes=((1, 12, 100), (1200,)))
    (item,) = plan_inputs([("images", tmp_path / "p.nv12")], (whole,), tmp_path / "in")
    assert item.path.read_bytes() == plain and item.given_name == "p.nv12"
    assert f"p.nv12 without the padding of its 12 rows ({stride} bytes, of which 100 are the input's)" in item.note
    planes = (InputFacts("x_y", 800, "u8", shapes=((1, 8, 100, 1),)), InputFacts("x_uv", 400, "u8"))
    luma, chroma = plan_inputs([("", tmp_path / "p.nv12")], planes, tmp_path / "planes")
    assert luma.path.read_bytes() + chroma.path.read_bytes() == plain
    assert "without the padding" in luma.note


@pytest.mark.parametrize(("stride", "behind"), [(112, "a picture"), (110, "one value")])
def test_rows_that_only_may_be_padded_are_left_to_the_user(stride: int, behind: str, tmp_path: Path) -> None:
    """A wider picture has the same number of bytes."""
    _, padded = nv12_rows(100, 8, stride, behind)
    (tmp_path / "p.nv12").write_bytes(padded)
    whole = InputFacts("images", 1200, "u8", "NV12 100x8", shapes=((1, 12, 100), (1200,)))
    with pytest.raises(InputError) as caught:
        plan_inputs([("images", tmp_path / "p.nv12")], (whole,), tmp_path / "in")
    assert f"it has 12 rows of {stride} bytes, padded to a stride" in caught.value.hint


def test_padded_rows_of_pixels_and_of_floats(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 256, (1, 6, 20, 3), dtype=np.uint8)
    wide = np.zeros((1, 6, 64), np.uint8)
    wide[:, :, :60] = pixels.reshape(1, 6, 60)
    maps = np.random.default_rng(1).normal(size=(1, 2, 5, 30)).astype(np.float32)
    (tmp_path / "rgb.bin").write_bytes(wide.tobytes())
    (tmp_path / "map.bin").write_bytes(np.pad(maps, [(0, 0)] * 3 + [(0, 2)]).tobytes())
    facts = (
        InputFacts("rgb", 360, "u8", shapes=((1, 6, 20, 3),)),
        InputFacts("map", maps.nbytes, "f32", shapes=(maps.shape,)),
    )
    rgb, floats = plan_inputs([("", tmp_path / "rgb.bin"), ("", tmp_path / "map.bin")], facts, tmp_path / "in")
    assert rgb.path.read_bytes() == pixels.tobytes() and floats.path.read_bytes() == maps.tobytes()
