"""What-if over configurations: each row is what its exported config builds, and what an emulated board measures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.precision_parts.agreement import agreement
from benchmarks.precision_parts.networks import motionbert
from harness.emulator.build import build
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.rooms import room_of_soc, socs
from harness.precision.explore.blocks import attention_blocks, layer_norms
from harness.precision.explore.explore import ExploreRequest, explore, export
from harness.precision.figures import SQNR
from harness.precision.prepared import prepare
from harness.precision.sensitivity import NO_TASK
from harness.precision.tune import answer_of as answer_of_build
from harness.records import SequencePlan
from tests.cli.answers import answer_of
from tests.precision import nets
from tests.support.builds import harness_here

ALL = ExploreRequest((), NO_TASK)


def silent(what: str, completed: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.mark.slow
@pytest.mark.parametrize("soc", ["x3", "x5", "j6e"])
def test_every_row_is_exported_accepted_by_lint_and_gives_its_figure_when_it_is_built(tmp_path: Path, soc: str) -> None:
    path, folder = nets.detector(tmp_path)
    subject = prepare(path, socs()[soc], folder, {})
    explored = explore(subject, ALL, tmp_path / "out", silent)
    assert len(explored.rows) >= 10 and explored.rows[0].configuration.name == "int8"
    for number, row in enumerate(explored.rows):
        exported = export(subject, row.configuration, tmp_path / "out" / row.configuration.name)
        assert [one for one in exported.findings if one.severity == "error"] == [], row.configuration.name
        settings = room_of_soc(subject.soc).node_settings(exported.files[0], subject.soc)
        assert settings.calibrating == row.configuration.calibrating
        options = BuildOptions(
            subject.soc,
            exported.samples,
            settings.calibrating or row.configuration.calibrating,
            on_cpu=settings.on_cpu,
            on_accelerator=settings.on_accelerator,
            types=settings.types,
        )
        model = build([path], options, tmp_path / f"c{number}{subject.soc.suffix}").output
        given = SQNR.of(answer_of_build(model, subject, NO_TASK))
        assert given == pytest.approx(SQNR.of(row.answer), abs=0.05), row.configuration.name


def test_what_was_measured_is_not_measured_again_unless_the_samples_changed(tmp_path: Path) -> None:
    path, folder = nets.detector(tmp_path)
    request = ExploreRequest(("int8", "percentile-0.99", "samples-1"), NO_TASK)
    first, again = (
        explore(prepare(path, socs()["x5"], folder, {}), request, tmp_path / "out", silent) for _ in range(2)
    )
    assert (first.known, again.known) == (0, 3) and first.rows == again.rows
    part = tmp_path / "out" / "explore.part.jsonl"
    part.write_bytes(part.read_bytes()[:-40])  # as of a process that was ended while it wrote
    cut = explore(prepare(path, socs()["x5"], folder, {}), request, tmp_path / "out", silent)
    assert cut.known == 2 and cut.rows == first.rows
    np.save(folder / "0.npy", np.load(folder / "0.npy") * 2)
    other = explore(prepare(path, socs()["x5"], folder, {}), request, tmp_path / "out", silent)
    assert other.known == 0 and other.rows[0].answer != first.rows[0].answer


def test_configurations_that_give_one_model_are_named_as_such(tmp_path: Path) -> None:
    path, folder = nets.masked_attention(tmp_path)
    request = ExploreRequest(("int8", "softmax-cpu", "softmax-accelerator", "attention-all-cpu"), NO_TASK)
    rows = {row.configuration.name: row for row in explore_rows(path, folder, request, tmp_path)}
    assert rows["softmax-cpu"].same_as == "int8"  # the X5's own place for it
    moved = rows["softmax-accelerator"]
    assert moved.same_as == "int8" and moved.price != rows["int8"].price  # its values cross in int8 anyway
    all_int8, on_cpu = SQNR.of(rows["int8"].answer), SQNR.of(rows["attention-all-cpu"].answer)
    assert all_int8 is not None and on_cpu is not None and on_cpu > all_int8 + 5  # the mask is in there


def explore_rows(path: Path, folder: Path, request: ExploreRequest, tmp_path: Path, soc: str = "x5"):  # type: ignore[no-untyped-def]
    return explore(prepare(path, socs()[soc], folder, {}), request, tmp_path / "out", silent).rows


def test_a_sequence_has_jitter_and_single_samples_have_none(tmp_path: Path) -> None:
    path, folder = nets.masked_attention(tmp_path)
    plan = SequencePlan(12, 4)
    (still,) = explore_rows(path, folder, ExploreRequest(("int8",), NO_TASK), tmp_path)
    (moving,) = explore_rows(path, folder, ExploreRequest(("int8",), NO_TASK, sequence=plan), tmp_path)
    assert still.jitter == {} and 0 < moving.jitter["y"] < 10


def test_the_parts_of_an_exported_transformer_are_seen(tmp_path: Path) -> None:
    subject = prepare(motionbert(tmp_path), socs()["x5"], tmp_path / "cal", {})
    blocks, norms = attention_blocks(subject.network), layer_norms(subject.network)
    assert [block[-1] for block in blocks] == ["block0_joints_mix", "block0_frames_mix"]
    assert all(block[0].endswith("scores") and len(block) == 4 for block in blocks)
    assert len(norms) == 5 and all(len(norm) == 9 for norm in norms)
    assert attention_blocks(prepare(*_of(nets.detector, tmp_path / "d"), {}).network) == []


def _of(net, folder: Path):  # type: ignore[no-untyped-def]
    folder.mkdir()
    path, samples = net(folder)
    return path, socs()["x5"], samples


def test_the_command_writes_a_table_a_page_and_the_config_that_was_chosen(tmp_path: Path) -> None:
    nets.detector(tmp_path)
    argv = ("explore", "net.onnx", "--calibration", "cal", "--soc", "x5", "--figure", "channel", "--only", "int8")
    result = harness_here(*argv, "--only", "kl", "--export", "samples-half", "--json", cwd=tmp_path)
    answer = answer_of(result.stdout, "explore")
    assert result.returncode == 0 and answer["emulated"] is True
    assert [row["name"] for row in answer["configurations"]] != [] and len(answer["configurations"]) == 3
    values = [row["value"] for row in answer["configurations"]]
    assert values == sorted(values, reverse=True)
    assert "equalisation" in answer["missing"]
    assert [(tail["output"], tail["leaves_as"]) for tail in answer["tails"]] == [("output0", "int8")]
    page = Path(tmp_path, answer["page"]).read_text()
    assert "Emulated" in page and page.count("<circle") >= 3 and "<script" not in page
    assert json.loads((tmp_path / "net_explored" / "explore.json").read_text())["soc"] == "x5"
    config = tmp_path / answer["exported"]["files"][0]
    assert f'cal_data_dir: "{(tmp_path / answer["exported"]["calibration"]).resolve()}"' in config.read_text()
    assert len(list((tmp_path / answer["exported"]["calibration"]).iterdir())) == 3
    assert harness_here("lint", config, cwd=tmp_path).returncode == 0


def test_a_configuration_that_is_not_there_is_a_usage_error_with_the_nearest(tmp_path: Path) -> None:
    nets.detector(tmp_path)
    argv = ("explore", "net.onnx", "--calibration", "cal", "--soc", "x5", "--only", "int61")
    result = harness_here(*argv, cwd=tmp_path)
    assert result.returncode == 2 and "int16" in result.stderr


@pytest.mark.slow
def test_the_order_of_the_table_is_the_order_that_the_board_measures(tmp_path: Path) -> None:
    """Six configurations of a transformer, each built and run by the command line; the benchmark has 20 of two."""
    names = ("int8", "matmul-cpu", "int16", "percentile-0.99", "layernorm-cpu", "samples-1")
    given = agreement(motionbert(tmp_path), tmp_path, 6, names)
    assert len(given.pairs) == 6 and len({round(pair.board_db, 3) for pair in given.pairs}) == 6
    assert given.spearman >= 0.9, given.pairs
