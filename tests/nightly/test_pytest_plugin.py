"""The pytest plugin as others have it: harness from its wheel, in an environment with no other harness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.export.test_readers import schema
from tests.nightly.lab import SUITE, Lab, halved
from tests.nightly.test_night import assert_never_two_at_once, case, wait_for, with_slow_tool
from tests.support.builds import ROOT

__all__ = ["schema"]
pytestmark = pytest.mark.slow

TESTS = """
import pytest

GIVEN = {"inputs": ["x.bin"], "reference": "net_quantized_model.onnx", "modes": ["release"]}

@pytest.mark.harness_board("emu-x5")
def test_consistent(harness_run, harness_board):
    run = harness_run("net.bin", **GIVEN)
    assert run.verdict.word == "consistent" and harness_board.soc == "x5"

@pytest.mark.harness_board(tag="t", board="wrong")
def test_diverges(harness_run):
    harness_run("net.bin", **GIVEN)

@pytest.mark.harness_board("wrong")
def test_handed_out(harness_run):
    assert harness_run("net.bin", check=False, **GIVEN).verdict.exit_code == 1

@pytest.mark.harness_board("gone")
def test_unreachable(harness_run):
    harness_run("net.bin", **GIVEN)

@pytest.mark.harness_board(soc="j9")
def test_no_such_board(harness_run):
    harness_run("net.bin", **GIVEN)

def test_of_something_else():
    pass
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python whose harness is the one of the wheel; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", folder, ROOT]
    subprocess.run(list(map(str, wheel)), check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    (built,) = folder.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(built)]
    subprocess.run(install, check=True, capture_output=True)
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return str(folder / "env" / "bin" / "python")


def run_pytest(python: str, lab: Lab, *argv: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    environment |= {"XDG_STATE_HOME": str(lab.folder / "state")}
    words = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--harness-hosts", "hosts.yaml", *argv]
    return subprocess.Popen(
        words, cwd=lab.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def lab_of(folder: Path) -> Lab:
    lab = Lab(folder, {"well": "", "wrong": halved()})
    gone = (
        "  gone: {platform: hbdnn, soc: x5, address: 127.0.0.1, port: 1, user: root, limits: {connect_timeout_s: 1}}\n"
    )
    path = folder / "hosts.yaml"
    path.write_text(path.read_text() + gone)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return lab


def test_a_board_test_runs_from_the_wheel_and_its_junit_is_valid(python: str, tmp_path: Path, schema: Any) -> None:
    from lxml import etree

    lab = lab_of(tmp_path)
    (tmp_path / "test_board.py").write_text(TESTS)
    process = run_pytest(python, lab, "-rA", "--harness-junit", "out.xml")
    output = process.communicate(timeout=300)[0]
    assert "2 failed" not in output
    assert "1 failed, 3 passed, 1 skipped, 1 error" in output, output
    assert process.returncode == 1
    assert "FAILED test_board.py::test_diverges" in output and "Diverges" in output and "report.html" in output
    assert "ERROR test_board.py::test_unreachable" in output
    assert "no board is soc=j9" in output
    assert "Traceback" not in output.split("ERRORS")[0]
    document = etree.fromstring((tmp_path / "out.xml").read_bytes())
    assert schema.validate(document), schema.error_log
    root = ElementTree.fromstring((tmp_path / "out.xml").read_text())
    cases = [(one.get("classname"), one.get("name")) for one in root.iter("testcase")]
    by_board = {one[0] for one in cases}
    assert {"harness.net.emu-x5", "harness.net.wrong", "harness.gone"} <= by_board
    assert not any(set(one.keys()) & {"file", "line"} for one in root.iter("testcase"))
    assert root.get("errors") == "1"


def test_without_it_pytest_has_no_trace_of_it(python: str, tmp_path: Path) -> None:
    lab = lab_of(tmp_path)
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\ndef test_light():\n"
        "    assert not {'numpy', 'paramiko', 'onnx', 'harness.session'} & set(sys.modules)\n"
    )
    process = run_pytest(python, lab)
    assert "1 passed" in process.communicate(timeout=60)[0]
    plain = [python, "-m", "pytest", "-q", "-p", "no:harness", "--help"]
    result = subprocess.run(plain, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "--harness-" not in result.stdout and "harness_" not in result.stdout


def test_a_suite_is_collected_as_tests_and_sigterm_frees_its_board(python: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with_slow_tool(lab, 8, ("b1",))
    lab.write_suite([case("first"), case("last")], SUITE)
    process = run_pytest(python, lab, "--harness-suite", "suite.yaml")
    wait_for(lab, "begin b1 infer")
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 2, output
    assert not list(tmp_path.glob("work/*/jobs/*/pid")), "nothing of it runs on the board"
    process = run_pytest(python, lab, "--harness-suite", "suite.yaml", "-rA")
    output = process.communicate(timeout=200)[0]
    assert "2 passed" in output and "first[b1]" in output, output
    assert_never_two_at_once(lab)
