"""An attempt is made once and ended once, whoever tries; files come whole or not at all. On both servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import HostError, InputError
from harness.farm.case_files import moved, moved_case
from harness.farm.run_archive import LARGEST_FILE_BYTES, LEFT, packed, unpacked
from harness.files.digests import md5_of_file
from harness.history import farm_files
from harness.history.farm_database import FarmDatabase
from harness.history.farm_jobs import ENDED, LOST, MEASURED, RUNNING, FarmJobs, JobResult
from harness.history.farm_tables import FARM_TABLES
from harness.records import Case, FileIdentity

PLACE = ("lab/1/case/b1", 1)
RESULT = JobResult('{"word": "pass"}', b"archive")


@pytest.fixture
def database(server: str, tmp_path: Path) -> Iterator[FarmDatabase]:
    own = FarmDatabase(server or f"sqlite:///{tmp_path}/farm.sqlite", 5.0)
    FARM_TABLES.drop_all(own.engine)
    yield own
    own.close()


def test_an_attempt_is_made_once_and_ended_by_whoever_made_it(database: FarmDatabase) -> None:
    farm_id = database.prepare()
    assert farm_id == database.prepare() and len(farm_id) == 16
    jobs = FarmJobs(database)
    taken: list[bool] = []
    threads = [
        threading.Thread(target=lambda name=f"w{place}": taken.append(jobs.claim("lab/1", PLACE, "b1", name)))
        for place in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 5 + [True]
    (row,) = jobs.rows("lab/1")
    other = "w0" if row.worker != "w0" else "w1"
    assert (row.state, row.failed, row.board) == (RUNNING, False, "b1")
    assert not jobs.ended(PLACE, other, RESULT), "another worker's result"
    assert jobs.measured(PLACE, row.worker, True)
    assert [(one.state, one.failed) for one in jobs.rows()] == [(MEASURED, True)]
    assert jobs.ended(PLACE, row.worker, RESULT)
    assert not jobs.ended(PLACE, row.worker, JobResult("other", b"")), "once"
    assert not jobs.give_up(PLACE), "what has ended is not lost"
    assert jobs.result(PLACE) == RESULT and jobs.rows() == []


def test_what_was_given_up_does_not_count_any_more(database: FarmDatabase) -> None:
    database.prepare()
    jobs = FarmJobs(database)
    assert jobs.claim("lab/1", PLACE, "b1", "w")
    assert jobs.beat("w") == set()
    jobs.stop(PLACE)
    assert jobs.beat("w") == {PLACE} and jobs.beats() == {"w": 2}
    assert jobs.give_up(PLACE)
    assert not jobs.measured(PLACE, "w", False) and not jobs.ended(PLACE, "w", RESULT)
    assert not jobs.claim("lab/1", PLACE, "b1", "other")
    assert jobs.claim("lab/1", (PLACE[0], 2), "b1", "other")
    assert [row.state for row in jobs.rows("lab/1")] == [LOST, RUNNING]
    assert jobs.ended((PLACE[0], 2), "other", RESULT)
    assert [row.state for row in jobs.rows("lab/1")] == [LOST, ENDED]


def test_files_come_in_pieces_and_go_with_their_night(database: FarmDatabase, tmp_path: Path) -> None:
    database.prepare()
    source, empty = tmp_path / "model.bin", tmp_path / "empty"
    source.write_bytes(bytes(range(256)) * 40_000)  # 10 MB: three pieces
    empty.write_bytes(b"")
    for path in (source, empty):
        content = farm_files.content_name(path.stat().st_size, md5_of_file(path))
        farm_files.put(database, "lab/1", content, path)
        farm_files.put(database, "lab/1", content, path)
        farm_files.get(database, "lab/1", content, tmp_path / "copies" / path.name, tmp_path)
        assert (tmp_path / "copies" / path.name).read_bytes() == path.read_bytes()
    wrong = farm_files.content_name(3, "0" * 32)
    farm_files.put(database, "lab/1", wrong, source)
    with pytest.raises(HostError, match="is not what it was"):
        farm_files.get(database, "lab/1", wrong, tmp_path / "copies" / "wrong", tmp_path)
    assert not (tmp_path / "copies" / "wrong").exists()
    farm_files.forget(database, "lab/1")
    with pytest.raises(HostError, match="is not in the database"):
        farm_files.get(database, "lab/1", content, tmp_path / "copies" / "again", tmp_path)


def test_a_database_that_is_not_reached_is_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    away = FarmDatabase(f"postgresql+psycopg://farm@/postgres?host={tmp_path}", 0.2)
    with pytest.raises(HostError, match="postgresql"):
        away.prepare()
    with pytest.raises(HostError, match="postgresql"):
        FarmJobs(away).claim("lab/1", PLACE, "b1", "w")
    assert away.is_away


# --------------------------------------------------------------------------- what crosses


def test_a_case_keeps_what_lies_beside_what_on_another_pc(tmp_path: Path) -> None:
    case = Case(
        "c", Path("/data/m/net.bin"), (("x", Path("/data/x.bin")),), reference="/data/m/ref", model_name="/data"
    )
    names = ("/data/m/net.bin", "/data/x.bin", "/data/m/ref")
    moved_to = moved_case(case, [FileIdentity("r", name, {"": (1, "0")}) for name in names], tmp_path)
    assert moved_to.model == tmp_path / "data/m/net.bin" and moved_to.inputs == (("x", tmp_path / "data/x.bin"),)
    assert moved_to.reference == str(tmp_path / "data/m/ref")
    assert moved_to.model_name == "/data", "a word that is no file of the case stays"
    with pytest.raises(HostError):
        moved("relative", tmp_path)


def test_a_log_too_large_to_travel_is_named_where_the_run_comes_home(tmp_path: Path) -> None:
    run, night = tmp_path / "run", tmp_path / "night"
    (run / "debug").mkdir(parents=True)
    night.mkdir()
    (run / "run.json").write_text("{}")
    with (run / "debug/log.txt").open("wb") as log:
        log.truncate(LARGEST_FILE_BYTES + 1)
    unpacked(packed(run), night, "r")
    assert {path.name for path in (night / "r").iterdir()} == {"run.json", LEFT}
    assert f"debug/log.txt: {LARGEST_FILE_BYTES + 1} bytes" in (night / "r" / LEFT).read_text()


def test_a_run_comes_home_without_tensors_and_never_beside_its_night(tmp_path: Path) -> None:
    run = tmp_path / "worker/runs/c/b/1"
    (run / "debug").mkdir(parents=True)
    for name in ("run.json", "report.html", "resume.json", "debug/t.bin", "debug/log.txt"):
        (run / name).write_text(name)
    content, night = packed(run), tmp_path / "night"
    night.mkdir()
    assert unpacked(content, night, "runs/c/b/1") == "runs/c/b/1"
    assert unpacked(content, night, "runs/c/b/1") == "runs/c/b/1-1"
    names = {path.relative_to(night / "runs/c/b/1").as_posix() for path in (night / "runs/c/b/1").rglob("*.*")}
    assert names == {"run.json", "report.html", "debug/log.txt"}
    assert unpacked(b"", night, "runs/c/b/2") == "" and packed(tmp_path / "absent") == b""
    for wrong in ("../runs", "/etc/runs"):
        with pytest.raises(Exception, match="not the name of a run folder"):
            unpacked(content, night, wrong)
    with pytest.raises(InputError):
        unpacked(b"no archive", night, "runs/c/b/3")
