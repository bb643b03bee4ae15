"""What must not leave: secrets, names of hosts and users, addresses, folders. Seen by what the run and this PC tell of
themselves, and by their form. The same rules clean texts and refuse what is not clean.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path

from harness.files.passwords import may_hold_one, without_passwords
from harness.handover import private_forms as forms
from harness.records import Run
from harness.report.private import layer_names, private_words, public_words

_PRINTABLE = re.compile(rb"[\x20-\x7e\t]{6,}")
_WIDE = re.compile(rb"(?:[\x20-\x7e]\x00){6,}")
LEAST_IN_BINARY = 6  # letters of a word that is looked for among numbers


@dataclass(frozen=True)
class Leak:
    """Something private in a file. `shown` is what it is, never a secret itself."""

    file: str
    kind: str
    place: str  # "line 3", "byte 117"
    shown: str = ""


@dataclass(frozen=True)
class PrivateWords:
    """What one run and this PC are called by, and what in a text has the form of something private.

    `words` are values -> the word in their place; `public` are names that have to stand (layers, models, kinds).
    """

    words: dict[str, str]
    public: frozenset[str]
    layers: frozenset[str]
    versions: frozenset[str] = frozenset()

    @cached_property
    def _known(self) -> re.Pattern[str] | None:
        longest_first = sorted(self.words, key=len, reverse=True)
        return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])") if self.words else None

    def cleaned(self, text: str) -> str:
        """The text with a word in angle brackets in the place of everything private, and no password."""
        text = without_passwords(text) if may_hold_one(text) else text
        for kind, pattern in forms.SECRETS:
            text = pattern.sub(f"<{kind.split()[-1]}>", text)
        for replace in self._replacements():
            text = replace(text)
        return text

    def _replacements(self) -> Iterator[Callable[[str], str]]:
        known = self._known
        for kind, pattern, is_meant in self._forms():
            yield partial(_replaced, kind, pattern, is_meant)
            if pattern is forms.WINDOWS and known is not None:  # behind folders: their last parts are shown
                yield lambda text: known.sub(lambda match: self.words[match[0]], text)

    def leaks(self, file: str, content: bytes) -> Iterator[Leak]:
        """What is private in a file: of a text by line, of anything else by the texts among its bytes."""
        text = _as_text(content)
        if text is not None:
            for number, line in enumerate(text.splitlines(), 1):
                yield from (Leak(file, kind, f"line {number}", shown) for kind, shown in self.private_parts(line))
            return
        numbers = file.endswith((".npy", ".bin"))
        for start, piece in _strings(content):
            for kind, shown in self._in_binary(piece) if numbers else self.private_parts(piece):
                yield Leak(file, kind, f"byte {start}", shown)

    def _in_binary(self, piece: str) -> Iterator[tuple[str, str]]:
        """Among numbers chance makes short words: only long ones that are known, keys, and folders of a user's."""
        known = self._known
        if known is not None and (match := known.search(piece)) and len(match[0]) >= LEAST_IN_BINARY:
            yield "a private name", match[0]
        if (match := forms.HOME.search(piece)) and len(match[0]) >= 2 * LEAST_IN_BINARY:
            yield "a path", match[0]
        yield from ((kind, "") for kind, pattern in forms.SECRETS[:1] if pattern.search(piece))

    def private_parts(self, text: str) -> Iterator[tuple[str, str]]:
        """(kind, what) of everything private in a text; `what` is "" of secrets."""
        yield from ((kind, "") for kind, pattern in forms.SECRETS if pattern.search(text))
        if may_hold_one(text) and without_passwords(text) != text:
            yield "a password", ""
        if self._known is not None:
            yield from (("a private name", match[0]) for match in self._known.finditer(text))
        for kind, pattern, is_meant in self._forms():
            yield from ((kind, match[0]) for match in pattern.finditer(text) if is_meant(match))

    def _forms(self) -> Iterator[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]]]:
        """Kind, pattern, and whether a match is what it looks like."""
        yield "a path", forms.PATH, lambda match: self._is_path(match[0])
        for pattern in (forms.HOME, forms.WINDOWS):
            yield "a path", pattern, lambda match: not self._is_name(match[0])
        yield "an address", forms.LOGIN, lambda match: not self._is_fault(match[0])
        yield "an address", forms.MAC, lambda _match: True
        yield "an address", forms.IPV6, lambda match: "::" in match[0] or match[0].count(":") == 7
        yield "an address", forms.IPV4, self._is_address
        yield "a host name", forms.HOST, lambda match: not self._is_name(match[0])

    def _is_path(self, text: str) -> bool:
        plain = text.removeprefix("file://")
        if self._is_name(plain):
            return False
        return plain.split("/")[1] in forms.ROOTS | _roots_of_this_pc()

    def _is_name(self, text: str) -> bool:
        """Whether it is a layer's name, or a part of one."""
        return text in self.public or text in self._all_layers

    @cached_property
    def _all_layers(self) -> str:
        return "\n".join(self.layers)

    def _is_fault(self, text: str) -> bool:
        """Whether it is no login but KIND@OP, as a fault of an emulated board is written."""
        kind, _, op = text.partition("@")
        return op in self.layers and kind not in self.words

    def _is_address(self, match: re.Match[str]) -> bool:
        text = match[0]
        numbers = [int(part) for part in text.split(".")]
        if max(numbers) > 255 or text in self.versions or text in ("0.0.0.0", "127.0.0.1"):
            return False
        return not forms.VERSION.search(match.string[max(0, match.start() - 24) : match.start()])


SHOWN = {"an address": "<address>", "a host name": "<host>"}


def _replaced(kind: str, pattern: re.Pattern[str], is_meant: Callable[[re.Match[str]], bool], text: str) -> str:
    def word(match: re.Match[str]) -> str:
        if not is_meant(match):
            return match[0]
        shown = "<user>@<host>" if pattern is forms.LOGIN else SHOWN.get(kind, "<path>")
        return f"{shown}{_last(match[0])}" if pattern is forms.PATH else shown

    return pattern.sub(word, text)


def words_of(runs: Iterable[Run]) -> PrivateWords:
    """The private words of runs and of this PC."""
    runs = tuple(runs)
    public = frozenset(word for run in runs for word in public_words(run))
    layers = frozenset(name for run in runs for name in layer_names(run))
    words = {word: shown for run in runs for word, shown in private_words(run)}
    words |= {word: shown for word, shown in _of_this_pc() if len(word) > 1 and word not in public}
    versions = frozenset(version for run in runs for version in run.versions.values())
    return PrivateWords(words, public, layers, versions)


def _of_this_pc() -> Iterator[tuple[str, str]]:
    yield socket.gethostname(), "<host>"
    with suppress(OSError, KeyError, ImportError):
        yield getpass.getuser(), "<user>"
    with suppress(RuntimeError):
        home = os.fspath(Path.home())
        if home.count("/") > 1:
            yield home, "~"


@cache
def _roots_of_this_pc() -> frozenset[str]:
    with suppress(OSError):
        return frozenset(entry.name for entry in os.scandir("/") if entry.is_dir())
    return frozenset()


def _last(path: str) -> str:
    """The last part of a path with its slash; "" where that is a user's own folder, which has the user's name."""
    parts = path.removeprefix("file://").rstrip("/").split("/")
    return "" if parts[1] in ("home", "Users") and len(parts) <= 3 else f"/{parts[-1]}"


def _as_text(content: bytes) -> str | None:
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _strings(content: bytes) -> Iterator[tuple[int, str]]:
    for match in _PRINTABLE.finditer(content):
        yield match.start(), match[0].decode("ascii")
    for match in _WIDE.finditer(content):
        wide = match[0].decode("utf-16-le")
        yield match.start(), wide
        yield match.start() + 2, wide[1:]  # the end of a narrow text before it looks like the first letter
