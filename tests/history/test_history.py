"""The index on real databases: SQLite, and a PostgreSQL server that the test starts."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from harness.cli import cli
from harness.errors import HostError, InputError
from harness.history import entering, queries
from harness.history.database import HistoryDatabase, opened, url_of
from harness.history.epochs import epochs_of
from harness.history.layers import incomparable, turns
from tests.cli.answers import answer_of
from tests.history.kit import LAYERS, cell_of_run, run_of, seeded, stamp, write_night, write_run


@pytest.fixture
def url(server: str, tmp_path: Path) -> str:
    """An empty history."""
    text = server or f"sqlite:///{tmp_path}/other/history.sqlite"
    with opened(text, anew=True):
        return text


def silent(_what: str, _completed: int, _total: int) -> None:
    pass


def test_nights_and_runs_enter_and_come_back_as_they_were(url: str, tmp_path: Path) -> None:
    seeded(tmp_path / "nights", 3)
    write_run(tmp_path / "nights" / "loose", run_of("resnet", "x3-01", 4))
    with opened(url) as database:
        count = entering.rebuild(database, tmp_path / "nights", silent)
        assert (count.nights, count.results, count.unreadable) == (3, 4, 0)
        pairs = {(one.case, one.board): one for one in queries.pairs(database)}
        assert pairs.keys() == {("yolo", "x5-01"), ("resnet", "x3-01")}
        assert pairs["yolo", "x5-01"].results == 3
        assert pairs["yolo", "x5-01"].last_median_us == 5000.0
        entries = queries.entries(database, "yolo", "x5-01")
        assert [one.started_utc for one in entries] == [f"2026-11-0{day}T02:00:00Z" for day in (1, 2, 3)]
        last = entries[-1]
        assert (last.night, last.word, last.soc, last.model_md5) == (f"lab/{stamp(3)}", "pass", "x5", "m1")
        assert last.facts == {"runtime": "3.7.2"}
        assert queries.layer_reader(database)(last.layers) == [(name, md5, "exact") for name, md5 in LAYERS.items()]
        assert len({one.layers for one in entries}) == 1
        assert [one.value_us for one in queries.points_of(entries)] == [5001.0, 5002.0, 5000.0]


def test_a_rebuild_of_the_same_folder_changes_nothing(url: str, tmp_path: Path) -> None:
    seeded(tmp_path, 4)
    with opened(url) as database:
        entering.rebuild(database, tmp_path, silent)
        before = queries.entries(database, "yolo", "x5-01")
        entering.rebuild(database, tmp_path, silent)
        assert queries.entries(database, "yolo", "x5-01") == before
        assert entering.refresh(database, tmp_path) == entering.EnteredCount(), "nothing is new"


def test_new_and_changed_nights_enter_by_themselves(url: str, tmp_path: Path) -> None:
    seeded(tmp_path, 2)
    with opened(url) as database:
        assert entering.refresh(database, tmp_path).nights == 2
        run = run_of(day=3)
        folder = write_night(tmp_path, "lab", 3, [(run, cell_of_run(run, None, "differs"))])
        assert entering.refresh(database, tmp_path).nights == 1
        value = json.loads((folder / "night.json").read_text())
        value["cells"][0]["word"] = "unmeasured"
        (folder / "night.json").write_text(json.dumps(value))
        assert entering.refresh(database, tmp_path).nights == 1
        entries = queries.entries(database, "yolo", "x5-01")
        assert [one.word for one in entries] == ["pass", "pass", "unmeasured"]
        assert len(queries.points_of(entries)) == 2


def test_folders_that_cannot_be_read_are_counted_and_cost_nothing_else(url: str, tmp_path: Path) -> None:
    seeded(tmp_path, 2)
    for name, text in (("a", "{"), ("b", '{"format": 99}'), ("c", "[]"), ("d", '{"format": 1, "cells": [1]}')):
        (tmp_path / "lab" / name).mkdir()
        (tmp_path / "lab" / name / "night.json").write_text(text)
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "run.json").write_text("nonsense")
    with opened(url) as database:
        count = entering.rebuild(database, tmp_path, silent)
    assert (count.nights, count.results, count.unreadable) == (2, 2, 5)


def test_hostile_texts_of_a_folder_enter_as_text(url: str, tmp_path: Path) -> None:
    hostile = "x'; DROP TABLE harness_results; --\x00\udce4" + "n" * 3000
    run = run_of()
    cell = replace(cell_of_run(run), case=hostile, detail=hostile, run="../../outside", reason=hostile)
    write_night(tmp_path, "lab", 1, [(run, replace(cell, run=f"runs/{run.id}"))])
    file = tmp_path / "lab" / stamp(1) / "night.json"
    value = json.loads(file.read_text())
    value["cells"][0]["run"] = "../../../../etc"
    file.write_text(json.dumps(value))
    with opened(url) as database:
        assert entering.refresh(database, tmp_path).results == 1
        (pair,) = queries.pairs(database)
        assert pair.case.startswith("x'; DROP TABLE") and "\0" not in pair.case
        assert queries.entries(database, pair.case, pair.board)[0].layers == ""


def test_two_writers_at_once_lose_nothing(url: str, tmp_path: Path) -> None:
    for name in ("one", "other"):
        seeded(tmp_path / name, 8)
    failures: list[BaseException] = []

    def enter(name: str) -> None:
        try:
            with opened(url) as database:
                entering.refresh(database, tmp_path / name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=enter, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with opened(url) as database:
        assert queries.pairs(database)[0].results == 16


def with_version(database: HistoryDatabase, version: int) -> None:
    from sqlalchemy import update

    from harness.history.schema import VERSION

    with database.alone() as connection:
        connection.execute(update(VERSION).values(version=version))


def test_another_version_is_refused_until_it_is_made_anew(url: str, tmp_path: Path) -> None:
    seeded(tmp_path, 2)
    with opened(url) as database:
        entering.refresh(database, tmp_path)
        with_version(database, 99)
    with pytest.raises(InputError, match=r"history of version 99; this harness has 1"), opened(url):
        pass
    with opened(url, anew=True) as database:
        assert queries.pairs(database) == []


# --------------------------------------------------------------------------- layers


def test_bisect_names_the_first_night_and_what_changed_with_it(url: str, tmp_path: Path) -> None:
    wrong = {**LAYERS, "conv2": "b2", "softmax": "c2"}
    for day in range(1, 9):
        new = day >= 5
        run = run_of(day=day, layers=wrong if new else LAYERS, runtime="3.7.3" if new else "3.7.2")
        write_night(tmp_path, "lab", day, [(run, cell_of_run(run, word="differs" if new else "pass"))])
    with opened(url) as database:
        entering.refresh(database, tmp_path)
        entries = queries.entries(database, "yolo", "x5-01")
        (turn,) = turns(entries, queries.layer_reader(database))
        assert (turn.layer, turn.before, turn.after, turn.layers_changed) == ("conv2", "b1", "b2", 2)
        assert (turn.last.night, turn.first.night) == (f"lab/{stamp(4)}", f"lab/{stamp(5)}")
        assert turn.changed == ("runtime 3.7.2 to 3.7.3",)
        assert [one.layer for one in turns(entries, queries.layer_reader(database), "softmax")] == ["softmax"]
        assert turns(entries, queries.layer_reader(database), "conv1") == []


def test_other_inputs_say_nothing_about_layers(url: str, tmp_path: Path) -> None:
    for day in (1, 2):
        run = run_of(day=day, layers={"conv1": f"a{day}"}, fed=f"photo{day}")
        write_night(tmp_path, "lab", day, [(run, cell_of_run(run))])
    with opened(url) as database:
        entering.refresh(database, tmp_path)
        entries = queries.entries(database, "yolo", "x5-01")
        assert turns(entries, queries.layer_reader(database)) == []
        assert incomparable(entries) == "no two results in a row were fed the same inputs"


def test_epochs_say_what_began_them(url: str, tmp_path: Path) -> None:
    for day in range(1, 7):
        run = run_of(day=day, runtime="3.7.3" if day > 4 else "3.7.2")
        write_night(tmp_path, "lab", day, [(run, cell_of_run(run, epoch="e2" if day > 4 else "e1"))])
    with opened(url) as database:
        entering.refresh(database, tmp_path)
        epochs = epochs_of(queries.entries(database, "yolo", "x5-01"))
    assert [(one.epoch, one.results, one.changed) for one in epochs] == [
        ("e1", 4, ()),
        ("e2", 2, ("runtime 3.7.2 to 3.7.3",)),
    ]


# --------------------------------------------------------------------------- what cannot be reached


@pytest.mark.parametrize("text", ["nonsense", "mystery://host/db", "sqlite:////proc/nowhere/history.sqlite"])
def test_a_url_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(InputError), opened(text):
        pass


def test_a_server_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    text = f"postgresql+psycopg://farm:secret@/db?host={tmp_path}"
    with pytest.raises(HostError) as raised, opened(text):
        pass
    assert "secret" not in raised.value.message + raised.value.hint


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(HostError, match="not a database"), opened(url_of(tmp_path)):
        pass


# --------------------------------------------------------------------------- the commands


def harness(folder: Path, *argv: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "harness", *argv], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.slow
def test_the_commands_answer_from_what_lies_there(tmp_path: Path) -> None:
    seeded(tmp_path / "nights", 5)
    changed = run_of(day=6, layers={**LAYERS, "conv2": "b2"}, model="m2")
    write_night(tmp_path / "nights", "lab", 6, [(changed, cell_of_run(changed))])
    code, text, _ = harness(tmp_path, "history", "yolo", "--board", "x5-01", "--json")
    value = answer_of(text, "history")
    assert code == 0 and value["pairs"][0]["results"] == 6 == len(value["series"][0]["results"])
    code, text, _ = harness(tmp_path, "history")
    assert code == 0 and "yolo" in text and "1 pairs" in text
    code, text, _ = harness(tmp_path, "bisect", "yolo", "--json")
    (turn,) = answer_of(text, "bisect")["turns"]["x5-01"]
    assert (code, turn["layer"], turn["changed"]) == (1, "conv2", ["model m1 to m2"])
    code, text, _ = harness(tmp_path, "bisect", "yolo", "--layer", "conv1")
    assert (code, text.strip()) == (
        0,
        "yolo on x5-01: layer conv1 did not change: 6 results from 2026-11-01 to 2026-11-06",
    )
    code, text, _ = harness(tmp_path, "history", "rebuild", "nights", "--json")
    assert (code, answer_of(text, "history-rebuild")["results"]) == (0, 6)
    assert harness(tmp_path, "history", "nobody")[0] == 2
    assert harness(tmp_path, "history", "--nights", "elsewhere")[0] == 2


def test_the_tab_key_offers_what_the_history_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_HISTORY", raising=False)
    root = tmp_path / "nights"
    seeded(root, 1)
    write_run(root / "loose", run_of("resnet", "x3-01", 4))
    with opened(url_of(root)) as database:
        entering.rebuild(database, root, silent)

    def offered(words: str, nights: Path = root) -> list[str]:
        command, *others, incomplete = words.split()
        completion = ShellComplete(cli, {}, "harness", "_HARNESS_COMPLETE")
        given = [command, *others[:1], "--nights", str(nights), *others[1:]]
        return [item.value for item in completion.get_completions(given, incomplete)]

    assert offered("history yo") == ["yolo"]
    assert offered("history re") == ["resnet", "rebuild", "replay", "revoke"]
    assert offered("history show re") == ["resnet"]
    assert offered("history yolo --board x5") == ["x5-01"]
    assert offered("bisect r") == ["resnet"]
    assert offered("bisect resnet --board x") == ["x3-01", "x5-01"]
    assert offered("bisect r", tmp_path / "elsewhere") == [] and not (tmp_path / "elsewhere").exists()
    (root / "history.sqlite").write_bytes(b"no database at all" * 40)
    assert offered("bisect r") == []


def test_the_tab_key_leaves_suites_and_nights_to_the_shell() -> None:
    completion = ShellComplete(cli, {}, "harness", "_HARNESS_COMPLETE")
    for given in (["nightly"], ["nightly", "--resume"], ["nightly", "--junit"], ["history", "rebuild"]):
        assert [item.type for item in completion.get_completions(given, "x5")] == ["file"], given
