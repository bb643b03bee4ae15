"""What of the runs on a disk may go: tensors of good runs that nobody needs, and never anything else."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.records import Run, TypedCommand
from harness.records.comparison import Verdict
from harness.records.run import BoardOfRun, CaseOfRun
from harness.runs.folder import claimed, save_run
from harness.runs.stored import StoredRun, prune, stored_runs
from tests.support.builds import harness_here

GOOD, BAD = Verdict("consistent", "", 0), Verdict("diverges", "", 1)
NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)


def run_folder(
    root: Path, day: int, verdict: Verdict = GOOD, state: str = "complete", command: TypedCommand | None = None
) -> Path:
    folder = root / "net" / "emu-x5" / f"202611{day:02d}T090000Z"
    for name in ("debug/a.bin", "reference/t.npy", "debug/log.txt", "inputs/0_x.bin", "report.html"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
    case, board = CaseOfRun("net"), BoardOfRun("emu-x5")
    run = Run(id=f"net/{day}", state=state, case=case, board=board, verdict=verdict, command=command)
    save_run(folder, _dated(run, day))
    return folder


def _dated(run: Run, day: int) -> Run:
    from dataclasses import replace

    return replace(run, started_utc=f"2026-11-{day:02d}T00:00:00Z")


def by_folder(root: Path, **options: object) -> dict[Path, StoredRun]:
    return {one.folder: one for one in stored_runs(root, now=NOW, **options)}  # type: ignore[arg-type]


def test_tensors_of_a_good_run_may_go_and_the_rest_stays(tmp_path: Path) -> None:
    old, new = run_folder(tmp_path, 1), run_folder(tmp_path, 10)
    runs = by_folder(tmp_path)
    assert runs[old].needed == "" and runs[old].dumps_bytes == 2000 and runs[old].age_days == 19
    assert runs[new].needed == "the newest of its case and board"
    assert prune(runs[old]) == 2000
    left = sorted(path.relative_to(old).as_posix() for path in old.rglob("*") if path.is_file())
    assert left == ["debug/log.txt", "inputs/0_x.bin", "report.html", "run.json"]
    with pytest.raises(InputError, match="newest"):
        prune(runs[new])
    assert (new / "debug/a.bin").exists()


def test_what_is_needed_stays(tmp_path: Path) -> None:
    bad, going, broken = (run_folder(tmp_path, 1, BAD), run_folder(tmp_path, 2), run_folder(tmp_path, 3))
    used, resumed, newest = (run_folder(tmp_path, day) for day in (4, 5, 9))
    argv = ("harness", "run", "m.bin", "--reference", f"{used.name}/reference")
    run_folder(tmp_path, 8, command=TypedCommand(argv, "", str(used.parent)))
    (broken / "run.json").write_text("{")
    (resumed / "resume.json").write_text("{}")
    with claimed(going):
        runs = by_folder(tmp_path)
    assert runs[bad].needed.startswith("not good")
    assert runs[going].needed == "a process works on it"
    assert runs[broken].needed == "run.json cannot be read"
    assert runs[used].needed == "the command of 20261108T090000Z names it"
    assert runs[resumed].needed == "it can be resumed"
    assert runs[newest].needed
    assert by_folder(tmp_path, bad_too=True)[bad].needed == ""


def test_a_run_that_became_busy_is_left_alone(tmp_path: Path) -> None:
    old = run_folder(tmp_path, 1)
    run_folder(tmp_path, 10)
    one = by_folder(tmp_path)[old]
    with claimed(old), pytest.raises(InputError, match="in progress"):
        prune(one)
    assert (old / "debug/a.bin").exists()


def test_nothing_behind_a_link_goes(tmp_path: Path) -> None:
    outside = tmp_path / "mine"
    outside.mkdir()
    (outside / "a.bin").write_bytes(b"mine")
    old = run_folder(tmp_path / "runs", 1)
    run_folder(tmp_path / "runs", 10)
    (old / "debug-2").symlink_to(outside)
    (old / "debug" / "b.bin").symlink_to(outside / "a.bin")
    one = by_folder(tmp_path / "runs")[old]
    with pytest.raises(InputError):  # links are no part of a run folder
        prune(one)
    assert (outside / "a.bin").read_bytes() == b"mine"


def test_the_command_asks_first(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "runs", 1)
    run_folder(tmp_path / "runs", 10)
    listed = json.loads(harness_here("runs", "list", "--json", cwd=tmp_path).stdout)
    assert [one["needed"] == "" for one in listed["runs"]] == [True, False] and listed["may_go_bytes"] == 2000
    shown = harness_here("runs", "prune", cwd=tmp_path)
    assert shown.returncode == 0 and "--yes" in shown.stdout and (old / "debug/a.bin").exists()
    young = json.loads(harness_here("runs", "prune", "--older-than", "99999", "--yes", "--json", cwd=tmp_path).stdout)
    assert young["runs"] == [] and (old / "debug/a.bin").exists()
    gone = json.loads(harness_here("runs", "prune", "--yes", "--json", cwd=tmp_path).stdout)
    assert gone["freed_bytes"] == 2000 and not (old / "debug/a.bin").exists()
    assert harness_here("runs", "list", "absent", cwd=tmp_path).returncode == 2
    assert [path.name for path in (old / "debug").iterdir()] == ["log.txt"]
