"""Tar streams of a hostile or broken board: nothing outside the folder, nothing without end, no crash."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.agent.archive import Quotas, Unpacker, member_name
from harness.agent.packing import inflate
from harness.errors import BoardError, HostError
from harness.names import stored_name


def tar(
    *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, link: str = "", form: int = tarfile.GNU_FORMAT
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def unpack(folder: Path, data: bytes, quotas: Quotas | None = None, sizes: dict[str, int] | None = None) -> Unpacker:
    unpacker = Unpacker(folder, quotas or Quotas(), sizes)
    unpacker.read(pieces(data))
    return unpacker


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("size", [1, 511, 512, 513, 10_240])
def test_files_arrive_whole_whatever_the_pieces(tmp_path: Path, size: int) -> None:
    data = tar(("./a", b"1" * 700), ("./sub/b", b""), ("c" * 150, b"x" * 512))
    unpacker = Unpacker(tmp_path, Quotas())
    unpacker.read(pieces(data, size))
    assert (tmp_path / "a").read_bytes() == b"1" * 700
    assert unpacker.files["sub/b"].size_bytes == 0
    assert unpacker.files["a"].md5 == hashlib.md5(b"1" * 700).hexdigest()
    assert everything(tmp_path) == {"a", "sub", "sub/b", "c" * 150}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_common_form_is_read(tmp_path: Path, form: int) -> None:
    long = "/".join(["folder" * 5] * 5) + "/name.bin"
    unpack(tmp_path, tar((long, b"data"), ("表.bin", b"x") if form != tarfile.USTAR_FORMAT else ("y", b"x"), form=form))
    assert (tmp_path / long).read_bytes() == b"data"


@pytest.mark.parametrize("program", [["tar"], ["busybox", "tar"]])
def test_real_tars_are_read(tmp_path: Path, program: list[str]) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    names = ["a", "x y", "new\nline", "l" * 200, "表"]
    for name in names:
        (source / name).write_bytes(os.urandom(5000))
    data = subprocess.run([*program, "-cf", "-", *names], cwd=source, capture_output=True, check=True).stdout
    unpacker = unpack(target, data)
    assert set(unpacker.files) == set(names)
    for name in names:
        assert (target / unpacker.files[name].file).read_bytes() == (source / name).read_bytes()


def test_archives_in_a_row_are_one(tmp_path: Path) -> None:
    unpacker = unpack(tmp_path, tar(("a", b"1")) + bytes(2048) + tar(("b", b"2")))
    assert set(unpacker.files) == {"a", "b"}


@pytest.mark.parametrize("name", ["/etc/passwd", "../out", "a/../../out", "..", "a/.."])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(BoardError, match="outside"):
        unpack(inside, tar((name, b"x")))
    assert everything(tmp_path) == {"inside"}


def test_a_file_without_a_name_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(BoardError, match="without a name"):
        unpack(inside, tar(("./", b"x")))
    assert everything(tmp_path) == {"inside"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(BoardError, match="not a regular file"):
        unpack(tmp_path, tar(("a", b""), kind=kind, link="/etc/passwd"))
    assert everything(tmp_path) == set()


def test_folders_of_the_stream_are_not_needed(tmp_path: Path) -> None:
    unpack(tmp_path, tar(("sub", b""), kind=tarfile.DIRTYPE) + tar(("sub/a", b"1")))
    assert everything(tmp_path) == {"sub", "sub/a"}


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="twice"):
        unpack(tmp_path, tar(("a", b"1"), ("./a", b"2")))
    assert (tmp_path / "a").read_bytes() == b"1"


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="both as a file and as a folder"):
        unpack(tmp_path, tar(("a", b"1"), ("a/b", b"2")))
    with pytest.raises(BoardError, match="both as a file and as a folder"):
        unpack(tmp_path, tar(("x/y", b"1"), ("x", b"2")))


def test_a_file_that_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="was not requested"):
        unpack(tmp_path, tar(("a", b"1"), ("b", b"2")), sizes={"a": 1})


def test_a_file_larger_than_it_was_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="grew during"):
        unpack(tmp_path, tar(("a", b"12")), sizes={"a": 1})
    assert everything(tmp_path) == set()


def test_quotas_on_files_and_bytes_hold(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="more than 1 files"):
        unpack(tmp_path / "1", tar(("a", b""), ("b", b"")), Quotas(max_files=1))
    with pytest.raises(BoardError, match="more than 99 bytes"):
        unpack(tmp_path / "2", tar(("a", bytes(50)), ("b", bytes(50))), Quotas(max_bytes=99))


def test_a_stream_that_ends_early_keeps_the_whole_files_only(tmp_path: Path) -> None:
    data = tar(("a", b"1" * 100), ("b", b"2" * 5000))
    unpacker = Unpacker(tmp_path, Quotas())
    with pytest.raises(BoardError, match="ended in the middle"):
        unpacker.read(pieces(data[:3000]))
    assert set(unpacker.files) == {"a"} and everything(tmp_path) == {"a"}


def test_a_size_that_lies_asks_for_no_memory(tmp_path: Path) -> None:
    header = bytearray(tar(("a", b""))[:512])
    for kind, limit in ((b"L", "endless names"), (b"x", "endless names"), (b"0", "more than")):
        header[156:157] = kind
        header[124:136] = b"\x80" + (2**60).to_bytes(11, "big")
        header[148:156] = b" " * 8
        header[148:156] = f"{sum(header):06o}\0 ".encode()
        with pytest.raises(BoardError, match=limit):
            unpack(tmp_path, bytes(header) + bytes(512))


@pytest.mark.parametrize("noise", [b"not a tar at all" * 100, os.urandom(2048), b"\xff" * 1024])
def test_what_is_not_a_tar_is_said(tmp_path: Path, noise: bytes) -> None:
    with pytest.raises(BoardError):
        unpack(tmp_path, noise)
    assert everything(tmp_path) == set()


def test_zeros_without_end_are_no_archive(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="endless zeros"):
        Unpacker(tmp_path, Quotas()).read(bytes(65536) for _ in range(1000))


def test_a_pax_header_that_lies_is_refused(tmp_path: Path) -> None:
    for text in (b"99999 path=x\n", b"x path=y\n", b"-5 path=x\n", b"0 path=x\n", b"20 size=99999999999\n"):
        info = tarfile.TarInfo("pax")
        info.type, info.size = tarfile.XHDTYPE, len(text)
        data = info.tobuf() + text + bytes(512 - len(text)) + tar(("a", b"1"))
        with pytest.raises(BoardError, match="pax"):
            unpack(tmp_path, data)


def test_stored_names_are_printable_and_different(tmp_path: Path) -> None:
    names = [
        "a\nb",
        "a%0Ab",
        "\u202egnp",
        "gnp",
        "\x1b[2J",
        "-rf",
        "%2Drf",
        "e\u0301",
        "\u00e9",
        "x" * 250,
        "x" * 251,
        "a\\b",
        "a|b",
    ]
    stored = [stored_name(name) for name in names]
    assert len(set(stored)) == len(names)
    assert all(name.isprintable() and not name.startswith("-") and len(os.fsencode(name)) < 256 for name in stored)
    assert stored_name("层/conv1_out.bin") == "层/conv1_out.bin"


# --------------------------------------------------------------------------- fuzz

QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUIET
@given(data=st.binary(max_size=4096))
def test_any_bytes_do_no_harm(tmp_path: Path, data: bytes) -> None:
    harmless(tmp_path, data)


@QUIET
@given(
    names=st.lists(st.text(min_size=1, max_size=60).filter(lambda n: "\0" not in n), min_size=1, max_size=4),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 6000),
)
def test_a_damaged_archive_does_no_harm(
    tmp_path: Path, names: list[str], changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(tar(*[(name, b"data" * 50) for name in names]))
    for at, value in changes:
        data[at % len(data)] = value
    harmless(tmp_path, bytes(data[: cut or None]))


@QUIET
@given(
    fields=st.lists(
        st.tuples(st.sampled_from("0157LKxgSVMNA2346"), st.binary(max_size=100), st.integers(0, 2**64)), max_size=4
    )
)
def test_made_up_headers_do_no_harm(tmp_path: Path, fields: list[tuple[str, bytes, int]]) -> None:
    data = b"".join(header(kind, name, size) + bytes(1024) for kind, name, size in fields)
    harmless(tmp_path, data)


def header(kind: str, name: bytes, size: int) -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[124:136] = b"\x80" + size.to_bytes(11, "big")
    block[156:157] = kind.encode()
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def harmless(folder: Path, data: bytes) -> None:
    """Only our own errors, nothing outside, no part left, no link."""
    inside = folder / "inside"
    inside.mkdir(exist_ok=True)
    unpacker = Unpacker(inside, Quotas(max_files=10, max_bytes=10_000))
    try:
        unpacker.read(pieces(data))
    except (BoardError, HostError) as error:
        assert error.message
    assert {p.name for p in folder.iterdir()} == {"inside"}
    assert not [p for p in inside.rglob("*") if p.is_symlink() or p.name.endswith(".part")]
    for name, file in unpacker.files.items():
        assert member_name(name) == name and (inside / file.file).resolve().is_relative_to(inside.resolve())
    for path in sorted(inside.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("kind", [b"L", b"5", b"x"])
def test_headers_without_end_are_refused_however_small_they_pack(tmp_path: Path, kind: bytes) -> None:
    """Names, folders and pax headers carry no file: a stream of a few kilobytes of gzip could hold them for ever."""
    header = tarfile.TarInfo("x")
    header.type = kind
    header.size = 0 if kind == b"5" else 512
    body = b"" if kind == b"5" else b"9 path=a\n".ljust(512, b"\0") if kind == b"x" else b"a".ljust(512, b"\0")
    one = header.tobuf(tarfile.USTAR_FORMAT) + body
    unpacker = Unpacker(tmp_path, Quotas(), {"a": 1, "b": 1})
    with pytest.raises(BoardError, match=r"endless names|pax header"):
        unpacker.read(one * 64 for _ in range(100_000))
    assert list(tmp_path.iterdir()) == []


def test_the_bound_is_of_bytes_and_not_of_what_they_are_packed_into(tmp_path: Path) -> None:
    """A sparse dump packs a thousandfold and comes; one byte over `limits: max_bytes` does not."""
    dump = tar(("dump", bytes(4_000_000)))
    packed = gzip.compress(dump)
    assert len(dump) > 900 * len(packed)
    Unpacker(tmp_path / "fits", Quotas(max_bytes=4_000_000)).read(inflate([packed]))
    assert (tmp_path / "fits" / "dump").stat().st_size == 4_000_000
    with pytest.raises(BoardError, match="more than 3999999 bytes"):
        Unpacker(tmp_path / "over", Quotas(max_bytes=3_999_999)).read(inflate([packed]))
    assert not list((tmp_path / "over").rglob("*"))
