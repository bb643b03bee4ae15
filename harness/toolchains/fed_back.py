"""Outputs that are inputs again in the next frame, by name and shape: the state of a recurrent network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# Words that tell the two ends of one state apart, and nothing else: h_in and h_out, past_key and present_key.
_ENDS = frozenset(("in", "out", "input", "output", "inputs", "outputs", "past", "present", "last", "current", "cur"))
_ENDS |= frozenset(("new", "next", "prev", "previous", "old", "updated"))
Named = tuple[str, tuple[int, ...]]  # name and shape


def fed_back(outputs: Iterable[Named], inputs: Iterable[Named]) -> Iterator[tuple[str, str]]:
    """(output, input) of each state: the same shape, and one name but for a word that names the end."""
    by_word = {(_state(name), shape): name for name, shape in inputs if _state(name) != _words(name)}
    for name, shape in outputs:
        own = _state(name)
        if own and own != _words(name) and (own, shape) in by_word:
            yield name, by_word[own, shape]


def _words(name: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[^a-z0-9]+|(?<=[a-z])(?=[0-9])", name.lower()) if word)


def _state(name: str) -> tuple[str, ...]:
    return tuple(word for word in _words(name) if word not in _ENDS)
