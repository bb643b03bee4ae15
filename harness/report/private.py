"""What a report never shows: names of hosts and users, boot ids, folders of a user's own. run.json keeps them.

A report is attached to tickets of other companies. So the values are taken from run.json, where they stand under their
own keys, and are replaced wherever a text of the report holds them: in commands, in messages of the system, in notes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from harness.records import Run
from harness.records.codec import to_json
from harness.report.values import Row

# Keys of the environment table that are left out whole, by group.
LEFT_OUT = {
    "Board": frozenset(("address", "user", "jump", "facts.hostname", "facts.boot", "facts.work")),
    "Host": frozenset(("name", "user", "home", "cache")),
}
_HOMES = re.compile(r"/(?:home|Users)/([^/\s:'\"]+)")
_LOGIN = re.compile(r"(?<![\w.@-])[\w.+-]+@(?=<address>|<host>)")  # of a login name that no key of run.json tells
_EVERYBODYS = frozenset(("root", "localhost", "user", "ubuntu", "debian"))  # no person and no machine


def without_private(tables: Row, run: Run) -> Row:
    """The tables of `run` with every private value replaced by a word in angle brackets that says what stood there."""
    replaced = replacing([run])
    cleaned: Row = _mapped(tables, replaced)
    return cleaned


def _mapped(value: Any, replaced: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return replaced(value)
    if isinstance(value, dict):
        return {replaced(str(key)): _mapped(entry, replaced) for key, entry in value.items()}
    return [_mapped(entry, replaced) for entry in value] if isinstance(value, list | tuple) else value


def replacing(runs: Sequence[Run]) -> Callable[[str], str]:
    """One pass over a text for the private values of all runs, the longest first. A name that one has to show stays."""
    public = {word for run in runs for word in public_words(run)}
    words = {word: shown for run in runs for word, shown in _words(run) if word not in public}
    words |= {folder: shown for run in runs for folder, shown in _folders(run)}
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(_whole, longest_first))})")

    @cache  # one run's texts: words of columns come in every row
    def replaced(text: str) -> str:
        text = pattern.sub(lambda match: words[match[0]], text)
        return _LOGIN.sub("<user>@", text) if "@" in text else text

    return replaced


def private_words(run: Run) -> Iterator[tuple[str, str]]:
    """(value, what stands for it) of everything private that a run tells under a key of its own."""
    public = public_words(run)
    yield from ((word, shown) for word, shown in _words(run) if word not in public)
    yield from _folders(run)


def _whole(word: str) -> str:
    """A value with nothing of a word behind it."""
    return re.escape(word) + r"(?![\w-])"


def _folders(run: Run) -> Iterator[tuple[str, str]]:
    """Folders of a user's own: the board's work folder, this PC's home and cache, homes in any text."""
    layers = list(layer_names(run))
    named = (
        (run.board.facts.get("work"), "<work>"),
        (run.host.cache, "<cache>"),
        (run.host.home, "~"),
        ("/root", "~"),
        *((match[0], "~") for text in _texts(run) for match in _HOMES.finditer(text)),
    )
    for folder, word in named:
        plain = folder.rstrip("/") if isinstance(folder, str) and folder.startswith("/") else ""
        if plain and not any(name.startswith(f"{plain}/") for name in layers):
            yield plain, word


def _words(run: Run) -> Iterator[tuple[str, str]]:
    """Names of hosts and users, addresses, boot ids; none that is a name of the model or of the board's record too."""
    board, facts, host = run.board, run.board.facts, run.host
    users = [match[1] for text in _texts(run) for match in _HOMES.finditer(text)]
    named = (
        (facts.get("hostname"), "<host>"),
        (host.name, "<host>"),
        (board.address, "<address>"),
        (facts.get("boot"), "<boot id>"),
        (board.jump, "<jump host>"),
        (board.jump.rpartition("@")[2].partition(":")[0], "<jump host>"),
        *((name, "<user>") for name in (board.user, host.user, *users)),
    )
    public = public_words(run)
    for word, shown in named:
        if isinstance(word, str) and len(word) > 1 and not word.isdigit() and word not in public:
            yield word, shown


def public_words(run: Run) -> set[str]:
    """Words that a report has to show: the board's name, chips, models, layers and what their names are made of."""
    board, case = run.board, run.case
    names = [board.name, board.platform, board.soc, case.name]
    names += [one.name for one in (case.model, case.reference) if one is not None]
    names += layer_names(run)
    parts = [part for name in names for part in (name, *re.split(r"\W+", name))]
    return {*parts, *_EVERYBODYS}


def layer_names(run: Run) -> Iterator[str]:
    """Names of layers, ops and kinds of ops: what a report is about."""
    for layer in run.comparison.layers if run.comparison else ():
        yield from (layer.name, layer.op, layer.op_kind)


def _texts(run: Run) -> Iterator[str]:
    """Every text of the parts of run.json where folders of users can stand."""
    for part in (run.board, run.host, run.case, run.modes, run.problems, run.notes, run.command, run.damage):
        yield from _strings(to_json(part))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    inside: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for entry in inside:
        yield from _strings(entry)
