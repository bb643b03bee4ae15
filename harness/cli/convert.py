"""`harness convert`: board inputs from pictures and PC dumps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import clean, emit_json, json_option
from harness.errors import InputError
from harness.files.safe import output_file

if TYPE_CHECKING:
    from harness.images.pictures import U8

FORMS = ("nhwc", "nchw", "nv12", "header")
HEADER_CHANNELS = 4  # of the array that board programs compile in: colours, and a fourth plane of zeros
FITS = ("letterbox", "stretch", "none")


@dataclass(frozen=True)
class Made:
    """What was written, with md5 of both ends."""

    source: str
    source_md5: str
    pixels_md5: str
    output: str
    output_md5: str
    output_bytes: int
    form: str
    shape: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ConvertOptions:
    """Options of the command line."""

    form: str
    size: str
    fit: str
    padding: int
    channels: str | None
    colour: str
    levels: str
    align: int
    shape: str
    output: Path | None


@click.command(name="convert")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(FORMS), default="nhwc", show_default=True, help="Layout of the output.")
@click.option("--size", default="", metavar="WxH", help="Size of the board's input. Default: the source's.")
@click.option("--fit", type=click.Choice(FITS), default="letterbox", show_default=True, help="Resize method.")
@click.option(
    "--pad", "padding", default=0, type=click.IntRange(0, 255), show_default=True, help="Letterbox padding value."
)
@click.option(
    "--channels",
    default=None,
    type=click.Choice(["1", "3", "4"]),
    help="Channels. Default: the source's; 4 for header.",
)
@click.option("--colour", type=click.Choice(["rgb", "bgr"]), default="rgb", show_default=True, help="Output order.")
@click.option("--range", "levels", type=click.Choice(["full", "video"]), default="full", help="BT.601 range of NV12.")
@click.option("--align", metavar="N", default=1, show_default=True, help="Pad rows to a multiple of N bytes.")
@click.option("--shape", default="", metavar="N,H,W,C", help="Shape of a raw source, if not in its name.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File or folder. Default: the current folder.")
@json_option
def command(source: Path, as_json: bool, **given: Any) -> None:
    """Convert a picture, an array (.npy), a PC dump or a raw tensor to a board's input file.

        \b
        Examples:
          harness convert photo.jpg --size 640x384                    letterbox, NHWC, photo_1_384_640_3.bin
          harness convert photo.jpg --size 640x384 --channels 4       with a zero 4th channel, as in Magik's samples
          harness convert input_data_shape_1_384_640_3.bin --to header -o img_input.h     h*w*4, the fourth is 0
          harness convert photo.jpg --size 640x640 --to nv12 -o photo.nv12
          harness convert pixels.npy --to nchw                        u8, H,W,C or 1,H,W,C or 1,C,H,W
          harness convert photo.jpg --size 300x200 --to nv12 --align 16 -o strided.nv12

        \b
    Output names end in _N_H_W_C without other dots: Magik's debug programs read the shape from there.
    """
    made = _convert(source, ConvertOptions(**given))
    if as_json:
        emit_json("convert", made)
        return
    click.echo(clean(f"{made.source_md5}  {made.source}"))
    click.echo(clean(f"{made.output_md5}  {made.output}"))
    sizes = "x".join(map(str, made.shape))
    click.echo(f"{made.form} {sizes}, {made.output_bytes} bytes; pixels {made.pixels_md5}")
    for note in made.notes:
        click.echo(clean(f"note: {note}"))


def _convert(source: Path, given: ConvertOptions) -> Made:
    from harness.images import pictures as images

    if not source.is_file():
        what = "expected a file, got a folder" if source.is_dir() else "no such file"
        raise InputError(f"{source}: {what}", "give a picture, an array (.npy), a raw tensor (.bin) or a .nv12")
    _refuse_idle(source, given)
    if source.suffix.lower() == ".nv12" and given.form == "nv12":
        return _restrided(source, given)
    pixels, notes = _load(source, given)
    pixels, more = _fitted(pixels, given)
    notes += more
    pixels = _coloured(pixels, source, given, notes)
    data, shape, suffix = _laid_out(pixels, given)
    target = _target(source, given.output, shape, suffix, given.form)
    with output_file(target) as file:
        file.write(data)
    return Made(
        source=str(source),
        source_md5=images.md5(source.read_bytes()),
        pixels_md5=images.md5(pixels.tobytes()),
        output=str(target),
        output_md5=images.md5(data),
        output_bytes=len(data),
        form=given.form,
        shape=shape,
        notes=tuple(notes),
    )


def _refuse_idle(source: Path, given: ConvertOptions) -> None:
    """Refuse options that would have no effect on this source and form."""
    nv12 = given.form == "nv12"
    idle = {
        "--shape": bool(given.shape) and source.suffix.lower() not in (".bin", ".raw", ".nv12"),
        "--channels": bool(given.channels) and nv12,
        "--colour": given.colour != "rgb" and nv12,
        "--range": given.levels != "full" and not nv12,
        "--pad": given.padding != 0 and (given.fit != "letterbox" or not given.size),
    }
    for option, is_idle in idle.items():
        if is_idle:
            raise click.UsageError(f"{option} has no effect when converting {source.name} to {given.form}.")


def _restrided(source: Path, given: ConvertOptions) -> Made:
    """NV12 stays NV12: only its rows are padded."""
    import numpy as np

    from harness.images import pictures as images

    shape = _shape(given.shape)
    data = source.read_bytes()
    if shape is None or shape[1] % 2 or shape[2] % 2 or len(data) != shape[1] * shape[2] * 3 // 2 or given.size:
        raise InputError(
            f"{source}: {len(data)} bytes do not match --shape (NV12 to NV12 keeps the size)",
            "for example --shape 1,384,640,3",
        )
    rows = np.frombuffer(data, np.uint8).reshape(-1, shape[2])
    made = images.aligned(rows, given.align).tobytes()
    target = _target(source, given.output, shape, ".nv12", "nv12")
    with output_file(target) as file:
        file.write(made)
    sums = images.md5(data), images.md5(made)
    return Made(str(source), sums[0], sums[0], str(target), sums[1], len(made), "nv12", shape, ())


def _load(source: Path, given: ConvertOptions) -> tuple[U8, list[str]]:
    from harness.files.arrays import is_npy
    from harness.files.packed import refuse_packed
    from harness.images import pictures as images

    refuse_packed(source, "a picture or a tensor")
    suffix = source.suffix.lower()
    if suffix == ".nv12":
        return _load_nv12(source, given), ["NV12 converted to YUV444, chroma repeated"]
    if suffix in (".bin", ".raw", ".h"):
        if suffix == ".h":
            raise InputError(f"{source}: C headers cannot be converted", "convert the .bin it was made from")
        return images.load_raw(source, _shape(given.shape)), []
    return images.load_array(source) if is_npy(source) else (images.load_picture(source), [])


def _load_nv12(source: Path, given: ConvertOptions) -> U8:
    from harness.images.pixels import nv12_to_yuv444

    shape = _shape(given.shape)
    if shape is None:
        raise InputError(f"{source}: NV12 needs --shape", "for example --shape 1,384,640,3")
    return nv12_to_yuv444(source.read_bytes(), shape[1], shape[2])


def _shape(text: str) -> tuple[int, int, int, int] | None:
    if not text:
        return None
    parts = text.replace(" ", "").split(",")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and 0 < int(part) < 10**6 for part in parts):
        numbers = [number.lstrip("0") or "1" for number in re.findall("[0-9]{1,6}", text)]
        shown = [*["1"] * (4 - len(numbers)), *numbers] if len(numbers) in (3, 4) else ["1", "384", "640", "3"]
        raise InputError(f"--shape {text!r}: expected N,H,W,C", f"for example --shape {','.join(shown)}")
    return int(parts[0]), int(parts[1]), int(parts[2]), int(parts[3])


def _fitted(pixels: U8, given: ConvertOptions) -> tuple[U8, list[str]]:
    from harness.images import pictures as images

    height, width = pixels.shape[:2]
    wanted = _size(given.size) or (width, height)
    if wanted == (width, height):
        return pixels, []
    if given.fit == "none":
        raise InputError(f"the source is {width}x{height}, not {wanted[0]}x{wanted[1]}", "--fit letterbox or stretch")
    if given.fit == "stretch":
        return images.resize(pixels, *wanted), ["stretched: aspect ratio changed"]
    box = images.letterbox_of((width, height), wanted)
    message = f"scale {box.scale:.6f}, picture {box.width}x{box.height}, padding left {box.left} right {box.right}"
    note = f"{message} top {box.top} bottom {box.bottom}; not bit-equal to the board's hardware scaler"
    return images.letterbox(pixels, wanted[0], wanted[1], given.padding), [note]


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and 0 < int(part) <= 16384 for part in parts):
        numbers = [min(int(number), 16384) for number in re.findall("[0-9]{1,9}", text)]
        sides = (numbers * 2)[:2] if len(numbers) in (1, 2) and all(numbers) else [640, 384]
        raise InputError(f"--size {text!r}: expected WxH, each 1 to 16384", f"for example --size {sides[0]}x{sides[1]}")
    return int(parts[0]), int(parts[1])


def _coloured(pixels: U8, source: Path, given: ConvertOptions, notes: list[str]) -> U8:
    from harness.images import pictures as images

    picture = source.suffix.lower() not in (".bin", ".raw", ".nv12")
    if given.form == "nv12":
        if pixels.shape[2] < 3:
            raise InputError(f"NV12 needs 3 channels, the source has {pixels.shape[2]}")
        return pixels[..., :3]
    pixels = images.as_rgb(pixels) if given.form == "header" and not given.channels else pixels
    channels = int(given.channels or (HEADER_CHANNELS if given.form == "header" else pixels.shape[2]))
    pixels = images.with_channels(pixels, channels)
    if given.colour == "bgr" and channels >= 3:
        order = [2, 1, 0, 3][:channels]
        pixels = pixels[..., order]
        if not picture:
            notes.append("first and third channels of the raw source swapped (--colour bgr)")
    return pixels


def _laid_out(pixels: U8, given: ConvertOptions) -> tuple[bytes, tuple[int, ...], str]:
    """Bytes, shape in the output's order, suffix."""
    import numpy as np

    from harness.images import pictures as images

    height, width, channels = pixels.shape
    form, step = given.form, given.align
    if form == "nv12":
        planes = images.to_nv12(pixels, video=given.levels == "video")
        rows = [images.aligned(plane, step) for plane in planes]
        return b"".join(plane.tobytes() for plane in rows), (1, height, width, 3), ".nv12"
    if form == "nchw":
        flat = np.ascontiguousarray(pixels.transpose(2, 0, 1)).reshape(channels * height, width)
        return images.aligned(flat, step).tobytes(), (1, channels, height, width), ".bin"
    data = images.aligned(pixels.reshape(height, width * channels), step).tobytes()
    if form == "header":
        return images.c_header(data).encode(), (1, height, width, channels), ".h"
    return data, (1, height, width, channels), ".bin"


def _target(source: Path, output: Path | None, shape: tuple[int, ...], suffix: str, form: str) -> Path:
    """Where it goes. Errors: InputError for a folder that is not there, or for the source itself."""
    from harness.images.pictures import shaped_name

    sizes = (shape[0], shape[1], shape[2], shape[3])
    name = Path(shaped_name(source.stem, sizes)).with_suffix(suffix).name
    target = output or Path(name)  # never beside the source, which may be a data set that others read
    if target.is_dir():
        target = target / name
    if not target.parent.is_dir():
        raise InputError(f"{target.parent}: no such folder", "create it, or give another -o")
    if target.resolve() == source.resolve():
        raise InputError(f"{target}: the output would overwrite the source", "give another -o")
    return target
