"""A packed file given for a model, a reference, dumps, a run or a picture: what it is, and what unpacks it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.files.packed import packing, unpack_command

CONTENT = bytes(range(256)) * 8


def harness(*argv: object) -> Result:
    return CliRunner().invoke(cli, [str(part) for part in argv])


def gz(path: Path) -> None:
    path.write_bytes(gzip.compress(CONTENT))


def xz(path: Path) -> None:
    path.write_bytes(lzma.compress(CONTENT))


def bz(path: Path) -> None:
    path.write_bytes(bz2.compress(CONTENT))


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.bin", CONTENT)


def tarred(path: Path) -> None:
    inner = path.with_name("inner.bin")
    inner.write_bytes(CONTENT)
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as archive:
        archive.add(inner, "model.bin")
    inner.unlink()


KINDS: list[tuple[str, Callable[[Path], None], str, str]] = [
    ("model.bin.gz", gz, "a gzip file", "gunzip -k "),
    ("model.onnx", gz, "a gzip file", "gunzip -c < "),  # its name hides what it is
    ("model.onnx.xz", xz, "an xz file", "unxz -k "),
    ("model.onnx.bz2", bz, "a bzip2 file", "bunzip2 -k "),
    ("model.zip", zipped, "a zip archive", "unzip "),
    ("model.tar", tarred, "a tar archive", "tar xf "),
    ("model.tar.gz", tarred, "a tar archive", "tar xf "),
    ("model.tgz", tarred, "a tar archive", "tar xf "),
]


@pytest.mark.parametrize(("name", "pack", "what", "unpack"), KINDS, ids=[kind[0] for kind in KINDS])
def test_every_place_that_takes_a_file_says_what_unpacks_it(
    tmp_path: Path, name: str, pack: Callable[[Path], None], what: str, unpack: str
) -> None:
    path = tmp_path / name
    pack(path)
    (tmp_path / "m.bin").write_bytes(b"a model unrecognised file type")
    for argv in (
        ["run", path, "--board", "emu-x5"],
        ["run", path, "--board", "emu-t40"],
        ["run", path, "--board", "emu-arm64"],
        ["run", tmp_path / "m.bin", "--board", "emu-x5", "--input", tmp_path / "m.bin", "--reference", path],
        ["run", "--resume", path],
        ["compare", path, tmp_path],
        ["compare", tmp_path, path],
        ["reference", path, "--input", path, "-o", tmp_path / "reference"],
        ["emulator", "build", path, "--soc", "x5", "-o", tmp_path / "out.bin"],
        ["convert", path, "--size", "32x32"],
        ["inspect", path],
        ["report", path],
    ):
        if argv[0] == "compare" and argv[1] == tmp_path:
            np.save(tmp_path / "layer.npy", np.zeros(3))
        result = harness(*argv)
        assert result.exit_code == 2, (argv, result.output)
        assert what in result.stderr and f"{unpack}{path}" in result.stderr, (argv, result.stderr)


@pytest.mark.parametrize(("name", "pack", "what", "unpack"), KINDS[:4], ids=[kind[0] for kind in KINDS[:4]])
def test_the_command_that_is_named_unpacks(
    tmp_path: Path, name: str, pack: Callable[[Path], None], what: str, unpack: str
) -> None:
    if shutil.which(unpack.split()[0]) is None:
        pytest.skip(f"no {unpack.split()[0]} on this PC")
    path = tmp_path / name
    pack(path)
    how = packing(path)
    assert how is not None
    subprocess.run(["/bin/sh", "-c", unpack_command(path, how)], check=True, cwd=tmp_path)
    made = [file for file in tmp_path.iterdir() if file != path]
    assert [file.read_bytes() for file in made] == [CONTENT]


def test_a_folder_of_packed_dumps_says_so(tmp_path: Path) -> None:
    gz(tmp_path / "layer1.bin.gz")
    gz(tmp_path / "layer2.bin.gz")
    result = harness("compare", tmp_path, tmp_path)
    assert result.exit_code == 2
    assert (
        "layer1.bin.gz and 1 more: expected a dump, got a gzip file" in result.stderr and "gunzip -k" in result.stderr
    )


def test_arrays_in_an_npz_and_plain_files_are_not_packed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    (tmp_path / "b.bin").write_bytes(b"\x5d\x00\x00plain values that begin as lzma files do")
    assert packing(tmp_path / "a.npz") is None and packing(tmp_path / "b.bin") is None
    assert packing(tmp_path) is None and packing(tmp_path / "gone") is None
