"""What a machine is told that has too little, and how its ways to packages are read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))
import fresh_settings  # noqa: E402
import pythons  # noqa: E402

UBUNTU_20 = 'NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="20.04"\n'
UBUNTU_22 = 'NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="22.04"\n'


def old_python(folder: Path, version: str) -> Path:
    """Stands for an interpreter: all that is asked of it is its version."""
    python = folder / f"python{version}"
    python.write_text(f"#!/bin/sh\nprintf {version}\n")
    python.chmod(0o755)
    return python


def answer(python: Path | str, folder: Path, os_release: str, system: str = "Linux") -> tuple[int, str]:
    (folder / "os-release").write_text(os_release)
    argv = ["sh", str(SCRIPTS / "python_version.sh"), str(python), str(folder / "os-release"), system]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    return result.returncode, result.stderr


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.13", "3.14", "3.20"])
def test_a_python_that_is_new_enough_is_not_talked_about(tmp_path: Path, version: str) -> None:
    assert answer(old_python(tmp_path, version), tmp_path, UBUNTU_22) == (0, "")


@pytest.mark.parametrize("version", ["2.7", "3.1", "3.6", "3.8", "3.9"])
def test_a_python_that_is_too_old_is_answered_with_what_to_type(tmp_path: Path, version: str) -> None:
    code, text = answer(old_python(tmp_path, version), tmp_path, UBUNTU_20)
    assert code == 1 and f"is {version}. Type:" in text
    assert "uv python install 3.12" in text and "make demo PYTHON=" in text and "apt-get" not in text
    assert "apt-get install python3 python3-venv" in answer(old_python(tmp_path, version), tmp_path, UBUNTU_22)[1]


def test_a_missing_python_and_a_mac_are_answered_too(tmp_path: Path) -> None:
    code, text = answer("python-that-is-not-there", tmp_path, UBUNTU_22)
    assert code == 1 and "is missing or does not run" in text
    code, text = answer(old_python(tmp_path, "3.9"), tmp_path, "", "Darwin")
    assert code == 1 and "brew install" in text and "make install" in text


def test_make_answers_an_old_python_before_it_installs_anything(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "scripts").symlink_to(SCRIPTS)
    argv = ["make", "demo", f"PYTHON={old_python(tmp_path, '3.8')}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    result = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2 and "is 3.8. Type:" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_missing_shellcheck_is_said_and_fails_in_ci_only(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path)}
    argv = ["/bin/sh", str(SCRIPTS / "shellcheck.sh"), "x.sh"]
    result = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "LEFT OUT: shellcheck is missing" in result.stderr
    result = subprocess.run(argv, env=environment | {"CI": "true"}, capture_output=True, text=True, check=False)
    assert result.returncode == 1 and "shellcheck is missing" in result.stderr


DEB822 = """Types: deb
# a comment
URIs: https://extra.example/node
Suites: nodistro
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian
  http://other.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


@pytest.mark.parametrize(
    ("name", "text", "mirror"),
    [
        ("sources.list.d/debian.sources", DEB822, "http://mirror.example/debian"),
        ("sources.list", "deb [signed-by=/k.gpg arch=amd64] http://m.example/d trixie main\n", "http://m.example/d"),
        ("sources.list", "# deb http://m.example/d trixie main\ndeb cdrom:[x]/ bookworm main\n", ""),
        ("sources.list", "deb http://archive.example/ubuntu jammy main\n", ""),
        ("sources.list.d/off.sources", DEB822.replace("Types: deb deb-src", "Enabled: no\nTypes: deb"), ""),
    ],
)
def test_the_mirror_is_the_one_this_machine_uses(tmp_path: Path, name: str, text: str, mirror: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert fresh_settings.apt_mirror(tmp_path) == mirror


def test_the_lower_bound_of_numpy_is_read() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert pythons.lower_bound(text, "numpy") == "1.26"
    with pytest.raises(ValueError, match="no lower bound for torch"):
        pythons.lower_bound(text, "torch")


def test_a_python_is_found_by_its_release() -> None:
    release = "{}.{}".format(*sys.version_info[:2])
    assert pythons.find_python(release) == sys.executable
    assert pythons.find_python("3.99") == "" and pythons.release_of("/bin/false") == ""


def test_every_supported_python_is_named_the_same_everywhere() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert f'requires-python = ">={pythons.SUPPORTED[0]}"' in text
    assert f'target-version = "py{pythons.SUPPORTED[0].replace(".", "")}"' in text


def test_fresh_machines_are_left_out_by_name_where_a_program_is_missing(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    script = [sys.executable, str(SCRIPTS / "fresh_machine.py")]
    result = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "LEFT OUT: fresh machines: " in result.stderr and "is missing" in result.stderr
    result = subprocess.run(script, env=environment | {"CI": "true"}, capture_output=True, text=True, check=False)
    assert result.returncode == 1 and "FAILED: fresh machines: " in result.stderr
