"""Names that do not meet: which dump may be which tensor, by values, shapes and the order of the graph.

A proposal is for a person to confirm, as lines of a mapping file; nothing is compared by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from harness.consistency.reading.agreement import EQUAL, NEAR, distance
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.matching import Match, match
from harness.consistency.reading.readings import channels_last, own
from harness.consistency.reading.specs import board_spec
from harness.records import Dump
from harness.reference.open import Reference, ReferenceTensor

MOST = 256  # dumps that are looked at
MOST_TENSORS = 1024
SHOWN = 4  # proposals in a sentence
HEAD = """# Proposed by harness compare --map-template: board tensor: reference tensor.
# Check every line, delete what is wrong, and give the file with --map.
"""


@dataclass(frozen=True)
class Proposal:
    """`off` is the distance of the values, as a share of the spread of the reference's; None if they say nothing."""

    board: str
    tensor: str
    off: float | None
    rival: str = ""  # the next tensor that its values are near to

    @property
    def basis(self) -> str:
        """What speaks for it, in words."""
        if self.off is None:
            return f"by shape and order only{f', could also be {self.rival}' if self.rival else ''}: check it"
        words = "equal values" if self.off <= EQUAL else f"values off by {self.off:.1%} of their spread"
        return f"{words}{f'; {self.rival} is near, too' if self.rival else ''}"

    @property
    def line(self) -> str:
        """A line of a mapping file."""
        pair = yaml.safe_dump({self.board: self.tensor}, allow_unicode=True, width=math.inf).strip()
        return f"{pair}  # {self.basis}"


def propose(reference: Reference, dumps: Sequence[Dump]) -> tuple[Proposal, ...]:
    """A tensor for every dump that has none, where values, or shape and order, speak for one."""
    rows = match(reference, dumps).rows
    strangers = [row.dump for row in rows if row.tensor is None and row.dump is not None and row.dump.role == "output"]
    free = [row.tensor for row in rows if row.tensor is not None and row.dump is None]
    fits = {
        dump.name: [fit for tensor in free[:MOST_TENSORS] if (fit := _fit(dump, tensor))] for dump in strangers[:MOST]
    }
    by_values = dict(_by_values(fits))
    rest = {name: near for name, near in fits.items() if name not in by_values}
    by_order = {one.board: one for one in _by_order(rest, {one.tensor for one in by_values.values()})}
    return tuple(one for name in fits if (one := by_values.get(name) or by_order.get(name)))


@dataclass(frozen=True)
class _Possible:
    """A tensor that a dump may hold by its size; `off` is how far its values are, infinity where they say nothing."""

    tensor: ReferenceTensor
    off: float
    turned: bool  # channels last

    @property
    def rank(self) -> tuple[float, bool, bool, int]:
        """Equal values count alike, whatever their noise: then the reference's own layout, an output, the last."""
        return max(self.off, EQUAL), self.turned, not self.tensor.is_output, -self.tensor.order


def _fit(dump: Dump, tensor: ReferenceTensor) -> _Possible | None:
    """The nearest way of storing it; None for another size."""
    if tensor.spec is None:
        return None
    fits = []
    for storages in (own, channels_last):
        try:
            spec = board_spec(tensor, dump, storages)
        except TensorError:
            continue
        if math.prod(spec.shape) == math.prod(tensor.spec.shape):
            off = distance(Match(tensor, dump), dump, spec, storages)
            fits.append(_Possible(tensor, math.inf if off is None else off, storages is channels_last))
    return min(fits, key=lambda fit: fit.rank, default=None)


def _by_values(fits: Mapping[str, Sequence[_Possible]]) -> Iterator[tuple[str, Proposal]]:
    """The nearest pairs first, every tensor once."""
    pairs = [(fit.rank, name, fit) for name, near in fits.items() for fit in near if fit.off <= NEAR]
    given: set[str] = set()
    named: set[str] = set()
    for _, name, fit in sorted(pairs, key=lambda pair: pair[:2]):
        if name in named or fit.tensor.name in given:
            continue
        rivals = [
            one for one in fits[name] if one.turned is fit.turned and one.rank[0] <= 2 * fit.rank[0] and one is not fit
        ]
        named.add(name)
        given.add(fit.tensor.name)
        yield name, Proposal(name, fit.tensor.name, fit.off, rivals[0].tensor.name if rivals else "")


def _by_order(rest: Mapping[str, Sequence[_Possible]], taken: set[str]) -> Iterator[Proposal]:
    """Dumps in their order to outputs of their size in the graph's order; to inner tensors of the size if none is."""
    for name, fits in rest.items():
        free = sorted(
            (fit.tensor for fit in fits if fit.tensor.name not in taken), key=lambda t: (not t.is_output, t.order)
        )
        if free:
            taken.add(free[0].name)
            yield Proposal(name, free[0].name, None, free[1].name if len(free) > 1 else "")


def template(proposals: Sequence[Proposal]) -> str:
    """The lines of a mapping file."""
    return HEAD + "".join(f"{one.line}\n" for one in proposals)


def sentence(proposals: Sequence[Proposal]) -> str:
    """For the notes of a comparison in which no names met."""
    shown = "; ".join(f"{one.board}: {one.tensor} ({one.basis})" for one in proposals[:SHOWN])
    more = f"; and {len(proposals) - SHOWN} more" if len(proposals) > SHOWN else ""
    return f"proposed names: {shown}{more}; --map-template FILE writes them to check, --map FILE compares by them"
