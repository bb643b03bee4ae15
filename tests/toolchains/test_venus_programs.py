"""Venus libraries and board programs: what they tell, and what does not fit, before anything runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.platforms.magik.options import merged, supply
from harness.platforms.magik.venus_files import read_venus
from harness.toolchains import read_any
from harness.toolchains.records import Artifact
from tests.platforms.magik.test_platform import board, elf, job, programs

UCLIBC, GLIBC = ("libm.so.0", "libc.so.0"), ("libm.so.6", "libc.so.6")
BUILD = b"\0%s\00020220516-2016(7.2.0 r5.1.1 glibc2.29 mips@%s)\0"
REAL = os.environ.get("HARNESS_VENUS")  # InferenceKit of a copy of the vendor's toolkit


def library(path: Path, name: str, needs: tuple[str, ...] = UCLIBC, nna: str = "NNA1", more: bytes = b"") -> Path:
    elf(path, needs, soname=name)
    path.write_bytes(path.read_bytes() + BUILD % (b"0.9.3.ALPHA", nna.encode()) + more)
    return path


def inspected(path: Path) -> Artifact:
    artifact = read_any(path)
    assert artifact is not None and artifact.kind == "venus_elf"
    return artifact


@pytest.mark.parametrize(
    ("name", "flavour"),
    [("libvenus.so", "release"), ("libvenus.d.so", "debug"), ("libvenus.p.so", "profile"), ("libvenus.m.so", "nmem")],
)
def test_a_library_tells_version_build_accelerator_flavour_and_the_libc_it_needs(
    name: str, flavour: str, tmp_path: Path
) -> None:
    read = inspected(library(tmp_path / name, name, nna="NNA2"))
    assert read.versions == {"venus": "0.9.3.ALPHA"} and read.messages == ()
    assert str(read.facts["flavour"]).startswith(flavour) and str(read.facts["accelerator"]).startswith("NNA2")
    assert read.facts["libc"] == "uclibc" and read.facts["built"] == "20220516-2016"
    assert "needs uclibc" in str(read.facts["toolchain"])  # the build string says glibc


def test_several_versions_in_one_file_are_no_answer(tmp_path: Path) -> None:
    path = library(tmp_path / "libvenus.so", "libvenus.so")
    path.write_bytes(path.read_bytes().replace(b"0.9.3.ALPHA", b"0.9.3\0\x003.8.2"))
    assert inspected(path).versions == {}


def test_a_renamed_library_is_told_by_its_name_inside_and_by_its_texts(tmp_path: Path) -> None:
    named = inspected(library(tmp_path / "libvenus.so", "libvenus.p.so"))
    assert "is profile by the name inside" in named.messages[0].text
    texts = inspected(library(tmp_path / "lib" / "libvenus.so", "libvenus.so", more=b"%s_out.bin\0"))
    assert "is debug by its text" in texts.messages[0].text


def test_a_program_is_held_against_the_libraries_beside_it(tmp_path: Path) -> None:
    program = elf(tmp_path / "venus_debug", ("libvenus.d.so", *UCLIBC), interpreter="/lib/ld-uClibc-mipsn8.so.0")
    library(tmp_path / "lib/libvenus.p.so", "libvenus.p.so", GLIBC)
    read = inspected(program)
    assert str(read.facts["flavour"]).startswith("debug")
    text = " ".join(message.text for message in read.messages)
    assert "needs libvenus.d.so; beside it lies libvenus.p.so, of another flavour" in text
    assert "for glibc, the program for uclibc" in text
    library(tmp_path / "lib/libvenus.d.so", "libvenus.d.so")
    (tmp_path / "lib/libvenus.p.so").unlink()
    assert inspected(program).messages == ()


def test_other_programs_are_not_of_venus_and_damage_is_told(tmp_path: Path) -> None:
    assert read_any(elf(tmp_path / "p", ("libc.so.6",))) is None
    path = library(tmp_path / "libvenus.so", "libvenus.so")
    data = path.read_bytes()
    for end in range(4, len(data), 7):
        path.write_bytes(data[:end])
        read = read_any(path)
        assert read is None or read.kind == "venus_elf"
    path.write_bytes(data[:80])
    assert inspected(path).problems


@pytest.mark.parametrize(
    ("name", "nna", "word"), [("libvenus.p.so", "NNA1", "is named as"), ("", "NNA2", "the t40 is")]
)
def test_a_wrong_library_is_refused_before_the_run(name: str, nna: str, word: str, tmp_path: Path) -> None:
    options = programs(tmp_path)
    library(tmp_path / "lib/libvenus.so", name or "libvenus.so", ("libc.so.0",), nna)
    with pytest.raises(InputError, match=word):
        supply(board().identity, merged(board().identity, job(**options)))
    supply(board().identity, merged(board().identity, job(**options, check="off")))


@pytest.mark.skipif(not REAL, reason="the vendor's libraries are not here (HARNESS_VENUS=toolkit/InferenceKit)")
def test_real_libraries_say_what_their_folders_say() -> None:
    for path in sorted(Path(str(REAL)).glob("nna*/*/lib/*/lib*.so")):
        file = read_venus(path)
        assert file is not None, path
        assert file.nna in ("", path.parts[-5].upper()) and file.elf.libc == path.parts[-2]
        letter = path.name.split(".")[1]
        wanted = {"so": "release", "d": "debug", "p": "profile", "m": "nmem"}[letter]
        assert file.flavour == ("" if path.name.startswith("libaip") else wanted)
        assert bool(file.version) == path.name.startswith(("libvenus", "libaip"))
