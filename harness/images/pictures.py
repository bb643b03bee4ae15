"""Pictures to board inputs: letterbox as Magik's samples do it, planes, padding channels, NV12, strides, C headers.

Arrays in, arrays or bytes out. A picture is u8 (H, W, 3) in RGB order.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError
from harness.files.npy import open_npy

U8 = NDArray[np.uint8]
MOST_SIDE = 16384
SHAPED = re.compile(r"_([0-9]{1,6})_([0-9]{1,6})_([0-9]{1,6})_([0-9]{1,6})$")


@dataclass(frozen=True)
class Letterbox:
    """Where a picture of `source` (w, h) lies in a frame of `frame` (w, h): its size there, and the padding."""

    scale: float
    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int


def letterbox_of(source: tuple[int, int], frame: tuple[int, int]) -> Letterbox:
    """Geometry of the vendor's samples: float32 scale, sizes cut to whole pixels and made even, padding on both sides.

    `source` and `frame` are (width, height). Errors: InputError for sides that are not 1..16384.
    """
    if min(*source, *frame) < 1 or max(*source, *frame) > MOST_SIDE:
        raise InputError(f"picture {source[0]}x{source[1]}, output {frame[0]}x{frame[1]}: sides must be 1 to 16384")
    scale = min(np.float32(frame[0]) / np.float32(source[0]), np.float32(frame[1]) / np.float32(source[1]))
    width, height = (_even(int(np.float32(scale) * np.float32(side))) for side in source)
    across, down = frame[0] - width, frame[1] - height
    if min(across, down) < 0:  # an odd frame: the sample would write beyond it
        raise InputError(f"size {frame[0]}x{frame[1]} is odd", f"use even sides: --size {even_sides(*frame)}")
    left, right = _rounded(across / 2 - 0.1), _rounded(across / 2 + 0.1)
    top, bottom = _rounded(down / 2 - 0.1), _rounded(down / 2 + 0.1)
    return Letterbox(float(scale), width, height, left, top, right, bottom)


def _even(side: int) -> int:
    return side + side % 2


def even_sides(width: int, height: int) -> str:
    """The nearest size of even sides that holds this one, as --size takes it; the largest side is even."""
    return f"{_even(width)}x{_even(height)}"


def _rounded(value: float) -> int:
    """C's round: halves away from zero."""
    return int(np.floor(abs(value) + 0.5)) * (1 if value >= 0 else -1)


def letterbox(picture: U8, width: int, height: int, padding: int = 0) -> U8:
    """`picture` in a frame of width x height. The samples pad with 0, YOLO's own code with 114."""
    box = letterbox_of((picture.shape[1], picture.shape[0]), (width, height))
    frame = np.full((height, width, picture.shape[2]), padding, np.uint8)
    frame[box.top : box.top + box.height, box.left : box.left + box.width] = resize(picture, box.width, box.height)
    return frame


def resize(picture: U8, width: int, height: int) -> U8:
    """Bilinear between pixel centres, as OpenCV's INTER_LINEAR places them. The board's own scaler is not bit-equal."""
    if picture.shape[:2] == (height, width):
        return picture
    rows, row_share = _places(picture.shape[0], height)
    columns, column_share = _places(picture.shape[1], width)
    wide = picture.astype(np.float32)
    down = wide[rows[0]] * (1 - row_share[:, None, None]) + wide[rows[1]] * row_share[:, None, None]
    across = down[:, columns[0]] * (1 - column_share[None, :, None]) + down[:, columns[1]] * column_share[None, :, None]
    return np.clip(np.rint(across), 0, 255).astype(np.uint8)


def _places(before: int, after: int) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float32]]:
    """The two source lines of every target line, and the share of the second."""
    places = (np.arange(after, dtype=np.float64) + 0.5) * before / after - 0.5
    first = np.clip(np.floor(places), 0, before - 1).astype(np.intp)
    share = np.clip(places - first, 0.0, 1.0).astype(np.float32)
    return (first, np.minimum(first + 1, before - 1)), share


def with_channels(pixels: U8, channels: int) -> U8:
    """(H, W, C) with `channels` planes: a fourth one is 0 (the boards' BGR0), a surplus one is dropped.

    Errors: InputError for any other change.
    """
    have = pixels.shape[2]
    if have == channels:
        return pixels
    if have < channels == 4:
        return np.concatenate([pixels, np.zeros((*pixels.shape[:2], 4 - have), np.uint8)], axis=2)
    if have == 4 and channels == 3:
        return np.ascontiguousarray(pixels[..., :3])
    if channels == 1 and have == 3:
        return luma(pixels)[..., None]
    raise InputError(f"cannot convert {have} channels to {channels}", "supported: 3 to 4, 4 to 3, 3 to 1")


def as_rgb(pixels: U8) -> U8:
    """(H, W, 1) as three equal planes, as the vendor's script makes them; anything else as it is."""
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def luma(picture: U8) -> U8:
    """Grey by BT.601, full range."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    grey: U8 = np.rint(picture.astype(np.float32) @ weights).astype(np.uint8)
    return grey


def to_nv12(picture: U8, *, video: bool = False) -> tuple[U8, U8]:
    """RGB (H, W, 3) -> Y (H, W) and UV (H/2, W): BT.601, full range (16..235 with `video`), chroma averaged.

    Errors: InputError for odd sides.
    """
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        raise InputError(f"NV12 needs even sides, got {width}x{height}", f"--size {even_sides(width, height)}")
    red, green, blue = (picture[..., i].astype(np.float32) for i in range(3))
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    u, v = (blue - y) / 1.772 + 128.0, (red - y) / 1.402 + 128.0
    if video:
        y, u, v = 16.0 + y * 219.0 / 255.0, 128.0 + (u - 128.0) * 224.0 / 255.0, 128.0 + (v - 128.0) * 224.0 / 255.0
    chroma = np.empty((height // 2, width), np.uint8)
    for offset, plane in enumerate((u, v)):
        chroma[:, offset::2] = _bytes(plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)))
    return _bytes(y), chroma


def _bytes(values: NDArray[np.float32]) -> U8:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def aligned(rows: U8, step: int) -> U8:
    """Rows padded with zeros to a multiple of `step` bytes: the stride that a board's memory has. `rows` is (H, bytes).

    Errors: InputError for a step that is not 1..4096.
    """
    if not 1 <= step <= 4096:
        raise InputError(f"invalid alignment {step}: expected 1 to 4096", "--align 16 for X5, 32 or 64 for J6")
    width = -(-rows.shape[1] // step) * step
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])))


def c_header(data: bytes, name: str = "image") -> str:
    """The array that older debug programs compile in, in the form of the vendor's generate_img_input.py."""
    return f"unsigned char {name}[{len(data)}] = {{{','.join(f'{value} ' for value in data)}}};\n"


def header_bytes(text: str) -> bytes:
    """The bytes of such a header. Errors: InputError for anything else."""
    match = re.search(r"unsigned char\s+\w+\s*\[\s*([0-9]+)\s*\]\s*=\s*\{([0-9,\s]*)\}", text)
    values = [int(part) for part in match[2].split(",") if part.strip()] if match else []
    if match is None or len(values) != int(match[1]) or any(value > 255 for value in values):
        raise InputError("not a C array of unsigned char of its declared length", "harness convert FILE --to header")
    return bytes(values)


def shape_in_name(path: Path) -> tuple[int, int, int, int] | None:
    """N, H, W, C at the end of a file's stem; None where there are none."""
    match = SHAPED.search(path.stem)
    return (int(match[1]), int(match[2]), int(match[3]), int(match[4])) if match else None


def shaped_name(stem: str, shape: tuple[int, int, int, int]) -> str:
    """`stem_N_H_W_C.bin` with no dot before the last: the debug programs read the shape from there."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", SHAPED.sub("", stem)) or "input"
    return f"{plain}_{'_'.join(map(str, shape))}.bin"


def load_picture(path: Path) -> U8:
    """A jpg, png, bmp, ... as RGB (H, W, 3). Errors: InputError for a file that is no picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if max(image.size) > MOST_SIDE:
                raise InputError(f"{path}: {image.size[0]}x{image.size[1]} is too large")
            return np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable picture ({error})", "give a jpg, png or bmp") from None


def load_array(path: Path) -> tuple[U8, list[str]]:
    """An .npy of u8 pixels as (H, W, C): H,W or H,W,C or 1,H,W,C or 1,C,H,W; and what was made of it, in sentences.

    Errors: InputError for another type, or a shape that is not one picture.
    """
    try:
        array = open_npy(path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy ({error})", "save it again: np.save(path, array)") from None
    description = f"{array.dtype.name} (shape {'x'.join(map(str, array.shape)) or 'scalar'})"
    if array.dtype != np.uint8:
        raise InputError(
            f"{path}: expected u8 pixels, got {description}",
            "convert takes pictures only; give this file as it is: harness run --input FILE.npy",
        )
    pixels = array[0] if array.ndim == 4 and array.shape[0] == 1 else array
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.shape[2] not in (1, 3, 4):
        note = f"the array {description} was read as C,H,W"
        return np.ascontiguousarray(pixels.transpose(1, 2, 0)), [note]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or min(pixels.shape) < 1 or max(pixels.shape) > MOST_SIDE:
        raise InputError(
            f"{path}: expected one picture, got {description}",
            "expected H,W, H,W,C, 1,H,W,C or 1,C,H,W, with C of 1, 3 or 4",
        )
    return np.ascontiguousarray(pixels), []


def load_raw(path: Path, shape: tuple[int, int, int, int] | None) -> U8:
    """A .bin of u8 (1, H, W, C) as (H, W, C); the shape is the name's where none is given. Errors: InputError."""
    full_shape = shape or shape_in_name(path)
    if full_shape is None:
        raise InputError(f"{path}: unknown shape (not in its name, and no --shape)", "for example --shape 1,384,640,3")
    data = path.read_bytes()
    if full_shape[0] != 1 or len(data) != int(np.prod(full_shape)):
        wanted = "x".join(map(str, full_shape))
        raise InputError(
            f"{path}: expected {wanted} bytes (u8), got {len(data)}", f"give --shape 1,H,W,C with H*W*C = {len(data)}"
        )
    return np.frombuffer(data, np.uint8).reshape(full_shape[1:])


def md5(data: bytes) -> str:
    """The md5 of the data in hex; it names content and guards nothing."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
