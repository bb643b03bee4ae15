"""Calibration data judged: each fault is planted into data that is clean without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from harness.precision.judged.judge import JudgedCalibration, float_model, judge
from tests.cli.answers import answer_of
from tests.support.builds import harness_here

Array = NDArray[Any]
SAMPLES, SIDE = 12, 24
COLOURS = np.array([0.2, 0.45, 0.7]).reshape(1, 3, 1, 1)


def silent(what: str, completed: int, total: int) -> None:
    """Progress that nobody looks at."""


def pictures(seed: int, count: int = SAMPLES) -> list[Array]:
    """Smooth pictures of 0..1, each channel around a mean of its own."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        waves = rng.uniform(0.5, 3, (2, 1, 3, 1, 1))
        across, down = np.arange(SIDE) / SIDE, np.arange(SIDE)[:, None] / SIDE
        phases = rng.uniform(0, 6.28, (2, 1, 3, 1, 1))
        swing = np.sin(6.28 * waves[0] * across + phases[0]) * np.cos(6.28 * waves[1] * down + phases[1])
        made.append((COLOURS + 0.15 * swing).astype(np.float32))
    return made


@pytest.fixture
def network(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    weights = {"w1": rng.normal(0, 0.3, (8, 3, 3, 3)), "w2": rng.normal(0, 0.3, (4, 8, 3, 3))}
    nodes = [
        helper.make_node("Conv", ["images", "w1"], ["c1"], "conv1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["y"], "conv2", pads=[1] * 4),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, SIDE, SIDE))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4, SIDE, SIDE))],
        initializer=[numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def saved(folder: Path, samples: list[Array]) -> Path:
    folder.mkdir()
    for number, sample in enumerate(samples):
        np.save(folder / f"s{number:02}.npy", sample.astype(np.float32))
    return folder


def judged(network: Path, samples: list[Array], run: list[Array] = []) -> JudgedCalibration:  # noqa: B006
    model = float_model(network, {})
    folder = saved(network.parent / "cal", samples)
    return judge(model, folder, tuple({"images": value.astype(np.float32)} for value in run), silent)


def kinds(one: JudgedCalibration, severity: str = "bad") -> set[str]:
    return {observation.kind for observation in one.observations if observation.severity == severity}


def test_clean_data_and_a_run_of_the_same_kind_have_nothing_bad(network: Path) -> None:
    one = judged(network, pictures(1), pictures(2))
    assert kinds(one) == set() and not one.is_bad
    assert [both.kind for both in one.preprocessing] == ["alike"]
    assert kinds(one, "warning") <= {"clipped"}  # another draw may reach a little further


def test_a_sample_that_sets_the_ranges_alone_is_named(network: Path) -> None:
    samples = pictures(1)
    samples[5] = samples[5] * 6
    one = judged(network, samples)
    (observation,) = (one for one in one.observations if one.kind == "outlier" and one.severity == "bad")
    assert observation.subject == "s05" and "sets the range of 4 of 4 tensors" in observation.text
    image = next(tensor for tensor in one.tensors if tensor.tensor == "images")
    assert image.sample == "s05" and image.alone == pytest.approx(6, rel=0.1)


def test_one_value_that_sets_a_range_is_counted_and_a_common_peak_is_not(network: Path) -> None:
    samples = pictures(1)
    for sample in samples[:3]:
        sample[0, 1, 4, 4] = 9.0  # three samples have it, so that no sample stands alone
    one = judged(network, samples)
    few = {observation.subject: observation.text for observation in one.observations if observation.kind == "outlier"}
    assert "images" not in few  # three of 20736 values: more than one in a hundred thousand
    for sample in samples[1:3]:
        sample[0, 1, 4, 4] = 0.5
    one = judge(float_model(network, {}), saved(network.parent / "other", samples), (), silent)
    few = {observation.subject: observation.text for observation in one.observations if observation.kind == "outlier"}
    assert few["images"].startswith("1 of 20736 values")


def test_ranges_that_still_grow_ask_for_more_samples(network: Path) -> None:
    growing = [sample * (1 + 0.2 * number) for number, sample in enumerate(pictures(1))]
    assert "coverage" in kinds(judged(network, growing), "warning")


def test_two_samples_are_too_few_to_judge(network: Path) -> None:
    one = judged(network, pictures(1, 2))
    (observation,) = (one for one in one.observations if one.kind == "coverage")
    assert observation.severity == "warning" and "cannot be judged" in observation.text


def test_copies_are_told_from_near_copies_and_from_other_samples(network: Path) -> None:
    samples = pictures(1)
    samples[7] = samples[2].copy()
    noise = np.random.default_rng(9).standard_normal(samples[4].shape) * 1e-3
    samples[9] = samples[4] + noise.astype(np.float32)
    equal, near = (one for one in judged(network, samples).observations if one.kind == "duplicate")
    assert "byte by byte: s02 = s07" in equal.text and equal.text.startswith("1 of 12")
    assert "nearly" in near.text and "s04 = s09" in near.text


def test_no_copies_no_remark(network: Path) -> None:
    assert not [one for one in judged(network, pictures(1)).observations if one.kind == "duplicate"]


@pytest.mark.parametrize("shared", [False, True], ids=["other samples", "a sample in both"])
@pytest.mark.parametrize(
    ("change", "kind", "scale", "shift"),
    [
        (lambda x: x * 255, "scale", 255.0, 0.0),
        (lambda x: (x - 0.45) / 0.225, "scale", 1 / 0.225, -2.0),
        (lambda x: x[:, ::-1], "order", 1.0, 0.0),
        (lambda x: x.transpose(0, 2, 3, 1).reshape(x.shape), "layout", 1.0, 0.0),
        (lambda x: x + 0.5, "scale", 1.0, 0.5),
    ],
    ids=["0..255", "mean and std", "BGR", "NHWC", "mean alone"],
)
def test_another_preprocessing_of_the_run_is_named_with_its_figures(
    network: Path, change: Any, kind: str, scale: float, shift: float, shared: bool
) -> None:
    own = pictures(1)
    one = judged(network, own, [change(value) for value in (own[3:6] if shared else pictures(2))])
    (both,) = one.preprocessing
    assert both.kind == kind and one.is_bad
    tolerance = 0.001 if shared else 0.15
    assert both.scale == pytest.approx(scale, rel=tolerance)
    assert both.shift == pytest.approx(shift, abs=tolerance * max(abs(scale), abs(shift), 1))
    assert ("statistics" in both.by) is not shared
    assert any(
        observation.kind == "preprocessing" and observation.subject == "images" for observation in one.observations
    )


def test_what_a_run_has_beyond_the_ranges_is_counted_by_layer(network: Path) -> None:
    run = pictures(1)[:2]
    for value in run:
        value[0, :, :6] *= 3  # a quarter of the picture is three times as bright
    one = judged(network, pictures(1), run)
    image = next(tensor for tensor in one.tensors if tensor.tensor == "images")
    own = np.stack([np.abs(value) for value in run])
    limit = max(np.abs(value).max() for value in pictures(1)) * (1 + 0.5 / 127)
    assert image.clipped == pytest.approx(float((own > limit).mean()), abs=1e-9)
    assert {"images", "c1"} & {observation.subject for observation in one.observations if observation.kind == "clipped"}
    assert "clipped" in kinds(one)


def test_a_run_that_uses_little_of_the_range_is_said_to(network: Path) -> None:
    one = judged(network, pictures(1), [value * 0.1 for value in pictures(2)])
    assert [observation.subject for observation in one.observations if observation.kind == "unused"] == ["images"]


def test_the_command_ends_with_one_where_something_is_wrong(network: Path) -> None:
    saved(network.parent / "cal", pictures(1))
    saved(network.parent / "run", [value * 255 for value in pictures(2)])
    argv = ("calibration", "net.onnx", "--calibration", "cal")
    clean = harness_here(*argv, "--json", cwd=network.parent)
    answer = answer_of(clean.stdout, "calibration")
    assert clean.returncode == 0 and answer["inputs"] == 0 and answer["verdict"] in ("good", "warnings")
    assert all(tensor["clipped"] is None for tensor in answer["tensors"])  # not compared is no zero
    wrong = harness_here(*argv, "--inputs", "run", cwd=network.parent)
    assert wrong.returncode == 1 and "255" in wrong.stdout
    assert "not compared" in harness_here(*argv, cwd=network.parent).stdout


@pytest.mark.slow
def test_the_input_of_a_real_run_is_held_against_the_calibration(network: Path) -> None:
    folder = network.parent
    saved(folder / "cal", pictures(1))
    np.save(folder / "bright.npy", pictures(2)[0] * 255)
    build = ("emulator", "build", "net.onnx", "--soc", "x5", "--calibration", "cal", "-o", "net.bin")
    assert harness_here(*build, cwd=folder).returncode == 0
    run = ("run", "net.bin", "--board", "emu-x5", "--mode", "release", "--input", "bright.npy")
    harness_here(*run, "--reference", "net_quantized_model.onnx", cwd=folder)
    result = harness_here("calibration", "net.onnx", "--calibration", "cal", "--run", "runs", "--json", cwd=folder)
    answer = answer_of(result.stdout, "calibration")
    assert result.returncode == 1 and answer["inputs"] == 1
    assert answer["preprocessing"][0]["scale"] == pytest.approx(255, rel=0.3)
