"""Folders of tensor files from anywhere: our manifest, a platform's dump names, plain .npy, .npz or .bin.

Names and sizes in such folders are untrusted: a manifest's file names stay inside its folder, arrays of Python
objects are refused, and a file that cannot be read is a dump without a spec, never a missing one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import platforms
from harness.dumps.described import with_scales
from harness.dumps.manifest import (
    MANIFEST,
    NUMPY_DTYPES,
    _real,
    inside,
    order_of,
    read_manifest,
    spec_from_json,
)
from harness.dumps.texts import of_texts
from harness.errors import InputError
from harness.files.npy import npy_type
from harness.files.npz import unpacked
from harness.files.packed import refuse_packed, refuse_packed_files
from harness.files.safe import refuse_links_out
from harness.files.scratch import scratch_folder
from harness.platforms.base import Platform
from harness.records import Dump, Gap, ModelInfo, TensorSpec


def each_once(layers: Sequence[Dump], outputs: Sequence[Dump]) -> tuple[Dump, ...]:
    """Layers and outputs; an output that was dumped in both ways counts once, with the spec of the model."""
    named = {dump.name for dump in outputs}
    return (*(dump for dump in layers if dump.name not in named), *outputs)


def read_dumps(path: Path, platform: str = "", *, plain: bool = False) -> tuple[Dump, ...]:
    """Every tensor file in a folder or .npz, in the order of their index or name. `plain`: by their names alone.
    Of a folder without any, texts that hold numbers only.

    `platform` is the name of the platform whose dump names are meant; "" tries those that are known and takes
    the one that reads the most files. Errors: InputError for a path that does not exist or holds no tensor file,
    LinkInside for a link in the folder that leads out of it.
    """
    if path.is_file() and path.suffix == ".npz":
        return with_scales(_npz(path), path.parent)
    refuse_packed(path, "a folder of dumps")
    if not path.is_dir():
        what = "expected a folder or .npz of dumps" if path.exists() else "no such file or folder"
        raise InputError(f"{path}: {what}", "give the folder that the board's tool wrote")
    refuse_links_out(path)
    path = of_texts(path)
    if (path / MANIFEST).is_file():
        return _from_manifest(path)
    if (path / "run.json").is_file():
        raise InputError(f"{path}: expected a folder of dumps, got a run folder", f"give {path / 'debug'}")
    inner = next(path.rglob("run.json"), None)
    if inner is not None:
        raise InputError(f"{path}: expected a folder of dumps, got a folder of runs", f"give {inner.parent / 'debug'}")
    files = sorted(f for f in path.rglob("*") if f.suffix in (".npy", ".bin") and f.is_file())
    named = () if plain else _by_platform(path, platform)
    known = {_real(dump.path) for dump in named}
    dumps = (*named, *(plain_dump(f) for f in files if _real(f) not in known))
    dumps = with_scales(dumps, path)
    if not dumps:
        refuse_packed_files(path, sorted(path.rglob("*")), "a dump")
        question = "give the folder of the debug run's dumps"
        text = "its .txt files hold more than numbers: not read as dumps; make the tool write .bin"
        hint = text if any(path.rglob("*.txt")) else question
        raise InputError(f"{path}: no .bin or .npy files found", hint)
    return dumps


def plain_dump(path: Path) -> Dump:
    """A file that says nothing but its name: an .npy tells dtype and shape, a .bin nothing."""
    return Dump(name=path.stem, path=path, spec=npy_spec(path) if path.suffix == ".npy" else None)


def npy_spec(path: Path) -> TensorSpec | None:
    """What an .npy header tells; None for one that cannot be read."""
    if not path.is_file():  # reading a pipe would never end
        return None
    try:
        stored, shape = npy_type(path)
    except (OSError, ValueError, EOFError):
        return None
    dtype = "bf16" if stored.str[1:] == "V2" else NUMPY_DTYPES.get(stored.name)  # as ml_dtypes saves it
    return TensorSpec(path.stem, dtype, tuple(shape)) if dtype else None


def _from_manifest(folder: Path) -> tuple[Dump, ...]:
    manifest = read_manifest(folder)
    return tuple(_manifest_dump(folder, record) for record in manifest["tensors"])


def _manifest_dump(folder: Path, record: Any) -> Dump:
    where = str(folder / MANIFEST)
    if not isinstance(record, dict) or "name" not in record:
        raise InputError(f"{where}: unnamed tensor")
    name = str(record["name"])
    return Dump(
        name=name,
        path=inside(folder, record.get("file")),
        spec=spec_from_json(name, record, where) if "dtype" in record else None,
        op=str(record.get("op", "")),
        op_kind=str(record.get("op_kind", "")),
        role="input" if record.get("role") == "input" or record.get("is_input") else "output",
        index=order_of(record),
        aliases=tuple(str(a) for a in record.get("aliases", ())),
        unit=str(record.get("unit", "")),
    )


def _npz(path: Path) -> tuple[Dump, ...]:
    """Members of an .npz as .npy files of a scratch folder. Errors: InputError for a file that is none."""
    return tuple(Dump(name, file, npy_spec(file)) for name, file in unpacked(path, scratch_folder()).items())


def recognise(path: Path) -> str:
    """The platform whose dump names a folder carries most; "" where none reads a single file."""
    return next(iter(candidates(path)), "")


def telling(path: Path) -> tuple[str, ...]:
    """Every platform whose names some files of a folder carry, the one with the most first."""
    path = of_texts(path)
    scores = {name: _telling(path, _named(name, path)) for name in platforms.names()}
    weights = {name: sum(by_depth.values()) for name, by_depth in scores.items()}
    return tuple(sorted((name for name in weights if weights[name]), key=lambda name: -weights[name]))


def candidates(path: Path) -> tuple[str, ...]:
    """The platforms whose names a folder carries equally well; several where they name their dumps alike.

    Errors: LinkInside for a link in the folder that leads out of it.
    """
    if not path.is_dir() or (path / MANIFEST).is_file():
        return ()
    refuse_links_out(path)
    path = of_texts(path)
    scores = {name: _telling(path, _named(name, path)) for name in platforms.names()}
    depth = min((depth for weights in scores.values() for depth in weights), default=0)  # copies lie in folders below
    counts = {name: weights.get(depth, 0) for name, weights in scores.items()}
    return tuple(name for name, count in counts.items() if count and count == max(counts.values()))


def _telling(folder: Path, dumps: Sequence[Dump]) -> dict[int, int]:
    """How much names said more than themselves, by the depth of their folder: a plain file is read by every platform
    and speaks for none, one that tells a number speaks twice."""
    counts: dict[int, int] = defaultdict(int)
    for dump in dumps:
        weight = (dump.index >= 0) + bool(dump.op or dump.op_kind or dump.aliases or dump.index >= 0)
        if weight:
            counts[len(dump.path.relative_to(folder).parts)] += weight
    return counts


def _by_platform(folder: Path, platform: str) -> tuple[Dump, ...]:
    name = platform or recognise(folder)
    return tuple(_with_header(dump) for dump in _named(name, folder)) if name else ()


def _with_header(dump: Dump) -> Dump:
    """An .npy tells its dtype and shape, whatever its name is."""
    if dump.path.suffix != ".npy" or dump.spec is not None:
        return dump
    return replace(dump, spec=npy_spec(dump.path))


def _named(name: str, folder: Path) -> tuple[Dump, ...]:
    """Layers, and the model's outputs; an output that is a layer's dump too is a further copy of it."""
    platform = platform_named(name)
    layers = platform.read_dumps(folder, "", ModelInfo(""))
    known, paths = {d.name for d in layers if d.role == "output"}, {d.path for d in layers}
    outputs = [d for d in platform.read_outputs(folder, "", ModelInfo("")) if d.path not in paths]
    return (*layers, *(replace(d, role="copy") if d.name in known else d for d in outputs))


def platform_named(name: str) -> Platform:
    """The platform of that name. Errors: ConfigError for one that is unknown."""
    return platforms.load(name)


def is_float_side(path: Path) -> bool:
    """Whether some toolchain lays down its own float graph's layers in this way."""
    return path.is_dir() and any(platform_named(name).is_float_side(path) for name in platforms.names())


def gaps(dumps: Sequence[Dump], platform: str) -> tuple[Gap, ...] | None:
    """Layers that the dumps' own numbers miss; None where they carry none."""
    return platform_named(platform).gaps(dumps) if platform else None


def runs_onnxruntime(platform: str) -> bool:
    """Whether the board's values may be those of ONNX Runtime's own kernels. Of an unknown platform ("") they may: a
    right op is not blamed for a kernel that many runtimes share, and the note says whose it is."""
    return not platform or platform_named(platform).runs_onnxruntime
