"""What should be known of a comparison before its rows are read: names held twice, dumps that are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.consistency.matching import Matching
from harness.records import Dump
from harness.reference import Reference

LISTED = 12  # names in a note


def remarks(
    reference: Reference, dumps: Sequence[Dump], mapping: Mapping[str, str], matching: Matching
) -> Iterator[str]:
    """Sentences on what was given, in the order of their weight."""
    names = {name for dump in dumps for name in (dump.name, *dump.aliases)}
    missing = [board for board in mapping if board not in names]
    if missing:
        more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        yield f"mapping: the board left no {', '.join(missing[:LISTED])}{more}"
    doubles = reference.provenance.get("doubles", [])
    if doubles:
        yield f"names that the reference holds twice, the first is used: {', '.join(doubles[:LISTED])}"
    parameters = sum(dump.role == "parameter" for dump in dumps)
    if parameters:
        yield f"{parameters} dumps of weights and other parameters have no partner on the PC: left out"
    further = sum(len(dumps) for dumps in matching.inputs.values())
    if further:
        yield f"{further} further dumps of tensors that have their own row (read by ops, copies) are unused"
