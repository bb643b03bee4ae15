"""An op that is computed in another way, by ONNX Runtime through the whole network, is named by running it again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from harness.consistency.hypotheses.bench import Bench
from harness.consistency.hypotheses.catalogue import variants
from harness.consistency.hypotheses.search import HypothesisSearch, Tried, fingerprint
from harness.consistency.origins.isolate import Isolator, Request
from harness.consistency.reading.pairs import Pair, open_pair
from harness.dumps.folders import read_dumps
from harness.records import Fingerprint, Layer, Metrics
from tests.consistency.hypotheses import mutations as m
from tests.consistency.hypotheses.mistakes import (
    BATCH,
    BOTH,
    FLOAT,
    IMAGE,
    MAP,
    SIZES,
    Mistake,
    convolutions,
    node,
    one,
)
from tests.consistency.hypotheses.mutations import Array, Change

OPEN = ("unclassified", "stale")  # by the values alone
QUICK = ("float-SAME_LOWER", "float-align_corners", "QDQ-no bias")
ALL = [
    pytest.param(form, name, id=f"{form}-{name}", marks=[] if f"{form}-{name}" in QUICK else pytest.mark.slow)
    for form, names in {"float": [*BOTH, *FLOAT], "QDQ": [*BOTH], "QLinear": list(BOTH)[:9]}.items()
    for name in names
]


def kind_of(
    form: str, mistake: Mistake, folder: Path, change: Change | None = None, **settings: Any
) -> tuple[str, Fingerprint]:
    """(op of the one origin, what is said of it)."""
    model = mistake.model
    if form != "float":
        model = m.quantized(model, folder / "quantized", mistake.shape, qdq=form == "QDQ")
    reference, board = m.board_of(model, folder, change or mistake.change, {"x": m.values(*mistake.shape, seed=11)})
    comparison = m.judged(reference, board, **settings)
    assert len(comparison.origins) == 1, comparison.origins
    origin = comparison.origins[0]
    assert origin.fingerprint is not None
    return origin.op, origin.fingerprint


@pytest.mark.parametrize(("form", "name"), ALL)
def test_a_mistake_of_an_op_is_named_by_running_it_again(form: str, name: str, tmp_path: Path) -> None:
    mistake = BOTH.get(name) or FLOAT[name]
    _, mark = kind_of(form, mistake, tmp_path)
    assert mark.kind in mistake.kinds, mark
    assert mistake.words in mark.evidence and "this PC computes the board's values" in mark.evidence


@pytest.mark.slow
@pytest.mark.parametrize(("saturate", "words"), [(False, "wrap at 16 bits"), (True, "saturate at 16 bits")])
def test_sums_of_too_few_bits(saturate: bool, words: str, tmp_path: Path) -> None:
    positive = m.changed_model(convolutions(), m.weight("w1", np.abs))
    mistake = Mistake(positive, m.narrow_sums(16, saturate), ("accumulator",), words, IMAGE)
    _, mark = kind_of("QDQ", mistake, tmp_path)
    assert mark.kind == "accumulator" and mark.certain and words in mark.evidence


@pytest.mark.slow
@pytest.mark.parametrize("form", ["float", "QDQ"])
def test_the_op_of_an_interval_is_named(form: str, tmp_path: Path) -> None:
    """Of five ops only the last one's tensor was dumped."""
    mistake = BOTH["pads moved"]
    model = mistake.model if form == "float" else m.quantized(mistake.model, tmp_path / "q", IMAGE)
    reference, board = m.board_of(model, tmp_path, mistake.change, {"x": m.values(*IMAGE, seed=11)})
    manifest = json.loads((board / "manifest.json").read_text())
    manifest["tensors"] = [row for row in manifest["tensors"] if row["name"] in ("x", "c0", "y")]
    (board / "manifest.json").write_text(json.dumps(manifest))
    (origin,) = m.judged(reference, board).origins
    assert origin.unseen and origin.fingerprint is not None and origin.fingerprint.kind == "padding"
    assert "at op (Conv)" in origin.fingerprint.evidence


@dataclass
class Counter:
    """A clock that is one second on whenever somebody looks."""

    looks: int = 0

    def __call__(self) -> float:
        self.looks += 1
        return float(self.looks)


def exactly(_layer: Layer, _pair: Pair, metrics: Metrics) -> bool:
    return metrics.mismatched == 0


def searched(
    search: HypothesisSearch, mistake: Mistake, folder: Path, fed: str, target: str, kind: str = "Conv"
) -> Tried | None:
    """What comes of one tensor that is computed from one other."""
    x = m.values(*mistake.shape, seed=11)
    reference, board = m.board_of(mistake.model, folder, mistake.change, {"x": x})
    assert reference.model is not None
    dump = next(d for d in read_dumps(board) if d.name == target)
    pair, layer = open_pair(reference.tensors[target], dump), Layer(0, target, "op", kind, "differs")
    feeds = {fed: x if fed == "x" else np.array(reference.tensors[fed].load())}
    request = Request(target, feeds, float_side=True)
    return search.explain(layer, pair, Isolator(reference.model), [request] * 2)


def test_what_the_time_did_not_allow_is_said(tmp_path: Path) -> None:
    search = HypothesisSearch(exactly, origin_s=30.0, run_s=40.0, clock=Counter())
    tried = searched(search, BOTH["kernel flipped"], tmp_path, "r0", "c1")
    assert tried is not None and tried.cut and 0 < tried.count < 30
    assert "not all tried for c1: at most 30 s for an origin" in search.notes[0]
    assert searched(search, BOTH["kernel flipped"], tmp_path, "r0", "c1") is None or search.cut == ["c1", "c1"]
    search.run_s = 0.0
    assert searched(search, BOTH["kernel flipped"], tmp_path, "r0", "c1") is None and search.cut == ["c1"] * 3


@pytest.mark.parametrize("seconds", [5, 25])
def test_variants_that_change_nothing_take_time_too(seconds: int, tmp_path: Path) -> None:
    """Every way of resampling a constant map gives the same: the clock is looked at between them."""
    model = one(node("Resize", ["r", "", "sizes"], ["o"], "op", mode="linear"), **SIZES)
    flat = np.ones(MAP, np.float32)
    reference, _ = m.board_of(model, tmp_path, lambda _: None, {"x": flat})
    assert reference.model is not None
    spec, good = reference.tensors["o"].spec, np.array(reference.tensors["o"].load())
    assert spec is not None
    pair = Pair(m.values(*good.shape, seed=3), good, spec, spec, "float", spec)
    search = HypothesisSearch(exactly, origin_s=float(seconds), clock=(clock := Counter()))
    requests = [Request("o", {"r": flat})] * 2
    layer = Layer(0, "o", "op", "Resize", "differs")
    tried = search.explain(layer, pair, Isolator(reference.model), requests, ["resampling"])
    assert tried is not None and tried.cut and search.cut == ["o"]
    assert clock.looks <= seconds + 4


@pytest.mark.parametrize("seconds", [0, 1])
def test_time_that_is_over_before_the_first_variant(seconds: int, tmp_path: Path) -> None:
    search = HypothesisSearch(exactly, origin_s=float(seconds), clock=Counter())
    assert searched(search, BOTH["kernel flipped"], tmp_path, "r0", "c1") is None and search.cut == ["c1"]


LONG = 15
STEPS = [node("Add", [f"o{i}" if i else "s", f"b{i}"], [f"o{i + 1}"], f"add{i}") for i in range(LONG)]
CHAIN = Mistake(
    one(
        node("Sigmoid", ["r"], ["s"], "s"),
        *STEPS,
        node("BatchNormalization", [f"o{LONG}", *"gbmv"], ["o"], "op"),
        **BATCH,
        **{"b0": -BATCH["m"].reshape(1, 8, 1, 1)},
        **{f"b{i}": m.values(1, 8, 1, 1, seed=20 + i) for i in range(1, LONG)},
    ),
    m.weight("b0", lambda b: b * 0),
    (),
    "",
)


def test_of_a_long_interval_nothing_is_certain(tmp_path: Path) -> None:
    """A node that was not looked at may be the wrong one: here the first bias, which the mean of the norm undoes."""
    search = HypothesisSearch(lambda *given: (given[2].relative_l2 or 0) < 1e-5, origin_s=1e6, run_s=1e6)
    tried = searched(search, CHAIN, tmp_path, "x", "o")
    assert tried is not None and tried.cut and search.long == ["o"] and not search.cut
    open_mark = Fingerprint("unclassified", False, "open")
    mark = fingerprint(tried, open_mark)
    assert mark.kind == "normalization" and mark.figures["hypotheses_cut"] and not mark.certain
    assert fingerprint(replace(tried, cut=False), open_mark).certain
    assert "variants of only the last nodes between the dumped tensors tried for o: at most 12 nodes" in search.notes[0]


def test_nodes_behind_many_constants_are_scenes(tmp_path: Path) -> None:
    """Constant nodes between a moving node and the end do not push its tensors out."""
    constants = [node("Identity", [f"k{i}"], [f"k{i + 1}"], f"k{i}") for i in range(60)]
    first = node("Sigmoid", ["r"], ["s"], "s")
    model = one(first, *constants, node("Mul", ["s", "k60"], ["o"], "op"), k0=m.values(1, 8, 1, 1))
    onnx.save(model, tmp_path / "model.onnx")
    bench = Bench(Isolator(tmp_path / "model.onnx"), Request("o", {"x": m.values(*MAP)}))
    assert [scene.kind for scene in bench.scenes()] == ["Mul", "Sigmoid", "Relu"]
    assert all(scene.y.shape == MAP for scene in bench.scenes()) and len(list(variants(bench))) > 5


def test_tensors_of_a_bench_are_bounded(tmp_path: Path) -> None:
    onnx.save(CHAIN.model, tmp_path / "model.onnx")
    isolator, request = Isolator(tmp_path / "model.onnx"), Request("o", {"x": m.values(*MAP)})
    size = 4 * int(np.prod(MAP))
    for most, scenes in ((0, 1), (3 * size, 2), (6 * size, 5), (1 << 30, 12)):
        bench = Bench(isolator, request, most_bytes=most)
        assert len(bench.scenes()) == scenes and bench.left_out == LONG + 3 - scenes
        assert bench.array(f"o{LONG}") is not None and bench.array("o1") is None
        assert [bench.array(f"o{i}") is not None for i in range(1, LONG + 1)].count(True) == scenes


@pytest.mark.slow
def test_ops_with_one_kind_of_mistake_are_one_note(tmp_path: Path) -> None:
    nodes = [node("Conv", [f"x{i}" if i else "x", f"w{i}", f"b{i}"], [f"x{i + 1}"], f"conv{i}") for i in range(4)]
    weights = {f"w{i}": m.values(8, 8, 1, 1, seed=i, scale=0.4) for i in range(4)}
    biases = {f"b{i}": m.values(8, seed=10 + i) for i in range(4)}
    model = m.network([*nodes, node("Abs", ["x4"], ["y"], "behind")], MAP, "y", **weights, **biases)

    def without_bias(changed: onnx.ModelProto) -> None:
        for name in biases:
            m.weight(name, lambda b: b * 0)(changed)

    reference, board = m.board_of(model, tmp_path, without_bias, {"x": m.values(*MAP, seed=11)})
    comparison = m.judged(reference, board)
    assert [origin.fingerprint.kind for origin in comparison.origins if origin.fingerprint] == ["bias"] * 4
    assert "4 ops make one kind of mistake (bias: x1, x2, x3 and 1 more)" in " ".join(comparison.notes)


def test_without_hypotheses_nothing_is_run_again(tmp_path: Path) -> None:
    _, mark = kind_of("float", BOTH["kernel flipped"], tmp_path, hypotheses=False)
    assert mark.kind in OPEN and "hypotheses" not in mark.figures


def random_weights(w: Array) -> Array:
    other = np.random.default_rng(77).permutation(w.reshape(-1)).reshape(w.shape)
    return np.asarray(other, w.dtype)


@pytest.mark.parametrize(
    "form", ["float", pytest.param("QDQ", marks=pytest.mark.slow), pytest.param("QLinear", marks=pytest.mark.slow)]
)
def test_values_that_no_variant_gives_keep_their_open_kind(form: str, tmp_path: Path) -> None:
    """The very weights in a random order: every law of the values holds, and no variant does."""
    _, mark = kind_of(form, BOTH["no bias"], tmp_path, m.weight("w1", random_weights))
    assert mark.kind in OPEN and not mark.certain and "this PC computes" not in mark.evidence
    assert mark.figures["hypotheses"] and mark.figures["hypotheses_cut"] is False


def test_variants_that_give_the_same_values_are_all_said(tmp_path: Path) -> None:
    """A negative slope of 0.1 twice is one of 0.01: both are named, and neither is certain."""
    mistake = FLOAT["slope"]
    _, mark = kind_of("float", mistake, tmp_path, m.attributes("op", alpha=0.01))
    assert not mark.certain
    assert "alpha 0.01" in mark.evidence and "the op applied twice" in mark.evidence
