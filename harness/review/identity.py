"""Which files a run is about: size and md5 of each, taken before anything is sent and held against them later.

A run lasts minutes or hours, and `--resume` may come days later, while toolchains write models in place. What was
measured with one file and judged, or gone on with, by another of the same name would be a verdict about neither.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from harness.errors import InputError
from harness.records import Case, FileIdentity, Run
from harness.reference.onnx_file import load_model

CHUNK_BYTES = 2**20
ANEW = "start a new run"  # what every refusal says, with the command behind it
SHOWN = 4  # differences that are listed one by one
SENT = ("model", "input", "support")  # roles of what the board got: it is what it was when it was sent
_LOCATION = b"location"  # the key that names a file of weights in an ONNX; without it none is there


def files_of(case: Case, beside: Sequence[Path] = (), support: Sequence[Path] = ()) -> tuple[tuple[str, Path], ...]:
    """(role, path) of every file and folder on this PC that decides what a run measures or how it is judged.

    `beside` are the toolchain's files that lie beside the model, `support` what the platform sends with it.
    """
    named = [("model", case.model), *(("input", path) for _, path in case.inputs)]
    named += [*(("support", path) for path in support), *(("stage", path) for _, path in case.stages)]
    texts = {"reference": case.reference, "float model": case.floats, "graph": case.graph, "mapping": case.mapping}
    if case.samples is not None:
        named += [("samples", path) for _, path in case.samples.sources]
        texts["truth"] = case.samples.truth
    named_run = "" if Path(case.previous).is_dir() or not case.previous.endswith(".json") else case.previous
    texts |= {"earlier run": named_run, "policy": case.policy if Path(case.policy).is_absolute() else ""}
    named += [(role, Path(text)) for role, text in texts.items() if text]
    return (*named, *(("build", path) for path in (*case.build, *beside)))


def take(named: Iterable[tuple[str, Path]]) -> tuple[FileIdentity, ...]:
    """Hash them; one that is not there has no files. Errors: InputError for what cannot be read."""
    return tuple(FileIdentity(role, str(path), _files(path)) for role, path in named)


def _files(path: Path) -> dict[str, tuple[int, str]]:
    """(bytes, md5) by name below `path`; a file is named "". An ONNX brings its files of weights."""
    if path.is_dir():
        inside = sorted(Path(folder) / name for folder, _, names in os.walk(path) for name in names)
        return {str(file.relative_to(path)): _digest(file)[:2] for file in inside if file.is_file()}
    if not path.is_file():
        return {}
    size, md5, has_weights = _digest(path)
    weights = _weights(path) if has_weights and path.suffix == ".onnx" else {}
    return {"": (size, md5), **weights}


def _digest(path: Path) -> tuple[int, str, bool]:
    """Size, md5, and whether the bytes may name a file of weights."""
    digest, size, tail, has_location = hashlib.md5(usedforsecurity=False), 0, b"", False
    try:
        with path.open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                digest.update(piece)
                size += len(piece)
                has_location = has_location or _LOCATION in tail + piece
                tail = piece[-len(_LOCATION) :]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", "check its permissions: ls -l") from error
    return size, digest.hexdigest(), has_location


def _weights(model: Path) -> dict[str, tuple[int, str]]:
    """Files beside an ONNX that hold its weights; those outside its folder are refused where the model is loaded."""
    try:
        tensors = load_model(model).graph.initializer
    except InputError:  # what reads it for its contents says what is wrong with it
        return {}
    locations = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    inside = [
        name for name in sorted(locations) if not PurePosixPath(name).is_absolute() and ".." not in Path(name).parts
    ]
    return {name: _digest(model.parent / name)[:2] for name in inside if (model.parent / name).is_file()}


def differences(before: Iterable[FileIdentity], now: Iterable[FileIdentity]) -> list[str]:
    """What is not as it was, a sentence for each file with both md5s."""
    was = {(one.role, one.path): one for one in before}
    current = {(one.role, one.path): one for one in now}
    sentences = []
    for key in dict.fromkeys([*was, *current]):
        role, path = key
        then, since = (group[key].files if key in group else {} for group in (was, current))
        sentences += list(_changes(role, Path(path), then, since))
    return sentences


def _changes(
    role: str, path: Path, then: Mapping[str, tuple[int, str]], now: Mapping[str, tuple[int, str]]
) -> Iterator[str]:
    for name in dict.fromkeys([*then, *now]):
        old, new = then.get(name), now.get(name)
        folder = path if path.is_dir() or "" not in {*then, *now} else path.parent
        file = path if not name else folder / name
        if old is None and new is not None:
            yield f"{file} ({role}) did not exist; now md5 {new[1]}, {new[0]} bytes"
        elif new is None and old is not None:
            yield f"{file} ({role}) no longer exists; it had md5 {old[1]}, {old[0]} bytes"
        elif old is not None and new is not None and old != new:
            yield f"{file} ({role}) was md5 {old[1]}, {old[0]} bytes; now md5 {new[1]}, {new[0]} bytes"


def refuse(changed: Sequence[str], since: str, command: str) -> None:
    """Errors: InputError that names every file, and the `command` that begins anew."""
    if changed:
        more = [f"and {len(changed) - SHOWN} more"] if len(changed) > SHOWN else []
        listed = "; ".join([*changed[:SHOWN], *more])
        raise InputError(f"files have changed since {since}: {listed}", f"{ANEW}: {command or 'harness run'}")


def for_record(text: str, files: Iterable[FileIdentity]) -> str:
    """A text for run.json, which goes into tickets: files of a run without the folders they lie in, and without the
    command, which stands there by itself."""
    before, begins, _ = text.partition(f"{ANEW}: ")
    text = before + (ANEW if begins else "")
    folders = {str(Path(one.path).parent).rstrip("/") + "/" for one in files}
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(folder, "")
    return text


def without(named: Iterable[tuple[str, Path]], roles: Sequence[str]) -> list[tuple[str, Path]]:
    """Those of other roles."""
    return [(role, path) for role, path in named if role not in roles]


def again(named: Iterable[FileIdentity], roles: Sequence[str]) -> tuple[list[FileIdentity], tuple[FileIdentity, ...]]:
    """Those of some roles as they were, and as they are now."""
    before = [one for one in named if one.role in roles]
    return before, take((one.role, Path(one.path)) for one in before)


def command_of(run: Run) -> str:
    """What makes a run anew, typed where the user stands; "" where its run.json does not say."""
    line, folder = (run.command.line, run.command.folder) if run.command else ("", "")
    return f"cd {shlex.quote(folder)} && {line}" if line and folder and folder != str(Path.cwd()) else line
