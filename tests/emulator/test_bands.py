"""Bands of estimates: from errors of networks alike, wider where the CPU counts, in the run's record and its words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.diagnosis.rules import RunView
from harness.diagnosis.times import cuts, how_far
from harness.emulator.cost.bands import CPU, LIKE, SHARE, Spread, band_of, between, kind_of
from harness.emulator.cost.graph import network_works
from harness.emulator.cost.model import Work
from harness.emulator.horizon.socs import SOCS
from harness.platforms.emulated import SIDE_FILE
from harness.platforms.emulated import band_of as band_of_run
from harness.profiling.split import profile
from harness.profiling.stretches import segmentation
from harness.records import Band, ErrorFactors, Latency, OpTime, Run, Setting, SweepPlan, SweepPoint
from harness.report.page import render
from harness.report.tables.segmentation import segmentation_table
from harness.report.tables.sweep import cells, sweep_table
from harness.report.tables.times import NO_BAND, time_table
from harness.review.sweep import chosen, word_on
from tests.emulator.test_one_work import built, fused
from tests.support.architectures import mobilenet_v2, network, resnet18
from tests.support.diagnosis_kit import op, subgraph

GUESSED = tuple(
    replace(one, estimated=True)
    for one in (
        subgraph("a", 100.0),
        op("deq", 11.0, category="dequantize"),
        op("soft", 30.0),
        op("q", 13.0, category="quantize"),
        subgraph("b", 40.0),
    )
)


def test_networks_are_alike_by_what_their_time_goes_into() -> None:
    assert kind_of(network_works(network(resnet18()))) == "dense"
    assert kind_of(network_works(network(mobilenet_v2()))) == "depthwise"
    heads = Work(attention_elements=1e6, attention_heads=4)
    assert kind_of([*network_works(network(resnet18())), heads]) == "attention"
    assert kind_of([]) == "dense" and {"dense", "depthwise", "attention"} == set(LIKE)


@pytest.mark.parametrize("count", [9, 19, 49])
def test_the_next_error_lies_in_the_band_of_earlier_ones_as_often_as_is_said(count: int) -> None:
    """Of 4000 draws of a skewed distribution."""
    draw = np.random.default_rng(0)
    ratios = np.exp(draw.gumbel(0.0, 0.1, (4000, count + 1)))
    inside = [low <= row[-1] <= high for row in ratios for low, high in [between(list(row[:-1]))]]
    assert np.mean(inside) == pytest.approx(SHARE, abs=0.03)


def test_few_errors_give_their_whole_range() -> None:
    assert between([1.2, 0.8, 1.0]) == (0.8, 1.2) and between([1.1]) == (1.1, 1.1)


def test_a_band_is_wider_where_ops_run_on_the_cpu_and_where_prices_are_scaled(tmp_path: Path) -> None:
    model = built(fused(tmp_path / "net.onnx")).model
    plain, mixed = band_of(model, SOCS["x5"], 0.0), band_of(model, SOCS["x5"], 0.5)
    assert plain == LIKE["dense"]
    assert mixed.low == pytest.approx((plain.low + CPU.low) / 2) and mixed.high > plain.high and "50 %" in mixed.of
    for name, soc in SOCS.items():
        if soc.not_estimated:
            continue
        band = band_of(model, soc, 0.0)
        assert band.low < band.high and (band == plain) == (name == "x5")


def side_file(folder: Path, band: object) -> Path:
    (folder / SIDE_FILE).write_text(json.dumps({"estimated": ["BPU"], "band": band}))
    return folder


def test_a_run_says_between_which_times_its_estimate_lies(tmp_path: Path) -> None:
    band = {"low": 0.8, "high": 1.25, "share": 0.8, "of": "30 networks alike"}
    band = band_of_run(side_file(tmp_path, band), 6000.0)
    assert band is not None and (band.low_us, band.high_us) == (4800.0, 7500.0)
    op = OpTime("net_subgraph_0", "subgraph", "BPU", "compute", 6000.0, estimated=True)
    known = replace(profile(Latency(6000.0), [op]), band=band)
    table = time_table(known, {})
    assert (
        table is not None and table["band"].replace("\u202f", " ") == "4.80 ms to 7.50 ms (80 % of 30 networks alike)"
    )
    (evidence,) = [one.evidence for one in how_far(RunView(Run(profile=known))) if one.rule == "T-208"]
    assert evidence == "estimated: times of the BPU; end to end between 4.8 and 7.5 ms for 80 % of 30 networks alike"


@pytest.mark.parametrize(
    "band", [None, 3, {}, {"low": 2, "high": 1, "share": 0.8}, {"low": "x", "high": 1, "share": 1}]
)
def test_a_damaged_band_is_none(tmp_path: Path, band: object) -> None:
    assert band_of_run(side_file(tmp_path, band), 6000.0) is None


def test_a_measured_run_has_no_band(tmp_path: Path) -> None:
    assert band_of_run(tmp_path, 6000.0) is None


def test_a_band_of_two_keeps_both_names() -> None:
    both = Spread(0.9, 1.1, "a").widened(Spread(0.5, 1.5, "b"), 0.25)
    assert (both.low, both.high) == pytest.approx((0.8, 1.2)) and both.of == "a; b for 25 % of the time"


def test_what_a_cut_would_win_has_the_band_of_its_cpu_times() -> None:
    known = replace(profile(Latency(200.0), GUESSED, ordered=True), off_error=ErrorFactors(0.5, 2.0, 0.8, "CPU ops"))
    whole = segmentation(known)
    assert whole is not None
    (cut,) = whole.cuts
    assert cut.gain_band == Band(0.5 * cut.gain_low_us, 2.0 * cut.gain_high_us, 0.8, "CPU ops")
    assert cut.ops[0].gain_band == cut.gain_band
    (won,) = [one.evidence for one in cuts(RunView(Run(profile=known, segmentation=whole)))]
    assert f"{cut.gain_low_us:.1f} to {cut.gain_high_us:.1f} us, estimated: between" in won and "CPU ops" in won
    row = segmentation_table(Run(profile=known, segmentation=whole))
    assert row is not None and "80 % of CPU ops" in row["rows"][1]["gain"]
    measured = segmentation(profile(Latency(200.0), [replace(one, estimated=False) for one in GUESSED], ordered=True))
    assert measured is not None and measured.cuts[0].gain_band is None


def test_a_page_tells_a_band_once_beside_the_figure() -> None:
    band = Band(150.0, 300.0, 0.8, "30 networks alike")
    page = render(Run(profile=replace(profile(Latency(200.0), GUESSED, ordered=True), band=band)))
    assert page.count("30 networks alike") == 1


def test_an_estimate_of_which_no_error_is_known_says_so() -> None:
    known = profile(Latency(200.0), GUESSED, ordered=True)
    table = time_table(known, {})
    assert table is not None and table["band"] == NO_BAND
    (evidence,) = [one.evidence for one in how_far(RunView(Run(profile=known))) if one.rule == "T-208"]
    assert evidence.endswith("how far they may be off is not known")
    measured = time_table(profile(Latency(200.0), [replace(one, estimated=False) for one in GUESSED]), {})
    assert measured is not None and measured["band"] == ""


def point(us: float, fps: float, band: Band | None) -> SweepPoint:
    return SweepPoint(Setting(1), ("profile-1",), usual_us=us, fps=fps, estimated=True, band=band)


def test_the_settings_of_a_sweep_have_their_bands_and_a_goal_says_what_an_estimate_is_worth() -> None:
    narrow, wide = (Band(0.9 * 1000, high, 0.8, "30 networks alike") for high in (1080.0, 1300.0))
    assert point(1000, 500, wide).fps_bounds == pytest.approx((500 / 1.3, 500 / 0.9))
    for band, ending in ((narrow, "(an estimate);"), (wide, "(an estimate, whose band reaches beyond the goal);")):
        sweep = chosen([point(1000, 500, band)], SweepPlan((), 1200, None))
        assert ending in word_on(sweep).detail
        table = sweep_table(Run(sweep=sweep))
        assert (
            table is not None and table["band"] == "80 % of 30 networks alike" and "to" in cells(table["points"][0])[3]
        )
    unknown = sweep_table(Run(sweep=chosen([point(1000, 500, None)], SweepPlan())))
    assert unknown is not None and unknown["band"] == NO_BAND and unknown["points"][0]["fps_bounds"] is None
