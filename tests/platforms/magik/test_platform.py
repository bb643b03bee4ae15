"""Platform magik before a run: programs and libraries by their ELF headers, the line on the board, inputs' names."""

from __future__ import annotations

import json
import struct
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.boards.flat import compose
from harness.errors import ConfigError, InputError
from harness.platforms import load
from harness.platforms.magik.elf import read_elf
from harness.platforms.magik.options import SCRIPT, merged, supply
from harness.records import Board, Emulated, Job, ModelInfo, TensorSpec

MAGIK = load("magik")
FLAGS = 0x70001407  # o32, mips32r2, nan2008, pic


def elf(
    path: Path,
    needed: tuple[str, ...] = (),
    machine: int = 8,
    soname: str = "",
    interpreter: str = "",
    order: str = "<",
) -> Path:
    """A program of two segments: enough for a loader's eyes, and for ours."""
    names = b"\0"
    places = []
    for name in (*needed, soname):
        places.append(len(names))
        names += name.encode() + b"\0"
    entries = [(1, place) for place in places[:-1]] + ([(14, places[-1])] if soname else [])
    base = 52 + 3 * 32
    table = base + 8 * (len(entries) + 3)
    entries += [(5, 0x10000 + table), (10, len(names)), (0, 0)]
    dynamic = b"".join(struct.pack("<iI", tag, value) for tag, value in entries)
    where = table + len(names)
    body = dynamic + names + interpreter.encode() + b"\0"
    size = base + len(body)
    word = struct.pack
    head = b"\x7fELF" + bytes([1, 1, 1]) + bytes(9)
    head += word("<HHIIIIIHHHHHH", 2, machine, 1, 0, 52, 0, FLAGS, 52, 32, 3, 0, 0, 0)
    segments = word("<8I", 1, 0, 0x10000, 0, size, size, 5, 4096)
    segments += word("<8I", 2, base, 0x10000 + base, 0, len(dynamic), len(dynamic), 6, 4)
    segments += word("<8I", 3 if interpreter else 0, where, 0, 0, len(interpreter) + 1, 0, 4, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + segments + body)
    return path


def board(soc: str = "t40", **fields: Any) -> Board:
    return compose(name="b", platform="magik", soc=soc, **fields)


def job(mode: str = "release", inputs: tuple[str, ...] = (), **options: Any) -> Job:
    return Job(mode, "/w/cache/ab.bin", "/w/runs/x", inputs, options=options)


NEEDED = {
    "release": ("libvenus.so", "libc.so.0"),
    "debug": ("libvenus.d.so", "libc.so.0"),
    "profile": ("libvenus.p.so", "libc.so.0"),
    "nmem": ("libvenus.m.so", "libc.so.0"),
}


def programs(folder: Path, **changed: tuple[str, ...]) -> dict[str, str]:
    """The four programs of one sample and their libraries; options that name them."""
    for mode, needed in (NEEDED | changed).items():
        elf(folder / f"venus_{mode}", needed, interpreter="/lib/ld-uClibc-mipsn8.so.0")
    for name in ("libvenus.so", "libvenus.d.so", "libvenus.p.so", "libvenus.m.so", "libaip.so", "libdrivers.so",
                 "libdrivers.m.so"):  # fmt: skip
        elf(folder / "lib" / name, ("libc.so.0",), soname=name)
    return {"program": str(folder / "venus_{mode}"), "libraries": str(folder / "lib")}


def test_an_elf_tells_machine_libraries_name_and_libc(tmp_path: Path) -> None:
    result = read_elf(elf(tmp_path / "p", ("libvenus.so", "libc.so.0"), interpreter="/lib/ld-uClibc-mipsn8.so.0"))
    assert result is not None and result.problem == ""
    assert (result.machine, result.bits, result.little_endian, result.nan2008) == ("MIPS", 32, True, True)
    assert result.needed == ("libvenus.so", "libc.so.0") and result.libc == "uclibc"
    library = read_elf(elf(tmp_path / "l", ("libc.so.6",), soname="libvenus.so"))
    assert library is not None and library.soname == "libvenus.so" and library.libc == "glibc"


def test_this_pcs_own_programs_are_read_as_readelf_reads_them() -> None:
    elf = read_elf(Path("/bin/ls").resolve())
    assert elf is not None and elf.problem == "" and "libc.so.6" in elf.needed


def test_damaged_elf_files_are_told_in_words(tmp_path: Path) -> None:
    whole = elf(tmp_path / "p", ("libvenus.so",), soname="x").read_bytes()
    for cut in range(4, len(whole), 3):
        (tmp_path / "q").write_bytes(whole[:cut])
        result = read_elf(tmp_path / "q")
        assert result is not None and (result.problem or result.needed == ("libvenus.so",) or not result.needed)
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert read_elf(tmp_path / "script") is None


def test_programs_and_the_libraries_they_need_are_pushed(tmp_path: Path) -> None:
    options = programs(tmp_path)
    pushed = [path.name for path in MAGIK.files(board().identity, job(**options))]
    assert pushed == ["venus_release", "venus_debug", "venus_profile", "venus_nmem",
                      "libvenus.d.so", "libvenus.m.so", "libvenus.p.so", "libvenus.so"]  # fmt: skip


@pytest.mark.parametrize(
    ("soc", "mode", "needed", "word"),
    [
        ("t40", "profile", ("libvenus.so",), "libvenus.p.so"),
        ("t40", "debug", ("libvenus.p.so",), "libvenus.d.so"),
        ("t40", "release", ("libvenus.d.so",), "libvenus.so"),
        ("t40", "nmem", ("libvenus.so", "libdrivers.m.so", "libaip.so"), "libvenus.m.so"),
        ("t41", "nmem", ("libvenus.m.so",), "libdrivers.m.so"),
    ],
)
def test_a_program_linked_to_another_modes_library_is_refused_before_anything_is_sent(
    tmp_path: Path, soc: str, mode: str, needed: tuple[str, ...], word: str
) -> None:
    nmem = {"nmem": ("libvenus.so", "libdrivers.m.so", "libaip.so")} if soc == "t41" else {}
    options = programs(tmp_path, **{**nmem, mode: needed})
    with pytest.raises(InputError, match=word) as caught:
        MAGIK.files(board(soc).identity, job(**options))
    assert mode in caught.value.hint
    assert MAGIK.files(board(soc).identity, job(**options, check="off"))


def test_nna2_counts_memory_with_the_drivers_library(tmp_path: Path) -> None:
    options = programs(tmp_path, nmem=("libvenus.so", "libaip.so", "libdrivers.m.so"))
    assert "libdrivers.m.so" in [path.name for path in MAGIK.files(board("t41").identity, job(**options))]


def test_another_machine_another_libc_and_a_missing_library_are_told(tmp_path: Path) -> None:
    options = programs(tmp_path / "a")
    elf(tmp_path / "a" / "venus_debug", ("libvenus.d.so",), machine=62)
    with pytest.raises(InputError, match="x86-64"):
        MAGIK.files(board().identity, job(**options))
    options = programs(tmp_path / "b")
    elf(tmp_path / "b" / "lib" / "libvenus.so", ("libc.so.6",), soname="libvenus.so")
    with pytest.raises(InputError, match="built for uclibc"):
        MAGIK.files(board().identity, job(**options))
    options = programs(tmp_path / "c", release=("libvenus.so", "libopencv_core.so.3.3"))
    with pytest.raises(InputError, match=r"libopencv_core\.so\.3\.3"):
        MAGIK.files(board().identity, job(**options))
    assert MAGIK.files(board(libraries=("/mnt/lib",)).identity, job(**options))  # they may lie on the board


def test_the_misspelt_glibc_profile_program_is_found(tmp_path: Path) -> None:
    for mode in ("release", "prolfile"):
        (tmp_path / f"venus_{mode}").write_text("#!/bin/sh\n")
    supplied = supply(board().identity, merged(board().identity, job(program=str(tmp_path / "venus_{mode}"))))
    assert supplied.programs["profile"].name == "venus_prolfile" and "debug" not in supplied.programs


def test_without_a_program_the_options_are_named() -> None:
    with pytest.raises(InputError) as caught:
        MAGIK.files(board().identity, job())
    assert "--option program=" in caught.value.hint
    with pytest.raises(ConfigError):
        MAGIK.files(board(options={"programm": "x"}).identity, job())


# --------------------------------------------------------------------------- the line on the board


def line(mode: str, name: str, **options: Any) -> tuple[str, ...]:
    described = job(mode, ("/w/cache/cd.bin",), board_program="/mnt/venus_{mode}", **options)
    described = replace(described, input_names=(name,))
    return MAGIK.invocation(board().identity, described).argv


def test_the_debug_input_gets_a_plain_relative_name_without_further_dots() -> None:
    argv = line("debug", "my.input_data_shape_1_384_640_3.bin")
    assert argv[:5] == ("sh", "-c", SCRIPT, "venus", "/mnt/venus_debug")
    assert argv[-2:] == ("/w/cache/ab.bin", "my_input_data_shape_1_384_640_3.bin")
    assert argv[-5:-2] == ("/w/cache/cd.bin", "my_input_data_shape_1_384_640_3.bin", "--")
    assert line("debug", "x.bin", shape="1,384,640,3")[-1] == "input_data_shape_1_384_640_3.bin"
    assert line("debug", "in_1_384_640_3.bin", debug_arguments="{model} {width} {height}")[-2:] == ("640", "384")
    with pytest.raises(InputError, match="reads the shape from the name"):
        line("debug", "photo.jpg")


def test_the_other_modes_take_the_picture_where_one_is_given(tmp_path: Path) -> None:
    (tmp_path / "bus stop.jpg").write_bytes(b"\xff\xd8")
    argv = line("release", "in_1_4_4_3.bin", image=str(tmp_path / "bus stop.jpg"))
    assert argv[-1] == "bus_stop.jpg"
    assert line("release", "in_1_4_4_3.bin")[-1] == "in_1_4_4_3.bin"
    assert line("nmem", "in_1_4_4_3.bin")[5] == "/tmp/nmem_memory.txt" and line("release", "in_1_4_4_3.bin")[5] == ""


def test_arguments_that_ask_for_what_is_not_known_are_refused() -> None:
    with pytest.raises(InputError, match="width"):
        line("release", "photo.jpg", arguments="{model} {width}")


def test_the_script_runs_links_removes_the_old_file_and_keeps_the_exit_code(tmp_path: Path) -> None:
    program, nmem = tmp_path / "prog", tmp_path / "nmem_memory.txt"
    program.write_text(f'#!/bin/sh\n[ ! -e {nmem} ] && echo fresh\necho "$LD_LIBRARY_PATH" "$@"\ncat in.bin lib/l.so\n'
                       f"echo new > {nmem}\nexit 7\n")  # fmt: skip
    nmem.write_text("old")
    (tmp_path / "data").write_text("data ")
    work = tmp_path / "work"
    work.mkdir()
    links = [str(tmp_path / "data"), "in.bin", str(tmp_path / "data"), "lib/l.so"]
    argv = ["sh", "-c", SCRIPT, "venus", str(program), str(nmem), *links, "--", "m.bin", "in.bin"]
    result = subprocess.run(argv, cwd=work, capture_output=True, text=True, check=False)
    assert result.returncode == 7, result.stderr
    assert result.stdout == f"fresh\n{work}/lib m.bin in.bin\ndata data "
    assert sorted(path.name for path in work.iterdir()) == ["nmem_memory.txt"]
    assert (work / "nmem_memory.txt").read_text() == "new\n"


# --------------------------------------------------------------------------- facts and inputs


def test_what_the_kernel_and_the_case_say_becomes_model_info() -> None:
    text = "harness: pixels mean 0 var 255\nharness: input 1,16,20,3\nharness: cmdline mem=72M@0x0 nmem=16M@0x7000000\n"
    info = MAGIK.read_model_info(text)
    assert info.inputs[0].shape == (1, 16, 20, 3) and info.input_types == ("mean 0 var 255",)
    assert info.versions == {"mem": "73728K", "nmem": "16384K"}
    (fact,) = MAGIK.read_input_facts(info)
    assert fact.name == "input_data_shape_1_16_20_3" and fact.size_bytes == 960
    assert MAGIK.read_input_facts(ModelInfo(""))[0].size_bytes is None


def test_a_reference_is_fed_with_normalised_planes() -> None:
    import numpy as np

    info = MAGIK.read_model_info("harness: pixels mean 1 var 2\n")
    pixels = np.arange(2 * 2 * 3, dtype=np.uint8)
    fed = MAGIK.reference_feed(info, TensorSpec("x", "f32", (1, 3, 2, 2), "NCHW"), pixels.tobytes())
    made = np.frombuffer(fed, np.float32).reshape(1, 3, 2, 2)
    assert made[0, 2, 1, 0] == (pixels.reshape(2, 2, 3)[1, 0, 2] - 1.0) / 2.0
    with pytest.raises(InputError):
        MAGIK.reference_feed(info, TensorSpec("x", "f32", (1, 3, 4, 2), "NCHW"), pixels.tobytes())


@pytest.mark.parametrize("name", ["net.onnx", "model_quant.mgk", "net.mk.h"])
def test_files_that_no_board_runs_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match="do not run on a board"):
        MAGIK.check_model(tmp_path / name, board().identity)


def _write_played(path: Path, *marches: str) -> None:
    path.write_bytes(b"HARNEMU1")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("meta.json", json.dumps({"models": [{"march": march} for march in marches]}))


@pytest.mark.parametrize("march", ["nna2", "bayes-e"])
def test_a_played_model_of_another_accelerator_is_refused_before_anything_is_fed(tmp_path: Path, march: str) -> None:
    _write_played(tmp_path / "m.bin", march)
    with pytest.raises(InputError, match=rf"built for {march}, but .* \(t40\) needs nna1"):
        MAGIK.check_model(tmp_path / "m.bin", board(emulated=Emulated("t40", "dropbear")).identity)


def test_models_of_the_emulator_and_vendors_models_are_kept_apart(tmp_path: Path) -> None:
    played, real = tmp_path / "played.bin", tmp_path / "real.bin"
    _write_played(played, "nna1")
    real.write_bytes(bytes(64))
    emulated = board(emulated=Emulated("t40", "dropbear"))
    MAGIK.check_model(played, emulated.identity)
    MAGIK.check_model(real, board().identity)
    with pytest.raises(InputError, match="a model for emulated boards only"):
        MAGIK.check_model(played, board().identity)
    with pytest.raises(InputError, match="not a model for an emulated board"):
        MAGIK.check_model(real, emulated.identity)


@pytest.mark.parametrize(
    ("given", "option"),
    [({"time_s": 30.0}, "--time"), ({"frames": 7}, "--frames"), ({"threads": 2}, "--threads"), ({"core": 1}, "--core")],
)
def test_what_the_users_program_decides_is_not_asked_for_in_vain(given: dict[str, object], option: str) -> None:
    with pytest.raises(InputError, match=f"{option} .* no effect"):
        MAGIK.invocation(board().identity, Job("profile", "/b/m.bin", "/b/f", ("/b/i.bin",), **given))  # type: ignore[arg-type]
