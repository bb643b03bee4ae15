"""What folds in a report's long tables, what never does, and the command that repeats a run."""

from __future__ import annotations

from typing import Any

import pytest

from harness.report.tables import folds
from tests.records.kit import lines, render, tables
from tests.report.test_first_screen import first_screen
from tests.support import fixtures_run as runs


def rows(words: str) -> list[dict[str, Any]]:
    """Layers by the first letter of their standing; a capital is an output of the network."""
    named = {"e": "exact", "o": "origin", "p": "propagated", "w": "within", "n": "not_compared"}
    return [
        {"name": f"t{n}", "standing": named[word.lower()], "note": "", "is_output": word.isupper()}
        for n, word in enumerate(words)
    ]


def folded(row_folds: list[dict[str, Any] | None]) -> list[tuple[int, int]]:
    """Place and length of every fold."""
    return [(place, fold["count"]) for place, fold in enumerate(row_folds) if fold]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("", []), ("eee", []), ("eeee", [(0, 4)]), ("eeeeoeeeee", [(0, 4), (5, 5)]), ("eeeeE", [(0, 4)]),
     ("eenneenn", []), ("wwwwww", []), ("pppppp", []), ("eeEeeeee", [(3, 5)])],
)  # fmt: skip
def test_only_runs_of_exact_layers_fold_and_outputs_stay_open(words: str, expected: list[tuple[int, int]]) -> None:
    assert folded(folds.layer_folds(rows(words))) == expected


def test_a_layer_with_a_note_stays_open() -> None:
    layers = rows("eeeeee")
    layers[3]["note"] = "waived"
    assert folded(folds.layer_folds(layers)) == []


def test_an_op_that_is_wrong_is_never_among_the_folded() -> None:
    ops = [{"name": f"op{n}", "share": 0.02, "standing": "exact"} for n in range(50)]
    ops[40]["standing"] = "origin"
    row_folds = folds.op_folds(ops)
    assert folded(row_folds) == [(12, 28), (41, 9)]
    assert row_folds[12] is not None and "28 faster ops, together 56" in row_folds[12]["words"]
    for op in ops:
        op["share"] = None
    assert "together" not in str(folds.op_folds(ops))


def test_a_node_that_moved_or_was_wrong_stays_open() -> None:
    nodes = [{"moved": n == 0, "standing": "origin" if n == 7 else "exact"} for n in range(12)]
    assert folded(folds.node_folds(nodes)) == [(1, 6), (8, 4)]


def test_a_column_of_one_value_is_said_once() -> None:
    run = runs.consistent_run()
    for layer in run["comparison"]["layers"]:
        layer |= {"unit": "BPU", "match": "name"}
    page = render(run)
    assert ">match</th>" not in page and "In every row: on BPU, match name. " in page
    run["comparison"]["layers"][5]["match"] = "order"
    assert ">match</th>" in render(run)


def time_of(*shares: float, estimated: bool = False) -> dict[str, Any]:
    split = [
        {"part": f"U{n}", "is_unit": True, "time_us": part * 1e3, "share": part, "estimated": estimated}
        for n, part in enumerate(shares)
    ]
    return {"split": split, "latency": {"mean_us": 1e3}, "estimated": estimated}


def test_tiles_below_one_percent_are_one() -> None:
    tiles = folds.tiles_of(time_of(0.9, 0.0099, 0.01, 0.002, 0.0), False)
    assert [part["part"] for part in tiles["parts"]] == ["U0", "U2"]
    assert len(tiles["small"]) == 3 and tiles["small_us"] == pytest.approx(11.9)
    assert folds.tiles_of(time_of(0.9, 0.001), False)["small"] == []
    assert folds.tiles_of(time_of(0.9, 0.001, 0.001), True)["small"] == []  # shares mean nothing there


def test_one_mark_stands_for_all_tiles_only_where_all_are_estimated() -> None:
    time = time_of(0.5, 0.4, estimated=True)
    assert folds.tiles_of(time, False)["all_estimated"]
    time["split"][1]["estimated"] = False
    assert not folds.tiles_of(time, False)["all_estimated"]


def test_layers_and_inputs_are_counted_apart() -> None:
    run = runs.consistent_run()
    run["comparison"]["layers"][0]["op_kind"] = "input"
    run["comparison"]["coverage"] |= {"layers_compared": 63, "layers_total": 63}
    counted_layers = "63 of 63 layers compared, 100\u202f% of bytes: 63 exact; network input: 1 exact"
    assert tables(run)["headline"]["sentences"][-1] == f"{counted_layers}."
    assert any("bytes: 63 exact; network input: 1 exact" in line for line in lines(run))


def typed(run: runs.Run, *argv: str) -> runs.Run:
    run["command"] = {"argv": list(argv), "line": " ".join(argv), "folder": "/home/zzyzx/work"}
    return run


def test_the_first_screen_gives_the_command_that_repeats_the_run() -> None:
    argv = ("harness", "run", "--board", "emu-x5", "/home/zzyzx/yolo.bin")
    page = render(typed(runs.consistent_run(), *argv))
    assert "harness run --board emu-x5 ~/yolo.bin" in page and "zzyzx" not in page
    assert "Repeat it" in first_screen(typed(runs.diverging_run(), *argv))


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ((), "harness run --resume runs/"),
        (("harness", "run", "--runs", "/data/r", "m.bin"), "harness run --resume /data/r/"),
        (("harness", "soak", "--runs=nights", "m.bin"), "harness soak --resume nights/"),
    ],
)
def test_an_interrupted_run_says_how_to_go_on(argv: tuple[str, ...], line: str) -> None:
    run = typed(runs.interrupted_run(), *argv) if argv else runs.interrupted_run()
    assert tables(run)["again"] == {"way": "resume", "line": f"{line}{run['id']}"}


def test_a_run_that_does_not_tell_what_was_typed_promises_no_command() -> None:
    assert tables(runs.consistent_run())["again"] is None and "Repeat it" not in render(runs.consistent_run())


def test_a_very_long_table_stands_aside_between_its_start_and_what_is_behind_its_folds() -> None:
    fold: dict[str, object] = {"count": 1100, "words": "w"}
    short: list[dict[str, object] | None] = [None] * 1000
    assert folds.late_rows(short)["first"] is None
    clean = [None, fold, *[None] * 1099, None, None]
    assert folds.late_rows(clean) == {"first": 200, "last": 1101, "rows": 901, "lines": 0}
    again = [*[None] * 300, fold, *[None] * 1099]
    assert folds.late_rows(again) == {"first": 200, "last": None, "rows": 1200, "lines": 101}
    assert folds.late_rows([None] * 1500) == {"first": 200, "last": None, "rows": 1300, "lines": 1300}
