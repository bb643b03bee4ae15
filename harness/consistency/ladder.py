"""The stage ladder: float, calibrated, quantized, compiled, board, side by side; which step departs first?

Before any layer is blamed: every stage must have got the same input, by hash. A stage fed something else, or one that
says nothing of its inputs, is not aligned, and it is said so. Each stage is held against the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.consistency.compare import Settings, compare
from harness.consistency.layouts import TensorError
from harness.consistency.pairing import open_array
from harness.consistency.tensors import valid_md5
from harness.dumps import recognise
from harness.records import Comparison, Dump, Layer
from harness.reference import Reference, ReferenceTensor, open_reference

DEPARTED = ("diverges", "not_deterministic")


@dataclass(frozen=True)
class Stage:
    """One stage of the ladder. `dumps` is what it left, for the stages that are held against another."""

    name: str
    reference: Reference | None
    dumps: tuple[Dump, ...]
    inputs: Mapping[str, str]  # input name -> md5 of the logical tensor; empty where nothing is known


def stage(name: str, source: Path | Reference) -> Stage:
    """A stage from a folder or .npz, or from a reference that is open already. Errors: InputError."""
    reference = source if isinstance(source, Reference) else open_reference(source, platform=_platform(source))
    dumps = tuple(_dump(tensor) for tensor in reference.tensors.values())
    return Stage(name, reference, dumps, input_hashes(reference))


def _platform(path: Path) -> str:
    return recognise(path)


def _dump(tensor: ReferenceTensor) -> Dump:
    return Dump(
        name=tensor.name,
        path=tensor.path,
        spec=tensor.spec,
        op=tensor.op,
        op_kind=tensor.op_kind,
        role="input" if tensor.is_input else "output",
        index=tensor.order,
        aliases=tensor.aliases,
    )


def input_hashes(reference: Reference) -> dict[str, str]:
    """md5 per input: as the reference recorded what it was fed, else of the input tensors that it holds."""
    recorded = {str(i["name"]): str(i["md5"]) for i in reference.provenance.get("inputs", ()) if i.get("md5")}
    held = [t for t in reference.tensors.values() if t.is_input]
    return recorded or {t.name: (t.alternate or t).md5 or _md5(t) for t in held}


def board_inputs(dumps: Sequence[Dump]) -> dict[str, str]:
    """md5 per input-side dump of a board, by name; only those whose spec is known."""
    return {d.name: _dump_md5(d) for d in dumps if d.role == "input" and d.spec is not None}


def _md5(tensor: ReferenceTensor) -> str:
    side = tensor.alternate or tensor
    return _hash(side.path, side.spec)


def _dump_md5(dump: Dump) -> str:
    return _hash(dump.path, dump.spec)


def _hash(path: Path, spec: Any) -> str:
    try:
        return valid_md5(open_array(path, spec)) if spec is not None else ""
    except TensorError:
        return ""


def climb(stages: Sequence[Stage], settings: Settings | None = None, last: Comparison | None = None) -> dict[str, Any]:
    """Hold every stage against the one before; `last` is the last step, where it is done already.

    Gives `stages` (inputs proven or not), `steps`, `first` (the name of the first stage that departs, "" for
    none), `table` (one row per tensor) and a sentence.
    """
    settings = settings or Settings()
    alignments = [_alignment(s, stages[0]) for s in stages]
    steps, columns = [], []
    for before, after, alignment in zip(stages, stages[1:], alignments[1:], strict=False):
        done = last is not None and after is stages[-1]
        found = last if done else _step(before, after, settings)
        steps.append(_told(before, after, alignment, found))
        columns.append((after.name, found))
    first = next((step["to"] for step in steps if step["word"] in DEPARTED), "")
    named = zip(stages, alignments, strict=True)
    return {
        "stages": [{"name": s.name, "inputs": dict(s.inputs), "alignment": a} for s, a in named],
        "steps": steps,
        "first": first,
        "table": _table(columns),
        "detail": _sentence(stages, steps, alignments, first),
    }


def _alignment(one: Stage, first: Stage) -> str:
    """`proven` (the same inputs by hash), `different`, or `unknown`."""
    if not one.inputs or not first.inputs or "" in (*one.inputs.values(), *first.inputs.values()):
        return "unknown"
    if one.inputs == first.inputs:
        return "proven"
    same_values = sorted(one.inputs.values()) == sorted(first.inputs.values())
    return "proven" if same_values and len(set(one.inputs.values())) == 1 else "different"


def _step(before: Stage, after: Stage, settings: Settings) -> Comparison | None:
    if before.reference is None:
        return None
    computed = [dump for dump in after.dumps if dump.role != "input"]
    plain = replace(settings, mapping=None, isolate=False, floats=None, progress=None)
    return compare(before.reference, computed, plain)


def _told(before: Stage, after: Stage, alignment: str, found: Comparison | None) -> dict[str, Any]:
    row: dict[str, Any] = {"from": before.name, "to": after.name, "inputs": alignment}
    if alignment == "different":
        return {**row, "word": "not_aligned", "detail": "another input was fed: nothing can be concluded"}
    if found is None or found.coverage.layers_compared == 0:
        return {**row, "word": "not_aligned", "detail": "no tensor of one has its like in the other"}
    worst = _worst(found.layers)
    first = next((layer for layer in found.layers if layer.verdict == "differs"), None)
    detail = f"{found.coverage.layers_compared} of {found.coverage.layers_total} tensors aligned"
    if first is not None:
        detail += f", first difference {first.name}, worst {worst.name if worst else first.name}: {first.reason}"
    if alignment == "unknown":
        detail += "; that both got the same input is not proven"
    return {**row, "word": found.verdict.word, "detail": detail, "first_difference": first.name if first else ""}


def _worst(layers: Sequence[Layer]) -> Layer | None:
    measured = [layer for layer in layers if layer.metrics is not None and layer.metrics.relative_l2 is not None]
    return max(measured, key=lambda layer: (layer.metrics and layer.metrics.relative_l2) or 0.0, default=None)


def _table(columns: Sequence[tuple[str, Comparison | None]]) -> list[dict[str, Any]]:
    """One row per tensor, one verdict per stage; "" where a stage does not have it."""
    rows: dict[str, dict[str, Any]] = {}
    for name, found in columns:
        for layer in found.layers if found else ():
            rows.setdefault(layer.name, {"name": layer.name})[name] = layer.verdict
    return list(rows.values())


def _sentence(
    stages: Sequence[Stage], steps: Sequence[Mapping[str, Any]], alignments: Sequence[str], first: str
) -> str:
    loose = [s.name for s, a in zip(stages, alignments, strict=True) if a == "different"]
    unproven = [s.name for s, a in zip(stages[1:], alignments[1:], strict=True) if a == "unknown"]
    lost = [step["to"] for step in steps if step["word"] == "not_aligned" and step["to"] not in loose]
    parts = [f"first stage that departs: {first}" if first else "no stage departs"]
    if loose:
        parts.append(f"fed another input: {', '.join(loose)}")
    if lost:
        parts.append(f"cannot be aligned: {', '.join(lost)}")
    if unproven:
        parts.append(f"inputs not proven equal: {', '.join(unproven)}")
    return "; ".join(parts)


def with_ladder(
    comparison: Comparison,
    earlier: Mapping[str, Path],
    reference: Reference,
    dumps: Sequence[Dump],
    settings: Settings,
) -> Comparison:
    """The comparison with the ladder earlier stages -> reference -> board in its extras."""
    stages = [stage(name, path) for name, path in earlier.items()]
    stages.append(stage("reference", reference))
    stages.append(Stage("board", None, tuple(dumps), board_inputs(dumps)))
    return replace(comparison, extras={**comparison.extras, "ladder": climb(stages, settings, comparison)})
