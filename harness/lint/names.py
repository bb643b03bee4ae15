"""The name that a misspelt name of a node means, in a model of thousands."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from heapq import nlargest

CANDIDATES = 200  # names that are compared letter by letter


def near_name(name: str, known: Iterable[str]) -> str:
    """The nearest of `known`, "" for none: of the `CANDIDATES` names that begin and end most like it."""

    def shared(one: str) -> int:
        return _front(one, name) + _front(one[::-1], name[::-1])

    near = get_close_matches(name, nlargest(CANDIDATES, dict.fromkeys(known), shared), n=1)
    return near[0] if near else ""


def _front(one: str, other: str) -> int:
    """How many letters both begin with."""
    shorter = min(len(one), len(other))
    return next((i for i in range(shorter) if one[i] != other[i]), shorter)
