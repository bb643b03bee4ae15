"""A file of a board's cache is damaged between two runs, or while it is used: noticed, sent again, and said."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.agent import Agent
from harness.transports import open_transport
from tests.support.builds import ExampleModel, build
from tests.support.servers import local_board

Harm = Callable[[Path], None]


def flipped(path: Path) -> None:
    """32 bytes in the middle, as a flash that loses a page does; the times are put back."""
    write(path, lambda data: data[: len(data) // 2] + bytes(b ^ 0x55 for b in data[len(data) // 2 :][:32]) + tail(data))


def tail(data: bytes) -> bytes:
    return data[len(data) // 2 + 32 :]


def zeroed(path: Path) -> None:
    write(path, lambda data: bytes(len(data)))


def write(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file and put its times back, as `touch -r` does."""
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        changed = change(file.read())
        file.seek(0)
        file.write(changed)
    path.chmod(before.st_mode & 0o777)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def unnoticed(harm: Harm) -> Harm:
    """What was noted of the file fits it again: as where bits rot below the file system."""

    def rot(path: Path) -> None:
        harm(path)
        mark = path.with_name(f".{path.name}.ok")
        stamp = subprocess.check_output(["stat", "-c", "%s %i %y %z", path], text=True).strip()
        mark.write_text(f"{mark.read_text().split()[0]} {stamp}\n")

    return rot


# --------------------------------------------------------------------------- the agent


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    agent = Agent(open_transport(local_board(tmp_path / "board").endpoint), "work")
    agent.install()
    return agent


@pytest.mark.parametrize("harm", [flipped, zeroed])
def test_a_file_that_was_written_to_since_it_was_stored_is_hashed_again(
    agent: Agent, tmp_path: Path, harm: Harm
) -> None:
    file = tmp_path / "input.bin"
    file.write_bytes(os.urandom(4096))
    first = agent.cache.put_file(file)
    harm(Path(first.path))
    again = agent.cache.put_file(file)
    assert again.damaged and again.sent_bytes == 4096 and not first.damaged
    assert Path(again.path).read_bytes() == file.read_bytes()


def test_a_file_that_rotted_unnoticed_is_found_when_the_board_is_asked_to_look(agent: Agent, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("model.bin", "input.bin", "gone.bin")]
    for file in files:
        file.write_bytes(os.urandom(4096))
    puts = agent.cache.put_files(files)
    unnoticed(flipped)(Path(puts[0].path))
    Path(puts[2].path).unlink()
    assert not agent.cache.put_file(files[0]).damaged, "no mark tells"
    assert agent.cache.no_longer_whole(puts) == [puts[0], puts[2]]
    assert not Path(puts[0].path).exists() and Path(puts[1].path).exists()


# --------------------------------------------------------------------------- harness run


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, digits: ExampleModel) -> Path:
    """Of emulated boards of our own, whose cache a first run has filled."""
    home = tmp_path_factory.mktemp("home")
    result = run(digits, home, home)
    assert result.returncode == 0, result.stderr
    return home


def run(digits: ExampleModel, home: Path, cwd: Path, *more: str) -> subprocess.CompletedProcess[str]:
    argv = ["run", digits.model, "--board", "emu-x5", "--input", digits.input, "--reference", digits.reference]
    argv += ["--frames", "3", *more]
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, argv)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        env=os.environ | {"HARNESS_HOME": str(home)},
        check=False,
    )


def cached(home: Path, file: Path) -> Path:
    """The copy of a file in the board's cache."""
    digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    (copy,) = home.rglob(f"cache/{digest}*")
    return copy


def record(cwd: Path) -> dict[str, Any]:
    (file,) = cwd.rglob("run.json")
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


@pytest.mark.slow
@pytest.mark.parametrize("harm", [flipped, zeroed, unnoticed(flipped), unnoticed(zeroed)])
@pytest.mark.parametrize("what", ["input", "model"])
def test_damage_between_two_runs_changes_no_verdict(
    digits: ExampleModel, home: Path, tmp_path: Path, what: str, harm: Harm
) -> None:
    """Damaged inputs were a false "preprocessing" with exit 1, a damaged model exit 3 until the next boot."""
    copy = cached(home, getattr(digits, what))
    harm(copy)
    result = run(digits, home, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    run_json, page = record(tmp_path), next(tmp_path.rglob("report.html")).read_text()
    assert run_json["verdict"]["word"] == "consistent"
    (note,) = [note for note in run_json["notes"] if "damaged" in note]
    assert "sent again" in note and note.split("(")[0].strip()[:20] in page
    assert cached(home, getattr(digits, what)).read_bytes() == getattr(digits, what).read_bytes()
    assert [mode["mode"] for mode in run_json["modes"]] == ["info", "release", "debug", "profile"]


@pytest.mark.slow
def test_a_result_against_the_board_is_believed_once_its_copies_are_hashed(
    digits: ExampleModel, home: Path, tmp_path: Path
) -> None:
    result = run(digits, home, tmp_path, "--fault", "halved@conv1")
    assert result.returncode == 1, result.stdout + result.stderr
    run_json = record(tmp_path)
    assert run_json["rehashed"]["files"] >= 2 and run_json["rehashed"]["damaged"] == []
    assert run_json["timings_s"]["verifying the board's files"] > 0
    assert not [note for note in run_json["notes"] if "damaged" in note]


@pytest.mark.slow
def test_a_sound_run_hashes_nothing_twice(digits: ExampleModel, home: Path, tmp_path: Path) -> None:
    assert run(digits, home, tmp_path).returncode == 0
    assert "rehashed" not in record(tmp_path)
