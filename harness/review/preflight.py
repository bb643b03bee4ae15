"""Inputs of both sides held against each other, before an op is blamed: order, layout, batch, preprocessing, and
whether the reference is of this model at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.reading.tensor_files import value_range
from harness.diagnosis import fed
from harness.diagnosis.fed import InputView
from harness.diagnosis.rules import Findings, finding
from harness.dumps import manifest
from harness.errors import COULD_NOT_MEASURE, InputError
from harness.files.scratch import scratch_folder
from harness.names import safe_name
from harness.records import Comparison, Dump, FedInput, Finding, ModelInfo, Run, TensorSpec, Verdict
from harness.reference.inputs import model_inputs
from harness.reference.onnx_file import load_model
from harness.reference.open import Reference, ReferenceTensor
from harness.reference.target import TargetFolder
from harness.review.case_reference import CaseReference

Array = npt.NDArray[Any]
GOOD_WORDS = ("consistent", "consistent_within", "consistent_accumulated")
MOST_MODELS = 8  # ONNX files beside a model that are looked at
DTYPES = {short: name for name, short in manifest.NUMPY_DTYPES.items()}


def views(folder: Path, run: Run, expected: CaseReference) -> tuple[InputView, ...]:
    """Every input that was fed, as both sides got it; parts that nobody knows are None."""
    info = run.model_info
    if info is None:
        return ()
    return tuple(
        _view(folder, info, expected, place, item)
        for place, item in enumerate(run.case.inputs)
        if place < len(info.inputs)
    )


def _view(folder: Path, info: ModelInfo, expected: CaseReference, place: int, item: FedInput) -> InputView:
    board = next((spec for spec in info.inputs if spec.name == item.tensor), info.inputs[place])
    kind = info.input_types[place] if place < len(info.input_types) else board.dtype.upper()
    data = (folder / item.file).read_bytes() if (folder / item.file).is_file() else b""
    known = InputView(item.tensor or board.name, board, kind, item.name, None)
    if item.generated or not data:
        return known
    fed_values, luma = _values(data, board), _luma(data, board, kind)
    known = replace(known, fed=fed_values if luma is None else None, picture=luma)
    tensor = _input_of(expected.reference, known.name, place)
    if tensor is None:
        return known
    side = tensor.alternate or tensor
    turned = _turned(expected, replace(info, inputs=(board,)), side.spec, data)
    kept = None if _is_run_here(expected) else _loaded(side)
    return replace(known, as_reference=turned, reference=kept, holds=_holds(tensor))


def _values(data: bytes, spec: TensorSpec) -> Array | None:
    """The bytes as an array of the spec's dtype and shape; None where they are none."""
    if spec.dtype not in DTYPES or not spec.shape or min(spec.shape) < 1:
        return None
    with suppress(ValueError):
        array: Array = np.frombuffer(data, DTYPES[spec.dtype]).reshape(spec.shape)
        return array
    return None


def _luma(data: bytes, spec: TensorSpec, kind: str) -> Array | None:
    """The luma plane (H, W) of one NV12 picture."""
    if not kind.startswith("NV12") or len(spec.shape) != 4:
        return None
    height, width = spec.shape[2:] if spec.shape[1] == 3 else spec.shape[1:3]
    if spec.shape[0] != 1 or len(data) != height * width * 3 // 2:
        return None
    luma: Array = np.frombuffer(data, np.uint8)[: height * width].reshape(height, width)
    return luma


def _input_of(reference: Reference | None, name: str, place: int) -> ReferenceTensor | None:
    inputs = [tensor for tensor in (reference.tensors.values() if reference else ()) if tensor.is_input]
    named = next((tensor for tensor in inputs if tensor.name == name), None)
    return named or (inputs[place] if place < len(inputs) else None)


def _turned(expected: CaseReference, info: ModelInfo, spec: TensorSpec | None, data: bytes) -> Array | None:
    if spec is None or not spec.shape:
        return None
    with suppress(InputError):
        return _values(expected.platform.reference_feed(info, replace(spec, name=info.inputs[0].name), data), spec)
    return None


def _is_run_here(expected: CaseReference) -> bool:
    """Whether the reference was computed with the board's own bytes: then its inputs prove nothing."""
    return expected.case.reference.endswith(".onnx")


def _loaded(tensor: ReferenceTensor) -> Array | None:
    with suppress(OSError, ValueError, EOFError, StopIteration):
        return tensor.load()
    return None


def _holds(tensor: ReferenceTensor) -> tuple[float, float] | None:
    """Least and greatest value of a quantized input's float side."""
    q = tensor.spec.quantization if tensor.spec is not None else None
    if q is None or tensor.alternate is None or len(q.scales) != 1 or tensor.spec is None:
        return None
    zero = q.zero_points[0] if q.zero_points else 0
    low, high = value_range(tensor.spec)
    return (low - zero) * q.scales[0], (high - zero) * q.scales[0]


# --------------------------------------------------------------------------- what was fed, as dumps of the board


def fed_dumps(inputs: Sequence[InputView], dumps: Sequence[Dump], expected: CaseReference) -> tuple[Dump, ...]:
    """What was fed, for network inputs that the board did not dump: the reference may have been fed something else."""
    if _is_run_here(expected) or expected.reference is None:
        return ()
    dumped = {name for dump in dumps for name in (dump.name, *dump.aliases)}
    dumped |= {dump.name for dump in dumps if dump.role == "input"}
    made, scratch = [], TargetFolder(scratch_folder())
    for place, view in enumerate(inputs):
        tensor = _input_of(expected.reference, view.name, place)
        if tensor is None or view.as_reference is None or {tensor.name, view.name} & dumped:
            continue
        file = f"{place}_{safe_name(tensor.name)}.npy"
        scratch.write_array(file, view.as_reference)
        made.append(Dump(tensor.name, scratch.path / file, role="input"))
    return tuple(made)


# --------------------------------------------------------------------------- findings


def findings(
    inputs: Sequence[InputView], run: Run, expected: CaseReference, comparison: Comparison | None
) -> tuple[Finding, ...]:
    """Everything that speaks against the inputs, or against the reference as a whole."""
    info = run.model_info
    if info is None:
        return ()
    proved = [*another_model(info, expected, comparison), *fed.proved(inputs)]
    open_ones = [view for view in inputs if view.name not in {one.subject for one in proved}]
    return (*proved, *fed.suspected(open_ones), *_structure(info, expected))


def another_model(info: ModelInfo, expected: CaseReference, comparison: Comparison | None) -> Findings:
    """I-101: a reference of another model of the packed file, by its name and by its inputs."""
    others = [name for name in info.models_in_file if name != info.name]
    reference = expected.reference
    if not others or reference is None or comparison is None or comparison.verdict.word in GOOD_WORDS:
        return
    wanted = {tensor.name for tensor in reference.tensors.values() if tensor.is_input}
    strange = bool(wanted) and not wanted & {spec.name for spec in info.inputs}
    names = _names(expected, reference)
    own, named = _in(info.name, names), [name for name in others if _in(name, names)]
    if (own and not strange) or not (named or strange):
        return
    which = max(named, key=len) if named else " or ".join(others)
    parts = [f"its name: {names[0]}"] if named else []
    if strange:
        fed_as = ", ".join(spec.name for spec in info.inputs)
        parts.append(f"its inputs: {', '.join(sorted(wanted))}; those of {info.name}: {fed_as}")
    evidence = f"{info.name} ran, the reference looks like {which} ({'; '.join(parts)})"
    advice = f"run the other model (--model-name {which}), or give the reference of {info.name}"
    yield finding("I-101", evidence, subject=which, advice=advice)


def _names(expected: CaseReference, reference: Reference) -> list[str]:
    """What a reference is called, without the name of the packed file in front: file, its source, its graph."""
    path, stem = Path(expected.case.reference), expected.case.model.stem
    names = [path.stem, Path(str(reference.provenance.get("source", ""))).stem]
    if _is_run_here(expected):
        with suppress(InputError):
            names.append(load_model(path).graph.name)
    return [name.removeprefix(f"{stem}_") for name in dict.fromkeys(names) if name]


def _in(model: str, names: Sequence[str]) -> bool:
    whole = re.compile(rf"(?:^|[_.\- ]){re.escape(model)}(?:$|[_.\- ])")
    return any(whole.search(name) for name in names)


def _structure(info: ModelInfo, expected: CaseReference) -> Findings:
    """I-104, I-111, I-116: batch, order and layout of the inputs as the models themselves tell them."""
    models = dict(_models(expected))
    ours = [spec.name for spec in info.inputs]
    orders = {name: [spec.name for spec in specs] for name, specs in models.items()}
    moved = {name: names for name, names in orders.items() if names != ours and sorted(names) == sorted(ours)}
    if moved:
        yield _order(info, expected, moved)
    for name, specs in models.items():
        for spec in specs:
            board = next((one for one in info.inputs if one.name == spec.name), None)
            if board is not None:
                yield from _shapes(name, spec, board)


def _models(expected: CaseReference) -> Iterator[tuple[str, tuple[TensorSpec, ...]]]:
    """Inputs of the ONNX files that belong to the case: the reference, the float model, those beside the model."""
    case = expected.case
    front = f"{case.model.stem}_{case.model_name}_" if case.model_name else f"{case.model.stem}_"
    beside = sorted(case.model.parent.glob(f"{_escaped(front)}*.onnx"))[:MOST_MODELS]
    given = [Path(case.reference), Path(case.floats), *(path for _, path in case.stages)]
    for path in dict.fromkeys([*(path for path in given if path.suffix == ".onnx"), *beside]):
        with suppress(InputError, OSError):
            yield path.name, model_inputs(path)


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[\]])", r"[\1]", text)


def _order(info: ModelInfo, expected: CaseReference, moved: Mapping[str, Sequence[str]]) -> Finding:
    ours = ", ".join(spec.name for spec in info.inputs)
    name, order = next(iter(moved.items()))
    evidence = f"compiled model: {ours}; {name}: {', '.join(order)}"
    shapes = {spec.name: (spec.dtype, spec.shape) for spec in info.inputs}
    alike = any(shapes[a] == shapes[b] for a, b in zip(order, (s.name for s in info.inputs), strict=True) if a != b)
    by_order = any(not tensor for tensor, _ in expected.case.inputs)
    if not (by_order and alike):
        return finding("I-116", evidence, title="the models take their inputs in another order")
    options = " ".join(
        f"--input {spec.name}={path}" for spec, (_, path) in zip(info.inputs, expected.case.inputs, strict=False)
    )
    advice = f"they were fed in the compiled model's order; name them, whichever order is meant: {options}"
    return finding("I-111", evidence, advice=advice)


def _shapes(model: str, spec: TensorSpec, board: TensorSpec) -> Findings:
    ours, theirs = board.shape, spec.shape
    if len(ours) != 4 or len(theirs) != 4 or min(theirs) < 1:
        return
    turned = [tuple(ours[axis] for axis in order) for order in ((0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1))]
    words = f"{spec.name}: {_size(ours)} in the compiled model, {_size(theirs)} in {model}"
    if ours[0] != theirs[0] and any(shape[1:] == theirs[1:] for shape in turned):
        yield finding("I-104", words, subject=spec.name)
    elif ours != theirs and theirs in turned[1:]:
        yield finding("I-116", words, subject=spec.name)


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


# --------------------------------------------------------------------------- the comparison after that


def settled(comparison: Comparison | None, suspicions: Sequence[Finding]) -> Comparison | None:
    """A comparison that blames no op for what its inputs explain: with another model's reference none is compared."""
    other = next((one for one in suspicions if one.rule == "I-101"), None)
    if comparison is None or other is None:
        return comparison
    layers = tuple(replace(row, role="", fingerprint=None, single=None) for row in comparison.layers)
    word = Verdict("not_comparable", f"{other.title}: {other.evidence}", COULD_NOT_MEASURE)
    extras = replace(comparison.extras, outputs=(), error_propagation=(), stages=None, quantization=None)
    bare = replace(comparison, layers=layers, origins=(), pictures={}, first_difference="", extras=extras)
    return replace(bare, verdict=word)
