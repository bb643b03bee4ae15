"""The page in another language: headline, section titles and findings; figures, names and tool output stay as they are.

A catalog (`templates/report/LANG.json`) maps English phrases to others. A phrase may hold places: `{name}` keeps its
text, `{name!t}` is translated, and without a translation the phrase does not match, `{name!m}` is translated where it
can be, `{name!l}` is a list of such with ", " between. Texts come from records that may be years old or hostile, so
they are matched from left to right in one pass, never by a regular expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from harness.assets import asset
from harness.errors import InputError

ENGLISH = "en"
LANGUAGES = {ENGLISH: "en", "zh": "zh-CN"}  # our name -> that of HTML's `lang`
LONGEST = 2000  # letters of a text that is looked up; a page shows fewer
DEEPEST = 6  # translations within a translation
_PLACE = re.compile(r"\{(\w+)(?:!([tml]))?\}")


@dataclass(frozen=True)
class Phrase:
    """An English text with places, cut at them, and what it becomes."""

    between: tuple[str, ...]  # one more than there are places
    names: tuple[str, ...]
    ways: tuple[str, ...]  # "", "t", "m" or "l", by place
    other: str


class Language:
    """Translates the texts of a page. English is the language without a catalog."""

    def __init__(self, name: str, catalog: Mapping[str, str]) -> None:
        self.name = name
        self.html = LANGUAGES[name]
        self._exact = {_begun(english): other for english, other in catalog.items() if not _PLACE.search(english)}
        phrases = [_phrase(english, other) for english, other in catalog.items() if _PLACE.search(english)]
        # The phrase that says most of the text itself is tried first.
        self._phrases = sorted(phrases, key=lambda phrase: -sum(map(len, phrase.between)))

    def __call__(self, text: object) -> str:
        """The text in this language; as it is where the catalog has none, or it is no text."""
        plain = text if isinstance(text, str) else "" if text is None else str(text)
        return self._other(plain, 0) or plain

    def knows(self, text: str) -> bool:
        """Whether the catalog has this text, English has all."""
        return self.name == ENGLISH or self._other(text, 0) is not None

    def _other(self, text: str, depth: int) -> str | None:
        if self.name == ENGLISH or not text or len(text) > LONGEST or depth > DEEPEST:
            return None
        exact = self._exact.get(_begun(text))
        if exact is not None:
            return exact
        return next((made for phrase in self._phrases if (made := self._filled(phrase, text, depth)) is not None), None)

    def _filled(self, phrase: Phrase, text: str, depth: int) -> str | None:
        held = _held(phrase.between, text)
        if held is None:
            return None
        values: dict[str, str] = {}
        for name, way, part in zip(phrase.names, phrase.ways, held, strict=True):
            value = self._part(way, part, depth + 1)
            if value is None:
                return None
            values[name] = value
        return _PLACE.sub(lambda place: values[place[1]], phrase.other)

    def _part(self, way: str, part: str, depth: int) -> str | None:
        if way == "t":
            return self._other(part, depth)
        if way == "m":
            return self._other(part, depth) or part
        if way == "l":
            return "\u3001".join(self._other(one, depth) or one for one in part.split(", "))
        return part


def _begun(text: str) -> str:
    """With a small first letter: a title's words also begin sentences."""
    return text[:1].lower() + text[1:]


def _phrase(english: str, other: str) -> Phrase:
    places = list(_PLACE.finditer(english))
    ends = [0, *(place.end() for place in places)]
    begins = [*(place.start() for place in places), len(english)]
    between = tuple(english[end:begin] for end, begin in zip(ends, begins, strict=True))
    return Phrase(between, tuple(place[1] for place in places), tuple(place[2] or "" for place in places), other)


def _held(between: tuple[str, ...], text: str) -> list[str] | None:
    """What stands at the places: each ends at the next text between, the last at the end. None: it does not fit."""
    head, *middle, tail = between
    if not text.startswith(head) or not text.endswith(tail) or len(text) < len(head) + len(tail):
        return None
    held, begin, end = [], len(head), len(text) - len(tail)
    for words in middle:
        place = text.find(words, begin, end)
        if place < 0:
            return None
        held.append(text[begin:place])
        begin = place + len(words)
    held.append(text[begin:end])
    return held if all(held) else None


@cache
def language(name: str) -> Language:
    """Of LANGUAGES. Errors: InputError for another name."""
    if name not in LANGUAGES:
        raise InputError(f"no language {name!r}", f"give one of {', '.join(LANGUAGES)}")
    path = asset("templates") / "report" / f"{name}.json"
    catalog = {} if name == ENGLISH else json.loads(path.read_text(encoding="utf-8"))
    return Language(name, catalog)
