"""What should be known of a comparison before its rows are read: names held twice, dumps that are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.consistency.checks.habits import habits, is_habit
from harness.consistency.reading.matching import Matching
from harness.records import Dump, Graph, Layer, Origin
from harness.reference.open import Reference

LISTED = 12  # names in a note
LARGE = 0.05  # share of elements: fewer may be lost in the next op's rounding


def comparison_notes(
    reference: Reference, dumps: Sequence[Dump], mapping: Mapping[str, str], matching: Matching
) -> Iterator[str]:
    """Sentences on what was given, in the order of their weight."""
    names = {name for dump in dumps for name in (dump.name, *dump.aliases)}
    missing = [board for board in mapping if board not in names]
    if missing:
        more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        yield f"mapping: no board dump of {', '.join(missing[:LISTED])}{more}"
    doubles = reference.provenance.get("doubles", [])
    if doubles:
        yield f"duplicate names in the reference, first used: {', '.join(doubles[:LISTED])}"
    parameters = sum(dump.role == "parameter" for dump in dumps)
    if parameters:
        yield f"{parameters} dumps of weights and other parameters are not in the reference: skipped"
    further = sum(len(dumps) for dumps in matching.inputs.values())
    if further:
        notes = (
            "1 further dump of a tensor that has its"
            if further == 1
            else f"{further} further dumps of tensors that have their"
        )
        yield f"{notes} own row (read by ops, copies): not used"
    yield from _described(dumps)


def _described(dumps: Sequence[Dump]) -> Iterator[str]:
    """Types and scales that are not the dumps' own word, and zero points that nobody told."""
    files = dict.fromkeys(dump.described_in for dump in dumps if dump.described_in)
    if files:
        count = sum(bool(dump.described_in) for dump in dumps)
        of = "1 dump comes" if count == 1 else f"{count} dumps come"
        yield f"type or scale of {of} from the table in {', '.join(list(files)[:LISTED])} beside the dumps"
    assumed = [dump.name for dump in dumps if dump.zero_assumed]
    if assumed:
        more = f" and {len(assumed) - LISTED} more" if len(assumed) > LISTED else ""
        yield (
            f"that table has no zero point of unsigned {', '.join(assumed[:LISTED])}{more}: 0 is taken; "
            "a column ZERO_POINT gives it"
        )


def after_localization(graph: Graph, layers: Sequence[Layer], origins: Sequence[Origin]) -> Iterator[str]:
    """What the origins together say that none of them says alone."""
    yield from _another_build(layers, origins)
    yield from habits(layers, origins)
    yield from _unspread(graph, layers, origins)


def _another_build(layers: Sequence[Layer], origins: Sequence[Origin]) -> Iterator[str]:
    """Every op that holds weights is wrong by itself and no other is: so looks a model of other weights or scales."""
    origins_of_errors = {origin.tensor for origin in origins}
    weighted = [row for row in layers if row.op_kind in WEIGHTED and row.verdict != "not_compared"]
    others = [row for row in layers if row.name in origins_of_errors and row.op_kind not in (*WEIGHTED, "MatMul")]
    if (
        len(weighted) > 1
        and not others
        and not is_habit(origins)
        and all(row.name in origins_of_errors for row in weighted)
    ):
        yield (
            f"every op with weights ({len(weighted)}) is an origin, and no other op is: the dumps may be of another "
            "build of the model (other weights or calibration); compare the model's md5 on both sides"
        )


WEIGHTED = ("Conv", "ConvTranspose", "Gemm")


def _unspread(graph: Graph, layers: Sequence[Layer], origins: Sequence[Origin]) -> Iterator[str]:
    """Tensors that differ while all that was computed from them is equal: the file is more likely wrong than the op."""
    rows = {layer.name: layer for layer in layers}
    for origin in origins[:LISTED]:
        row = rows[origin.tensor]
        made = [name for op in graph.ops if origin.tensor in op.inputs for name in op.outputs]
        equal = all(name in rows and rows[name].verdict == "exact" for name in made)
        if made and equal and row.metrics is not None and row.metrics.mismatch_share >= LARGE:
            yield (
                f"{origin.tensor} differs in {row.metrics.mismatch_share:.0%} of its elements, and what is computed "
                f"from it ({', '.join(made[:3])}) is equal: its dump is more likely wrong than the board's values "
                "(wrong file, or memory reused before the dump)"
            )
