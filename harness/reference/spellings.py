"""One tensor, many names: endings that runtimes and toolchains append, and scopes that they put before a name."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from harness.names import file_form

MOST_ENDINGS = 3  # that are taken off one name
ENDINGS = (
    re.compile(r"[:_.-][0-9]{1,4}$"),  # the index of an output: conv1:0, conv1_0
    re.compile(r"[_-][0-9]{1,6}(?:x[0-9]{1,6}){1,5}$"),  # a shape: conv1_4x16
    re.compile(r"[_-]{1,2}(?:fp?|float|bf|bfloat|int|uint|[su]i?|ui)(?:8|16|32|64)$"),  # a dtype: conv1_f32
    re.compile(r"_[A-Z][A-Za-z0-9]{2,}$"),  # the kind of the op: conv1_Relu
)
SCOPES = re.compile(r"^.*(?:/|::)")
NUMBERED = ENDINGS[0]


def spellings(name: str) -> tuple[str, ...]:
    """What a name may be without endings and scopes, as files write it, least changed first; not the name itself."""
    forms = dict.fromkeys(file_form(form) for form in _stripped(name))
    forms.pop(file_form(name), None)
    return tuple(form for form in forms if form)


def _stripped(name: str) -> Iterator[str]:
    level = [name]
    for _ in range(MOST_ENDINGS):
        level = list(dict.fromkeys(shorter for form in level for shorter in _shorter(form)))
        yield from level


def _shorter(name: str) -> Iterator[str]:
    yield from (ending.sub("", name) for ending in ENDINGS if ending.search(name))
    if SCOPES.match(name):
        yield SCOPES.sub("", name)


def numbered(names: Iterable[str]) -> frozenset[str]:
    """Names that differ from another one by their number alone: output_0 and output_1 are not both `output`."""
    own = list(dict.fromkeys(names))
    counts = Counter(NUMBERED.sub("", name) for name in own)
    return frozenset(name for name in own if counts[NUMBERED.sub("", name)] > 1)


def by_spelling(names: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Owners by every further spelling of their names; `names` is name -> owners."""
    spelled: dict[str, list[str]] = defaultdict(list)
    rows = numbered(names)
    for name, owners in names.items():
        for form in spellings(name) if name not in rows else ():
            spelled[form] += [owner for owner in owners if owner not in spelled[form]]
    return spelled


def meet(wanted: Iterable[str], known: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which name of `known` (name -> owner's names) each of `wanted` is, where one alone comes into question.

    Surest first: the name, the name as a file has it, a further spelling; every owner is given away once.
    """
    given = list(dict.fromkeys(wanted))
    rows = numbered(given)
    written: dict[str, list[str]] = defaultdict(list)
    for name, owners in known.items():
        written[file_form(name)] += [owner for owner in owners if owner not in written[file_form(name)]]
    ways: tuple[Callable[[str], Sequence[str]], ...] = (
        lambda name: known.get(name, ()),
        lambda name: written.get(file_form(name), ()),
        lambda name: _first(written, spellings(name)) if name not in rows else (),
    )
    met: dict[str, str] = {}
    for way in ways:
        taken = set(met.values())
        claims = {name: owners[0] for name in given if name not in met and len(owners := way(name)) == 1}
        counts = Counter(claims.values())
        met |= {name: owner for name, owner in claims.items() if owner not in taken and counts[owner] == 1}
    return met


def _first(known: Mapping[str, Sequence[str]], names: Iterable[str]) -> Sequence[str]:
    return next((known[name] for name in names if known.get(name)), ())
