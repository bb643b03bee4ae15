"""Archives from an enemy: nothing outside of the folder, no links, no bombs, and never a traceback."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.files.archives import list_archive, unpack_archive, write_archive


def packed(path: Path, *files: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644, packing: int = 8) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.compress_type = packing
            archive.writestr(member, content)
    return path


def test_what_was_packed_comes_back_and_the_bytes_are_the_same_every_time(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 5_000_000)
    files: dict[str, Path | bytes] = {"a.txt": b"one", "in/b.bin": tmp_path / "big"}
    sizes = {write_archive(tmp_path / name, files) for name in ("1.zip", "2.zip")}
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    assert sizes == {(tmp_path / "1.zip").stat().st_size}
    listed = unpack_archive(tmp_path / "1.zip", tmp_path / "out")
    assert [(file.name, file.size_bytes) for file in listed] == [("a.txt", 3), ("in/b.bin", 5_000_000)]
    assert (tmp_path / "out/in/b.bin").read_bytes() == (tmp_path / "big").read_bytes()


@pytest.mark.parametrize(
    "name",
    ["../a", "/a", "a/../../b", "a//b", "./a", "C:a", "a\\b", "con", "x/NUL.txt", "a.", "a ", "\u202eabc", "x" * 300],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    archive = packed(tmp_path / "a.zip", ("good", b"1"), (name, b"2"))
    with pytest.raises(InputError):
        unpack_archive(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists() and sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        unpack_archive(packed(tmp_path / "a.zip", ("a", b"/etc/passwd"), mode=kind | 0o777), tmp_path / "out")


@pytest.mark.parametrize("files", [("a", "a"), ("a", "A"), ("a", "a/b"), ("a/b", "a")])
def test_one_name_for_two_files_is_refused(tmp_path: Path, files: tuple[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, of a name that comes twice
        archive = packed(tmp_path / "a.zip", *((name, b"") for name in files))
    with pytest.raises(InputError, match="twice"):
        unpack_archive(archive, tmp_path / "out")


def test_a_bomb_is_refused_before_it_is_written(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", *((f"{i}", b"\0" * 1_000_000) for i in range(20)))
    assert archive.stat().st_size < 50_000
    with pytest.raises(InputError, match="unpacks to 20000000 bytes, limit 10000000"):
        unpack_archive(archive, tmp_path / "out", limit_bytes=10_000_000)
    assert not (tmp_path / "out").exists()


def test_a_size_that_lies_brings_no_more_than_it_says(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", ("a", b"\0" * 1_000_000))
    data = bytearray(archive.read_bytes())
    place = data.rfind(b"PK\x01\x02")
    struct.pack_into("<L", data, place + 24, 10)  # the size in the list
    archive.write_bytes(data)
    with pytest.raises(InputError, match=r"damaged|cut short"):
        unpack_archive(archive, tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*")) <= 10


def test_a_list_without_end_is_not_read(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", ("a", b""))
    data = bytearray(archive.read_bytes())
    struct.pack_into("<HH", data, data.rfind(b"PK\x05\x06") + 8, 60_000, 60_000)
    archive.write_bytes(data)
    with pytest.raises(InputError, match="more than 10000 files"):
        list_archive(archive)


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_packings_are_refused(tmp_path: Path, packing: int) -> None:
    with pytest.raises(InputError, match="not taken"):
        list_archive(packed(tmp_path / "a.zip", ("a", b"1"), packing=packing))


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", ("a", b"1"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for folder in (tmp_path / "out", tmp_path / "link", archive):
        with pytest.raises(InputError):
            unpack_archive(archive, folder)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mine"]


@given(st.data())
def test_a_damaged_archive_is_an_error_of_the_user(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"abc" * 100)
        archive.writestr("in/b", b"\0" * 1000)
    damaged = bytearray(sink.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=8)):
        damaged[place] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("archive")
    (folder / "a.zip").write_bytes(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]))
    with suppress(InputError):
        unpack_archive(folder / "a.zip", folder / "out")
    assert {path.name for path in folder.iterdir()} <= {"a.zip", "out"}
