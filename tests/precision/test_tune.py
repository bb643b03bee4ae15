"""From an op that destroys an output to a config that does not: proposed, accepted by lint, built, run, good enough."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from harness.cli.precision.options import DataOptions
from harness.emulator.rooms import socs
from harness.precision.base import FLOAT, ConfigTarget, TypeChange, room_of
from harness.precision.figures import CHANNEL, NO_TASK, SQNR, Figure
from harness.precision.horizon.vendor import options, types
from harness.precision.on_board import emulated_board
from harness.precision.prepared import prepare
from harness.precision.tune import TunePlan, Wanted, linted, tune
from harness.runs.folder import load_run
from tests.cli.answers import answer_of
from tests.precision import nets
from tests.support.builds import build, harness, harness_here
from tests.support.toolchain_samples import SAMPLES

Net = Callable[[Path], tuple[Path, Path]]


def silent(what: str, completed: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.mark.parametrize("soc", ["x5", "j6e"])
@pytest.mark.parametrize(
    ("net", "figure", "wanted"),
    [(nets.detector, CHANNEL, 30.0), (nets.masked_attention, SQNR, 15.0), (nets.outlier_mobilenet, SQNR, 30.0)],
)
def test_one_call_ends_in_a_config_whose_emulated_build_is_good_enough(
    tmp_path: Path, net: Net, figure: Figure, wanted: float, soc: str
) -> None:
    path, folder = net(tmp_path)
    prepared = prepare(path, socs()[soc], folder, {})
    proposal = tune(prepared, Wanted(figure, wanted, NO_TASK), tmp_path / "out", silent)
    tuned, verified = proposal.tuned, proposal.verified
    assert tuned.start.value is not None and tuned.start.value < wanted and tuned.is_reached
    assert verified is not None and verified.is_reached and verified.refused == ()
    assert verified.value == pytest.approx(tuned.chosen.value, abs=0.1)  # the search measured what the build gives
    assert 0 < len(tuned.chosen.changes) <= len(onnx.load(path).graph.node) / 3
    assert [one for one in proposal.findings if one.severity == "error"] == []
    for change in tuned.chosen.changes:  # none is there that is not needed
        rest = tuple(one for one in tuned.chosen.changes if one is not change)
        assert not figure.reaches(next((p.value for p in tuned.points if p.changes == rest), None), wanted)


def test_nothing_is_proposed_that_the_operator_list_does_not_state() -> None:
    table = SAMPLES.parent / "research" / "op_support.csv"
    if not table.is_file():
        pytest.skip("no op_support.csv beside the samples")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    of_zoo = {("bayes-e", "Conv"), ("bayes-e", "GlobalAveragePool")}
    assert len(rows) > 400
    for row in rows:
        march = "nash-e" if row["march"] == "nash" else row["march"]
        offered = options(march, row["op"])
        if row["int16"] != "yes" and (row["march"], row["op"]) not in of_zoo:
            assert offered == (FLOAT,), row
        if row["march"] != "nash":
            assert set(offered) <= {FLOAT, "int16"}, row
        assert types(march, row["op"], "dual-int16").inputs == {} or row["march"] == "nash"
    for march in ("bernoulli2", "bayes", "bayes-e"):
        assert options(march, "MatMul") == (FLOAT,)


@pytest.mark.parametrize("soc", ["x3", "x5", "j5", "j6e", "j6p"])
def test_every_option_of_every_op_is_written_so_that_lint_accepts_it(tmp_path: Path, soc: str) -> None:
    path, folder = nets.masked_attention(tmp_path)
    chip, nodes = socs()[soc], onnx.load(path).graph.node
    target = ConfigTarget(path, chip, folder, (("x", (1, 12, 24)),), frozenset({"head"}))
    vendor = room_of(chip)
    for node in nodes:
        for option in vendor.options(chip.march, node.op_type):
            config = vendor.write(target, [TypeChange(node.name, node.op_type, option, "because")])
            name, text = next(iter(config.files.items()))
            (tmp_path / name).write_text(text)
            assert [one for one in linted(tmp_path / name, path) if one.severity == "error"] == [], text
            assert "because" in text or soc == "x3"
            for other, content in config.files.items():
                if other.endswith(".json"):
                    assert json.loads(content)["node_config"].keys() == {node.name}
                elif other.endswith(".py"):
                    compile(content, other, "exec")


def test_an_op_that_no_list_knows_is_not_there_to_lint(tmp_path: Path) -> None:
    """A near miss: lint does complain where a fragment names what the model does not have."""
    path, folder = nets.masked_attention(tmp_path)
    target = ConfigTarget(path, socs()["x5"], folder, (("x", (1, 12, 24)),))
    config = room_of(target.soc).write(target, [TypeChange("no_such_node", "Add", "int16", "because")])
    name, text = next(iter(config.files.items()))
    (tmp_path / name).write_text(text)
    assert "H-804" in {one.rule for one in linted(tmp_path / name, path)}


def test_what_cannot_be_reached_is_said_and_ends_with_one(tmp_path: Path) -> None:
    nets.masked_attention(tmp_path)
    argv = ("tune", "net.onnx", "--calibration", "cal", "--soc", "x3", "--reach", "250", "--no-run", "--json")
    result = harness_here(*argv, cwd=tmp_path)
    answer = answer_of(result.stdout, "tune")
    assert result.returncode == 1 and answer["reached"] is False and answer["emulated"] is True
    assert "node_info" not in (tmp_path / answer["files"][0]).read_text()  # which the X3 does not have


@pytest.mark.slow
def test_the_command_ends_in_a_config_that_a_build_and_a_run_confirm(tmp_path: Path) -> None:
    """The whole of it by the command line: tune, then the user's own build with the file, then a run on the board."""
    nets.detector(tmp_path)
    tuned = harness(
        *(
            "tune",
            "net.onnx",
            "--calibration",
            "cal",
            "--soc",
            "j6e",
            "--figure",
            "channel",
            "--reach",
            "30",
            "--no-run",
        ),
        cwd=tmp_path,
    )
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr
    page = (tmp_path / "net_tuned" / "tune.html").read_text()
    assert "Emulated" in page and page.count("<circle") >= 2 and "<script" not in page
    config = tmp_path / "net_tuned" / "net_j6e.yaml"
    assert harness("lint", config, cwd=tmp_path).returncode == 0
    argv = ("emulator", "build", "net.onnx", "--soc", "j6e", "--calibration", "cal", "--config", config)
    harness(*argv, "-o", "own.hbm", cwd=tmp_path, check=True)
    run = harness(
        *("run", "own.hbm", "--board", "emu-j6e", "--reference", "own_quantized_model.onnx"),
        *("--float", "own_optimized_float_model.onnx", "--input", "images=cal/0.npy"),
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    record = load_run(tmp_path / "runs")
    check = record.comparison.extras.quantization if record.comparison else None
    assert check is not None and check.losses == ()  # no channel of the output is lost any more


@pytest.mark.slow
def test_motionbert_reaches_what_is_wanted_with_few_ops(shared_folder: Path, tmp_path: Path) -> None:
    model = build(shared_folder, "motionbert")
    given = DataOptions(model.folder / "motionbert_calibration", "x5", 1, (), "", None, "sqnr")
    prepared = given.prepared(model.onnx)
    plan = TunePlan(board=emulated_board("", prepared))
    proposal = tune(prepared, Wanted(SQNR, 29.0, NO_TASK), tmp_path / "out", silent, plan)
    assert proposal.tuned.is_reached and proposal.verified is not None and proposal.verified.is_reached
    assert 0 < proposal.changed <= proposal.nodes / 3
    ran = proposal.ran
    assert ran is not None and (ran.board, ran.verdict, ran.is_reached) == ("emu-x5", "consistent", True)
    assert ran.value == pytest.approx(proposal.verified.value, abs=1e-3)
    assert [one for one in proposal.findings if one.severity == "error"] == []
