"""The stage ladder: float, calibrated, quantized, compiled, board, side by side; which step departs first?

Before any layer is blamed: every stage must have got the same input, by hash. A stage fed something else, or one that
says nothing of its inputs, is not aligned, and it is said so. Each stage is held against the one before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.consistency.arithmetic import Precision, precision_of
from harness.consistency.checks.float_reference import is_float, judges_noise
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.grid import grid_step
from harness.consistency.policy import Policy, load_policy
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.specs import open_array
from harness.consistency.reading.tensor_files import valid_md5
from harness.dumps.folders import recognise
from harness.records import Comparison, Dump, Layer, StageAlignment, StageComparison, StageStep, TensorSpec
from harness.reference.open import Reference, ReferenceTensor, open_reference

DEPARTED = ("diverges", "not_deterministic")
SAMPLED = 16  # tensors of a stage that tell its precision
SINGLE_BITS = 20
RUN_HERE = ("onnx", "compiled")  # kinds of references that a PC computed from the input that it was given


@dataclass(frozen=True)
class Stage:
    """One stage of the ladder. `dumps` is what it left, for the stages that are held against another."""

    name: str
    reference: Reference | None
    dumps: tuple[Dump, ...]
    inputs: Mapping[str, Mapping[str, str]]  # input -> dtype -> md5 of the logical tensor; empty: nothing is known
    was_fed: bool = False  # by this run, with the bytes that the board got, as this stage takes them


def stage(name: str, source: Path | Reference, inputs: Collection[str] = (), *, was_fed: bool = False) -> Stage:
    """A stage from a folder or .npz, or from a reference that is open already. `inputs` are names of the network's
    inputs, which an .npz does not tell. Errors: InputError."""
    reference = source if isinstance(source, Reference) else open_reference(source, platform=_platform(source))
    tensors = {n: replace(t, is_input=True) if n in inputs else t for n, t in reference.tensors.items()}
    reference = replace(reference, tensors=tensors) if inputs else reference
    dumps = tuple(_dump(tensor) for tensor in reference.tensors.values())
    return Stage(name, reference, dumps, input_hashes(reference), was_fed)


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


def input_hashes(reference: Reference) -> dict[str, dict[str, str]]:
    """md5 per input and dtype: a quantized network holds its input as it was fed and as it was quantized."""
    by_input: dict[str, dict[str, str]] = {}
    for tensor in (t for t in reference.tensors.values() if t.is_input):
        sides = [side for side in (tensor, tensor.alternate) if side is not None and side.spec is not None]
        by_input[tensor.name] = {s.spec.dtype: s.md5 or _hash(s.path, s.spec) for s in sides if s.spec is not None}
        by_input[tensor.name] |= _in_single(tensor.path, tensor.spec)
    return by_input


def _in_single(path: Path, spec: TensorSpec | None) -> dict[str, str]:
    """What a tool wrote as float64 although float32 holds it, by the hash of that."""
    if spec is None or spec.dtype != "f64":
        return {}
    try:
        array = open_array(path, spec)
    except TensorError:
        return {}
    single = array.astype(np.float32)
    return {"f32": valid_md5(single)} if np.array_equal(single.astype(array.dtype), array) else {}


def board_inputs(dumps: Sequence[Dump]) -> dict[str, dict[str, str]]:
    """The same of the input-side dumps of a board; only those whose spec is known."""
    by_input: dict[str, dict[str, str]] = {}
    for dump in dumps:
        if dump.role == "input" and dump.spec is not None:
            hashes = by_input.setdefault(dump.name, {})
            hashes[dump.spec.dtype] = _hash(dump.path, dump.spec)
            hashes |= _in_single(dump.path, dump.spec)
    return by_input


def _hash(path: Path, spec: TensorSpec) -> str:
    try:
        return valid_md5(open_array(path, spec))
    except TensorError:
        return ""


def compare_stages(
    stages: Sequence[Stage], settings: CompareSettings | None = None, last: Comparison | None = None
) -> StageComparison:
    """Hold every stage against the one before; `last` is the last step, where it is done already.

    `first` is the name of the first stage that departs, "" for none.
    """
    settings = settings or CompareSettings()
    alignments = _alignments(stages)
    steps, columns = [], []
    for before, after, alignment in zip(stages, stages[1:], alignments[1:], strict=False):
        is_last = last is not None and after is stages[-1]
        comparison = last if is_last else _step(before, after, settings)
        steps.append(_step_record(before, after, alignment, comparison))
        columns.append((after.name, comparison))
    first = next((step.after for step in steps if step.word in DEPARTED), "")
    named = zip(stages, alignments, strict=True)
    return StageComparison(
        stages=tuple(StageAlignment(s.name, dict(s.inputs), a) for s, a in named),
        steps=tuple(steps),
        first=first,
        table=_table(columns),
        detail=_sentence(stages, steps, alignments, first),
    )


def _alignments(stages: Sequence[Stage]) -> list[str]:
    """Per stage `proven` (the first stage's inputs, by hash), `different`, or `unknown` (no hash in common).

    A stage that is proven adds the dtypes that it knows: float to quantized to a board that has integers only.
    """
    known = {name: dict(hashes) for name, hashes in stages[0].inputs.items()}
    sentences = []
    for one in stages:
        by_hash = _alignment(one.inputs, known)
        computed = one.was_fed and (one.reference is not None or by_hash == "unknown")
        sentences.append("proven" if computed else by_hash)
        if sentences[-1] == "proven":
            for name, hashes in one.inputs.items():
                known.setdefault(name, {}).update(hashes)
    return sentences


def _alignment(inputs: Mapping[str, Mapping[str, str]], known: Mapping[str, Mapping[str, str]]) -> str:
    words = [_same_input(hashes, inputs.get(name, {})) for name, hashes in known.items()]
    if "different" in words:
        return "different"
    return "proven" if words and set(words) == {"proven"} else "unknown"


def _same_input(first: Mapping[str, str], other: Mapping[str, str]) -> str:
    common = [dtype for dtype in first if first[dtype] and other.get(dtype)]
    if not common:
        return "unknown"
    return "proven" if all(first[dtype] == other[dtype] for dtype in common) else "different"


def _step(before: Stage, after: Stage, settings: CompareSettings) -> Comparison | None:
    if before.reference is None:
        return None
    read = {t.name for t in before.reference.tensors.values() if t.is_input} if after.was_fed else set()
    computed = [dump for dump in after.dumps if dump.role != "input" and dump.name not in read]  # a stage may make it
    policy = _for_noise(settings.policy or load_policy(), before, after)
    plain = replace(
        settings,
        mapping=None,
        isolate=False,
        reading=None,
        floats=None,
        progress=None,
        gaps=(),
        policy=policy,
        hypotheses=False,
        repeats=(),
        hashed={},
        storages=None,
        model=None,
    )
    return compare(before.reference, computed, plain)


def _for_noise(policy: Policy, before: Stage, after: Stage) -> Policy:
    """From floats to integers, or to fewer bits, the noise of that is judged, and not the last digits."""
    quantizes = before.reference is not None and is_float(before.reference)
    if not quantizes or judges_noise(policy) or after.reference is None:
        return policy
    if is_float(after.reference) and (_is_coarse(before) or not _is_coarse(after)):
        return policy
    return replace(policy, rules=(*policy.rules, *load_policy("float-reference").rules))


def _is_coarse(one: Stage) -> bool:
    """Whether a third of what it computed lies on grids or has half a float's bits, though it is stored as floats."""
    computed = [dump for dump in one.dumps if dump.role != "input" and dump.spec is not None]
    computed = computed[:: max(1, len(computed) // SAMPLED)]
    return bool(computed) and 3 * sum(map(_has_few_bits, computed)) >= len(computed)


def _has_few_bits(dump: Dump) -> bool:
    try:
        array = open_array(dump.path, dump.spec) if dump.spec is not None else None
    except TensorError:
        return False
    if array is None or array.dtype.kind != "f":
        return array is not None
    precision = precision_of(np.asarray(array, np.float32))
    return bool(grid_step(array)) or (isinstance(precision, Precision) and precision.significant_bits < SINGLE_BITS)


def _step_record(before: Stage, after: Stage, alignment: str, comparison: Comparison | None) -> StageStep:
    row = StageStep(before.name, after.name, alignment)
    if alignment == "different":
        return replace(row, detail="different input: no conclusion")
    if comparison is None or comparison.coverage.layers_compared == 0:
        return replace(row, detail="no common tensors")
    worst = _worst(comparison.layers)
    first = next((layer for layer in comparison.layers if layer.verdict == "differs"), None)
    detail = f"{comparison.coverage.layers_compared} of {comparison.coverage.layers_total} tensors aligned"
    if first is not None:
        detail += f", first difference {first.name}: {first.reason}"
        if worst is not None and worst.metrics is not None and worst is not first:
            detail += f", largest relative L2 {worst.metrics.relative_l2:.2g} at {worst.name}"
    if alignment == "unknown":
        detail += "; same input not verified"
    return replace(row, word=comparison.verdict.word, detail=detail, first_difference=first.name if first else "")


def _worst(layers: Sequence[Layer]) -> Layer | None:
    measured = [layer for layer in layers if layer.metrics is not None and layer.metrics.relative_l2 is not None]
    return max(measured, key=lambda layer: (layer.metrics and layer.metrics.relative_l2) or 0.0, default=None)


def _table(columns: Sequence[tuple[str, Comparison | None]]) -> tuple[Mapping[str, str], ...]:
    """One row per tensor, one verdict per stage; "" where a stage does not have it."""
    rows: dict[str, dict[str, str]] = {}
    for name, comparison in columns:
        for layer in comparison.layers if comparison else ():
            rows.setdefault(layer.name, {"name": layer.name})[name] = layer.verdict
    return tuple(rows.values())


def _sentence(stages: Sequence[Stage], steps: Sequence[StageStep], alignments: Sequence[str], first: str) -> str:
    loose = [s.name for s, a in zip(stages, alignments, strict=True) if a == "different"]
    unproven = [s.name for s, a in zip(stages[1:], alignments[1:], strict=True) if a == "unknown"]
    lost = [step.after for step in steps if step.word == "not_aligned" and step.after not in loose]
    parts = [f"first differing stage: {first}" if first else "no stage differs"]
    if loose:
        parts.append(f"different input: {', '.join(loose)}")
    if lost:
        parts.append(f"cannot be aligned: {', '.join(lost)}")
    if unproven:
        parts.append(f"inputs not verified: {', '.join(unproven)}")
    return "; ".join(parts)


def with_stages(
    comparison: Comparison,
    given: Mapping[str, Path | Reference],
    own: Path,
    reference: Reference,
    dumps: Sequence[Dump],
    settings: CompareSettings,
    *,
    were_fed: bool = False,
) -> Comparison:
    """The comparison with the ladder of stages up to the board in its extras; as it is where no stage is given.

    A stage at `own`, the reference's path, or that is the reference itself, is it under a name of its own: those given
    after it lie between it and the board. Else all of them lie before it. `were_fed`: those that an ONNX computed got
    the board's own bytes in this run, as each takes them.
    """
    if not given:
        return comparison
    inputs = {dump.name for dump in dumps if dump.role == "input"}
    inputs |= {name for name, tensor in reference.tensors.items() if tensor.is_input}
    sources = {name: reference if _is_at(source, own) else source for name, source in given.items()}
    if not any(source is reference for source in sources.values()):
        sources["reference"] = reference
    fed = {name for name, one in sources.items() if were_fed and isinstance(one, Reference) and one.kind in RUN_HERE}
    stages = [stage(name, source, inputs, was_fed=name in fed) for name, source in sources.items()]
    is_fed = any(sources[name] is reference for name in fed)
    stages.append(Stage("board", None, tuple(dumps), board_inputs(dumps), was_fed=is_fed))
    last = comparison if list(sources.values())[-1] is reference else None
    return replace(comparison, extras=replace(comparison.extras, stages=compare_stages(stages, settings, last)))


def _is_at(source: Path | Reference, own: Path) -> bool:
    return isinstance(source, Path) and source.absolute() == own.absolute()
