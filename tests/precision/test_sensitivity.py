"""What each op costs in int8: the parts agree with the emulated compiler, and the op that destroys is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from harness.emulator.compiler.compile import BuildOptions, compile_model
from harness.emulator.model.execute import open_session
from harness.emulator.rooms import soc_named
from harness.errors import InputError
from harness.precision.figures import CHANNEL, SQNR
from harness.precision.kept import journal, read_result, to_json
from harness.precision.levels import OutputSums
from harness.precision.prepared import prepare
from harness.precision.sensitivity import INT8, Kept, Walk, measure
from harness.precision.switches import FLOAT
from harness.precision.tables import join, read_table
from tests.cli.answers import answer_of
from tests.precision import nets
from tests.support import emulator_kit as kit
from tests.support.builds import harness_here


def silent(what: str, completed: int, total: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def branched(tmp_path: Path) -> tuple[Path, Path]:
    onnx.save(kit.branched_model(), tmp_path / "net.onnx")
    (tmp_path / "cal").mkdir()
    rng = np.random.default_rng(4)
    for number in range(3):
        np.save(tmp_path / "cal" / f"{number}.npy", rng.standard_normal(kit.INPUT_SHAPE).astype(np.float32))
    return tmp_path / "net.onnx", tmp_path / "cal"


@pytest.mark.parametrize("soc", ["x3", "x5", "j6e"])
def test_all_switches_on_is_the_emulated_compilers_model_and_all_off_the_float_one(
    branched: tuple[Path, Path], soc: str
) -> None:
    path, folder = branched
    subject = prepare(path, soc_named(soc), folder, {})
    graph = subject.switches()
    build = compile_model(path, BuildOptions(soc=soc_named(soc), calibration=folder))
    for switch, model in ((INT8, build.quantized), (FLOAT, build.float_model)):
        assert model is not None
        part, fed = graph.behind(0, lambda place, switch=switch: switch)
        assert fed == ["x"]
        given = open_session(part.SerializeToString()).run(None, subject.feeds[0])
        exact = open_session(model.SerializeToString()).run(None, subject.feeds[0])
        for one, other in zip(given, exact, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_what_lies_behind_an_op_gives_what_the_whole_gives(branched: tuple[Path, Path]) -> None:
    path, folder = branched
    subject = prepare(path, soc_named("x5"), folder, {})
    walk = Walk(subject.switches(), subject.feeds, lambda outputs: None)
    whole = walk.ask(walk.quantized, 0, lambda place: INT8)
    for place in range(len(walk.graph.ops)):
        assert walk.ask(walk.quantized, place, lambda place: INT8) == whole
        walk.advance(place)
    assert set(walk.floats[0]) <= {walk.graph.end(name, lambda place: FLOAT) for name in walk.graph.outputs}


def test_the_op_that_joins_boxes_and_scores_is_named_by_its_channels(tmp_path: Path) -> None:
    path, folder = nets.detector(tmp_path)
    result = measure(prepare(path, soc_named("x5"), folder, {}), silent)
    worst = min(result.ops, key=lambda op: CHANNEL.of(op.answers["alone"]) or 0.0)
    assert worst.name == "join"
    alone, without = (CHANNEL.of(worst.answers[mode]) for mode in ("alone", "without"))
    assert alone is not None and without is not None and alone < 1 and without > 30
    assert (SQNR.of(worst.answers["alone"]) or 0) > 40  # of the whole output nothing is seen


def test_weights_and_feature_maps_together_are_the_op(tmp_path: Path) -> None:
    path, folder = nets.outlier_mobilenet(tmp_path)
    result = measure(prepare(path, soc_named("x5"), folder, {}, 2), silent)
    op = next(one for one in result.ops if one.name == "b1_expand")
    noise = {mode: answer.outputs["scores"].noise_share for mode, answer in op.answers.items()}
    assert noise["alone"] == pytest.approx(noise["features"] + noise["weights"], rel=0.6)
    assert min(noise.values()) > 0
    assert op.own_db is not None and op.cumulative_db is not None and op.cumulative_db <= op.own_db + 1


def test_a_stopped_measurement_goes_on_with_what_it_has(tmp_path: Path) -> None:
    path, folder = nets.masked_attention(tmp_path)
    subject = prepare(path, soc_named("x5"), folder, {}, 2)
    file, asked_again = tmp_path / "part.jsonl", []
    whole = measure(subject, silent, kept=journal(file, "mark"))
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:5]) + '\n{"op": "cut off in the mid')
    kept = journal(file, "mark")
    assert len(kept.answers) == 4
    counted = Kept(kept.answers, lambda name, mode, answer: asked_again.append(name))
    assert measure(subject, silent, kept=counted) == whole
    assert len(asked_again) == len(lines) - 1 - 4
    assert journal(file, "another model").answers == {}
    written = tmp_path / "result.json"
    written.write_text(json.dumps(to_json(whole, {"model": "net.onnx"})))
    assert read_result(written) == whole
    written.write_text('{"ops": 3}')
    with pytest.raises(InputError, match="no result of harness sensitivity"):
        read_result(written)


def test_levels_are_bounded_and_nan_is_the_worst() -> None:
    sums = OutputSums()
    one = np.ones((1, 2, 4), np.float32)
    sums.add({"y": one}, {"y": one})
    assert sums.levels()["y"].sqnr_db == 200.0
    sums.add({"y": one * np.nan}, {"y": one})
    assert sums.levels()["y"].sqnr_db == sums.levels()["y"].channel_sqnr_db == -200.0


def test_a_toolchains_table_is_joined_by_whole_and_cut_names(branched: tuple[Path, Path]) -> None:
    path, _ = branched
    build = harness_here("emulator", "build", path, "--soc", "x5", "--calibration", "cal", cwd=path.parent)
    assert build.returncode == 0, build.stderr
    table = read_table(path.parent / "net_quant_info.json")
    joined = {op.name: op for op in join((), table, None)}
    assert 0.99 < joined["conv2"].table["cosine"] <= 1.0
    shown = harness_here("sensitivity", "--table", "net_quant_info.json", "--json", cwd=path.parent)
    assert len(answer_of(shown.stdout, "sensitivity-table")["ops"]) == len(joined)
    with pytest.raises(InputError, match="no figure of a node"):
        read_table(path.parent / "cal" / "0.npy")


def test_the_command_measures_writes_and_shows(tmp_path: Path) -> None:
    nets.detector(tmp_path)
    shown = harness_here(
        *("sensitivity", "net.onnx", "--calibration", "cal", "--soc", "x5", "--figure", "channel", "--json"),
        cwd=tmp_path,
    )
    answer = answer_of(shown.stdout, "sensitivity")
    assert shown.returncode == 0 and answer["emulated"] is True
    assert answer["ops"][0]["name"] == "join"
    assert len(read_result(tmp_path / "net_sensitivity.json").ops) == len(answer["ops"])
    assert not list(tmp_path.glob("*.part.jsonl"))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "give MODEL"),
        (("net.onnx",), "--calibration"),
        (("net.onnx", "--calibration", "cal"), "--soc"),
        (("net.onnx", "--calibration", "cal", "--soc", "x5", "--figure", "task"), "--task-metric"),
        (("net.onnx", "--calibration", "cal", "--soc", "x5", "--task-metric", "top1"), "--truth"),
        (("net.onnx", "--calibration", "cal", "--soc", "x5", "--shape", "images=0"), "INPUT=SIZES"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, argv: tuple[str, ...], words: str) -> None:
    nets.detector(tmp_path)
    result = harness_here("sensitivity", *argv, cwd=tmp_path)
    assert result.returncode == 2 and words in result.stderr
