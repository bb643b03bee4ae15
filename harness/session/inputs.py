"""Which file goes to which input of the model: by name or by order, with the sizes the board's tool takes."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from harness.errors import InputError
from harness.files.arrays import Raw, convert_line, is_npy, is_picture, read_npy
from harness.files.npz import unpacked
from harness.files.packed import packing, refuse_packed
from harness.files.safe import make_folder, new_file, write_file
from harness.files.scratch import scratch_folder
from harness.names import safe_name
from harness.records import FedInput, InputFacts
from harness.session.strides import PaddedRows, hint_of, without_padding

NOISE_SEED = 20260101  # fixed, so that two runs without --input feed the same bytes
FLOATS = {"f16": "<f2", "f32": "<f4", "f64": "<f8"}
NV12 = re.compile(r"--size (?P<width>[0-9]{1,5})x(?P<height>[0-9]{1,5}) --to nv12")  # of InputFacts.convert
WHOLE_NUMBERS = re.compile(r"[su][0-9]{1,2}|bool8")  # any bytes are values of these


@dataclass(frozen=True)
class InputFile:
    """One input file in the model's order."""

    tensor: str
    path: Path
    generated: bool = False
    note: str = ""
    given_name: str = ""  # as the user's file is called; `path` may be the copy in the run folder


def plan_inputs(
    given: Sequence[tuple[str, Path]], facts: Sequence[InputFacts], scratch: Path, *, raw: bool = False
) -> tuple[InputFile, ...]:
    """Order the given files as the model wants them; make seeded noise when none was given, and say so.

    What is used lies in `scratch` afterwards; an .npy of the input's dtype and shape lies there as raw bytes.
    `facts` is the platform's answer for each input, in the model's order.
    `raw` says that a picture will not do, though the board's tool decodes some: a reference is fed with the same bytes.
    Errors: InputError for a missing file, an unknown or repeated tensor, a wrong number, size, dtype or shape.
    """
    if not given:
        return tuple(_noise(fact, scratch) for fact in facts)
    for _, path in given:
        if not path.is_file():
            raise InputError(f"{path}: no such input file", "check the path; --input takes FILE or TENSOR=FILE")
    whole = _members(given, facts)
    given = _planes(whole, facts, scratch)
    ordered = _by_name(given, facts) if any(name for name, _ in given) else _by_order(given, facts)
    plan = [
        _taken(item, fact, position, scratch, raw)
        for position, (item, fact) in enumerate(zip(ordered, facts, strict=True))
    ]
    if given is not whole and (padded := _padded(whole[0][1], _whole_nv12(facts))) is not None:
        plan[0] = replace(plan[0], note=padded.words(plan[0].tensor, f"{whole[0][1].name}, NV12"))
    if given is not whole and is_picture(whole[0][1]):
        name = whole[0][1].name
        line = convert_line(Path(name), _nv12_fact(facts[0].name.removesuffix("_y"), facts[0]))
        plan[0] = replace(plan[0], note=f"input {plan[0].tensor!r} and its chroma are {name} as NV12: {line}")
    return tuple(plan)


def _members(given: Sequence[tuple[str, Path]], facts: Sequence[InputFacts]) -> list[tuple[str, Path]]:
    """Archives (.npz) as their arrays, each under its name; one that was given for a tensor holds that array, or one.

    Arrays of other names (a reference's layers beside its inputs) are left out where all inputs are there.
    Errors: InputError for an archive without the array that is wanted.
    """
    members: list[tuple[str, Path]] = []
    for tensor, path in given:
        if path.suffix.lower() != ".npz":
            members.append((tensor, path))
            continue
        arrays = unpacked(path, scratch_folder())
        if tensor and tensor not in arrays and len(arrays) == 1:
            arrays = {tensor: next(iter(arrays.values()))}
        wanted = [tensor] if tensor else [fact.name for fact in facts]
        if missing := next((name for name in wanted if name not in arrays), ""):
            raise InputError(f"{path}: no array {missing!r} in it", f"it holds: {', '.join(list(arrays)[:8])}")
        members += [(name, _called(arrays[name], name)) for name in wanted]
    return members


def _called(array: Path, name: str) -> Path:
    """The file under its array's name, in a folder of its own: two names may be one file name."""
    folder = array.with_suffix("")
    make_folder(folder)
    return array.rename(folder / f"{safe_name(name)}.npy")


def wants_raw(modes: Sequence[str], facts: Sequence[InputFacts], *, values: bool) -> bool:
    """Whether a picture that the board's tool decodes will not do: a PC's model, or a debug program, takes values."""
    raw_modes = {mode for fact in facts for mode in fact.raw_modes}
    return values or bool(raw_modes & set(modes))


def tool_name(fed: FedInput) -> str:
    """An input's name for programs that read its shape from there: an array's is that of its raw bytes."""
    kept = PurePosixPath(fed.file).name
    became_raw = fed.name.endswith(".npy") and not kept.endswith(".npy")
    return kept.partition("_")[2] if became_raw else fed.name


def _planes(
    given: Sequence[tuple[str, Path]], facts: Sequence[InputFacts], scratch: Path
) -> Sequence[tuple[str, Path]]:
    """One NV12 file for a model that takes its two planes as inputs `..._y` and `..._uv`: two files in `scratch`.

    Newer toolchains compile an NV12 input so. Anything that is not surely one is given back as it is.
    """
    sizes = [fact.size_bytes or 0 for fact in facts]
    names = [fact.name for fact in facts]
    if len(given) != 1 or len(facts) != 2 or 0 in sizes or sizes[0] != 2 * sizes[1]:
        return given
    stem = names[0].removesuffix("_y")
    if names != [f"{stem}_y", f"{stem}_uv"] or given[0][0] not in ("", stem):
        return given
    path = given[0][1]
    fact = _nv12_fact(stem, facts[0])
    is_image = is_picture(path) and path.stat().st_size != sum(sizes)
    if is_image and not fact.convert:
        raise _picture(path, fact)
    whole = _whole_nv12(facts)
    data = _nv12_of(path, fact) if is_image else read_npy(path, whole).data if is_npy(path) else path.read_bytes()
    if len(data) != sum(sizes):
        padded = _padded(path, whole)
        if padded is None:
            return given
        data = padded.data
    planes = [(names[0], data[: sizes[0]]), (names[1], data[sizes[0] :])]
    for name, plane in planes:
        write_file(scratch / f"{safe_name(name)}.bin", plane, scratch.parent)
    return [(name, scratch / f"{safe_name(name)}.bin") for name, _ in planes]


def _whole_nv12(planes: Sequence[InputFacts]) -> InputFacts:
    """What a file of both planes is."""
    size = sum(fact.size_bytes or 0 for fact in planes)
    return InputFacts(planes[0].name, size, "u8", shapes=((size,), *_nv12_shapes(planes[0])))


def _nv12_fact(stem: str, luma: InputFacts) -> InputFacts:
    """What is said of the two planes' one picture."""
    sides = [f"{shape[1]}x{shape[0] // 3 * 2}" for shape in _nv12_shapes(luma)]
    described = f"NV12 {''.join(sides)}, split into its two planes"
    return InputFacts(stem, None, "u8", described, convert=f"--size {sides[0]} --to nv12" if sides else "")


def _nv12_shapes(luma: InputFacts) -> tuple[tuple[int, ...], ...]:
    """The usual array of an NV12 picture, (H * 3 / 2, W), from the shape of its luma plane."""
    sizes = [size for size in next(iter(luma.shapes), ()) if size != 1]
    return ((sizes[0] * 3 // 2, sizes[1]),) if len(sizes) == 2 else ()


def _taken(item: InputFile, fact: InputFacts, position: int, scratch: Path, raw: bool) -> InputFile:
    """One file, held against what its input takes, and kept in `scratch`."""
    if is_npy(item.path):
        array = read_npy(item.path, fact)
        if not array.is_open or ".npy" not in fact.encoded_suffixes:
            return _of_array(item, array, position, scratch)
        return _kept(item, position, scratch)
    if _is_nv12_picture(item.path, fact, raw):
        return _as_nv12(item, fact, position, scratch)
    if (padded := _padded(item.path, fact)) is not None:
        path = scratch / f"{position}_{safe_name(item.path.stem)}{item.path.suffix}"
        write_file(path, padded.data, scratch.parent)
        return replace(item, path=path, given_name=item.path.name, note=padded.words(item.tensor, item.path.name))
    _check_size(item, fact, raw)
    return _kept(item, position, scratch)


def _padded(path: Path, fact: InputFacts) -> PaddedRows | None:
    """The input of a raw file with padded rows; None for pictures, packed files, and what is far from its size."""
    size, expected = path.stat().st_size, fact.size_bytes or 0
    if not expected < size <= 2 * expected or is_picture(path) or packing(path) is not None:
        return None
    return without_padding(path.read_bytes(), fact)


def _is_nv12_picture(path: Path, fact: InputFacts, raw: bool) -> bool:
    """Whether a jpg or png was given where NV12 is wanted; a reference is then fed with the same bytes as the board."""
    decoded = path.suffix.lower() in fact.encoded_suffixes and not raw
    return NV12.search(fact.convert) is not None and is_picture(path) and not decoded and not _fits(path, fact)


def _fits(path: Path, fact: InputFacts) -> bool:
    return path.stat().st_size == fact.size_bytes


def _as_nv12(item: InputFile, fact: InputFacts, position: int, scratch: Path) -> InputFile:
    """The picture as `harness convert` makes it, with the line that does."""
    data = _nv12_of(item.path, fact)
    path = scratch / f"{position}_{safe_name(item.path.stem)}.nv12"
    write_file(path, data, scratch.parent)
    note = f"input {item.tensor!r} is {item.path.name} as NV12: {convert_line(Path(item.path.name), fact)}"
    return replace(item, path=path, given_name=item.path.name, note=note)


def _nv12_of(path: Path, fact: InputFacts) -> bytes:
    """Errors: InputError for a file that is no picture after all."""
    from harness.images.pictures import letterbox, load_picture, to_nv12

    sides = NV12.search(fact.convert)
    assert sides is not None
    planes = to_nv12(letterbox(load_picture(path), int(sides["width"]), int(sides["height"])))
    return b"".join(plane.tobytes() for plane in planes)


def _of_array(item: InputFile, array: Raw, position: int, scratch: Path) -> InputFile:
    """Its raw bytes, named by its shape where that has the four sizes that some programs read from the name."""
    sizes = "".join(f"_{size}" for size in array.shape) if len(array.shape) == 4 else ""
    path = scratch / f"{position}_{safe_name(item.path.stem)}{sizes}.bin"
    write_file(path, array.data, scratch.parent)
    note = f"input {item.tensor!r} is the {'x'.join(map(str, array.shape))} array of {item.path.name}, as raw bytes"
    return replace(item, path=path, given_name=item.path.name, note=note)


def _kept(item: InputFile, position: int, scratch: Path) -> InputFile:
    """A copy in the run folder, so that the run can be judged again when the original is gone."""
    path = scratch / f"{position}_{safe_name(item.path.stem)}{item.path.suffix}"
    with item.path.open("rb") as source, new_file(path, scratch.parent) as target:
        shutil.copyfileobj(source, target)
    return replace(item, path=path, given_name=item.path.name)


def _noise(fact: InputFacts, scratch: Path) -> InputFile:
    path = scratch / f"{safe_name(fact.name)}.bin"
    write_file(path, _noise_bytes(fact), scratch.parent)
    note = f"input {fact.name!r} is seeded noise (seed {NOISE_SEED}), because no --input was given"
    return InputFile(fact.name, path, generated=True, note=note)


def _noise_bytes(fact: InputFacts) -> bytes:
    """Noise that is a valid number in the input's type: raw random bytes read as floats would hold NaN.

    Errors: InputError for an input of no fixed size, or of an unknown type, or of one that no noise is known for.
    """
    if not fact.size_bytes:
        raise _not_made_up(fact, "has no fixed size")
    if fact.dtype in FLOATS:
        import numpy as np

        kind = np.dtype(FLOATS[fact.dtype])
        return (
            np.random.default_rng(NOISE_SEED).standard_normal(fact.size_bytes // kind.itemsize).astype(kind).tobytes()
        )
    if not WHOLE_NUMBERS.fullmatch(fact.dtype):
        raise _not_made_up(fact, f"is of type {fact.dtype!r}" if fact.dtype else "has no dtype reported by the board")
    return random.Random(NOISE_SEED).randbytes(fact.size_bytes)


def _not_made_up(fact: InputFacts, why: str) -> InputError:
    return InputError(
        f"input {fact.name!r} {why}, so no noise can be generated for it", f"give --input {fact.name}=FILE"
    )


def _by_name(given: Sequence[tuple[str, Path]], facts: Sequence[InputFacts]) -> tuple[InputFile, ...]:
    names = [fact.name for fact in facts]
    files: dict[str, Path] = {}
    for name, path in given:
        if not name:
            raise InputError(f"{path}: inputs given by name and by order are mixed", "give every input as TENSOR=FILE")
        if name not in names:
            near = get_close_matches(name, names, n=1)
            raise InputError(
                f"the model has no input {name!r}",
                f"did you mean {near[0]!r}?" if near else f"its inputs: {', '.join(names)}",
            )
        if name in files:
            raise InputError(f"input {name!r} given twice: {files[name]} and {path}")
        files[name] = path
    missing = [name for name in names if name not in files]
    if missing:
        raise InputError(f"no file for input {missing[0]!r}", f"give --input {missing[0]}=FILE")
    return tuple(InputFile(name, files[name]) for name in names)


def _by_order(given: Sequence[tuple[str, Path]], facts: Sequence[InputFacts]) -> tuple[InputFile, ...]:
    if len(given) != len(facts):
        names = ", ".join(repr(fact.name) for fact in facts)
        raise InputError(
            f"expected {len(facts)} input{'' if len(facts) == 1 else 's'} ({names}), got {len(given)}",
            "give one --input for each, in this order or as TENSOR=FILE",
        )
    return tuple(InputFile(fact.name, path) for fact, (_, path) in zip(facts, given, strict=True))


def _check_size(item: InputFile, fact: InputFacts, raw: bool) -> None:
    """Errors: InputError for a picture where pixels are wanted, a packed file, or another number of bytes."""
    size, expected = item.path.stat().st_size, fact.size_bytes
    decoded = item.path.suffix.lower() in fact.encoded_suffixes  # the tool decodes jpg and txt itself
    if is_picture(item.path) and (raw or not decoded) and size != expected:
        raise _picture(item.path, fact)
    if not expected or size == expected or decoded:
        return
    refuse_packed(item.path, f"the {expected} bytes of input {item.tensor!r}")
    raise InputError(
        f"{item.path}: input {item.tensor!r} needs {expected} bytes ({fact.describe}), the file has {size}",
        hint_of(fact, size) or "make it with harness convert, or give an .npy of the right dtype and shape",
    )


def _picture(path: Path, fact: InputFacts) -> InputError:
    """What is said of a jpg or png: the whole line that converts it, or that no line does."""
    line = convert_line(path, fact)
    otherwise = "preprocess it as in training, save it (np.save('input.npy', array)), and give the .npy"
    return InputError(
        f"{path}: is a picture; input {fact.name!r} needs raw values ({fact.describe})",
        f"{line}   (then give its output with --input)" if line else otherwise,
    )
