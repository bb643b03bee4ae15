"""`harness reference --image` with a real container engine, on an image built here; skipped, loudly, without one.

Needs root, debootstrap and podman or docker. The image holds Debian's python3 and numpy, and a test package in the
vendor's place (tests/vendor_stand_in/image).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.alone import alone
from tests.support.vendor_models import STAND_IN, save_input

pytestmark = pytest.mark.slow
IMAGE = "harness-test-runtime"
# Where cgroups or limits of this machine are what the engine's defaults cannot take.
CONF = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\nruntime = "runc"\n'


@pytest.fixture(scope="module")
def engine(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and environment of an engine that runs the image; one worker at a time has the image's name."""
    with alone(shared_folder / "container.lock"):
        yield from _engine(tmp_path_factory.mktemp("image"))


def _engine(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    installed = [name for name in ("podman", "docker") if shutil.which(name)]
    if os.geteuid() or not shutil.which("debootstrap") or not installed:
        pytest.skip("NOT TRIED: --image needs root, debootstrap and podman or docker on this machine")
    archive = _archive(folder)
    (folder / "containers.conf").write_text(CONF)
    for name in installed:
        for more in ({}, {"CONTAINERS_CONF": str(folder / "containers.conf")}):
            if _works(name, archive, environment := os.environ | more):
                yield name, environment
                subprocess.run([name, "rmi", "--force", IMAGE], env=environment, capture_output=True, check=False)
                return
    pytest.skip(f"NOT TRIED: {' and '.join(installed)} cannot run a container on this machine")


def _archive(folder: Path) -> Path:
    root = folder / "root"
    packages = "--include=python3-minimal,python3-numpy"
    build = subprocess.run(
        ["debootstrap", "--variant=minbase", packages, "stable", str(root)], capture_output=True, text=True, check=False
    )
    if build.returncode:
        pytest.skip(f"NOT TRIED: debootstrap: {build.stdout.splitlines()[-1:]}")
    site = root / "usr" / "lib" / "python3" / "dist-packages"
    shutil.copytree(STAND_IN / "image" / "hbdk4", site / "hbdk4")
    unused = [f"--exclude=./{part}" for part in ("usr/share", "var/cache", "var/lib/apt", "var/lib/dpkg", "dev")]
    subprocess.run(["tar", "-C", str(root), *unused, "-cf", str(folder / "image.tar"), "."], check=True)
    shutil.rmtree(root)
    return folder / "image.tar"


def _works(name: str, archive: Path, environment: dict[str, str]) -> bool:
    load = [name, "import", str(archive), IMAGE]
    start = [name, "run", "--rm", "--network", "none", IMAGE, "python3", "-c", "import numpy"]
    return all(
        subprocess.run(argv, env=environment, capture_output=True, check=False).returncode == 0
        for argv in (load, start)
    )


def reference(
    engine: tuple[str, dict[str, str]], model: Path, *words: str, image: str = IMAGE
) -> subprocess.CompletedProcess[str]:
    name, environment = engine
    data = save_input(model.parent / "x.npy", [1, 2, 3, 4])
    argv = [sys.executable, "-m", "harness", "reference", str(model), "--input", f"x={data}"]
    argv += ["-o", str(model.parent / "out"), "--image", image, "--engine", name, *words]
    environment = {**environment, "SECRET_OF_THE_SHELL": "x"}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)


def compiled(folder: Path, text: str) -> Path:
    (folder / "m.hbm").write_text(text)
    return folder / "m.hbm"


def test_a_container_computes_without_network_secrets_or_a_way_to_write(
    tmp_path: Path, engine: tuple[str, dict[str, str]]
) -> None:
    answer = reference(engine, compiled(tmp_path, "stand-in x y"))
    assert answer.returncode == 0, answer.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    values = {row["name"]: np.load(tmp_path / "out" / row["file"]).ravel().tolist() for row in manifest["tensors"]}
    assert values == {"y": [2, 4, 6, 8], "networks": [0], "writable": [0], "secrets": [0]}
    assert manifest["runner"]["image"] == IMAGE and manifest["runner"]["runtime"] == "HBRuntime"


def test_a_container_that_does_not_end_is_removed(tmp_path: Path, engine: tuple[str, dict[str, str]]) -> None:
    answer = reference(engine, compiled(tmp_path, "sleep"), "--timeout", "4")
    assert answer.returncode == 3 and "timed out after 4 s" in answer.stderr
    assert containers(engine) == []


def test_no_container_outlives_harness(tmp_path: Path, engine: tuple[str, dict[str, str]]) -> None:
    data = save_input(tmp_path / "x.npy", [1, 2, 3, 4])
    argv = [sys.executable, "-m", "harness", "reference", str(compiled(tmp_path, "sleep")), "--input", f"x={data}"]
    argv += ["-o", str(tmp_path / "out"), "--image", IMAGE, "--engine", engine[0]]
    host = subprocess.Popen(argv, env=engine[1], stderr=subprocess.DEVNULL)
    wait_for(lambda: bool(containers(engine)))
    host.kill()
    host.wait()
    wait_for(lambda: not containers(engine))


def wait_for(condition: Callable[[], bool]) -> None:
    """Patient far beyond what it takes: a loaded machine is slow, a hang is not."""
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def containers(engine: tuple[str, dict[str, str]]) -> list[bytes]:
    listing = [engine[0], "ps", "--all", "--filter", "name=harness-reference-", "--format", "{{.Names}}"]
    return subprocess.run(listing, env=engine[1], capture_output=True, check=True).stdout.split()


@pytest.mark.parametrize(
    ("words", "image", "expected"),
    [
        ((), "no/such-image", "cannot run no/such-image"),
        (("--entrypoint", "/no/python"), IMAGE, "cannot start '/no/python'"),
        (("--entrypoint", "ls"), IMAGE, "no result"),
    ],
)
def test_what_cannot_be_started_is_said(
    tmp_path: Path, engine: tuple[str, dict[str, str]], words: tuple[str, ...], image: str, expected: str
) -> None:
    answer = reference(engine, compiled(tmp_path, "stand-in x y"), *words, image=image)
    assert answer.returncode == 3 and expected in answer.stderr, answer.stderr
