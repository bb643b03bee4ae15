"""Suite files: what may be written, what is refused and where, and which case goes to which board."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from harness.boards.flat import compose
from harness.boards.inventory import has_tag
from harness.emulator import built_in
from harness.errors import ConfigError
from harness.nightly import suite as suites
from harness.nightly.lint import RULES, is_suite, lint_suite
from harness.nightly.pairing import Pairing, settle
from harness.records import Board
from tests.support.emulator_kit import INPUT_SHAPE, branched

WHOLE = """
suite: x5-nightly
boards: {tags: [soc=x5]}
defaults:
  frames: 50
  latency: {blocks: 3, max_slower_percent: 3}
health: {model: health.bin, inputs: [x.bin], reference: health.onnx, max_us: 900}
limits: {budget_s: 3600, wait_s: 60, retries: 1}
power_cycle: false
notify: [mail-night]
cases:
  layers:
    model: net.bin
    inputs: {x: x.bin}
    reference: net_quantized_model.onnx
    modes: [release, debug]
    boards: {tags: [soc=x5], pick: any}
  times:
    model: net.bin
    modes: [release, profile]
    core: 1
    options: {core: 1}
    latency: {max_slower_percent: 5}
    limits: {timeout_s: 60, budget_s: 300}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(text)
    return path


def with_model(folder: Path, text: str = WHOLE) -> Path:
    """The suite beside the files that it names."""
    model = branched()
    for name in ("net.bin", "health.bin"):
        (folder / name).write_bytes(model.read_bytes())
    for name in ("net_quantized_model.onnx", "health.onnx"):
        (folder / name).write_bytes(model.with_name("net_quantized_model.onnx").read_bytes())
    np.zeros(INPUT_SHAPE, np.float32).tofile(folder / "x.bin")
    return written(folder, text)


def lab(*names: str, soc: str = "x5", tags: tuple[str, ...] = ()) -> list[Board]:
    return [compose(name, "hbdnn", soc, address="127.0.0.1", tags=tags, emulated=emulated(soc)) for name in names]


def emulated(soc: str) -> object:
    board = built_in.board_named(f"emu-{soc}")
    assert board is not None
    return board.emulated


def settled(path: Path, boards: list[Board], unwanted: frozenset[str] = frozenset()) -> Pairing:
    return settle(path, suites.load_suite(path), {board.name: board for board in boards}, boards, unwanted)


# --------------------------------------------------------------------------- the file


def test_defaults_are_taken_key_by_key(tmp_path: Path) -> None:
    suite = suites.load_suite(written(tmp_path, WHOLE))
    assert suite.case("times").latency.max_slower_percent == 5
    assert suite.case("times").latency.blocks == 3
    assert suite.case("layers").latency.max_slower_percent == 3
    assert suite.case("layers").frames == 50
    assert suite.case("layers").limits.budget_s == suites.CaseLimitsFile().budget_s
    assert (suite.boards_of("layers").pick, suite.boards_of("times").pick) == ("any", "each")


def test_the_schema_that_is_shipped_is_that_of_the_models(tmp_path: Path) -> None:
    assert suites.SCHEMA.read_text() == suites.schema_text()
    schema = json.loads(suites.schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(WHOLE), schema)
    with pytest.raises(jsonschema.ValidationError, match="modell"):
        jsonschema.validate(yaml.safe_load(WHOLE.replace("model: net.bin", "modell: net.bin")), schema)


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("suite: x5-nightly", "suite: ../x5", 2, "cannot be a folder's name"),
        ("  times:", "  'a b':", 18, "cannot be a folder's name"),
        ("    model: net.bin\n    modes: [rel", "    modell: net.bin\n    modes: [rel", 19, "unknown key 'modell'"),
        ("    model: net.bin\n    modes: [rel", "    modes: [rel", 18, "missing key 'model'"),
        ("pick: any", "pick: some", 17, "unknown pick 'some'"),
        ("modes: [release, debug]", "modes: [release, profile]", 16, "pinned"),
        ("budget_s: 3600", "budget_s: .inf", 8, "finite"),
        ("budget_s: 3600", "budget_s: .nan", 8, "finite"),
        ("frames: 50", "frames: 0", 5, "greater than or equal to 1"),
        ("frames: 50", "frames: '50'", 5, "without quotes"),
        ("budget_s: 3600", "budget_s: 1e-3", 8, "budget_s: 0.001`"),  # text in YAML 1.1
        ("notify:", "token: x\nnotify:", 10, "no secrets"),
        ("    core: 1", "    samples: [s]\n    inputs: [x.bin]", 21, "together"),
        ("    core: 1", "    truth: labels.csv", 21, "needs `samples:`"),
    ],
)
def test_what_is_wrong_is_an_error_with_its_line(
    tmp_path: Path, before: str, after: str, line: int, words: str
) -> None:
    assert before in WHOLE
    path = written(tmp_path, WHOLE.replace(before, after))
    with pytest.raises(ConfigError) as error:
        suites.load_suite(path)
    assert error.value.message.startswith(f"{path}:{line}: ")
    assert words in error.value.message + error.value.hint
    (one,) = lint_suite(path)
    assert (one.rule, one.line) == ("N-101", line)


def test_a_suite_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no case"):
        suites.load_suite(written(tmp_path, "suite: a\ncases: {}\n"))


# --------------------------------------------------------------------------- lint


def test_a_sound_suite_is_clean(tmp_path: Path) -> None:
    assert is_suite(WHOLE)
    assert not is_suite("model_parameters:\n  march: bayes\n")
    assert lint_suite(with_model(tmp_path)) == ()


@pytest.mark.parametrize(
    ("before", "after", "rule", "line"),
    [
        ("    reference: net_q", "    reference: other_net_q", "N-102", 15),
        ("{x: x.bin}", "{x: y.bin}", "N-102", 14),
        ("    reference: net_quantized_model.onnx\n", "", "N-201", 12),
        ("blocks: 3", "blocks: 2", "N-202", 18),
        ("timeout_s: 60", "timeout_s: 600", "N-203", 18),
        ("health: {model: health.bin, inputs: [x.bin], reference: health.onnx, max_us: 900}\n", "", "N-301", 1),
    ],
)
def test_what_would_run_in_vain_is_told(tmp_path: Path, before: str, after: str, rule: str, line: int) -> None:
    assert before in WHOLE
    (one,) = lint_suite(with_model(tmp_path, WHOLE.replace(before, after)))
    assert (one.rule, one.line, one.severity) == (rule, line, RULES[rule].severity)


# --------------------------------------------------------------------------- pairs


def test_latency_is_pinned_and_correctness_takes_any_equal_board(tmp_path: Path) -> None:
    pairing = settled(with_model(tmp_path), lab("a", "b", "c"))
    by_case = {name: [p for p in pairing.pairs if p.case.name == name] for name in ("layers", "times")}
    assert [p.board.name for p in by_case["times"]] == ["a", "b", "c"]
    assert [p.is_pinned for p in by_case["times"]] == [True] * 3
    (alone,) = by_case["layers"]
    assert (alone.board.name, alone.is_pinned, alone.case.modes) == ("a", False, ("release", "debug"))
    assert by_case["times"][0].case.rounds == 3
    assert by_case["times"][0].case.inputs == ()
    assert alone.case.inputs == (("x", tmp_path / "x.bin"),)


def test_any_takes_a_board_that_is_well_where_there_is_one(tmp_path: Path) -> None:
    def taken(*unwanted: str) -> str:
        pairing = settled(with_model(tmp_path), lab("a", "b"), frozenset(unwanted))
        return next(pair.board.name for pair in pairing.pairs if pair.case.name == "layers")

    assert (taken(), taken("a"), taken("a", "b")) == ("a", "b", "a")


def test_any_spreads_over_equal_boards(tmp_path: Path) -> None:
    cases = "".join(f"  c{i}: {{model: net.bin, modes: [release], boards: {{pick: any}}}}\n" for i in range(6))
    path = with_model(tmp_path, f"suite: s\ncases:\n{cases}")
    assert [pair.board.name for pair in settled(path, lab("a", "b", "c")).pairs] == ["a", "b", "c", "a", "b", "c"]


def test_a_board_that_its_tags_chose_and_that_cannot_run_it_is_left_out_with_the_reason(tmp_path: Path) -> None:
    text = WHOLE.replace("soc=x5", "kind=emulated")
    pairing = settled(with_model(tmp_path, text), [*lab("a"), *lab("b", soc="x3")])
    assert {pair.board.name for pair in pairing.pairs} == {"a"}
    assert [(one.case, one.board) for one in pairing.left_out] == [("layers", "b"), ("times", "b")]
    assert all("bayes-e" in one.reason for one in pairing.left_out)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("{tags: [soc=x5]}", "{tags: [soc=j9]}", "no board has the tag 'soc=j9'"),
        ("{tags: [soc=x5]}", "{names: [b]}", "built for bayes-e"),
        ("{tags: [soc=x5]}", "{names: [bb]}", "no board 'bb'"),
        ("{tags: [soc=x5]}", "{tags: [soc=x3]}", "no board can run it: b: "),
        ("{x: x.bin}", "{x: y.bin}", "no such input file"),
        ("    modes: [release, profile]", "    modes: [fast]", "no mode 'fast'"),
        ("    core: 1\n", "    policy: strict\n", "strict"),
    ],
)
def test_a_case_that_no_board_can_run_is_an_error_now(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert before in WHOLE
    text = WHOLE.replace(before, after)
    with pytest.raises(ConfigError) as error:
        settled(with_model(tmp_path, text), [*lab("a"), *lab("b", soc="x3")])
    assert str(tmp_path / "suite.yaml") in error.value.message
    assert words in error.value.message


def test_paths_may_hold_what_the_board_is(tmp_path: Path) -> None:
    text = "suite: s\ncases:\n  c: {model: 'net_{soc}.bin', modes: [release], boards: {tags: [kind=emulated]}}\n"
    path = with_model(tmp_path, text)
    for soc in ("x5", "x3"):
        (tmp_path / f"net_{soc}.bin").write_bytes(branched(soc).read_bytes())
    pairs = settled(path, [*lab("a"), *lab("b", soc="x3")]).pairs
    assert [pair.case.model.name for pair in pairs] == ["net_x5.bin", "net_x3.bin"]


def test_tags_are_the_boards_own_and_what_it_is() -> None:
    (board,) = lab("a", tags=("nightly", "cooler=fan"))
    for tag in ("nightly", "cooler=fan", "soc=x5", "platform=hbdnn", "board=a", "kind=emulated"):
        assert has_tag(board, tag)
    for tag in ("soc", "soc=", "x5", "cooler", "kind=real", "soc=x3"):
        assert not has_tag(board, tag)
