"""What a reader of toolchain files is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from harness.errors import InputError
from harness.files.passwords import without_passwords
from harness.records import BuiltPixels
from harness.toolchains.records import Artifact
from harness.toolchains.text import ELLIPSIS, decode, elisions, unquoted

HEAD_BYTES = 256 * 1024


WHOLE_BYTES = 256 * 2**20  # a log over this size is not a log


@dataclass(frozen=True)
class FileProbe:
    """One file (or folder) that a reader looks at. Text is "" for a binary file."""

    path: Path

    @cached_property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    @cached_property
    def head(self) -> bytes:
        """The first 256 KiB; empty for a folder."""
        if not self.path.is_file():
            return b""
        with self.path.open("rb") as file:
            return file.read(HEAD_BYTES)

    @cached_property
    def binary(self) -> bool:
        """Whether it holds zero bytes, and is no UTF-16."""
        return b"\x00" in self.head and self.head[:2] not in (b"\xff\xfe", b"\xfe\xff")

    @cached_property
    def decoded(self) -> tuple[str, tuple[str, ...]]:
        """The whole file as text without passwords, and what was assumed. Errors: InputError when far too large."""
        if self.binary or not self.path.is_file():
            return "", ()
        if self.size_bytes > WHOLE_BYTES:
            raise InputError(f"{self.path}: {self.size_bytes} bytes: too large for a log", "give the log itself")
        text, assumed = decode(self.path.read_bytes())
        return without_passwords(unquoted(text)), assumed

    @property
    def text(self) -> str:
        """The text, whatever its encoding."""
        return self.decoded[0]


@dataclass(frozen=True)
class ModelRuntimes:
    """A vendor's own runtimes on the PC: they run what plain onnxruntime does not know."""

    names: tuple[str, ...]  # for an ONNX, in the order they are tried
    packages: tuple[str, ...]  # of the vendor's toolchain: they hold the runtimes
    has_op: Callable[[str, str], bool]  # whether an op (its domain, its type) is the vendor's own
    compiled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # suffix of a compiled model -> runtimes


@dataclass(frozen=True)
class ToolchainVendor:
    """The readers of one vendor's room, in the order they are asked, and what else is known of its toolchains."""

    readers: tuple[FileReader, ...]
    of_boards: tuple[FileReader, ...] = ()  # of what boards leave: asked before the toolchains' readers
    of_consoles: tuple[
        FileReader, ...
    ] = ()  # of what board tools print: asked last, for it may hold a toolchain's words
    beside: tuple[str, ...] = ()  # files that a build leaves, with `<model>_` in front or without
    same_units: Mapping[str, str] = field(default_factory=dict)  # planned -> the unit that it runs on all the same
    model_suffixes: Mapping[str, str] = field(default_factory=dict)  # of models in a closed format -> what they are
    build_facts: Mapping[str, re.Pattern[bytes]] = field(default_factory=dict)  # that stand in such models as text
    runtimes: ModelRuntimes | None = None
    stages: tuple[tuple[str, str], ...] = ()  # of a build, float first: name, and what its file's name ends with
    stage_folders: tuple[tuple[str, str], ...] = ()  # the same of tools that leave tensors of one input: name, folder
    pixels: Callable[[Artifact], Mapping[str, BuiltPixels]] | None = None  # by input: what a build does with a picture
    is_preprocess: Callable[[str, str], bool] | None = None  # whether a node (its type, its name) does that in a model


@dataclass(frozen=True)
class FileReader:
    """`matches` says whether the file is of this kind; `read` is only asked after it said yes."""

    kind: str
    title: str
    matches: Callable[[FileProbe], bool]
    read: Callable[[FileProbe], Artifact]


def text_reader(kind: str, title: str, marks: Callable[[str], bool], read: Callable[[str], Artifact]) -> FileReader:
    """A reader of text files: `marks(text)` recognises, `read(text)` reads; what decoding assumed is a problem."""

    def matches(probe: FileProbe) -> bool:
        return not probe.binary and bool(probe.text) and marks(probe.text)

    def reader(probe: FileProbe) -> Artifact:
        text, assumed = probe.decoded
        artifact = read(text)
        more = () if any(ELLIPSIS in problem for problem in artifact.problems) else elisions(text)
        return replace(artifact, problems=(*assumed, *more, *artifact.problems)) if assumed or more else artifact

    return FileReader(kind, title, matches, reader)
