"""Which CPython 3.10 is taken: one that runs, on PATH or in the folders of version managers."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.emulator.sophgo import pythons
from harness.errors import HostError


def program(path: Path, answer: str, code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {answer}\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and a PATH that holds an idle shim of pyenv under every name."""
    for name in ("PYENV_ROOT", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR", "MISE_DATA_DIR", "ASDF_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in pythons.ON_PATH:
        program(tmp_path / "shims" / name, "'pyenv: python3.10: command not found' >&2", 127)
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    return tmp_path


@pytest.mark.parametrize(
    "place",
    [
        ".pyenv/versions/3.10.13",
        ".local/share/uv/python/cpython-3.10.20-linux-x86_64-gnu",
        ".local/share/mise/installs/python/3.10.2",
        ".asdf/installs/python/3.10.2",
        "miniconda3/envs/work",
    ],
)
def test_behind_an_idle_shim_the_managers_folder_is_looked_at(machine: Path, place: str) -> None:
    interpreter = program(machine / place / "bin/python3.10", "cpython 3 10")
    assert pythons.find_python() == str(interpreter)


def test_the_newest_that_runs_is_taken(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(machine / "own"))
    program(machine / "own/versions/3.10.20/bin/python3.10", "cpython 3 10", code=1)  # has no ensurepip
    wanted = program(machine / "own/versions/3.10.13/bin/python3.10", "cpython 3 10")
    program(machine / "own/versions/3.10.2/bin/python3.10", "cpython 3 10")
    program(machine / "own/versions/pypy3.10-7.3/bin/python3.10", "pypy 3 10")
    assert pythons.find_python() == str(wanted)


def test_a_second_one_on_path_is_taken_before_the_managers(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = program(machine / "second/python3", "cpython 3 10")
    program(machine / ".pyenv/versions/3.10.13/bin/python3.10", "cpython 3 10")
    monkeypatch.setenv("PATH", f"{machine / 'shims'}:{machine / 'second'}")
    assert pythons.find_python() == str(interpreter)


@pytest.mark.parametrize("answer", ["cpython 3 11", "pypy 3 10", "", "cpython x"])
def test_another_interpreter_is_refused_with_how_to_get_one(machine: Path, answer: str) -> None:
    given = program(machine / "python", answer)
    for name in (str(given), str(machine / "nothing"), ""):
        with pytest.raises(HostError, match=r"no CPython 3\.10") as caught:
            pythons.find_python(name)
        assert "--python PATH" in (caught.value.hint or "")
