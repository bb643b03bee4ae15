"""`harness unbundle`: an archive from anybody, opened in an empty folder and compared again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.dumps.manifest import inside
from harness.errors import InputError
from harness.files.archives import ArchivedFile, list_archive, unpack_archive
from harness.handover.bundle import FORMAT, LIST, BundledOp, BundleList
from harness.handover.replay import replay
from harness.records.codec import from_json

MOST_LIST_BYTES = 64 * 2**20
_ASIDE = "do not trust this archive; get it again from where it was made"


def open_bundle(archive: Path, folder: Path) -> BundleList:
    """Unpack an archive into an empty folder and check it against its own list.

    Errors: InputError for one that is not taken, is no bundle, of a newer version, or whose files are not those of its
    list.
    """
    files = list_archive(archive)
    if LIST not in {file.name for file in files}:
        raise InputError(f"{archive}: no {LIST} inside: not an archive of harness bundle")
    unpack_archive(archive, folder)
    return read_bundle(folder, files)


def read_bundle(folder: Path, files: Sequence[ArchivedFile]) -> BundleList:
    """The list of a bundle that was unpacked, held against its `files`. Errors: InputError."""
    listed = _list_of(folder / LIST)
    wanted = {file.name: file for file in listed.files}
    given = {file.name for file in files} - {LIST}
    for name in sorted(given ^ set(wanted)):
        raise InputError(f"{folder}: {name!r} is not in both the archive and its list", _ASIDE)
    for name, file in wanted.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != file.sha256:
            raise InputError(f"{folder}: {name!r} is not what the list says (sha256)", _ASIDE)
    for one in listed.ops:
        _check_names(folder, one)
    return listed


def _list_of(path: Path) -> BundleList:
    try:
        if path.stat().st_size > MOST_LIST_BYTES:
            raise InputError(f"{path}: larger than {MOST_LIST_BYTES} bytes", _ASIDE)
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable list ({error})", _ASIDE) from None
    version = value.get("format") if isinstance(value, dict) else None
    if type(version) is not int or version > FORMAT:
        raise InputError(f"{path}: format {version!r}, expected {FORMAT}", "update harness")
    read = from_json(BundleList, value)
    if read is None or read.damage:
        raise InputError(f"{path}: damaged: {read.damage[0] if read else 'no list of a bundle'}", _ASIDE)
    return read.value


def _check_names(folder: Path, one: BundledOp) -> None:
    """Names that files are looked up by. Errors: InputError for one that leads out."""
    base = inside(folder, one.op.folder)
    for name in (*one.op.inputs.values(), *one.op.repeats, *([one.op.previous] if one.op.previous else [])):
        inside(base, name)


def replayed(folder: Path, listed: BundleList) -> BundleList:
    """The list with what every op gives on this PC. Errors: InputError."""
    return replace(listed, ops=tuple(BundledOp(one.op, replay(folder, one.op)) for one in listed.ops))
