"""Policies as files: what is within, what is waived, and errors with a line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.consistency.metrics.pointwise import measure
from harness.consistency.policy import Subject, built_in_names, expired, load_policy
from harness.consistency.verdicts import Judgement, judge, waive
from harness.errors import ConfigError
from harness.records import Metrics


def write(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_default_is_exact_for_convolutions_and_lenient_for_tables() -> None:
    policy = load_policy()
    conv = policy.limits(Subject("Conv", "s8", "integer", "BPU", "hbdnn"))
    softmax = policy.limits(Subject("Softmax", "s8", "integer", "BPU", "hbdnn"))
    assert (conv.max_step, conv.mismatch_share) == (1, 0)
    assert (softmax.max_step, softmax.mismatch_share) == (1, 0.01)


def test_ops_on_the_cpu_may_fall_to_either_side() -> None:
    assert load_policy().limits(Subject("Conv", "s8", "integer", "CPU", "hbdnn")).mismatch_share == 0.01


def test_another_cpu_may_differ_by_one_step_and_never_by_two() -> None:
    limits = load_policy().limits(Subject("Conv", "s8", "integer", "CPU", "ort"))
    assert limits.max_step == 1 and 0 < (limits.mismatch_share or 0) < 0.05


def test_floats_are_judged_by_their_own_precision() -> None:
    policy = load_policy()
    assert policy.limits(Subject("Conv", "f32", "float")).relative_l2 == 1e-5
    assert policy.limits(Subject("Conv", "f16", "float")).relative_l2 == 2e-3
    assert policy.limits(Subject("Conv", "f32", "mixed")).relative_l2 is None
    assert policy.limits(Subject("Conv", "s8", "mixed")).min_sqnr_db == 20


def test_a_users_rule_comes_after_the_rules_it_extends(tmp_path: Path) -> None:
    text = """
policy: mine
extends: default
rules:
  - {name: my conv, op_kinds: [Conv], toolchains: ["1.23.*"], limits: {mismatch_share: 0.5}}
"""
    policy = load_policy(write(tmp_path, text))
    old = policy.limits(Subject("Conv", "s8", "integer", toolchain="1.23.4"))
    new = policy.limits(Subject("Conv", "s8", "integer", toolchain="1.24.0"))
    assert (old.mismatch_share, old.max_step, old.names[-1]) == (0.5, 1, "my conv")
    assert new.mismatch_share == 0


def test_a_policy_without_rules_lets_nothing_pass(tmp_path: Path) -> None:
    limits = load_policy(write(tmp_path, "policy: strict\n")).limits(Subject("Softmax", "s8", "integer"))
    assert limits.max_step is None and limits.mismatch_share is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policy: x\nrules:\n  - {name: a, limits: {max_stap: 1}}\n", "max_stap"),
        ("policy: x\nrules:\n  - {name: a, dtypes: [int8], limits: {}}\n", "dtypes"),
        ("policy: x\nwaivers:\n  - {op: conv1, reason: known bug, until: soon}\n", "until"),
        ("policy: x\nwaivers:\n  - {reason: known bug, until: 2030-01-01}\n", "waiver"),
        ("policy: x\nextends: nothing\n", "nothing"),
        ("rules: []\n", "policy"),
        ("policy: x\nrules:\n  - {name: a, limits: {mismatch_share: 2}}\n", "mismatch_share"),
    ],
)
def test_a_mistake_in_a_policy_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        load_policy(write(tmp_path, text))


def test_a_policy_that_is_not_there_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_policy(tmp_path / "none.yaml")
    assert "default" in caught.value.hint and "default" in built_in_names()


WAIVED = """
policy: waived
extends: default
waivers:
  - {op: conv*, reason: "vendor ticket 12, fixed in 1.25", until: 2030-06-01, max_step: 2, mismatch_share: 0.1}
"""
DIFFERS = Judgement("differs", "max step 2 > 1")
TWO_STEPS = Metrics(elements=1000, mismatched=50, max_step=2.0, relative_l2=0.01)


def test_a_waived_difference_is_within_and_says_until_when(tmp_path: Path) -> None:
    policy = replace(load_policy(write(tmp_path, WAIVED)), today=date(2030, 6, 1))
    judged = waive(DIFFERS, TWO_STEPS, "conv1", "conv1_out", policy)
    assert judged.verdict == "within" and "2030-06-01" in judged.reason and "vendor ticket 12" in judged.reason
    assert waive(DIFFERS, TWO_STEPS, "add1", "add1_out", policy) == DIFFERS


def test_an_expired_waiver_turns_red(tmp_path: Path) -> None:
    policy = replace(load_policy(write(tmp_path, WAIVED)), today=date(2030, 6, 2))
    judged = waive(DIFFERS, TWO_STEPS, "conv1", "conv1_out", policy)
    assert judged.verdict == "differs" and "ended on 2030-06-01" in judged.note
    assert [w.op for w in expired(policy)] == ["conv*"]


@pytest.mark.parametrize(
    "worse",
    [
        replace(TWO_STEPS, max_step=3.0),
        replace(TWO_STEPS, mismatched=101),
        replace(TWO_STEPS, max_step=None),
        replace(TWO_STEPS, nonfinite_agree=False),
    ],
)
def test_a_waiver_does_not_cover_what_is_worse_than_it_says(worse: Metrics, tmp_path: Path) -> None:
    policy = replace(load_policy(write(tmp_path, WAIVED)), today=date(2030, 1, 1))
    judged = waive(DIFFERS, worse, "conv1", "conv1_out", policy)
    assert judged.verdict == "differs" and "worse" in judged.note


def test_coverage_is_part_of_a_policy_and_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "policy: p\nextends: default\ncoverage: {min_layers: 0.95, optional: ['*_cat']}\n", encoding="utf-8"
    )
    policy = load_policy(str(path))
    assert (policy.min_layers, policy.optional) == (0.95, ("*_cat",))
    assert policy.is_optional("", "a_cat") and policy.is_optional("a_cat", "b") and not policy.is_optional("a", "b")
    assert load_policy(str(path), 50).min_layers == 0.5 and load_policy().min_layers == 0
    shown = CliRunner().invoke(cli, ["policy", "show", str(path)])
    assert "coverage: at least 95.0% of layers; optional: *_cat" in shown.stdout


@pytest.mark.parametrize("text", ["{min_layers: 1.5}", "{min_layers: -0.1}", "{optional: all}", "{least: 1}"])
def test_a_share_of_more_than_all_is_a_mistake(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"policy: p\ncoverage: {text}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="coverage"):
        load_policy(str(path))


def test_a_difference_below_the_absolute_floor_is_within_whatever_its_relative_size() -> None:
    metrics = Metrics(elements=100, mismatched=100, relative_l2=50.0, max_abs=1e-7, max_abs_over_range=20.0)
    limits = load_policy().limits(Subject("Sigmoid", "f32", "float"))
    assert judge(metrics, "float", limits).verdict == "differs"
    assert judge(metrics, "float", limits, known_range=1.0).verdict == "within"
    assert judge(replace(metrics, max_abs=1e-5), "float", limits, known_range=1.0).verdict == "differs"


def test_a_policy_file_sets_absolute_limits(tmp_path: Path) -> None:
    text = "policy: p\nextends: default\nrules: [{name: a, dtypes: [f32], limits: {max_abs: 0.5, abs_floor: 0.01}}]\n"
    limits = load_policy(write(tmp_path, text)).limits(Subject("Conv", "f32", "float"))
    tiny = Metrics(elements=100, mismatched=100, relative_l2=50.0, max_abs=0.005, max_abs_over_range=0.05)
    large = Metrics(elements=100, mismatched=100, relative_l2=1e-6, max_abs=0.7, max_abs_over_range=1e-6)
    assert judge(tiny, "float", limits).verdict == "within"
    assert judge(large, "float", limits).reason.startswith("max abs 0.7 > 0.5")


@pytest.mark.parametrize("name", ["f16", "bf16", "tf32"])
def test_policies_of_half_precision_are_built_in_and_looser_than_the_default(name: str) -> None:
    default, own = (load_policy(p).limits(Subject("Conv", "f32", "float")) for p in ("default", name))
    assert own.relative_l2 and default.relative_l2 and own.relative_l2 > 100 * default.relative_l2
    assert not load_policy(name).automatic and load_policy().automatic and not load_policy("default").automatic


@pytest.mark.parametrize("policy", ["default", "f16", "bf16", "tf32"])
def test_a_tensor_that_was_never_written_is_within_by_no_floor(policy: str) -> None:
    for name, dtype in (("f16", np.float16), ("f32", np.float32)):
        limits = load_policy(policy).limits(Subject("Sigmoid", name, "float"))
        for known_range, peak in product((None, 1.0, 16.0), (6e-8, 3e-5, 6e-5, 1e-2, 1.0)):
            reference = np.linspace(0, peak, 1000).astype(dtype)
            judged = judge(measure(np.zeros_like(reference), reference), "float", limits, known_range=known_range)
            assert judged.verdict == "differs", (name, known_range, peak)


def test_a_floor_is_a_small_share_of_what_the_reference_spans() -> None:
    limits = load_policy("f16").limits(Subject("Clip", "f32", "float"))
    reference = np.linspace(0, 5e-4, 1000, dtype=np.float32)
    dead = np.where(np.arange(1000) % 2, reference, np.float32(0))  # half of the channels
    assert judge(measure(dead * np.float32(0.1), reference), "float", limits).verdict == "differs"
    assert judge(measure(reference + np.float32(2e-5), reference), "float", limits).verdict == "within"
    wide = np.linspace(0, 0.01, 1000, dtype=np.float32)
    assert judge(measure(dead * np.float32(0.1), wide), "float", limits, known_range=16.0).verdict == "differs"
