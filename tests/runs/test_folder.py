"""Run folders: written whole, readable when cut, refused when foreign."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.names import safe_name
from harness.records import FORMAT, Metrics, Run, Verdict
from harness.records.codec import to_json
from harness.runs import folder as store
from harness.runs.folder import find_run, load_run, new_run_folder, save_run

NOW = datetime(2026, 11, 20, 9, 14, tzinfo=timezone.utc)


def test_records_become_plain_json_and_not_a_number_becomes_a_word() -> None:
    metrics = Metrics(elements=3, mismatched=1, relative_l2=float("nan"), sqnr_db=float("inf"))
    plain = to_json({"m": metrics, "v": Verdict("consistent", "", 0), "n": np.float32(0.5), "a": np.arange(2)})
    assert plain["m"]["relative_l2"] == "nan"
    assert plain["m"]["sqnr_db"] == "inf"
    assert plain["n"] == 0.5
    assert plain["a"] == [0, 1]
    json.dumps(plain, allow_nan=False)


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    folder = new_run_folder(tmp_path, "mobile/net", "x5 01", NOW)
    assert folder.relative_to(tmp_path).parts == ("mobile_net", "x5_01", "20261120T091400Z")
    save_run(folder, Run(id="层"))
    assert load_run(folder) == Run(id="层")
    assert not list(folder.glob(".*"))


def test_two_runs_in_one_second_do_not_share_a_folder(tmp_path: Path) -> None:
    assert new_run_folder(tmp_path, "a", "b", NOW) != new_run_folder(tmp_path, "a", "b", NOW)


def test_runs_that_begin_at_one_moment_claim_a_folder_each(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: new_run_folder(tmp_path, "a", "b", NOW), range(40)))
    assert len(set(folders)) == 40 and all(folder.is_dir() for folder in folders)


def test_the_newest_run_of_a_case_is_found(tmp_path: Path) -> None:
    for day in (1, 3, 2):
        folder = new_run_folder(tmp_path, "case", "board", datetime(2026, 1, day, tzinfo=timezone.utc))
        save_run(folder, Run(id=str(day)))
    assert load_run(tmp_path / "case").id == "3"
    assert find_run(tmp_path).parent.name == "20260103T000000Z"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"format": "1"}'])
def test_a_file_that_is_no_run_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError):
        load_run(tmp_path)


def test_a_run_of_a_newer_harness_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format": FORMAT + 1, "harness_version": "0.9.1"}))
    with pytest.raises(InputError) as refused:
        load_run(tmp_path)
    assert f"run format {FORMAT + 1}, written by harness 0.9.1" in refused.value.message
    assert refused.value.hint == "update harness to 0.9.1 or newer"


def test_what_is_damaged_is_named_and_what_is_not_known_too(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format": FORMAT, "modes": [{"mode": "debug"}, 7], "weather": 1}))
    run = load_run(tmp_path)
    assert [mode.mode for mode in run.modes] == ["debug"]
    assert (run.damage, run.unknown) == (("modes[1] is not an object: 7",), ("weather",))


@pytest.mark.parametrize("name", ["", "..", "/", "a/../b", "a\nb", "$(x)", "层/一", "-rf"])
def test_a_name_never_becomes_a_path(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not {"/", "\n", "$"} & set(safe)
    assert safe not in (".", "..")


def test_a_run_that_nobody_works_on_is_read_as_broken_off(tmp_path: Path) -> None:
    store.save_run(tmp_path, Run(state="running", stopped_at="running debug"))
    with store.claimed(tmp_path):
        assert store.load_run(tmp_path).state == "running"
    run = store.load_run(tmp_path)
    assert run.verdict and (run.state, run.stopped_at, run.verdict.exit_code) == ("interrupted", "running debug", 3)
    assert "interrupted" in run.problems[0]
    assert json.loads((tmp_path / "run.json").read_text())["state"] == "running", "reading changes nothing"


def test_a_run_that_is_complete_stays_what_it_is(tmp_path: Path) -> None:
    store.save_run(tmp_path, Run(state="complete"))
    assert store.load_run(tmp_path) == Run(state="complete")
