"""Which dump is which tensor: sure ways before unsure ones, two candidates are never a choice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.consistency.reading.matching import Matching, file_form, match
from harness.errors import InputError
from harness.records import Dump, Graph, Op, TensorSpec
from harness.reference.open import Reference, ReferenceTensor


def tensor(name: str, order: int = 0, **more: object) -> ReferenceTensor:
    return ReferenceTensor(name, Path("t.npy"), TensorSpec(name, "s8", (4,)), order=order, **more)  # type: ignore[arg-type]


def reference(*tensors: ReferenceTensor) -> Reference:
    return Reference({t.name: t for t in tensors})


def dump(name: str, **more: object) -> Dump:
    return Dump(name, Path(f"{file_form(name)}.bin"), **more)  # type: ignore[arg-type]


def summary(matching: Matching) -> list[tuple[str, str, str, str]]:
    return [(r.tensor.name if r.tensor else "", r.dump.name if r.dump else "", r.how, r.reason) for r in matching.rows]


def test_an_equal_name_is_exact_and_a_missing_one_is_a_row() -> None:
    matching = match(reference(tensor("a"), tensor("b", 1)), [dump("a"), dump("c")])
    assert summary(matching) == [("a", "a", "exact", ""), ("b", "", "", "no_dump"), ("", "c", "", "no_reference")]


def test_an_onnx_name_of_the_same_value_is_exact() -> None:
    matching = match(
        reference(tensor("conv_out", aliases=("conv_out_DequantizeLinear_Output",), onnx_name="conv_q")),
        [dump("conv_q")],
    )
    assert summary(matching) == [("conv_out", "conv_q", "exact", "")]


def test_the_platforms_other_names_are_a_rule() -> None:
    matching = match(reference(tensor("414_Quantize")), [dump("414_Quantize_out", aliases=("414_Quantize",))])
    assert summary(matching) == [("414_Quantize", "414_Quantize_out", "rule", "")]


def test_characters_that_file_systems_do_not_take_are_a_rule() -> None:
    matching = match(reference(tensor("/model.0/act/Mul:0")), [dump("_model.0_act_Mul_0")])
    assert summary(matching)[0][2] == "rule"


def test_a_name_cut_at_the_front_matches_only_when_one_tensor_ends_so() -> None:
    cut = [dump("ckbone/conv1/Relu")]
    assert summary(match(reference(tensor("net/backbone/conv1/Relu")), cut))[0][2:] == ("suffix", "")
    both = match(reference(tensor("net/backbone/conv1/Relu"), tensor("alt/backbone/conv1/Relu", 1)), cut)
    assert [r[3] for r in summary(both)] == ["no_dump", "no_dump", "ambiguous"]


def test_a_reference_name_cut_at_the_front_matches_too() -> None:
    matching = match(reference(tensor("conv1/Relu")), [dump("net/backbone/conv1/Relu")])
    assert summary(matching) == [("conv1/Relu", "net/backbone/conv1/Relu", "suffix", "")]


def test_very_short_ends_are_no_evidence() -> None:
    assert summary(match(reference(tensor("conv_17")), [dump("7")])) == [
        ("conv_17", "", "", "no_dump"),
        ("", "7", "", "no_reference"),
    ]


def test_a_dump_may_carry_the_name_of_a_node_of_a_fused_op() -> None:
    graph = Graph((Op("Conv_5", "Conv", ("x",), ("relu_out",), ("Conv_5", "Relu_6")),), ("x",), ("relu_out",))
    known = Reference({"relu_out": tensor("relu_out")}, graph=graph)
    for name in ("Conv_5", "Relu_6"):
        assert summary(match(known, [dump(name)])) == [("relu_out", name, "rule", "")]
    assert summary(match(known, [dump("Relu_6"), dump("relu_out")]))[0] == ("relu_out", "relu_out", "exact", "")


def test_equal_shapes_alone_never_match() -> None:
    spec = TensorSpec("x", "s8", (4,))
    assert [r[3] for r in summary(match(reference(tensor("first")), [dump("other", spec=spec)]))] == [
        "no_dump",
        "no_reference",
    ]


def test_the_users_mapping_wins_over_an_exact_name() -> None:
    matching = match(reference(tensor("a"), tensor("b", 1)), [dump("a")], {"a": "b"})
    assert summary(matching) == [("a", "", "", "no_dump"), ("b", "a", "mapping", "")]


def test_a_mapping_to_a_name_that_is_not_there_says_which_is_near() -> None:
    with pytest.raises(InputError, match="conv_ouT") as caught:
        match(reference(tensor("conv_out")), [dump("x")], {"x": "conv_ouT"})
    assert "conv_out" in caught.value.hint


def test_two_dumps_of_one_name_are_ambiguous_and_both_are_named() -> None:
    matching = match(reference(tensor("a")), [Dump("a", Path("one.bin")), Dump("a", Path("two.bin"))])
    assert summary(matching) == [("a", "", "exact", "ambiguous")]
    assert "one.bin" in matching.rows[0].note and "two.bin" in matching.rows[0].note


def test_the_dump_of_the_tensors_dtype_is_taken_where_a_float_op_and_its_quantizer_share_a_name() -> None:
    floats = Dump("a", Path("f.bin"), spec=TensorSpec("a", "f32", (4,)))
    whole = Dump("a", Path("q.bin"), spec=TensorSpec("a", "s8", (4,)))
    matching = match(reference(tensor("a")), [floats, whole])
    assert matching.rows[0].dump is whole and "f.bin" in matching.rows[0].note


def test_what_an_op_read_stands_in_only_where_nobody_wrote() -> None:
    written, read = dump("a"), Dump("a", Path("in.bin"), role="input")
    assert match(reference(tensor("a")), [read, written]).rows[0].dump is written
    assert match(reference(tensor("a")), [read]).rows[0].dump is read
    assert match(reference(tensor("a")), [read, written]).inputs["a"] == (read,)


def test_a_sure_dump_of_what_an_op_read_goes_before_an_unsure_one_that_was_written() -> None:
    read, written = Dump("images", Path("in.bin"), role="input"), dump("model_infer_input_0_images")
    matching = match(reference(tensor("images")), [written, read])
    assert summary(matching)[0] == ("images", "images", "exact", "") and summary(matching)[1][3] == "no_reference"


def test_an_input_that_was_not_dumped_is_no_row() -> None:
    assert match(reference(tensor("x", is_input=True)), []).rows == ()


NAMES = st.lists(st.sampled_from(["a", "net/a", "b", "net/b", "conv_out", "v_out", "x/conv_out"]), unique=True)


@given(NAMES, NAMES, st.randoms())
def test_the_order_of_the_dumps_decides_nothing(tensors: list[str], dumps: list[str], random: object) -> None:
    shuffled = list(dumps)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ref = reference(*(tensor(name, i) for i, name in enumerate(tensors)))
    first, second = match(ref, [dump(n) for n in dumps]), match(ref, [dump(n) for n in shuffled])
    assert sorted(summary(first)) == sorted(summary(second))


@given(NAMES, NAMES)
def test_every_tensor_and_every_dump_is_in_exactly_one_row(tensors: list[str], dumps: list[str]) -> None:
    rows = summary(match(reference(*(tensor(name, i) for i, name in enumerate(tensors))), [dump(n) for n in dumps]))
    assert sorted(row[0] for row in rows if row[0]) == sorted(tensors)
    in_rows = [row[1] for row in rows if row[1]]
    hidden = [row for row in rows if row[3] == "ambiguous" and not row[1]]
    assert len(in_rows) == len(set(in_rows)) and (len(in_rows) == len(dumps) or hidden)
