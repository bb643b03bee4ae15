"""check.sh of a package, under every shell of a board: it passes, names the output that differs, and tells why not."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from harness.assets import asset
from tests.support.servers import needs

SHELLS = (("dash",), ("mksh",), ("busybox", "ash"))
shells = pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
TOOL = '#!/bin/sh\ncp "$1"/* .\n'
WHOLE = bytes(range(200))
PADDED = bytes(range(100)) * 2
FLOATS = {"f16": np.float16, "f32": np.float32, "f64": np.float64}


def values(dtype: type) -> bytes:
    array = np.linspace(-3, 5, 257).astype(dtype)
    array[:4] = [np.nan, np.inf, -np.inf, 0]
    return array.tobytes()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose tool copies what a folder holds: what the test lets the board give."""
    folder = tmp_path / "a package"
    for name in ("files", "expected", "gives", "bin"):
        (folder / name).mkdir(parents=True)
    (folder / "bin/tool").write_text(TOOL)
    (folder / "bin/tool").chmod(0o755)
    (folder / "check.sh").write_bytes(asset("agents/check.sh").read_bytes())
    outputs = [f"whole\twhole\twhole.bin\t200\ts8\t-\t{hashlib.md5(WHOLE).hexdigest()}"]
    outputs.append("valid\tpadded\tpadded.bin\t200\ts8\t-\t-")
    give(folder, "whole.bin", WHOLE)
    expect(folder, "padded.bin", PADDED)
    (folder / "expected/padded.bin.valid").write_text("0 10\n50 10\n190 10\n")
    for name, dtype in FLOATS.items():
        expect(folder, f"{name}.bin", values(dtype))
        outputs.append(f"float\t{name}\t{name}.bin\t{len(values(dtype))}\t{name}\t0.01\t-")
    (folder / "outputs.txt").write_text("".join(f"{line}\n" for line in outputs))
    (folder / "command.txt").write_text("tool\n@PACK@/gives\n")
    (folder / "environment.txt").write_text(f"work\t/nowhere\npath\t{folder / 'bin'}\nset\tSOME_NAME=a b@PACK@\n")
    (folder / "files/model").write_bytes(b"model")
    seal(folder)
    return folder


def seal(folder: Path) -> None:
    """Write files.md5, as `harness pack` does."""
    names = [
        path.relative_to(folder).as_posix() for place in ("files", "expected") for path in (folder / place).iterdir()
    ]
    names += ["command.txt", "environment.txt", "outputs.txt"]
    sums = [f"{hashlib.md5((folder / name).read_bytes()).hexdigest()}\t{name}\n" for name in names]
    (folder / "files.md5").write_text("".join(sums) + f"{len(sums)}\tfiles\n")


def give(folder: Path, name: str, content: bytes) -> None:
    (folder / "gives" / name).write_bytes(content)


def expect(folder: Path, name: str, content: bytes) -> None:
    (folder / "expected" / name).write_bytes(content)
    give(folder, name, content)


def check(shell: Sequence[str], folder: Path) -> tuple[int, str]:
    needs(shell[0])
    result = subprocess.run(
        [*shell, str(folder / "check.sh")], capture_output=True, text=True, env=os.environ, timeout=60, cwd="/"
    )
    return result.returncode, result.stdout + result.stderr


@shells
def test_a_right_board_passes(shell: Sequence[str], package: Path) -> None:
    changed = bytearray(PADDED)
    changed[20], changed[120] = 255, 255  # padding is anything
    give(package, "padded.bin", bytes(changed))
    near = np.frombuffer(values(np.float32), np.float32) * np.float32(1.0001)
    give(package, "f32.bin", near.tobytes())
    assert check(shell, package) == (0, "PASS: 5 outputs\n")


@shells
def test_a_wrong_output_is_named(shell: Sequence[str], package: Path) -> None:
    give(package, "whole.bin", bytes(200))
    padded = bytearray(PADDED)
    padded[55], padded[199] = 255, 255
    give(package, "padded.bin", bytes(padded))
    for name, dtype in FLOATS.items():
        give(package, f"{name}.bin", (np.frombuffer(values(dtype), dtype) * dtype(1.5)).tobytes())
    code, text = check(shell, package)
    assert code == 1 and "FAIL: 5 of 5 outputs differ" in text
    assert "output whole: other values" in text
    assert "output padded: 2 bytes differ, the first at byte 55" in text
    for name in FLOATS:
        assert f"output {name}: relative L2 0.5, allowed 0.01" in text


@shells
def test_nan_missing_and_short_outputs_fail(shell: Sequence[str], package: Path) -> None:
    array = np.frombuffer(values(np.float32), np.float32).copy()
    array[100] = np.nan
    give(package, "f32.bin", array.tobytes())
    (package / "gives/whole.bin").unlink()
    give(package, "f64.bin", values(np.float64)[:-8])
    code, text = check(shell, package)
    assert code == 1 and "output f32: NaN or infinity at 1 places" in text
    assert "output whole: the tool did not write it" in text and "output f64: 2048 bytes, expected 2056" in text


@shells
def test_what_cannot_be_checked_is_no_verdict(shell: Sequence[str], package: Path) -> None:
    (package / "files/model").write_bytes(b"other")
    assert check(shell, package) == (3, "NOT CHECKED: files/model is damaged in this package\n")
    (package / "files/model").write_bytes(b"model")
    (package / "bin/tool").write_text("#!/bin/sh\necho no memory\nexit 7\n")
    assert check(shell, package) == (3, "no memory\nNOT CHECKED: tool ended with code 7\n")
    (package / "command.txt").write_text("absent_tool\n")
    seal(package)
    code, text = check(shell, package)
    assert code == 3 and "absent_tool is not on PATH" in text


@shells
def test_a_list_that_lost_lines_is_no_pass(shell: Sequence[str], package: Path) -> None:
    """A flash card that ends early: fewer outputs, or fewer sums, would be a smaller check that passes."""
    for name in ("outputs.txt", "expected/padded.bin.valid"):
        whole = (package / name).read_bytes()
        (package / name).write_bytes(whole[: whole.rstrip(b"\n").rfind(b"\n") + 1])
        assert check(shell, package) == (3, f"NOT CHECKED: {name} is damaged in this package\n")
        (package / name).write_bytes(whole)
    sums = (package / "files.md5").read_bytes()
    for cut in (sums[:-1], sums[: sums.rstrip(b"\n").rfind(b"\n") + 1], sums.partition(b"\n")[2], b""):
        (package / "files.md5").write_bytes(cut)
        assert check(shell, package) == (3, "NOT CHECKED: files.md5 is damaged in this package\n")
    (package / "files.md5").write_bytes(sums)
    assert check(shell, package)[0] == 0
