"""A folder whose names are all changed in one way, as tools change them: layers are met, or a mapping is proposed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.consistency.compare import compare
from harness.consistency.reading.proposals import propose
from harness.dumps.folders import read_dumps
from harness.names import file_form
from harness.records import Comparison
from harness.reference.open import open_reference

Array = npt.NDArray[Any]
KINDS = ("Conv", "Relu", "Add", "MaxPool")
Rename = Callable[[str, int, Array], str]
MET: dict[str, Rename] = {
    "_0": lambda name, i, v: f"{name}_0",
    "shape and type": lambda name, i, v: f"{name}_{'x'.join(map(str, v.shape[1:]))}_f32",
    "a port": lambda name, i, v: f"{name}:0",
    "a scope": lambda name, i, v: f"model_1/{name}",
    "two scopes": lambda name, i, v: f"net/functional_1/{name}",
    "its op": lambda name, i, v: f"{name}_{KINDS[i % len(KINDS)]}",
    "as a file": lambda name, i, v: file_form(name),
}
CUT: dict[str, Rename] = {
    "the front cut": lambda name, i, v: name[3:],
    "the end cut": lambda name, i, v: name[:-3],
    "numbers": lambda name, i, v: f"blob{i}",
    "numbers of outputs": lambda name, i, v: f"output_{i}",
}


def tensors(names: list[str]) -> dict[str, Array]:
    rng = np.random.default_rng(len(names))
    return {name: rng.normal(size=(1, 2 + i % 3, 4, 5 + i % 2)).astype(np.float32) for i, name in enumerate(names)}


def judged(folder: Path, values: dict[str, Array], rename: Rename) -> tuple[Comparison, dict[str, str], dict[str, str]]:
    """The comparison of the renamed folder, what each file is, and what is proposed for each."""
    folder.mkdir(exist_ok=True, parents=True)
    np.savez(folder / "ref.npz", **values)
    reference = open_reference(folder / "ref.npz")
    truth = {}
    (folder / "board").mkdir()
    for i, (name, value) in enumerate(values.items()):
        stem = rename(name, i, value).replace("/", "_")
        truth[stem] = name
        np.save(folder / "board" / f"{stem}.npy", value)
    dumps = read_dumps(folder / "board")
    proposed = {one.board: one.tensor for one in propose(reference, dumps)}
    return compare(reference, dumps), truth, proposed


parts = st.sampled_from(("conv", "block", "stage", "branch", "head", "neck", "attention", "project"))
names = st.lists(
    st.builds(lambda a, b, n: f"/{a}.{n}/{b}_out", parts, parts, st.integers(0, 40)),
    min_size=2,
    max_size=8,
    unique=True,
).filter(lambda made: len({re.sub(r"\W", "_", one).lower() for one in made}) == len(made))


@pytest.mark.parametrize("way", MET)
@settings(max_examples=4, deadline=None)
@given(made=names)
def test_an_ending_or_a_scope_of_tools_is_met(
    tmp_path_factory: pytest.TempPathFactory, way: str, made: list[str]
) -> None:
    comparison, _, _ = judged(tmp_path_factory.mktemp("t"), tensors(made), MET[way])
    assert comparison.verdict.word == "consistent", [(row.name, row.reason, row.note) for row in comparison.layers]
    assert comparison.coverage.layers_compared == len(made)


@pytest.mark.parametrize("way", CUT)
@settings(max_examples=4, deadline=None)
@given(made=names)
def test_what_is_cut_or_numbered_is_met_or_proposed_and_never_wrong(
    tmp_path_factory: pytest.TempPathFactory, way: str, made: list[str]
) -> None:
    comparison, truth, proposed = judged(tmp_path_factory.mktemp("t"), tensors(made), CUT[way])
    assert comparison.verdict.word in ("consistent", "not_comparable", "incomplete")
    met = {row.board_file.removesuffix(".npy"): row.name for row in comparison.layers if row.verdict != "not_compared"}
    assert met.items() <= truth.items()
    assert {**met, **proposed} == truth
    if comparison.verdict.word == "not_comparable":
        assert "--map FILE" in comparison.verdict.detail and "--map-template" in comparison.verdict.detail
