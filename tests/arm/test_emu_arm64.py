"""`harness run --board emu-arm64`: the whole way through a real sshd to aarch64 Python and ONNX Runtime and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.networks import models as networks
from harness.boards.flat import compose
from harness.boards.prepare import prepare
from harness.emulator.ort import arm64
from harness.platforms.ort.platform import PLATFORM
from harness.records import Board
from harness.transports import open_transport

pytestmark = pytest.mark.arm


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small quantized network and one input."""
    folder = tmp_path_factory.mktemp("case")
    proto = networks.mixed(side=32)
    networks.quantize(proto, folder / "mix.onnx", unsigned=False)
    networks.make_inputs(proto, 1)[0].tofile(folder / "input.bin")
    return folder


def harness(folder: Path, *words: str) -> tuple[int, Any, str]:
    """The command, as a user types it: (exit code, its JSON answer, stderr)."""
    argv = [sys.executable, "-m", "harness", *words, "--json"]
    result = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=600, check=False, env=os.environ)
    return result.returncode, json.loads(result.stdout) if result.stdout.strip() else None, result.stderr


def newest_run(folder: Path) -> tuple[Path, dict[str, Any]]:
    path = max(folder.glob("runs/*/*/*/run.json"), key=lambda p: p.stat().st_mtime)
    run: dict[str, Any] = json.loads(path.read_text())
    return path.parent, run


def test_a_run_without_optimizations_is_exact_in_every_layer(arm: Path, case: Path, tmp_path: Path) -> None:
    words = ("run", "--board", "emu-arm64", str(case / "mix.onnx"), "--input", str(case / "input.bin"))
    off = ("--reference", str(case / "mix.onnx"), "--option", "optimizations=disabled", "--frames", "2")
    code, _, err = harness(tmp_path, *words, *off)
    assert code == 0, err
    folder, run = newest_run(tmp_path)
    assert run["verdict"]["word"] == "consistent"
    assert run["board"]["emulated"] is True
    assert run["board"]["facts"]["arch"] == "aarch64"
    assert run["versions"]["machine"] == "aarch64"
    assert run["profile"]["latency"]["frames"] == 2
    assert {op["unit"] for op in run["profile"]["ops"]} == {"CPU"}
    assert PLATFORM.read_memory(folder / "memory")
    assert "emulated" in (folder / "report.html").read_text()


def test_a_run_with_optimizations_blames_no_op(arm: Path, case: Path, tmp_path: Path) -> None:
    words = ("run", "--board", "emu-arm64", str(case / "mix.onnx"), "--input", str(case / "input.bin"))
    code, _, err = harness(tmp_path, *words, "--reference", str(case / "mix.onnx"), "--mode", "release,debug")
    assert code == 0, err
    _, run = newest_run(tmp_path)
    assert run["verdict"]["word"] in ("consistent", "consistent_within", "consistent_accumulated")
    assert run["comparison"]["origins"] == []
    assert run["comparison"]["extras"]["debug_vs_release"]["same"] is True


def test_a_provider_that_the_board_lacks_is_named(arm: Path, case: Path, tmp_path: Path) -> None:
    words = ("run", "--board", "emu-arm64", str(case / "mix.onnx"), "--option", "provider=CUDA")
    code, _, err = harness(tmp_path, *words)
    _, run = newest_run(tmp_path)
    assert code == 3
    assert "CUDA" in json.dumps(run["modes"][0]["failure"]) + err


# --------------------------------------------------------------------------- preparing a board


@pytest.fixture
def bare(arm: Path, tmp_path: Path) -> Board:
    """The same Python on a local board, without its libraries."""
    root = tmp_path / "board"
    arm64.build_root(root, arm)
    python = root / "bin" / "python3"
    python.write_text(python.read_text().replace('"$@"', '-S -E "$@"'))
    return compose("bare", "ort", arm64.CPU, transport="local", address=str(root), tools=(str(root / "bin"),))


def packed(arm: Path, folder: Path, machine: str = "aarch64") -> Path:
    """Wheels of the libraries that the emulated Python has, packed again: no registry is asked."""
    import zipfile

    site = arm.parent / "root/usr/lib/python3/dist-packages"
    folder.mkdir()
    for name in ("numpy", "onnxruntime"):
        wheel = folder / f"{name}-1.0-cp311-cp311-manylinux_2_17_{machine}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for part in (name, f"{name}.libs"):
                for file in (p for p in (site / part).rglob("*") if p.is_file() and "__pycache__" not in p.parts):
                    archive.write(file, file.relative_to(site))
    return folder


def test_a_board_without_libraries_runs_after_it_was_prepared(
    arm: Path, bare: Board, case: Path, tmp_path: Path
) -> None:
    prepared = prepare(bare, packed(arm, tmp_path / "wheels"))
    assert prepared.python.startswith("Python 3.11, aarch64, glibc 2.36")
    with open_transport(bare.endpoint) as link:
        from tests.support.ort_models import runner_archive

        python, site = f"{bare.environment.tools[0]}/python3", f"{bare.endpoint.address}/{prepared.site}"
        argv = [python, str(runner_archive()), str(case / "mix.onnx"), "--mode", "info"]
        without = link.run(argv, timeout_s=60)
        with_site = link.run([*argv, "--site", site], timeout_s=60)
    assert b"error: no_numpy" in without.out
    assert with_site.code == 0
    assert PLATFORM.read_model_info(with_site.out.decode()).inputs[0].name == "input"


def test_wheels_of_another_machine_do_not_reach_the_board(arm: Path, bare: Board, tmp_path: Path) -> None:
    from harness.errors import InputError

    with pytest.raises(InputError, match=r"no numpy wheel for Python 3\.11, aarch64"):
        prepare(bare, packed(arm, tmp_path / "wheels", "x86_64"))


def test_the_emulated_python_is_an_arm_and_its_root_is_no_other_boards(arm: Path, tmp_path: Path) -> None:
    with arm64.stand_up(root=tmp_path / "root") as reached, open_transport(reached.endpoint) as link:
        script = "import platform, numpy; print(platform.machine(), numpy.float32(1) + 1)"
        result = link.run([f"{reached.environment.tools[0]}/python3", "-c", script], timeout_s=60)
        named = link.run([f"{reached.environment.tools[0]}/uname", "-m"], timeout_s=10)
    assert result.out.split() == [b"aarch64", b"2.0"]
    assert named.out.strip() == b"aarch64"


def test_a_cpu_that_is_not_known_is_a_clear_error() -> None:
    from harness.errors import HostError

    with pytest.raises(HostError, match="unknown CPU m68k"):
        arm64.arm_python("m68k")
