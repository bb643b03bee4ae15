"""Boards of half precision, healthy and with one wrong op: whole networks rounded op by op, as such boards compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from harness.consistency.arithmetic import BF16, F16, TF32, Precision, precision_of, rounded
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.policy import load_policy
from harness.dumps.folders import read_dumps
from harness.records import Comparison
from harness.reference.open import Reference, open_reference, run_reference
from tests.support.nets import Array, float_model, inputs_of, tiny_model

GOOD = ("consistent_within", "consistent_accumulated")
WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")
NETS = ("cnn", pytest.param("transformer", marks=pytest.mark.slow))
Round = Callable[[Array], Array]


@pytest.fixture(scope="module", params=NETS)
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return float_reference(float_model(request.param), tmp_path_factory.mktemp(request.param))


def float_reference(model: onnx.ModelProto, folder: Path, feeds: Mapping[str, Array] | None = None) -> Reference:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return run_reference(path, dict(feeds or inputs_of(model, 3)), folder / "reference")


def wide_sums(values: Array) -> Array:
    """Of a board that rounds operands only: results stay as they are."""
    return values


def played(reference: Reference, operands: Round, results: Round, wrong: str = "") -> dict[str, Array]:
    """Every tensor of the network computed op by op; the first half of the weights of op `wrong` is halved."""
    assert reference.model is not None
    model = onnx.load(reference.model)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    values = dict(weights)
    fed = [(t.name, np.array((t.alternate or t).load())) for t in reference.tensors.values() if t.is_input]
    values.update({name: results(value) for name, value in fed})
    for node in model.graph.node:
        given = {name: values[name] for name in node.input if name}
        if node.op_type in WEIGHTED or results is not wide_sums:
            given = {n: operands(v) if v.dtype == np.float32 and v.ndim else v for n, v in given.items()}
        if node.name == wrong:
            weight = given[node.input[1]].copy()
            weight[: len(weight) // 2] *= 0.5
            given[node.input[1]] = weight
        made = _alone(node, given, model)
        values.update({n: results(v) if v.dtype == np.float32 else v for n, v in zip(node.output, made, strict=True)})
    return {name: value for name, value in values.items() if name in reference.tensors}


def _alone(node: onnx.NodeProto, given: Mapping[str, Array], model: onnx.ModelProto) -> list[Array]:
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for name, v in given.items()
    ]
    graph = helper.make_graph([node], "one", inputs, [onnx.ValueInfoProto(name=name) for name in node.output])
    one = helper.make_model(graph, opset_imports=model.opset_import, ir_version=8)
    session = ort.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(given)))


def judged(reference: Reference, values: Mapping[str, Array], folder: Path, policy: str = "") -> Comparison:
    for name, value in values.items():
        np.save(folder / f"{name}.npy", value)
    return compare(reference, read_dumps(folder), CompareSettings(policy=load_policy(policy)))


def some_weighted_op(reference: Reference) -> str:
    assert reference.model is not None
    graph = onnx.load(reference.model).graph
    weights = {tensor.name for tensor in graph.initializer}
    ops = [node.name for node in graph.node if node.op_type in WEIGHTED and node.input[1] in weights]
    return ops[len(ops) // 2]


@pytest.mark.parametrize("precision", [F16, BF16], ids=lambda p: p.name)
def test_a_healthy_board_of_half_precision_is_consistent_and_its_precision_named(
    reference: Reference, precision: Precision, tmp_path: Path
) -> None:
    by = partial(rounded, precision=precision)
    comparison = judged(reference, played(reference, by, by), tmp_path)
    assert comparison.verdict.word in GOOD and not comparison.origins
    assert comparison.policy == precision.name and precision.words in comparison.verdict.detail
    assert sum(precision.words in note for note in comparison.notes) == 1


@pytest.mark.parametrize("is_typed", [False, True])
@pytest.mark.parametrize("precision", [F16, BF16], ids=lambda p: p.name)
def test_one_wrong_op_of_such_a_board_is_the_only_origin(
    reference: Reference, precision: Precision, is_typed: bool, tmp_path: Path
) -> None:
    by, wrong = partial(rounded, precision=precision), some_weighted_op(reference)
    typed = precision.name if is_typed else ""
    comparison = judged(reference, played(reference, by, by, wrong), tmp_path, typed)
    assert [origin.op for origin in comparison.origins] == [wrong] and comparison.policy == precision.name


@pytest.mark.parametrize("precision", [TF32, BF16], ids=lambda p: p.name)
@pytest.mark.parametrize("faulty", [False, True])
def test_rounded_operands_with_wide_sums_are_told_by_running_the_ops_again(
    reference: Reference, precision: Precision, faulty: bool, tmp_path: Path
) -> None:
    wrong = some_weighted_op(reference) if faulty else ""
    values = played(reference, partial(rounded, precision=precision), wide_sums, wrong)
    comparison = judged(reference, values, tmp_path)
    assert [origin.op for origin in comparison.origins] == ([wrong] if faulty else [])
    assert comparison.policy == precision.name and "reproduce the board's values" in comparison.notes[0]


def test_a_policy_that_was_asked_for_judges(reference: Reference, tmp_path: Path) -> None:
    by = partial(rounded, precision=F16)
    comparison = judged(reference, played(reference, by, by), tmp_path, policy="default")
    assert comparison.verdict.word == "diverges" and comparison.policy == "default"
    assert any("--policy f16" in note for note in comparison.notes)


@pytest.mark.parametrize("typed", ["bf16", "", "own"])
def test_a_precision_that_was_asked_for_is_that_of_ops_that_nobody_saw(
    reference: Reference, typed: str, tmp_path: Path
) -> None:
    by = partial(rounded, precision=BF16)
    values = played(reference, by, by)
    assert reference.graph is not None
    last = {name: value for name, value in values.items() if name in reference.graph.outputs}
    own = tmp_path / "own.yaml"
    own.write_text("policy: own\nextends: bf16\n")
    (tmp_path / "board").mkdir()
    comparison = judged(reference, last, tmp_path / "board", policy=str(own) if typed == "own" else typed)
    if typed or comparison.policy == "bf16":  # few values may not tell by themselves
        assert comparison.verdict.word in GOOD and not comparison.origins and "bfloat16" in comparison.verdict.detail


def test_f16_files_are_widened_to_run_their_ops_alone(reference: Reference, tmp_path: Path) -> None:
    by, wrong = partial(rounded, precision=F16), some_weighted_op(reference)
    values = played(reference, by, by, wrong)
    half = {name: v.astype(np.float16) if v.dtype == np.float32 else v for name, v in values.items()}
    comparison = judged(reference, half, tmp_path)
    assert [origin.op for origin in comparison.origins] == [wrong]
    assert not any("scale" in note for note in comparison.notes)


def test_float32_boards_and_grids_of_integers_are_not_taken_for_half_precision() -> None:
    rng = np.random.default_rng(0)
    real = rng.standard_normal(5000).astype(np.float32)
    assert precision_of(real) == ""
    assert precision_of(rounded(real, TF32)) is F16  # within its range, told from TF32 by larger or smaller values
    assert precision_of(rounded(real * np.float32(1e6), TF32)) is TF32
    assert precision_of(rounded(real, BF16)) is BF16
    for step in (1.0, 0.125, 0.013):
        assert precision_of((rng.integers(-128, 128, 5000) * step).astype(np.float32)) in ("", None)
    assert precision_of(np.zeros(5000, np.float32)) is None


# --------------------------------------------------------------------------- overflow


def square_norm(folder: Path) -> Reference:
    """x, scaled far up, its mean square, and the values over its root: as exporters write a norm."""
    nodes = [
        helper.make_node("Mul", ["x", "gain"], ["scaled"], name="scale"),
        helper.make_node("Pow", ["scaled", "two"], ["square"], name="square"),
        helper.make_node("ReduceMean", ["square"], ["mean"], name="mean", axes=[-1], keepdims=1),
        helper.make_node("Sqrt", ["mean"], ["root"], name="root"),
        helper.make_node("Div", ["scaled", "root"], ["y"], name="norm"),
    ]
    gain = np.where(np.arange(64) == 5, 400.0, 1.0).astype(np.float32)
    model = tiny_model(nodes, {"x": [1, 16, 64]}, ["y"], gain=gain, two=np.float32(2.0))
    x = np.random.default_rng(1).standard_normal((1, 16, 64)).astype(np.float32)
    return float_reference(model, folder, {"x": x})


def test_an_overflow_of_half_precision_is_named_at_the_op_that_overflows(tmp_path: Path) -> None:
    reference = square_norm(tmp_path)
    by = partial(rounded, precision=F16)
    comparison = judged(reference, played(reference, by, by), _folder(tmp_path, "board"))
    assert [(o.op, o.fingerprint and o.fingerprint.kind) for o in comparison.origins] == [("square", "overflow")]


def test_an_overflow_between_two_dumps_is_found_by_running_the_ops_in_half_precision(tmp_path: Path) -> None:
    reference = square_norm(tmp_path)
    by = partial(rounded, precision=F16)
    values = played(reference, by, by)
    seen = {name: values[name] for name in ("x", "scaled", "y")}
    comparison = judged(reference, seen, _folder(tmp_path, "board"))
    assert [(o.op, o.fingerprint and o.fingerprint.kind) for o in comparison.origins] == [("norm", "overflow")]


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


# --------------------------------------------------------------------------- one layer of another precision


def plain_layers(folder: Path, boards: Mapping[str, Array], references: Mapping[str, Array]) -> Comparison:
    """Arrays by name without a network: a board's and the reference's."""
    for name, value in references.items():
        np.save(_folder_of(folder, "reference") / f"{name}.npy", value)
    for name, value in boards.items():
        np.save(_folder_of(folder, "board") / f"{name}.npy", value)
    settings = CompareSettings(policy=load_policy(""))
    return compare(open_reference(folder / "reference"), read_dumps(folder / "board"), settings)


def _folder_of(parent: Path, name: str) -> Path:
    (parent / name).mkdir(exist_ok=True)
    return parent / name


def random_layers(count: int) -> dict[str, Array]:
    rng = np.random.default_rng(2)
    return {f"layer{i:02d}": rng.standard_normal((1, 4, 16, 16)).astype(np.float32) for i in range(count)}


@pytest.mark.parametrize("faulty", [1, 5])
def test_equal_layers_of_full_float32_show_that_a_rounded_one_is_a_fault(faulty: int, tmp_path: Path) -> None:
    layers = random_layers(8)
    rounded_ones = {name: rounded(layers[name], BF16) for name in list(layers)[-faulty:]}
    comparison = plain_layers(tmp_path, {**layers, **rounded_ones}, layers)
    assert (comparison.verdict.word, comparison.policy) == ("diverges", "default")


def test_one_coarser_layer_is_judged_by_the_precision_of_the_others(tmp_path: Path) -> None:
    layers = random_layers(10)
    boards = {name: rounded(v, F16) for name, v in layers.items()}
    boards["layer09"] = rounded(layers["layer09"] * np.float32(1.004), BF16)  # within four roundings of bf16
    comparison = plain_layers(tmp_path, boards, layers)
    assert (comparison.verdict.word, comparison.policy) == ("diverges", "f16")
    assert [row.name for row in comparison.layers if row.verdict == "differs"] == ["layer09"]
    assert any("9 of 10 float layers hold f16 values only, 1 bf16 values only" in note for note in comparison.notes)


def test_a_finer_layer_is_no_precision_of_the_others(tmp_path: Path) -> None:
    layers = random_layers(6)
    boards = {name: rounded(v, F16 if name == "layer05" else BF16) for name, v in layers.items()}
    assert plain_layers(tmp_path, boards, layers).policy == "default"


def test_float64_is_equal_to_float32_only_where_float32_holds_it(tmp_path: Path) -> None:
    narrow = random_layers(2)
    wide = {name: value.astype(np.float64) for name, value in narrow.items()}
    wide["layer01"] *= 1 + 1e-9  # less than float32 tells apart
    comparison = plain_layers(tmp_path, narrow, wide)
    assert [row.verdict for row in comparison.layers] == ["exact", "within"]


@pytest.mark.parametrize(("size", "verdict"), [(2.0**-26, "within"), (2.0**-20, "differs")])
def test_a_map_that_underflows_to_zeros_is_within_where_half_precision_holds_nothing_smaller(
    size: float, verdict: str, tmp_path: Path
) -> None:
    """A dead tensor of values that half precision does hold stays a difference; so does one judged as float32."""
    references = random_layers(3)
    boards = {name: rounded(values, F16) for name, values in references.items()}
    references["tiny"] = (references["layer00"] / np.abs(references["layer00"]).max() * size).astype(np.float32)
    boards["tiny"] = np.zeros_like(references["tiny"])
    rows = {row.name: row.verdict for row in plain_layers(tmp_path, boards, references).layers}
    assert rows["tiny"] == verdict and rows["layer00"] == "within"


# --------------------------------------------------------------------------- values below the smallest normal one


def small_layers() -> dict[str, Array]:
    """A map of a size where half precision keeps a few bits, or none where small values are flushed."""
    layers = random_layers(5)
    return {name: v * np.float32(1e-4 if name == "layer03" else 1) for name, v in layers.items()}


def flushed_to_zero(values: Array) -> Array:
    narrow = rounded(values, F16)
    return np.where(np.abs(narrow) < F16.smallest_normal, np.float32(0), narrow)


@pytest.mark.parametrize("flush", [False, True], ids=["kept", "flushed"])
def test_small_values_of_half_precision_kept_with_few_bits_or_flushed_are_within(flush: bool, tmp_path: Path) -> None:
    layers = small_layers()
    layers["layer04"] *= np.float32(1e-6)
    boards = {name: flushed_to_zero(v) if flush else rounded(v, F16) for name, v in layers.items()}
    comparison = plain_layers(tmp_path, boards, layers)
    assert comparison.verdict.word in ("consistent_within", "consistent"), comparison.verdict
    assert any("flushes them" in note for note in comparison.notes) == flush


@pytest.mark.parametrize("fault", ["other zeros", "dead", "one flushed layer"])
def test_zeros_that_no_flushing_leaves_are_a_difference(fault: str, tmp_path: Path) -> None:
    layers = small_layers()
    boards = {name: flushed_to_zero(v) for name, v in layers.items()}
    if fault == "other zeros":
        boards["layer03"][..., 0] = 0
    elif fault == "dead":
        boards["layer02"][...] = 0
    else:
        boards = {name: v if name == "layer03" else rounded(layers[name], F16) for name, v in boards.items()}
        layers["layer04"] *= np.float32(1e-4)
        boards["layer04"] = rounded(layers["layer04"], F16)
    comparison = plain_layers(tmp_path, boards, layers)
    wrong = "layer02" if fault == "dead" else "layer03"
    assert [row.name for row in comparison.layers if row.verdict == "differs"] == [wrong]


def test_bfloat16_keeps_its_small_values(tmp_path: Path) -> None:
    """bf16 has float32's range: a map of 1e-38 has values below the smallest normal one, which boards flush, too."""
    layers = {name: v * np.float32(1e-38 if name == "layer03" else 1) for name, v in random_layers(5).items()}
    boards = {name: rounded(v, BF16) for name, v in layers.items()}
    boards["layer03"] = np.where(np.abs(boards["layer03"]) < BF16.smallest_normal, np.float32(0), boards["layer03"])
    assert plain_layers(tmp_path, boards, layers).verdict.exit_code == 0
