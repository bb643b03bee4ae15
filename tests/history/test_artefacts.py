"""Models kept by content: each once, none that is another file by now, and nothing else is ever deleted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.history.artefacts import FOLDER, keep, kept, prune


def model(folder: Path, content: bytes, name: str = "net.bin") -> tuple[Path, str]:
    path = folder / name
    path.write_bytes(content)
    return path, hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_a_model_is_kept_once_and_found_by_its_content(tmp_path: Path) -> None:
    path, md5 = model(tmp_path, b"one" * 1000)
    assert keep(tmp_path, path, md5) and keep(tmp_path, path, md5)
    path.write_bytes(b"rebuilt")
    copy = kept(tmp_path, md5)
    assert copy is not None and copy.name == "net.bin" and copy.read_bytes() == b"one" * 1000
    assert len(list((tmp_path / FOLDER).rglob("*.bin"))) == 1


def test_a_file_that_is_another_one_by_now_is_not_kept(tmp_path: Path) -> None:
    path, md5 = model(tmp_path, b"one")
    path.write_bytes(b"rebuilt during the night")
    assert not keep(tmp_path, path, md5)
    assert kept(tmp_path, md5) is None
    assert not keep(tmp_path, path, "../../outside")


def test_a_damaged_copy_is_no_model(tmp_path: Path) -> None:
    path, md5 = model(tmp_path, b"one")
    keep(tmp_path, path, md5)
    copy = kept(tmp_path, md5)
    assert copy is not None
    copy.write_bytes(b"two")
    assert kept(tmp_path, md5) is None


def test_only_models_that_nothing_wants_go(tmp_path: Path) -> None:
    sums = []
    for name in ("a.bin", "b.bin"):
        path, md5 = model(tmp_path, name.encode(), name)
        keep(tmp_path, path, md5)
        sums.append(md5)
    (tmp_path / FOLDER / "notes").mkdir()
    assert prune(tmp_path, {sums[1]}) == 1
    assert [kept(tmp_path, md5) is not None for md5 in sums] == [False, True]
    assert (tmp_path / FOLDER / "notes").is_dir()


def test_a_link_in_the_store_leads_nowhere(tmp_path: Path) -> None:
    path, md5 = model(tmp_path, b"one")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "nights" / FOLDER).mkdir(parents=True)
    (tmp_path / "nights" / FOLDER / md5).symlink_to(outside)
    with pytest.raises(HarnessError):
        keep(tmp_path / "nights", path, md5)
    assert list(outside.iterdir()) == []
    assert kept(tmp_path / "nights", md5) is None
