"""Ranges by max, percentile, KL, mix and the search over them; zero points, scales a channel, corrected biases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from harness.emulator.compiler.compile import BuildOptions, compile_model
from harness.emulator.model.execute import open_session
from harness.emulator.rooms import room_of_soc, soc_named
from harness.emulator.thresholds.methods import (
    kl_threshold,
    mixed_threshold,
    percentile_threshold,
    squared_error,
)
from harness.emulator.thresholds.settings import CalibrationSettings
from harness.emulator.thresholds.statistics import TensorStatistics, collect, ranges_of
from harness.precision.levels import OutputSums
from harness.precision.prepared import PreparedModel, prepare
from tests.precision import nets

Array = NDArray[Any]


def statistics_of(values: Array) -> TensorStatistics:
    one = TensorStatistics(np.zeros(1), np.zeros(1))
    one.add(0, values)
    one.count(values)
    return one


def test_a_percentile_keeps_that_share_of_the_values() -> None:
    one = statistics_of(np.linspace(0, 1, 100_001))
    assert percentile_threshold(one, 0.99) == pytest.approx(0.99, abs=2e-4)
    assert percentile_threshold(one, 1.0) == one.peak == 1.0


def test_kl_cuts_off_what_is_far_out_and_keeps_what_is_even() -> None:
    rng = np.random.default_rng(0)
    far = np.append(rng.standard_normal(200_000), 60.0)
    assert kl_threshold(statistics_of(far), 1024) < 12
    assert kl_threshold(statistics_of(rng.uniform(-1, 1, 200_000)), 1024) > 0.98


def test_mix_has_no_more_error_than_any_method_that_it_picks_from() -> None:
    rng = np.random.default_rng(1)
    for values in (rng.standard_normal(50_000), rng.standard_cauchy(50_000), rng.uniform(0, 1, 50_000)):
        one = statistics_of(values)
        error = squared_error(one, mixed_threshold(one, 1024))
        for limit in (one.peak, percentile_threshold(one, 0.9999), kl_threshold(one, 1024)):
            assert error <= squared_error(one, limit)


def test_the_error_that_mix_minimises_is_that_of_rounding_and_clipping() -> None:
    values = np.random.default_rng(2).standard_normal(100_000)
    one = statistics_of(values)
    for limit in (1.0, 3.0, one.peak):
        step = limit / 127
        given = np.clip(np.rint(values / step), -127, 127) * step
        assert squared_error(one, limit) == pytest.approx(float(np.mean((given - values) ** 2)), rel=0.05)


def test_statistics_are_those_of_the_calibrator_and_of_any_samples_of_them(tmp_path: Path) -> None:
    path, folder = nets.masked_attention(tmp_path)
    subject = prepare(path, soc_named("x5"), folder, {})
    statistics = collect(subject.model, subject.calibration, histograms=False)
    ranges = ranges_of(statistics)
    floats = {name: ends for name, ends in subject.ranges.items() if name in ranges}
    assert floats.keys() == ranges.keys() and all(ranges[name] == pytest.approx(floats[name]) for name in floats)
    x = np.stack([feed["x"] for feed in subject.calibration])
    assert statistics["x"].range([1, 3]) == (x[[1, 3]].min(), x[[1, 3]].max())
    means = statistics["x"].channel_means
    assert means is not None and np.allclose(means, x.reshape(-1, 24).mean(axis=0), atol=1e-6)


# --------------------------------------------------------------------------- builds


def built(path: Path, folder: Path, settings: CalibrationSettings) -> onnx.ModelProto:
    return compile_model(path, BuildOptions(soc_named("x5"), folder, settings)).quantized


def sqnr_db(model: onnx.ModelProto, subject: PreparedModel) -> float:
    sums = OutputSums()
    names = subject.network.output_names
    exact, given = open_session(subject.model.SerializeToString()), open_session(model.SerializeToString())
    for feed in subject.feeds:
        pair = [dict(zip(names, session.run(names, feed), strict=True)) for session in (given, exact)]
        sums.add(*pair)
    return min(level.sqnr_db for level in sums.levels().values())


def test_a_scale_a_channel_saves_the_network_whose_one_channel_is_far_out(tmp_path: Path) -> None:
    path, folder = nets.outlier_mobilenet(tmp_path)
    subject = prepare(path, soc_named("x5"), folder, {})
    plain, by_channel = (
        sqnr_db(built(path, folder, CalibrationSettings(per_channel=on)), subject) for on in (False, True)
    )
    assert plain < 20 < 30 < by_channel


def test_a_zero_point_halves_the_step_of_what_is_never_negative(tmp_path: Path) -> None:
    path, folder = nets.detector(tmp_path)
    plain, asymmetric = (built(path, folder, replace(CalibrationSettings(), asymmetric=on)) for on in (False, True))
    scales = [{t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer} for model in (plain, asymmetric)]
    assert scales[1]["r1_scale"] == pytest.approx(scales[0]["r1_scale"] * 127 / 255, rel=1e-6)
    assert scales[1]["r1_zero_point"] == -128 and scales[0]["r1_zero_point"] == 0
    subject = prepare(path, soc_named("x5"), folder, {})
    assert sqnr_db(asymmetric, subject) > sqnr_db(plain, subject)


def test_corrected_biases_take_back_the_shift_of_each_output_channel(tmp_path: Path) -> None:
    path, folder = nets.detector(tmp_path)
    model = onnx.load(path)
    weight = next(t for t in model.graph.initializer if t.name == "w1")
    coarse = onnx.numpy_helper.to_array(weight).copy()
    coarse[:, 0, 0, 0] *= 40  # one tap far out: all others are rounded coarsely
    weight.CopyFrom(onnx.numpy_helper.from_array(coarse, "w1"))
    del model.graph.node[1:]
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("c1", onnx.TensorProto.FLOAT, (1, 16, 16, 16)))
    onnx.save(model, path)
    subject = prepare(path, soc_named("x5"), folder, {})
    shifts = []
    for on in (False, True):
        given = open_session(built(path, folder, CalibrationSettings(bias_correction=on)).SerializeToString())
        exact = open_session(subject.model.SerializeToString())
        off = [given.run(None, feed)[0] - exact.run(None, feed)[0] for feed in subject.feeds]
        shifts.append(float(np.abs(np.mean(off, axis=(0, 1, 3, 4))).max()))
    assert shifts[1] < 0.25 * shifts[0]


def test_the_search_takes_the_best_of_what_it_tries(tmp_path: Path) -> None:
    path, folder = nets.outlier_mobilenet(tmp_path)
    build = compile_model(path, BuildOptions(soc_named("x5"), folder, CalibrationSettings("default")))
    assert "per_channel" in build.method
    subject = prepare(path, soc_named("x5"), folder, {})
    assert sqnr_db(build.quantized, subject) > 30


@pytest.mark.parametrize(
    ("soc", "text", "wanted"),
    [
        ("x5", "calibration_type: max\n  max_percentile: 0.999", CalibrationSettings("max", 0.999)),
        (
            "x5",
            "calibration_type: kl\n  max_percentile: 0.999\n  per_channel: true",
            CalibrationSettings("kl", 1.0, True),
        ),
        ("x5", "calibration_type: mix\n  per_channel: true", CalibrationSettings("mix")),
        ("x5", "calibration_type: max\n  max_percentile: many", CalibrationSettings()),
        ("x5", "calibration_type: load", CalibrationSettings()),
        (
            "x5",
            "calibration_type: max\n  optimization: asymmetric,bias_correction",
            CalibrationSettings(asymmetric=True, bias_correction=True),
        ),
        (
            "j6e",
            "calibration_type: max\n  quant_config: {model_config: {activation: {calibration_type: [kl, max],"
            " num_bin: 512, asymmetric: true}, weight: {bias_correction: {num_sample: 1}}}}",
            CalibrationSettings("kl", asymmetric=True, bias_correction=True, bins=512),
        ),
    ],
)
def test_the_keys_of_the_toolchains_config_are_read(
    tmp_path: Path, soc: str, text: str, wanted: CalibrationSettings
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(f"model_parameters:\n  onnx_model: net.onnx\ncalibration_parameters:\n  {text}\n")
    assert room_of_soc(soc_named(soc)).node_settings(config, soc_named(soc)).calibrating == wanted


def test_a_config_without_a_calibration_sets_none(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("model_parameters:\n  onnx_model: net.onnx\n")
    assert room_of_soc(soc_named("x5")).node_settings(config, soc_named("x5")).calibrating is None
