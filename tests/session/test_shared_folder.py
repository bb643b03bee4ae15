"""A board that mounts a folder of this PC takes its files from there: nothing crosses the link."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness import platforms
from harness.emulator.magik import board as magik_board
from harness.emulator.servers import jail
from harness.errors import BoardError, ConfigError
from harness.records import BoardFolders, Case
from harness.review.case_reference import CaseReference
from harness.session import run_case
from harness.session.shared_folder import put
from harness.transports import open_transport
from tests.support.servers import local_board


def quiet(_what: str, _completed: int, _total: int) -> None:
    return


def test_a_file_is_copied_once_by_its_content_and_confirmed_by_the_board(tmp_path: Path) -> None:
    shared, source = tmp_path / "nfs", tmp_path / "model.bin"
    shared.mkdir()
    source.write_bytes(b"weights")
    with open_transport(local_board(tmp_path / "home").endpoint) as link:
        first = put(source, (str(shared), str(shared)), link)
        kept = Path(first.path).stat().st_mtime_ns
        again = put(source, (str(shared), str(shared)), link)
    assert first == again and first.sent_bytes == 0
    assert Path(first.path).read_bytes() == b"weights" and Path(first.path).stat().st_mtime_ns == kept


def test_another_mount_and_a_missing_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    source = tmp_path / "m.bin"
    source.write_bytes(b"x")
    with open_transport(local_board(tmp_path / "home").endpoint) as link:
        with pytest.raises(BoardError, match="differs from the shared folder") as caught:
            put(source, (str(tmp_path / "here"), str(tmp_path / "there")), link)
        assert "mount" in caught.value.hint
        with pytest.raises(ConfigError, match="is not a folder on this PC"):
            put(source, (str(tmp_path / "nowhere"), "/mnt"), link)


@pytest.mark.skipif(bool(jail.lacking()), reason=f"no root of its own for a board here: {jail.lacking()}")
def test_a_run_takes_model_and_input_from_the_shared_folder(tmp_path: Path) -> None:
    from tests.session.test_magik_run import NAME, model

    mounted = magik_board.root_of("t40") / "root" / "nfs"
    mounted.mkdir(parents=True, exist_ok=True)
    board = replace(magik_board.BOARDS[0], folders=BoardFolders(shared=(str(mounted), "/root/nfs")))
    case = Case("net", model(), inputs=(("", model().parent / NAME),), modes=("release",))
    folder = run_case(board, case, tmp_path, quiet, CaseReference(case, platforms.load("magik"), quiet))
    run = json.loads((folder / "run.json").read_text())
    assert [row["failure"] for row in run["modes"]] == [None, None]
    assert sum(row["sent_bytes"] for row in run["pushed"]) == 0
    assert run["modes"][1]["command"][-2].startswith("/root/nfs/harness-cache/")
