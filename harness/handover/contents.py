"""What a bundle holds, level by level: every file with what it is for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.files.digests import md5_of_file
from harness.handover.private_words import PrivateWords
from harness.records import FileOfRun, Run
from harness.records.codec import from_json, to_json
from harness.report.markdown import markdown
from harness.report.page import render_tables
from harness.report.tables.run import tables
from harness.report.write import as_json

LEVELS = {
    "none": "nothing is replaced; only secrets are refused",
    "names": "names of hosts and users, addresses and folders are replaced",
    "weights": "also no model and no input of the network: of all weights only those of the wrong ops",
    "op": "the wrong ops alone: their models, what they read, and what both sides gave",
}
MOST_LOG_BYTES = 16 * 2**20
LOG_SUFFIXES = (".txt", ".log", ".json", ".csv", "")
CONFIG_ROLES = ("build", "policy", "mapping")
MODEL_ROLES = ("model", "reference")
KEPT_FACTS = frozenset(
    [
        "arch",
        "kernel",
        "libc",
        "os",
        "soc_name",
        "npu_cores",
        "cpu",
        "cpu_count",
        "cpu_features",
        "memory_bytes",
        "image",
        "agent",
    ]
)


@dataclass(frozen=True)
class Item:
    """One file of a bundle."""

    name: str
    what: str
    source: Path | bytes

    @property
    def content(self) -> bytes:
        """All of its bytes."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    @property
    def size_bytes(self) -> int:
        """Without reading a file."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


def items(folder: Path, run: Run, level: str, words: PrivateWords, ops: Path) -> Iterator[Item]:
    """The files of a bundle of the run in `folder`; `ops` is where the folders of the wrong ops were written."""
    if level != "op":
        yield from _report(run if level == "none" else cleaned_run(run, words))
        yield from _texts(_logs(folder, run), level, words)
        yield from _texts(_files_of(run, CONFIG_ROLES, "configs"), level, words)
    if level in ("none", "names"):
        yield from _files_of(run, MODEL_ROLES, "model")
        yield from _inputs(folder, run)
    for path in sorted(ops.rglob("*")):
        if path.is_file():
            name = path.relative_to(ops).as_posix()
            yield Item(name, _what(name), path)


def cleaned_run(run: Run, words: PrivateWords) -> Run:
    """The run with every text cleaned, and without what a report leaves out whole. Errors: InputError."""
    plain = _mapped(to_json(_without_places(run)), words)
    read = from_json(Run, plain)
    if read is None:
        raise InputError(f"{run.id}: the run cannot be written without its names", "use --redact op")
    return replace(read.value, damage=run.damage, unknown=run.unknown)


def _without_places(run: Run) -> Run:
    facts = {key: value for key, value in run.board.facts.items() if key in KEPT_FACTS}
    command = replace(run.command, folder="") if run.command is not None else None
    return replace(
        run,
        board=replace(run.board, address="", user="", jump="", facts=facts),
        host=replace(run.host, name="", user="", home="", cache=""),
        command=command,
    )


def _mapped(value: Any, words: PrivateWords) -> Any:
    if isinstance(value, str):
        return words.cleaned(value)
    if isinstance(value, dict):
        return {words.cleaned(str(key)): _mapped(one, words) for key, one in value.items()}
    return [_mapped(one, words) for one in value] if isinstance(value, list) else value


def _report(run: Run) -> Iterator[Item]:
    data = tables(run)
    text = json.dumps(to_json(run), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    yield Item("report.html", "the report", _bytes(render_tables(data)))
    yield Item("report.md", "the report, short", _bytes(markdown(data)))
    yield Item("report.json", "the report's tables", _bytes(as_json(data)))
    yield Item("run.json", "the run: harness report reads it", _bytes(text))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _texts(files: Iterator[Item], level: str, words: PrivateWords) -> Iterator[Item]:
    """Texts, cleaned; what is none, or too long, is left out."""
    for item in files:
        with suppress(UnicodeDecodeError):
            text = item.content.decode("utf-8")
            if "\0" not in text:
                yield replace(item, source=_bytes(text if level == "none" else words.cleaned(text)))


def _logs(folder: Path, run: Run) -> Iterator[Item]:
    for mode in run.modes:
        for file in mode.files:
            path = folder / mode.folder / file.file
            if file.file and Path(file.name).suffix in LOG_SUFFIXES and _is_short(path):
                yield Item(f"logs/{mode.folder}/{file.file}", f"what {mode.mode} printed or left", path)


def _is_short(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size <= MOST_LOG_BYTES


def _files_of(run: Run, roles: Sequence[str], folder: str) -> Iterator[Item]:
    for file in run.case.files:
        path = located(run, file) if file.role in roles else None
        if path is not None:
            yield Item(f"{folder}/{file.name}", file.role, path)


def _inputs(folder: Path, run: Run) -> Iterator[Item]:
    for fed in run.case.inputs:
        path = folder / fed.file
        if fed.file and path.is_file() and not path.is_symlink():
            yield Item(f"model/{fed.file}", f"input {fed.tensor}", path)


def located(run: Run, file: FileOfRun) -> Path | None:
    """Where a file that a run is about lies today, by the command that was typed; None where its md5 is another."""
    command = run.command
    if command is None or file.files is not None or not file.md5:
        return None
    places = [Path(command.folder) / part for word in command.argv for part in (word, word.rpartition("=")[2]) if part]
    wanted = [place if place.name == file.name else place.parent / file.name for place in places]
    for path in dict.fromkeys(map(os.path.abspath, wanted)):
        with suppress(OSError):
            if Path(path).stat().st_size == file.size_bytes and md5_of_file(Path(path)) == file.md5:
                return Path(path)
    return None


_OF_OPS = {
    "op.onnx": "the op as a model",
    "policy.yaml": "the limits of the run's own policy",
    "board/manifest.json": "how the board's tensors lie",
    "pc/manifest.json": "how the PC's tensors lie",
}


def _what(name: str) -> str:
    inside = name.split("/", 2)[-1]
    if inside in _OF_OPS:
        return _OF_OPS[inside]
    sides = {"inputs": "what the op is fed", "board": "what the board gave", "pc": "what the PC gives"}
    return sides.get(inside.split("/")[0], "the same on the board, once more")
