"""Differences that nobody invented: ONNX Runtime on aarch64 and on an x86 without VNNI, against this PC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.networks import models as networks
from benchmarks.parts.no_vnni import make_reference, plain_python
from benchmarks.second_architecture import NetworkUnderTest, RunnerProcess, _before_and_after, board
from benchmarks.truth_parts.planting import effect, plant, plantable
from harness.consistency.checks.reference_check import SUMS, check, unstable_ops
from harness.reference.open import open_reference

pytestmark = pytest.mark.arm


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> NetworkUnderTest:
    return NetworkUnderTest("mix", tmp_path_factory.mktemp("mix"), 1)


@pytest.fixture(scope="module")
def python(arm: Path) -> list[str]:
    return [str(arm)]


@pytest.fixture
def on_arm(python: list[str]) -> Iterator[RunnerProcess]:
    with board(python) as started:
        yield started


def test_integers_are_equal_without_optimizations_and_only_grow_with_them(
    network: NetworkUnderTest, on_arm: RunnerProcess, tmp_path: Path
) -> None:
    reference = network.reference(0)
    off = network.compare(reference, on_arm.debug(network.model, network.data(0), tmp_path / "off", "disabled"))
    on = network.compare(reference, on_arm.debug(network.model, network.data(0), tmp_path / "on", "all"))
    assert off.verdict.word == "consistent"
    assert on.verdict.word == "consistent_accumulated"
    assert on.origins == ()
    alone = [layer.single.max_step for layer in on.layers if layer.single]
    assert alone
    assert max(step or 0 for step in alone) <= 1


@pytest.mark.parametrize("kind", ["two_steps", "halved", "dead_part"])
def test_a_fault_amid_the_ties_is_found_at_its_op(
    network: NetworkUnderTest, on_arm: RunnerProcess, tmp_path: Path, kind: str
) -> None:
    tensor = next(t for t in plantable(network.tensors) if t.op_kind == "Conv" and t.order > 8)
    faulty = plant(network.model, tensor, kind, 1, tmp_path / "faulty.onnx")
    dumped = on_arm.debug(faulty, network.data(0), tmp_path / "run", "all")
    assert effect(*_before_and_after(dumped, tensor)) >= 1e-3
    comparison = network.compare(network.reference(0), dumped)
    assert comparison.verdict.word == "diverges"
    assert [origin.op for origin in comparison.origins] == [tensor.op]


def test_linear_resize_by_half_pixel_is_the_one_op_that_ties_without_optimizations(
    python: list[str], tmp_path: Path
) -> None:
    from benchmarks.second_architecture import resize_ties

    ties = resize_ties(tmp_path / "resize", python)
    assert ties["first_difference"] == "Resize"
    assert ties["max_step"] == 1


# --------------------------------------------------------------------------- a PC without VNNI


def x86_without_vnni(folder: Path) -> list[str]:
    played = plain_python(folder)
    if played is None:
        pytest.skip("needs qemu-x86_64 (Debian: qemu-user-static) on an x86 PC")
    return played


@pytest.mark.parametrize("reduce_range", [False, True], ids=["8-bit weights", "7-bit weights"])
def test_sums_that_saturate_on_a_pc_without_vnni_are_named_as_the_cause(tmp_path: Path, reduce_range: bool) -> None:
    python = x86_without_vnni(tmp_path / "machine")
    proto = networks.mixed(side=64)
    model = networks.quantize(proto, tmp_path / "model.onnx", unsigned=True, reduce_range=reduce_range)
    networks.make_inputs(proto, 1)[0].tofile(tmp_path / "input.bin")
    make_reference(python, model, tmp_path / "input.bin", tmp_path / "reference", "all")
    reference = open_reference(tmp_path / "reference")
    assert reference.provenance["runner"]["vnni"] is False
    unstable, rules = unstable_ops(reference), [finding.rule for finding in check(reference)]
    if reduce_range:
        assert unstable == ()
        assert "P-402" in rules
    else:
        assert "P-401" in rules
        assert unstable
        assert {unstable_op.op_kind for unstable_op in unstable} <= SUMS
        assert max(unstable_op.max_step or 0 for unstable_op in unstable) >= 2


def test_without_optimizations_a_pc_without_vnni_gives_this_pcs_integers(tmp_path: Path) -> None:
    python = x86_without_vnni(tmp_path / "machine")
    network = NetworkUnderTest("mixu", tmp_path / "mixu", 1)
    make_reference(python, network.model, network.data(0), tmp_path / "reference", "disabled")
    theirs, ours = open_reference(tmp_path / "reference"), network.reference(0)
    assert check(theirs) == ()
    for name, tensor in ours.tensors.items():
        if tensor.spec and tensor.spec.dtype in ("s8", "u8"):
            np.testing.assert_array_equal(theirs.tensors[name].load(), tensor.load(), err_msg=name)
