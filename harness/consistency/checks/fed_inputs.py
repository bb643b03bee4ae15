"""The input that the board was fed, held against the one that a PC's folder of dumps keeps.

Such a folder has no graph, and its layers say nothing of a board that got another picture: the input is what differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.consistency.fingerprint.cause import LayerContext, cause
from harness.consistency.metrics.pointwise import measure
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import Pair
from harness.consistency.reading.tensor_files import open_tensor
from harness.consistency.verdicts import run_verdict
from harness.records import Comparison, Dump, Fingerprint, Graph, Layer, Origin, TensorSpec
from harness.reference.open import Reference

SENTENCE = "the layers were computed from another input: what differs in them says nothing of the board"


@dataclass(frozen=True)
class FedPair:
    """An input of both sides: the PC's file, how it lies, and the file that the board was fed."""

    reference: Path
    spec: TensorSpec
    board: Path


def fed_pairs(kept: Sequence[Dump], folder: Path) -> tuple[FedPair, ...]:
    """The one input that a PC's folder keeps, beside the one file that the board was fed (`folder` of a run)."""
    fed = sorted(path for path in folder.glob("*") if path.is_file())
    if len(kept) != 1 or len(fed) != 1 or kept[0].spec is None:
        return ()
    return (FedPair(kept[0].path, kept[0].spec, fed[0]),)


def with_fed_inputs(comparison: Comparison, pairs: Sequence[FedPair], reference: Reference) -> Comparison:
    """The comparison, where the board's input is not the PC's: that is the one origin, and all the rest follows.

    Unchanged where every input is equal, or nothing diverges.
    """
    rows = [row for pair in pairs if (row := _row(pair, reference)) is not None]
    if comparison.verdict.word != "diverges" or not rows:
        return comparison
    inputs = [replace(row, index=index) for index, row in enumerate(rows)]
    layers = (*inputs, *(_following(layer, len(rows)) for layer in comparison.layers))
    origins = tuple(Origin(row.name, "input", row.name, how="sequence", fingerprint=row.fingerprint) for row in rows)
    return replace(
        comparison,
        layers=layers,
        origins=origins,
        first_difference=rows[0].name,
        verdict=run_verdict(layers, origins, comparison.coverage),
        notes=(SENTENCE, *comparison.notes),
        pictures={},
    )


def _following(layer: Layer, further: int) -> Layer:
    role = "propagated" if layer.verdict == "differs" else layer.role
    return replace(layer, index=layer.index + further, role=role, fingerprint=None)


def _row(pair: FedPair, reference: Reference) -> Layer | None:
    """The row of an input that differs; None for one that is equal, or that the PC's file does not tell."""
    name = pair.spec.name
    plain = Layer(
        0, name, name, "input", "differs", "other values", role="origin", dtype=pair.spec.dtype, shape=pair.spec.shape
    )
    try:
        kept = open_tensor(pair.reference, pair.spec)
    except TensorError:
        return None
    try:
        fed = open_tensor(pair.board, pair.spec)
    except TensorError:
        sizes = f"the board was fed {pair.board.stat().st_size} bytes, the PC {pair.reference.stat().st_size}"
        return replace(plain, reason="another size", fingerprint=Fingerprint("other_input", True, sizes))
    if np.array_equal(fed, kept):
        return None
    metrics = measure(fed, kept, pair.spec, pair.spec)
    row = replace(plain, metrics=metrics, size_bytes=kept.nbytes, board_file=pair.board.name)
    return replace(row, fingerprint=_mark(row, Pair(fed, kept, pair.spec, pair.spec, "integer", pair.spec), reference))


def _mark(row: Layer, pair: Pair, reference: Reference) -> Fingerprint | None:
    scene = LayerContext(Graph((), (row.name,), ()), reference, in_memory=False)
    with suppress(TensorError):
        return cause(row, pair, scene)
    return None
