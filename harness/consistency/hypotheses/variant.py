"""A variant of an op: what may have been done instead, and what that gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.consistency.hypotheses.bench import NodeScene
from harness.consistency.reading.tensor_files import Array


@dataclass(frozen=True)
class Variant:
    """`kind` as in kinds.py; `words` complete "with ..."; `value` is the node's output then, None where it cannot run.

    `reshaped`: a value of another shape with as many elements is the same memory.
    """

    kind: str
    words: str
    value: Array | None
    reshaped: bool = False


Variants = Iterator[Variant]
Generator = Callable[[NodeScene], Variants]


def listed(values: object) -> str:
    """Attribute values in a sentence: `1 1 0 0`."""
    return (
        " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
        if isinstance(values, list | tuple)
        else str(values)
    )
