"""examples/extension, built and installed as a user would: a case on its board over a real telnetd, without a line of
this tree changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.transports.telnetd import telnet_board

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/extension"
DATA = EXAMPLE / "acme_harness"
pytestmark = pytest.mark.slow


def tree() -> str:
    """What this tree holds: names and bytes of every file that is code, data or document."""
    digest = hashlib.sha256()
    folders = ("harness", "agents", "templates", "examples", "docs", "scripts")
    files = [path for name in folders for path in (ROOT / name).rglob("*") if path.is_file()]
    for path in sorted([*files, *ROOT.glob("*.*")]):
        if "__pycache__" not in path.parts and path.is_file():
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def pip(*argv: str) -> None:
    result = subprocess.run([sys.executable, "-m", "pip", "-q", *argv], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with this tree and the example installed from their wheels; the tree is as it was before."""
    pytest.importorskip("hatchling")
    before = tree()
    folder = tmp_path_factory.mktemp("installed")
    wheels = folder / "wheels"
    for source in (ROOT, EXAMPLE):
        pip("wheel", "--no-build-isolation", "--no-deps", "-w", str(wheels), str(source))
    pip("install", "--no-deps", "--target", str(folder / "site"), *map(str, sorted(wheels.glob("*.whl"))))
    yield folder / "site"
    assert tree() == before, "this tree was changed"


def harness(site: Path, folder: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "harness", *map(str, argv)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_it_is_one_file_and_its_data() -> None:
    code = [path.name for path in EXAMPLE.rglob("*.py")]
    assert code == ["__init__.py"]


def test_a_case_runs_on_its_board_and_the_report_shows_its_finding(site: Path, tmp_path: Path) -> None:
    image = np.arange(16, dtype=np.uint8) * 11
    (tmp_path / "image.bin").write_bytes(image.tobytes())
    np.savez(tmp_path / "pc.npz", scaled=image * 2, shifted=image * 2 + 3)
    (tmp_path / "policy.yaml").write_text(
        "policy: strict\nextends: default\nrules: [{name: pairs, limits: {metrics: {acme-worst-pair: 1.5}}}]\n"
    )
    with telnet_board(tmp_path / "home") as board:
        (tmp_path / "hosts.yaml").write_text(
            "boards:\n  cam:\n    platform: acme\n    soc: acme1\n    transport: acme-console\n"
            f"    address: 127.0.0.1\n    port: {board.endpoint.port}\n"
            "    managed: {by: acme-cupboard, sign: sign}\n"
        )
        argv = ["--board", "cam", "--input", "image.bin", "--reference", "pc.npz", "--hosts", "hosts.yaml", "--json"]
        argv += ["--policy", "policy.yaml"]
        result = harness(site, tmp_path, "run", DATA / "blur.acme", *argv)
    assert result.returncode == 0, result.stdout + result.stderr
    run = next((tmp_path / "runs").rglob("run.json"))
    record = json.loads(run.read_text())
    assert "the board was lent by acme-cupboard (sign sign)" in record["notes"]
    assert record["board"]["platform"] == "acme" and record["verdict"]["word"] == "consistent"
    assert [layer["name"] for layer in record["comparison"]["layers"]] == ["scaled", "shifted"]
    assert "ACME-1" in [one["rule"] for one in record["findings"]]
    csv = harness(site, tmp_path, "report", "runs", "--as", "acme-csv").stdout
    assert csv == "index,layer,verdict\n0,scaled,exact\n1,shifted,exact\n"
    page = run.with_name("report.html").read_text()
    assert "the runtime is older than the compiler" in page and "acmec 2.0 built the network" in page


def test_its_lint_rule_and_its_reader_are_asked(site: Path, tmp_path: Path) -> None:
    result = harness(site, tmp_path, "lint", DATA / "build.cfg")
    assert result.returncode == 1 and "build.cfg:3: error ACL001: clock_mhz 900 is above" in result.stdout
    assert "ACL001" in harness(site, tmp_path, "lint", "--rules", "--tool", "acmec").stdout
    assert "build log of acmec" in harness(site, tmp_path, "inspect", DATA / "build.log").stdout


def test_without_the_package_its_names_are_unknown_and_told(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("boards:\n  cam:\n    platform: acme\n    address: h\n")
    result = harness(ROOT, tmp_path, "boards", "list", "--hosts", "hosts.yaml")
    assert result.returncode == 2 and "hosts.yaml:3: boards.cam.platform: unknown platform 'acme'" in result.stderr
