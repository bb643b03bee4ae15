"""`harness convert`: geometry of the vendor's letterbox, planes, NV12, strides, headers, names, md5 of both ends."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from harness.cli import cli
from harness.errors import InputError
from harness.images import pictures as images
from harness.images.pixels import normalised, nv12_to_yuv444


@pytest.fixture(autouse=True)
def _stands_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written where the user stands."""
    monkeypatch.chdir(tmp_path)


def convert(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["convert", *map(str, arguments)])


def picture(path: Path, width: int = 30, height: int = 20, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


# The figures that the vendor's sample printed for its two pictures.
@pytest.mark.parametrize(
    ("source", "scale", "size", "padding"),
    [((388, 574), 0.668990, (260, 384), (190, 190, 0, 0)), ((810, 1080), 0.355556, (288, 384), (176, 176, 0, 0))],
)
def test_the_letterbox_has_the_geometry_that_the_sample_printed(
    source: tuple[int, int], scale: float, size: tuple[int, int], padding: tuple[int, int, int, int]
) -> None:
    box = images.letterbox_of(source, (640, 384))
    assert box.scale == pytest.approx(scale, abs=1e-6)
    assert (box.width, box.height) == size
    assert (box.left, box.right, box.top, box.bottom) == padding


def test_the_letterbox_fills_the_frame_and_pads_with_the_given_value() -> None:
    pixels = np.full((20, 10, 3), 200, np.uint8)
    frame = images.letterbox(pixels, 40, 20, 114)
    assert frame.shape == (20, 40, 3)
    assert (frame[:, :15] == 114).all() and (frame[:, 25:] == 114).all() and (frame[:, 15:25] == 200).all()


def test_resizing_to_the_same_size_changes_nothing_and_a_ramp_stays_a_ramp() -> None:
    ramp = np.repeat(np.arange(0, 240, 8, dtype=np.uint8)[None, :, None], 4, axis=0)
    assert images.resize(ramp, 30, 4) is ramp
    wide = images.resize(ramp, 60, 4)[0, :, 0].astype(int)
    assert (np.diff(wide) >= 0).all() and wide[1] == 2 and wide[30] == 118


def test_a_picture_becomes_a_named_nhwc_file_with_md5_of_both_ends(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "my.photo.png")
    result = convert(tmp_path / "my.photo.png", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    made = tmp_path / "my_photo_1_20_30_3.bin"
    assert Path(answer["output"]) == Path(made.name) and made.read_bytes() == pixels.tobytes()
    assert answer["output_md5"] == answer["pixels_md5"] == hashlib.md5(pixels.tobytes()).hexdigest()
    assert answer["source_md5"] == hashlib.md5((tmp_path / "my.photo.png").read_bytes()).hexdigest()
    assert answer["shape"] == [1, 20, 30, 3]


def test_a_pc_dump_gets_its_fourth_channel_and_a_name_that_says_so(tmp_path: Path) -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8)
    (tmp_path / "input_data_shape_1_4_6_3.bin").write_bytes(pixels.tobytes())
    assert convert(tmp_path / "input_data_shape_1_4_6_3.bin", "--channels", "4").exit_code == 0
    made = np.frombuffer((tmp_path / "input_data_shape_1_4_6_4.bin").read_bytes(), np.uint8).reshape(4, 6, 4)
    assert (made[..., :3].reshape(-1) == pixels).all() and (made[..., 3] == 0).all()


@pytest.mark.parametrize(("channels", "more"), [(1, ()), (3, ()), (4, ()), (3, ("--channels", "3"))])
def test_a_header_has_four_channels_with_zeros_in_the_fourth_unless_asked(
    channels: int, more: tuple[str, ...], tmp_path: Path
) -> None:
    """As the vendor's generate_img_input.py: zeros((h, w, 4)), whose first three are the picture's."""
    pixels = np.arange(1, 4 * 6 * channels + 1, dtype=np.uint8).reshape(4, 6, channels)
    source = tmp_path / f"x_1_4_6_{channels}.bin"
    source.write_bytes(pixels.tobytes())
    assert convert(source, "--to", "header", "-o", tmp_path / "img_input.h", *more).exit_code == 0
    made = np.zeros((4, 6, 4), np.uint8)
    made[..., :3] = pixels[..., :3]
    wanted = pixels if more or channels == 4 else made
    text = (tmp_path / "img_input.h").read_text()
    assert text.startswith(f"unsigned char image[{wanted.size}] = {{1 ,")
    assert images.header_bytes(text) == wanted.tobytes()


def test_nchw_and_bgr_are_what_they_say(tmp_path: Path) -> None:
    pixels = picture(tmp_path / "p.png", 6, 4)
    target = tmp_path / "out.bin"
    assert convert(tmp_path / "p.png", "--to", "nchw", "--colour", "bgr", "-o", target).exit_code == 0
    made = np.frombuffer(target.read_bytes(), np.uint8).reshape(3, 4, 6)
    assert (made == pixels[..., ::-1].transpose(2, 0, 1)).all()


def test_nv12_of_one_colour_comes_back_as_that_colour() -> None:
    colour = np.broadcast_to(np.array([200, 100, 50], np.uint8), (4, 6, 3))
    y, uv = images.to_nv12(colour)
    back = nv12_to_yuv444(y.tobytes() + uv.tobytes(), 4, 6)[0, 0].astype(float) - (0, 128, 128)
    red, blue = back[0] + 1.402 * back[2], back[0] + 1.772 * back[1]
    assert red == pytest.approx(200, abs=1.5) and blue == pytest.approx(50, abs=1.5)
    low, _ = images.to_nv12(np.zeros((2, 2, 3), np.uint8), video=True)
    assert (low == 16).all()


@pytest.mark.parametrize(("step", "stride"), [(1, 30), (16, 32), (64, 64)])
def test_nv12_rows_are_padded_to_the_stride_of_the_board(tmp_path: Path, step: int, stride: int) -> None:
    picture(tmp_path / "p.png", 30, 20)
    target = tmp_path / "p.nv12"
    assert convert(tmp_path / "p.png", "--to", "nv12", "--align", step, "-o", target).exit_code == 0
    assert target.stat().st_size == stride * 20 * 3 // 2
    plain = tmp_path / "plain.nv12"
    assert convert(tmp_path / "p.png", "--to", "nv12", "-o", plain).exit_code == 0
    again = tmp_path / "again.nv12"
    result = convert(plain, "--to", "nv12", "--shape", "1,20,30,3", "--align", step, "-o", again)
    assert result.exit_code == 0 and again.read_bytes() == target.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["missing.jpg"], "no such file"),
        (["text.jpg"], "not a readable picture"),
        (["p.png", "--size", "640"], "expected WxH"),
        (["p.png", "--size", "7x200"], "even"),
        (["p.png", "--size", "64x40", "--fit", "none"], "not 64x40"),
        (["odd.png", "--to", "nv12"], "even sides"),
        (["raw.bin"], "--shape"),
        (["raw.bin", "--shape", "1,2,2,3"], "(u8)"),
        (["p.png", "--align", "9999"], "1 to 4096"),
    ],
)
def test_what_cannot_be_converted_is_said_with_a_hint(tmp_path: Path, arguments: list[str], word: str) -> None:
    picture(tmp_path / "p.png")
    picture(tmp_path / "odd.png", 7, 5)
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "raw.bin").write_bytes(bytes(10))
    result = convert(tmp_path / arguments[0], *arguments[1:])
    assert result.exit_code == 2
    assert (word in result.stderr and "hint:" in result.stderr) or "no such" in result.stderr


def test_normalising_is_pixel_minus_mean_over_var_per_channel() -> None:
    planes = np.array([[[[255]], [[128]], [[0]]]], np.uint8)
    made = normalised(planes, "0,128,-1", "255,1,2")
    assert made.reshape(-1).tolist() == [1.0, 0.0, 0.5]
    with pytest.raises(InputError):
        normalised(planes, "0", "0")
    with pytest.raises(InputError):
        normalised(planes, "1,2", "255")


# --------------------------------------------------------------------------- arrays, places, hints


@pytest.mark.parametrize(
    ("shape", "made"),
    [((4, 6, 3), "1_4_6_3"), ((1, 4, 6, 3), "1_4_6_3"), ((1, 3, 4, 6), "1_4_6_3"), ((4, 6), "1_4_6_1")],
)
def test_an_array_of_pixels_is_read_whatever_it_is_called(tmp_path: Path, shape: tuple[int, ...], made: str) -> None:
    array = np.arange(int(np.prod(shape)), dtype=np.uint8).reshape(shape)
    with (tmp_path / "pixels.dat").open("wb") as file:
        np.save(file, array)
    result = convert("pixels.dat")
    assert result.exit_code == 0, result.output
    pixels = array.transpose(0, 2, 3, 1) if shape == (1, 3, 4, 6) else array
    assert (tmp_path / f"pixels_{made}.bin").read_bytes() == np.ascontiguousarray(pixels).tobytes()
    assert ("read as C,H,W" in result.stdout) is (shape == (1, 3, 4, 6))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 6, 3), np.float32), "expected u8 pixels, got float32 (shape 4x6x3)"),
        (np.zeros((2, 4, 6, 3), np.uint8), "expected one picture, got uint8 (shape 2x4x6x3)"),
        (np.zeros((0, 6, 3), np.uint8), ""),
        (np.zeros((), np.uint8), "expected one picture"),
    ],
)
def test_an_array_that_is_no_picture_is_named(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    result = convert("a.npy")
    assert result.exit_code == 2 and message in result.stderr and "hint:" in result.stderr


def test_an_array_that_promises_more_than_it_holds_is_an_error_and_no_crash(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 6, 3), np.uint8))
    head = (tmp_path / "a.npy").read_bytes().replace(b"(4, 6, 3), ", b"(99999, 99999, 99999), ")
    (tmp_path / "a.npy").write_bytes(head)
    result = convert("a.npy")
    assert result.exit_code == 2 and "not a readable .npy" in result.stderr


def test_nothing_is_written_beside_the_source(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    picture(tmp_path / "data/photo.png")
    result = convert("data/photo.png", "--json")
    assert json.loads(result.stdout)["output"] == "photo_1_20_30_3.bin"
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["photo.png"] and (
        tmp_path / "photo_1_20_30_3.bin"
    ).exists()


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        (["--size", "640x383"], "--size 640x384"),
        (["--size", "63x41"], "--size 64x42"),
        (["--size", "101x7", "--to", "nv12", "--fit", "stretch"], "--size 102x8"),
        (["--size", "320"], "--size 320x320"),
        (["--size", "320,200"], "--size 320x200"),
        (["--size", "99999x20"], "--size 16384x20"),
    ],
)
def test_the_hint_of_a_size_is_computed_and_works(tmp_path: Path, more: list[str], hint: str) -> None:
    picture(tmp_path / "photo.png")
    result = convert("photo.png", *more)
    assert result.exit_code == 2 and hint in result.stderr, result.stderr
    if "16384" not in hint:
        assert convert("photo.png", *more, *hint.split()).exit_code == 0  # the last --size counts
    (tmp_path / "raw.bin").write_bytes(bytes(8))
    assert "--shape 1,20,30,3" in convert("raw.bin", "--shape", "20x30x3").stderr
