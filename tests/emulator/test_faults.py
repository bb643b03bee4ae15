"""Faults: each changes the named op and what lies behind it, nothing else; the notation refuses what it cannot mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.emulator.model.execute import Executor
from harness.emulator.model.fault_kinds import FaultContext
from harness.emulator.model.faults import Fault, apply_fault, catalogue, parse_faults
from harness.emulator.model.layout import byte_offsets, stored
from harness.errors import UserError
from harness.records import TensorSpec
from tests.support import emulator_kit as kit
from tests.support.emulator_kit import PLATFORM, failure

NUMERIC = sorted(k.name for k in catalogue().values() if k.where == "op")
ELSEWHERE = ("clip_missing", "epsilon", "resize_mode", "stale_item", "wrong_axis")  # not of a Conv in a batch of one
INTEGER = [name for name in NUMERIC if name not in ("nan", "inf", *ELSEWHERE)]


def downstream(model, tensor: str) -> set[str]:
    """The tensor and everything computed from it, by the compiled model's own ops."""
    reached = {tensor}
    for op in model.ops:
        if reached & set(op.inputs):
            reached |= set(op.outputs)
    return reached


def values(faults: str, debug: bool = True) -> dict[str, np.ndarray]:
    file, model = kit.opened(kit.branched())
    names = [tensor.name for tensor in model.tensors if not tensor.is_input]
    return Executor(file, model, parse_faults(faults, model)).run({"x": kit.feed()}, names, debug=debug)


CLEAN = values("")


def changed(faults: str) -> set[str]:
    with_faults = values(faults)
    return {name for name in CLEAN if not np.array_equal(with_faults[name], CLEAN[name], equal_nan=False)}


@pytest.mark.parametrize("kind", INTEGER)
def test_a_fault_changes_its_own_op_and_nothing_before_or_beside_it(kind: str) -> None:
    _, model = kit.opened(kit.branched())
    hit = changed(f"{kind}@conv2")
    assert "c2" in hit
    assert hit <= downstream(model, "c2")
    assert {"r1", "c3", "s3"}.isdisjoint(hit)


@pytest.mark.parametrize("kind", ["halved", "permuted", "off_by_one", "stale", "layout"])
def test_a_strong_fault_reaches_the_outputs(kind: str) -> None:
    assert {"r1", "c4", "prob"} <= changed(f"{kind}@conv1")


@pytest.mark.parametrize("kind", ["nan", "inf"])
def test_nan_and_inf_are_planted_in_float_ops_and_refused_elsewhere(kind: str) -> None:
    output = values(f"{kind}@fc")["y"]
    assert not np.all(np.isfinite(output)) and np.count_nonzero(~np.isfinite(output)) == 1
    with pytest.raises(UserError, match="use a float op"):
        values(f"{kind}@conv1")


def test_two_faults_act_at_once_each_on_its_own_op() -> None:
    with_faults = values("zeroed_column@conv3;halved@conv4")
    assert not with_faults["c3"][..., -1].any()
    both = changed("zeroed_column@conv3;halved@conv4")
    assert {"c3", "s3", "m"} <= both


def test_a_tensor_may_be_named_instead_of_its_op() -> None:
    by_tensor, by_op = values("halved@c2:seed=1"), values("halved@conv2:seed=1")
    assert all(np.array_equal(by_tensor[name], by_op[name]) for name in CLEAN)


def test_a_node_folded_into_an_op_stands_for_the_op() -> None:
    assert "r1" in changed("halved@relu1") and not np.array_equal(values("halved@relu1")["r1"], CLEAN["r1"])


def test_seeds_give_other_draws_and_the_same_seed_the_same() -> None:
    first, again, other = (values(f"permuted@conv2:seed={s}")["c2"] for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_nondeterminism_gives_another_result_each_time() -> None:
    assert not np.array_equal(values("nondeterminism@conv2")["c2"], values("nondeterminism@conv2")["c2"])


def test_a_debug_only_fault_spares_the_release_run() -> None:
    assert not np.array_equal(values("debug_differs@conv2", debug=True)["c2"], CLEAN["c2"])
    assert np.array_equal(values("debug_differs@conv2", debug=False)["c2"], CLEAN["c2"])


@pytest.mark.parametrize("kind", ["wrong_mean", "wrong_scale", "colour_order"])
def test_a_preprocessing_fault_starts_at_the_very_first_op(kind: str) -> None:
    assert "r1" in changed(f"{kind}@x")


@pytest.mark.parametrize("kind", ["wrong_mean", "wrong_scale", "colour_order", "letterbox"])
def test_a_preprocessing_fault_fits_pictures_in_bytes(kind: str) -> None:
    spec = TensorSpec("x", "u8", (1, 3, 8, 12), "NCHW")
    picture = np.random.default_rng(1).integers(20, 230, spec.shape).astype(np.uint8)
    changed = apply_fault(Fault(kind, kind, "x", {}), picture, FaultContext(stored(spec, "BPU", "hbdnn"), spec, None))
    assert changed.dtype == np.uint8 and changed.shape == picture.shape and not np.array_equal(changed, picture)
    if kind == "wrong_mean":  # NV12 becomes YUV444: of it only Y has a mean
        assert np.array_equal(changed[:, :1], picture[:, :1] + 10) and np.array_equal(changed[:, 1:], picture[:, 1:])


def test_swapped_inputs_negate_a_difference(tmp_path: Path) -> None:
    file, model = kit.opened(kit.compile_to(tmp_path, kit.two_input_model()))
    rng = np.random.default_rng(3)
    feed = {n: rng.standard_normal((1, 6, 5, 7)).astype(np.float32) for n in ("left", "right")}
    clean = Executor(file, model).run(feed, ["d"])["d"]
    swapped = Executor(file, model, parse_faults("swapped_inputs@left:with=right", model)).run(feed, ["d"])["d"]
    assert np.max(np.abs(swapped.astype(int) + clean)) <= 2  # each input has its own scale
    assert np.corrcoef(swapped.reshape(-1), clean.reshape(-1))[0, 1] < -0.99


# --------------------------------------------------------------------------- extents


@pytest.mark.parametrize(("kind", "extent"), [("cache_line", 64), ("page", 4096)])
def test_a_stale_extent_is_one_aligned_piece_of_the_boards_memory(kind: str, extent: int) -> None:
    spec = TensorSpec("t", "s8", (1, 40, 20, 30), "NCHW")
    rng = np.random.default_rng(0)
    value, previous = (rng.integers(-100, 100, spec.shape).astype(np.int8) for _ in range(2))
    placed = stored(spec, "BPU", "hbdnn")
    changed = apply_fault(Fault(kind, kind, "op", {}), value, FaultContext(placed, spec, previous))
    extents = np.unique(byte_offsets(placed)[changed != value] // extent)
    assert extents.size == 1
    assert np.array_equal(changed[changed != value], previous[changed != value])


def test_halved_is_an_arithmetic_shift_for_integers() -> None:
    spec = TensorSpec("t", "s8", (4,))
    changed = apply_fault(
        Fault("h", "halved", "op", {}), np.array([-3, -128, 5, 127], np.int8), FaultContext(spec, spec)
    )
    assert changed.tolist() == [-2, -64, 2, 63]


@pytest.mark.parametrize("kind", ["shift", "scale", "zero_point", "off_by_one", "rounding"])
def test_integers_stop_at_the_rails_instead_of_wrapping_round(kind: str) -> None:
    spec = TensorSpec("t", "s8", (1000,))
    value = np.full(1000, 127, np.int8)
    changed = apply_fault(Fault("f", kind, "op", {}), value, FaultContext(spec, spec))
    assert changed.min() >= 126


# --------------------------------------------------------------------------- notation


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("halfed@conv2", "did you mean 'halved'"),
        ("halved@conv22", "did you mean"),
        ("halved", "target missing"),
        ("halved@conv2:by=2", "has no argument 'by'"),
        ("shift@conv2:by=two", "not a number"),
        ("colour_order@conv2", "no input 'conv2'"),
        ("crash@nowhere", "no subcommand 'nowhere'"),
        ("one_value@conv2:index=99999999", "outside"),
        ("swapped_inputs@x", "second input missing"),
    ],
)
def test_what_a_fault_cannot_mean_is_said_with_near_names(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        values(text)
    assert says in f"{caught.value.message} {caught.value.hint}"


def test_an_unknown_op_is_a_clear_failure_of_the_tool(tmp_path: Path) -> None:
    result = kit.infer(tmp_path, kit.branched(), faults="halved@convv2")
    assert result.returncode != 0 and "convv2" in result.stderr and "Traceback" not in result.stderr


def test_the_list_of_faults_is_complete_and_each_has_a_line(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from harness.cli.emulator import command

    listed = json.loads(CliRunner().invoke(command, ["faults", "--json"]).stdout)["faults"]
    assert {entry["kind"] for entry in listed} == set(catalogue())
    assert all(entry["doc"].endswith(".") for entry in listed)
    guide = (Path(__file__).resolve().parents[2] / "docs" / "emulator.md").read_text()
    assert all(f"`{kind}`" in guide for kind in catalogue())


def test_the_tools_own_record_says_what_was_planted(tmp_path: Path) -> None:
    kit.infer(tmp_path, kit.branched(), faults="halved@conv2")
    record = json.loads((tmp_path / "emulated.json").read_text())
    assert record["faults"] == ["halved@conv2"]
    assert record["effects"][0]["tensor"] == "c2" and record["effects"][0]["changed_elements"] > 0


# --------------------------------------------------------------------------- the tool itself


def test_a_crash_is_a_signal(tmp_path: Path) -> None:
    result = kit.infer(tmp_path, kit.branched(), faults="crash@infer")
    assert result.returncode == -11
    assert not list(tmp_path.glob("layer-*"))
    assert failure("debug", result, tmp_path) is not None


def test_a_crash_of_perf_spares_infer(tmp_path: Path) -> None:
    assert kit.infer(tmp_path, kit.branched(), faults="crash@perf").returncode == 0


def test_a_hanging_tool_is_still_there_when_patience_ends(tmp_path: Path) -> None:
    import subprocess

    with pytest.raises(subprocess.TimeoutExpired):
        kit.tool(tmp_path, "model_info", f"--model_file={kit.branched()}", faults="hang", timeout_s=2)


@pytest.mark.parametrize("fault", ["garbage", "silent_failure", "missing_file", "no_space", "wrong_march"])
def test_the_platform_notices_a_failing_tool_whatever_its_exit_code(tmp_path: Path, fault: str) -> None:
    run = tmp_path / "run"
    run.mkdir()
    result = kit.infer(run, kit.branched(), faults=fault)
    if fault in ("garbage", "silent_failure", "missing_file"):
        assert result.returncode == 0
    assert failure("debug", result, run) is not None, result.stdout


def test_a_truncated_dump_is_shorter_than_its_tensor(tmp_path: Path) -> None:
    kit.infer(tmp_path, kit.branched(), faults="truncated_dump")
    assert (tmp_path / "model_infer_output_1_c4.bin").stat().st_size == 24 * 8 * 10 * 4 // 2


def test_a_version_warning_is_printed_and_the_run_goes_on(tmp_path: Path) -> None:
    result = kit.infer(tmp_path, kit.branched(), faults="wrong_version")
    assert result.returncode == 0
    info = PLATFORM.read_model_info(result.stdout)
    assert any("Inconsistency between the hbrt library" in warning for warning in info.warnings)


def test_noise_of_a_board_without_its_key_chip_harms_nothing(tmp_path: Path) -> None:
    result = kit.infer(tmp_path, kit.branched(), faults="noise")
    assert "keros_authentication failed" in result.stdout
    assert failure("debug", result, tmp_path) is None
