"""A whole aarch64 machine (kernel, dropbear, busybox) and the emulated Python alone give the same bytes.

The machine is that of tests/vm; its data disk carries the same Python and ONNX Runtime as emu-arm64.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.networks import models as networks
from harness.emulator.servers.serve import free_port
from tests.arm.test_emu_arm64 import harness, newest_run
from tests.support.alone import alone
from tests.vm.machine import Machine, NotPossible, missing

pytestmark = [pytest.mark.arm, pytest.mark.vm, pytest.mark.slow]

PYTHON = """#!/bin/sh
# Debian's arm64 Python from a folder that is not the root: its own loader, libraries and home
r=/data/root
export PYTHONHOME=$r/usr PYTHONPATH=$r/usr/lib/python3/dist-packages
exec $r/lib/ld-linux-aarch64.so.1 --library-path $r/lib/aarch64-linux-gnu:$r/usr/lib/aarch64-linux-gnu \\
  $r/usr/bin/python3.* "$@"
"""


def data_disk(arm: Path, folder: Path, image: Path) -> None:
    """An ext4 image with the emulated Python's files and a `bin/python3` that starts them."""
    (folder / "bin").mkdir(parents=True)
    shutil.copytree(arm.parent / "root", folder / "root", symlinks=True, ignore=shutil.ignore_patterns("proc", "sys"))
    (folder / "bin/python3").write_text(PYTHON)
    (folder / "bin/python3").chmod(0o755)
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(700 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(folder), str(image)], check=True)


@pytest.fixture(scope="module")
def machine(arm: Path, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """hosts.yaml of a running machine called `vm`; no other worker has a machine at the same time."""
    if missing():
        pytest.skip(f"needs {' '.join(missing())}")
    with alone(shared_folder / "machine.lock"):
        yield from _running(arm, tmp_path_factory.mktemp("vm"))


def _running(arm: Path, folder: Path) -> Iterator[Path]:
    board, port, key = Machine(folder / "board", memory_megabytes=2048), free_port(), folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    try:
        board.build()
        data_disk(arm, folder / "data", board.folder / "data.img")
        board.start((folder / "key.pub").read_text(), port)
    except NotPossible as error:
        pytest.skip(str(error))
    try:
        (folder / "known").write_text(f"[127.0.0.1]:{port} {board.host_key}\n")
        (folder / "hosts.yaml").write_text(
            f"boards:\n  vm:\n    platform: ort\n    soc: cortex-a53\n    address: 127.0.0.1\n    port: {port}\n"
            f"    user: root\n    identity: {key}\n    known_hosts: {folder}/known\n    work: /data/work\n"
            "    tools: [/data/bin]\n    limits: {connect_timeout_s: 60}\n"
        )
        yield folder / "hosts.yaml"
    finally:
        board.cut()


def hashes(folder: Path) -> dict[str, str]:
    rows = json.loads((folder / "debug/manifest.json").read_text())["tensors"]
    return {row["name"]: row["md5"] for row in rows}


@pytest.mark.parametrize("kind", ["mix", "tfu"])
def test_machine_and_emulated_python_give_the_same_bytes(machine: Path, tmp_path: Path, kind: str) -> None:
    model = networks.build(kind, tmp_path / f"{kind}.onnx")
    networks.make_inputs(networks.FLOATS[kind.removesuffix("u")](), 1)[0].tofile(tmp_path / "input.bin")
    digests = []
    for board in ("vm", "emu-arm64"):
        (tmp_path / board).mkdir()
        words = ("run", "--board", board, "--hosts", str(machine), str(model), "--mode", "release,debug")
        code, _, err = harness(tmp_path / board, *words, "--input", str(tmp_path / "input.bin"))
        assert code == 0, err
        digests.append(hashes(newest_run(tmp_path / board)[0]))
    assert len(digests[0]) > 20
    assert digests[0] == digests[1]
