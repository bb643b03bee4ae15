"""Preparing an ONNX Runtime board: which wheels fit, and putting them there; the board is a folder on this PC."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.boards.flat import compose
from harness.boards.prepare import Python, choose, fits, prepare, read_python, to_json
from harness.errors import BoardError, ConfigError, InputError
from harness.records import Board
from harness.transports import open_transport
from tests.cli.answers import answer_of

PI = Python((3, 11), "aarch64", (2, 36))
OLD = Python((3, 8), "aarch64", (2, 27))


@pytest.mark.parametrize(
    ("name", "python", "wanted"),
    [
        ("onnxruntime-1.23.0-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", PI, True),
        ("onnxruntime-1.23.0-cp311-cp311-manylinux_2_28_x86_64.whl", PI, False),
        ("onnxruntime-1.23.0-cp312-cp312-manylinux_2_28_aarch64.whl", PI, False),
        ("onnxruntime-1.23.0-cp311-cp311-manylinux_2_37_aarch64.whl", PI, False),
        ("numpy-1.24.4-cp38-cp38-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", OLD, True),
        ("numpy-1.24.4-cp38-cp38-manylinux_2_28_aarch64.whl", OLD, False),
        ("coloredlogs-15.0.1-py2.py3-none-any.whl", OLD, True),
        ("cryptography-41.0-cp37-abi3-manylinux_2_17_aarch64.whl", PI, True),
        ("cryptography-41.0-cp312-abi3-manylinux_2_17_aarch64.whl", PI, False),
        ("numpy-2.0-cp311-cp311t-manylinux_2_17_aarch64.whl", PI, False),
        ("numpy-2.0-cp311-cp311-musllinux_1_2_aarch64.whl", PI, False),
        ("numpy-2.0-cp311-cp311-linux_aarch64.whl", PI, True),
        ("numpy-2.0-cp311-cp311-win_amd64.whl", PI, False),
    ],
)
def test_a_wheel_fits_by_its_tags(name: str, python: Python, wanted: bool) -> None:
    assert fits(name.removesuffix(".whl").split("-")[-3:], python) is wanted


def test_the_newest_fitting_wheel_of_each_library_is_taken(tmp_path: Path) -> None:
    for name in (
        "numpy-1.9.0-py3-none-any.whl",
        "numpy-1.26.4-py3-none-any.whl",
        "numpy-2.9.0-cp313-cp313-manylinux_2_28_aarch64.whl",
        "onnxruntime-1.20.0-py3-none-any.whl",
        "notes.txt",
    ):
        (tmp_path / name).touch()
    assert [path.name for path in choose(tmp_path, PI)] == [
        "numpy-1.26.4-py3-none-any.whl",
        "onnxruntime-1.20.0-py3-none-any.whl",
    ]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.20.0rc1", "1.20.0"),
        ("1.20.0.dev20260101", "1.20.0rc1"),
        ("1.9.1", "1.20.0"),
        ("1.20.0", "1.20.0.post1"),
        ("1.20.0-1", "1.20.0-2"),
    ],
)
def test_a_release_is_newer_than_its_candidates(older: str, newer: str, tmp_path: Path) -> None:
    names = [f"numpy-{version}-py3-none-any.whl" for version in (older, newer)]
    for name in [*names, "numpy-not_a_version-py3-none-any.whl", "onnxruntime_gpu-1.0-py3-none-any.whl"]:
        (tmp_path / name).touch()
    assert [path.name for path in choose(tmp_path, PI)] == [names[1], "onnxruntime_gpu-1.0-py3-none-any.whl"]


def test_a_folder_without_a_fitting_wheel_tells_how_to_fetch_one(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime-1.20.0-cp310-cp310-manylinux_2_28_aarch64.whl").touch()
    with pytest.raises(InputError, match=r"no numpy wheel for Python 3\.11, aarch64, glibc 2\.36") as caught:
        choose(tmp_path, PI)
    assert "--python-version 3.11 --platform manylinux_2_28_aarch64" in caught.value.hint


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"Segmentation fault",
        b"{}",
        b'{"version": [3], "implementation": "cpython", "machine": "aarch64", "bits": 64, "libc": ["", ""]}',
        b'{"version": [3, 11], "implementation": "pypy", "machine": "aarch64", "bits": 64, "libc": ["", ""]}',
        b'{"version": [3, 11], "implementation": "cpython", "machine": "$(rm)", "bits": 64, "libc": ["", ""]}',
    ],
)
def test_an_answer_that_makes_no_sense_is_no_python(answer: bytes) -> None:
    assert read_python(answer) is None


def test_a_32_bit_python_on_a_64_bit_kernel_takes_32_bit_wheels() -> None:
    answer = b'{"version":[3,11],"implementation":"cpython","machine":"aarch64","bits":32,"libc":["glibc","2.31"]}'
    assert read_python(answer) == Python((3, 11), "armv7l", (2, 31))


# --------------------------------------------------------------------------- on a board


def wheel(folder: Path, name: str, module: str, content: str) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(f"{module}/__init__.py", content)


def good_wheels(folder: Path, version: str = "1.0") -> Path:
    wheel(folder, f"numpy-{version}-py3-none-any.whl", "numpy", f"__version__ = {version!r}\n")
    content = f"__version__ = {version!r}\ndef get_available_providers():\n    return ['CPUExecutionProvider']\n"
    wheel(folder, f"onnxruntime-{version}-py3-none-any.whl", "onnxruntime", content)
    return folder


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """A folder as a board whose Python has no libraries."""
    root = tmp_path / "board"
    (root / "bin").mkdir(parents=True)
    python = root / "bin" / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    python.chmod(0o755)
    return compose("pi", "ort", "pi5", transport="local", address=str(root), tools=(str(root / "bin"),))


def test_wheels_are_unpacked_and_tried_on_the_board(board: Board, tmp_path: Path) -> None:
    prepared = prepare(board, good_wheels(tmp_path / "wheels"))
    answer_of(json.dumps({"answer": "boards-prepare", "format": 1, **to_json(prepared)}), "boards-prepare")
    assert prepared.versions == {"numpy": "1.0", "onnxruntime": "1.0"}
    assert prepared.providers == ("CPUExecutionProvider",)
    site = Path(board.endpoint.address) / prepared.site
    assert sorted(p.name for p in site.iterdir() if not p.name.startswith("__")) == ["numpy", "onnxruntime"]


def test_preparing_again_replaces_the_libraries(board: Board, tmp_path: Path) -> None:
    prepare(board, good_wheels(tmp_path / "old"))
    prepared = prepare(board, good_wheels(tmp_path / "new", "2.0"))
    site = Path(board.endpoint.address) / prepared.site
    assert "2.0" in (site / "onnxruntime" / "__init__.py").read_text()
    assert not list(site.parent.glob("site.*"))


def test_libraries_that_do_not_start_leave_the_old_ones_in_place(board: Board, tmp_path: Path) -> None:
    prepared = prepare(board, good_wheels(tmp_path / "old"))
    broken = good_wheels(tmp_path / "broken", "3.0")
    wheel(broken, "onnxruntime-3.0-py3-none-any.whl", "onnxruntime", "raise ImportError('GLIBC_2.99 not found')\n")
    with pytest.raises(BoardError, match=r"GLIBC_2\.99 not found"):
        prepare(board, broken)
    site = Path(board.endpoint.address) / prepared.site
    assert "1.0" in (site / "onnxruntime" / "__init__.py").read_text()


def test_a_board_without_python_says_so(board: Board, tmp_path: Path) -> None:
    bare = compose(
        "pi", "ort", "pi5", transport="local", address=board.endpoint.address, options={"python": "python3.99"}
    )
    with pytest.raises(BoardError, match=r"no python3\.99 on the board"):
        prepare(bare, good_wheels(tmp_path / "wheels"))


def test_boards_of_other_platforms_need_no_wheels(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs no preparing"):
        prepare(compose("x5", "hbdnn", "x5"), tmp_path)


def test_a_folder_that_does_not_exist_is_asked_wrongly(board: Board, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        prepare(board, tmp_path / "absent")


def test_a_board_that_somebody_has_is_not_prepared(board: Board, tmp_path: Path) -> None:
    with open_transport(board.endpoint) as link:
        agent = Agent(link, board.folders.work)
        agent.install()
        agent.lease.take("anna", 60)
        with pytest.raises(BoardError, match="held by anna"):
            prepare(board, good_wheels(tmp_path / "wheels"))
        agent.lease.release()
        prepare(board, good_wheels(tmp_path / "wheels"))
        assert not agent.lease.show().held
