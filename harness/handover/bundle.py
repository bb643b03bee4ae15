"""`harness bundle`: one archive of a run, for the vendor. Looked through before it is written; refused where it is not
clean."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from harness import __version__
from harness.errors import InputError
from harness.files.archives import write_archive
from harness.files.scratch import scratch_folder
from harness.handover.contents import Item, items
from harness.handover.private_words import Leak, PrivateWords, words_of
from harness.handover.replay import Replayed, replay
from harness.handover.reproduction import OpFolder, sides_of_run, write_ops
from harness.records import Run
from harness.records.codec import to_json
from harness.records.json_values import Json
from harness.reference.onnx_runtime import onnxruntime

FORMAT = 1
LIST = "bundle.json"
SHOWN = 8  # leaks in a message
SECRETS = ("a private key", "a token", "a password")


@dataclass(frozen=True)
class BundledFile:
    """One file as the bundle's list holds it."""

    name: str
    what: str
    size_bytes: int
    sha256: str = ""


@dataclass(frozen=True)
class BundledOp:
    """One op that the run blames, and what came of comparing it again from its folder, when the bundle was made."""

    op: OpFolder
    replayed: Replayed = field(default_factory=Replayed)


@dataclass(frozen=True)
class BundleList:
    """`bundle.json`: what an archive is of, and every file in it."""

    format: int = FORMAT
    harness_version: str = ""
    redact: str = "names"
    run: str = ""  # id; "" of the wrong ops alone
    verdict: str = ""
    platform: str = ""
    soc: str = ""
    emulated: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    ops: tuple[BundledOp, ...] = ()
    files: tuple[BundledFile, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """A bundle before it is written."""

    listed: BundleList
    files: Mapping[str, Path | bytes]


def make_bundle(
    folder: Path, run: Run, level: str, leave_out: Sequence[str] = (), reference: Path | None = None
) -> Bundle:
    """All that goes into the archive of a run, looked through. `leave_out` are patterns of names.

    Errors: InputError where something private is left, the run blames no op and only ops were wanted, or both sides of
    it cannot be opened any more.
    """
    words = words_of([run])
    scratch = scratch_folder()
    ops, notes = _ops(folder, run, scratch, reference)
    if level == "op" and not ops:
        raise InputError(f"{folder}: this run names no op that is wrong: {_why(run)}", "use --redact weights")
    if level != "none":
        ops = [_cleaned(one, words) for one in ops]
    kept = [item for item in items(folder, run, level, words, scratch) if not _is_left_out(item, leave_out)]
    listed = _listed(run, level, ops, kept, notes if level == "none" else [words.cleaned(note) for note in notes])
    kept = [*kept, Item("README.txt", "what this is", readme(listed).encode())]
    listed = replace(listed, files=tuple(_file(item) for item in kept))
    text = json.dumps(to_json(listed), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    kept = [Item(LIST, "this list", text.encode("utf-8", "backslashreplace")), *kept]
    _refuse_leaks(kept, words, level)
    return Bundle(listed, {item.name: item.source for item in kept})


def write_bundle(bundle: Bundle, path: Path) -> int:
    """Write the archive; gives its size in bytes. Errors: OSError."""
    return write_archive(path, bundle.files)


def _ops(folder: Path, run: Run, scratch: Path, reference: Path | None) -> tuple[list[BundledOp], list[str]]:
    if run.comparison is None or not run.comparison.origins:
        return [], [f"no op: {_why(run)}"]
    sides = sides_of_run(folder, run, reference)
    ops = [BundledOp(one, replay(scratch, one)) for one in write_ops(sides, scratch)]
    gone = [f"{sides.policy.gone}: the default policy judges the ops"] if sides.policy.gone else []
    return ops, [*gone, *(_not_same(one) for one in ops if not one.replayed.same)]


def _why(run: Run) -> str:
    return run.verdict.detail if run.verdict is not None else "it was not judged"


def _not_same(one: BundledOp) -> str:
    again = one.replayed
    gives = f"{again.op} ({again.kind or 'no kind'})" if again.op else "no difference"
    return f"{one.op.op}: the run says {one.op.kind or 'no kind'}; compared alone: {gives}"


def _cleaned(one: BundledOp, words: PrivateWords) -> BundledOp:
    """Sentences only: names of ops and tensors have to stand."""
    again = replace(one.replayed, evidence=words.cleaned(one.replayed.evidence), note=words.cleaned(one.replayed.note))
    return BundledOp(replace(one.op, evidence=words.cleaned(one.op.evidence)), again)


def _is_left_out(item: Item, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(item.name, pattern) for pattern in patterns)


def _listed(run: Run, level: str, ops: Iterable[BundledOp], kept: Sequence[Item], notes: Iterable[str]) -> BundleList:
    own = {"onnxruntime": onnxruntime.__version__, "numpy": np.__version__, "harness": __version__}
    return BundleList(
        harness_version=__version__,
        redact=level,
        run=run.id if level != "op" else "",
        verdict=run.verdict.word if run.verdict is not None else "",
        platform=run.board.platform,
        soc=run.board.soc,
        emulated=run.board.emulated,
        versions={**run.versions, **own},
        ops=tuple(ops),
        files=tuple(_file(item) for item in kept),
        notes=tuple(notes),
    )


def _file(item: Item) -> BundledFile:
    content = item.content
    return BundledFile(item.name, item.what, len(content), hashlib.sha256(content).hexdigest())


def _refuse_leaks(kept: Iterable[Item], words: PrivateWords, level: str) -> None:
    """Errors: InputError with what is private, and where; of secrets never more than their place."""
    leaks = [leak for item in kept for leak in _leaks(item, words) if level != "none" or leak.kind in SECRETS]
    if not leaks:
        return
    shown = "; ".join(_shown(leak) for leak in leaks[:SHOWN])
    more = f"; and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
    names = list(dict.fromkeys(leak.file for leak in leaks))
    raise InputError(
        f"not written, this would leave with it: {shown}{more}",
        f"leave the file out: {' '.join(f'--leave-out {name}' for name in names[:3])}, or a stricter --redact",
    )


def _leaks(item: Item, words: PrivateWords) -> Iterable[Leak]:
    yield from (Leak(item.name, kind, "its name", shown) for kind, shown in words.private_parts(item.name))
    yield from words.leaks(item.name, item.content)


def _shown(leak: Leak) -> str:
    what = f" {leak.shown[:60]!r}" if leak.shown else ""
    return f"{leak.file} ({leak.place}): {leak.kind}{what}"


def readme(listed: BundleList) -> str:
    """What somebody reads who has the archive and does not know harness."""
    lines = [
        f"A bundle of harness {listed.harness_version}: {listed.verdict or 'a run'} on {listed.platform} {listed.soc}"
    ]
    lines += ["emulated board: no silicon was measured"] if listed.emulated else []
    for one in listed.ops:
        lines += ["", f"{one.op.folder}: {one.op.op} ({one.op.op_kind}), tensor {one.op.tensor}: {one.op.kind}"]
        lines += [f"  {one.op.evidence}"] if one.op.evidence else []
        lines += [f"  op.onnx  the op as a model, fed with {', '.join(one.op.inputs)}"] if one.op.inputs else []
        lines += ["  board/   what the board gave; pc/ what the PC gives; manifest.json says how the files lie"]
    lines += [
        "",
        "To compare it again: harness unbundle ARCHIVE",
        "On a board:          harness unbundle ARCHIVE --board NAME",
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in listed.notes), ""])


def facts(listed: BundleList) -> dict[str, Json]:
    """The list as JSON."""
    plain: dict[str, Json] = to_json(listed)
    return plain
