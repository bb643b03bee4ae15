"""Modes, repeats, boards: do they say the same?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.consistency.checks.repeatability import (
    debug_vs_release,
    determinism,
    final_verdict,
    hashes,
    vote,
    without_reference,
)
from harness.records import Checks, Dump, Instability, TensorSpec, Verdict


def test_modes_that_give_the_same_outputs_agree() -> None:
    answer = debug_vs_release({"release": {"a": "1", "b": "2"}, "debug": {"a": "1", "b": "2", "layer": "9"}})
    assert answer.same is True and answer.differing == {}


def test_a_debug_run_that_computes_something_else_is_named_with_the_output() -> None:
    answer = debug_vs_release({"release": {"a": "1", "b": "2"}, "debug": {"a": "1", "b": "3"}})
    assert answer.same is False and answer.differing == {"b": {"release": "2", "debug": "3"}}
    assert "b" in answer.detail and "release run" in answer.detail


def test_nothing_in_common_is_not_agreement() -> None:
    assert debug_vs_release({"release": {"a": "1"}}).same is None
    assert debug_vs_release({"release": {"a": "1"}, "debug": {}}).same is None
    assert debug_vs_release({"release": {"a": "1"}, "debug": {"b": "1"}}).same is None


def test_a_file_that_cannot_be_read_agrees_with_nothing() -> None:
    assert debug_vs_release({"release": {"a": ""}, "debug": {"a": ""}}).same is None
    assert determinism([{"a": ""}, {"a": ""}]).deterministic is None


def test_outliers_are_counted_and_the_first_layer_is_named() -> None:
    good, bad = {"a": "1", "b": "2"}, {"a": "1", "b": "7"}
    answer = determinism([good] * 3 + [bad] + [good] * 4)
    assert (answer.deterministic, answer.first, answer.runs) == (False, "b", 8)
    hashes_of_b = ["2"] * 3 + ["7"] + ["2"] * 4
    assert answer.unstable == {"b": Instability(7, 2, (3,), tuple(hashes_of_b))}
    assert "7 of 8 runs agree; first difference at b" in answer.detail


def test_one_run_says_nothing_about_determinism() -> None:
    assert determinism([{"a": "1"}]).deterministic is None
    assert determinism([]).deterministic is None


def test_a_tensor_that_one_run_does_not_have_is_not_the_same() -> None:
    assert determinism([{"a": "1", "b": "1"}, {"a": "1"}]).first == "b"


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), min_size=3), min_size=2, max_size=6))
def test_equal_runs_and_only_they_are_deterministic(runs: list[dict[str, str]]) -> None:
    assert determinism(runs).deterministic is all(run == runs[0] for run in runs)


def test_what_is_not_the_same_twice_is_neither_right_nor_wrong() -> None:
    good = Verdict("consistent", "", 0)
    unstable = determinism([{"a": "1"}, {"a": "2"}])
    assert final_verdict(good, Checks(determinism={"": unstable})).word == "not_deterministic"
    assert final_verdict(good, Checks(determinism={"release": unstable})).exit_code == 1
    layers = determinism([{"layer": "1", "a": "1"}, {"layer": "2", "a": "2"}])
    assert (
        "first difference at layer"
        in final_verdict(good, Checks(determinism={"release": unstable, "debug": layers})).detail
    )
    assert final_verdict(good, Checks(determinism={"": determinism([{"a": "1"}] * 2)})) == good
    assert final_verdict(good, Checks()) == good


def test_one_board_against_the_others_is_that_boards_fault() -> None:
    answer = vote({"one": {"a": "1"}, "two": {"a": "1"}, "three": {"a": "9"}})
    assert answer.dissenting == ("three",) and not answer.agree
    assert vote({"one": {"a": "1"}, "two": {"a": "2"}, "three": {"a": "3"}}).dissenting == ()
    assert vote({"one": {"a": "1"}, "two": {"a": "2"}}).dissenting == ()


def test_padding_does_not_count_in_a_hash(tmp_path: Path) -> None:
    spec = TensorSpec("t", "s8", (2, 3), aligned_shape=(2, 4))
    for name, filler in (("a", 0), ("b", 9)):
        rows = np.full((2, 4), filler, np.int8)
        rows[:, :3] = 5
        (tmp_path / f"{name}.bin").write_bytes(rows.tobytes())
    one, two = (hashes([Dump("t", tmp_path / f"{name}.bin", spec)]) for name in "ab")
    assert one == two and one["t"]
    assert hashes([Dump("t", tmp_path / "a.bin")]) != hashes([Dump("t", tmp_path / "b.bin")])
    assert hashes([Dump("t", tmp_path / "none.bin", spec)]) == {"t": ""}


# --------------------------------------------------------------------------- against itself only


def test_a_tensor_in_several_files_is_told_by_those_whose_values_are_known(tmp_path: Path) -> None:
    spec = TensorSpec("t", "u8", (2,))
    for name, content in (("made", b"ab"), ("read", b"cd")):
        (tmp_path / name).write_bytes(content)
    made, read = Dump("t", tmp_path / "made", spec), Dump("t", tmp_path / "read")
    assert hashes([made, read]) == hashes([made])
    assert hashes([made, Dump("t", tmp_path / "read", spec)]) != hashes([made])
    assert hashes([made, Dump("t", tmp_path / "gone", spec)]) == {"t": ""}


def alone(*runs: dict[str, str], order: str = "network") -> Verdict:
    return without_reference(Checks(determinism={"debug": replace(determinism(runs), order=order)}))


def test_repeats_that_agree_are_good_and_still_compared_with_nothing() -> None:
    verdict = alone({"a": "1", "b": "2"}, {"a": "1", "b": "2"})
    assert (verdict.word, verdict.exit_code) == ("not_compared", 0)
    assert verdict.detail == "not compared with a reference; 2 debug repeats agree in every layer compared (2 of 2)"


def test_repeats_that_differ_name_the_first_layer_and_how_many_agree() -> None:
    verdict = alone(
        {"p": "file:1", "a": "1", "b": "2"}, {"p": "file:2", "a": "1", "b": "3"}, {"p": "", "a": "1", "b": "3"}
    )
    assert (verdict.word, verdict.exit_code) == ("not_deterministic", 1)
    assert "3 debug repeats differ from layer b: 2 of 3 agree there; 1 layers before it" in verdict.detail
    assert "in the order of the files" in alone({"a": "1"}, {"a": "2"}, order="files").detail


def test_files_that_differ_with_unknown_padding_are_no_agreement() -> None:
    verdict = alone({"a": "file:1"}, {"a": "file:2"})
    assert (verdict.word, verdict.exit_code) == ("not_comparable", 3)
    assert "no layer could be compared" in verdict.detail


def test_modes_that_contradict_each_other_are_bad_without_a_reference() -> None:
    verdict = without_reference(Checks(debug_vs_release=debug_vs_release({"release": {"a": "1"}, "debug": {"a": "2"}})))
    assert (verdict.word, verdict.exit_code) == ("diverges", 1) and "not compared with a reference" in verdict.detail
    assert without_reference(Checks()).exit_code == 0
