"""Boards that others manage: the contract of a manager, and what hosts.yaml may say of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.boards.connect import open_board
from harness.boards.hosts_file import load_boards
from harness.boards.managers import lender, lent
from harness.errors import BoardInUseError, ConfigError
from harness.extensions import packages
from harness.nightly.verdicts import reason_of
from harness.records import Board, Lending
from tests.extensions.installed import install

SHELF = """\
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from harness.boards.managers import BoardManager
from harness.errors import BoardInUseError

@contextmanager
def hold(endpoint, keys, wait_s, tell):
    sign = Path(keys["sign"])
    if sign.exists():
        tell(f"waiting {wait_s:g}")
        raise BoardInUseError(f"board {endpoint.name}: taken", "")
    sign.touch()
    try:
        yield replace(endpoint, address=keys.get("root", ""))
    finally:
        sign.unlink()

SHELF = BoardManager(hold, {"sign": str, "root": str}, ("sign",))
"""


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    packages.forget()
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    install(tmp_path / "site", "shelves", {"harness.managers": {"shelf": "shelf_m:SHELF"}}, {"shelf_m": SHELF})
    yield
    packages.forget()


def board(folder: Path, managed: str) -> Board:
    text = f"boards:\n  b:\n    platform: hbdnn\n    transport: local\n    managed: {managed}\n"
    (folder / "hosts.yaml").write_text(text)
    return load_boards(folder / "hosts.yaml")["b"]


def test_a_board_is_held_while_it_is_open_and_reached_where_its_manager_says(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    own = board(tmp_path, f"{{by: shelf, sign: {sign}, root: {tmp_path}}}")
    assert lender(own.lending) == f"shelf (sign {sign}, root {tmp_path})"
    with open_board(own) as (reached, transport):
        assert sign.exists() and reached.endpoint.address == str(tmp_path)
        assert transport.run(["pwd"], timeout_s=10).out.decode().strip() == str(tmp_path)
        with lent(reached) as again:  # what is held already is not asked for again
            assert again is reached and reached.lending == Lending()
    assert not sign.exists()


def test_a_board_that_somebody_else_has_is_no_trouble_of_the_board(tmp_path: Path) -> None:
    (tmp_path / "sign").touch()
    own, lines = board(tmp_path, f"{{by: shelf, sign: {tmp_path}/sign}}"), list[str]()
    with pytest.raises(BoardInUseError, match="board b: taken") as error, lent(own, 3.0, lines.append):
        pass
    assert reason_of(error.value) == "leased" and lines == ["waiting 3"]


@pytest.mark.parametrize(
    ("managed", "message", "hint"),
    [
        ("{place: a}", "hosts.yaml:5: boards.b.managed: `by:` must name the manager", "managed: {by: labgrid"),
        ("{by: shelv}", "hosts.yaml:5: boards.b.managed.by: unknown manager 'shelv'", "did you mean 'shelf'?"),
        ("{by: shelf}", "boards.b.managed: manager shelf needs `sign:`", "known keys: sign, root"),
        ("{by: shelf, sgin: a}", "boards.b.managed.sgin: manager shelf has no key 'sgin'", "did you mean 'sign'?"),
        ("{by: shelf, sign: 7}", "boards.b.managed.sign: expected text, got 7", '`sign: "7"`'),
    ],
)
def test_what_cannot_be_is_named_with_its_line(tmp_path: Path, managed: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        board(tmp_path, managed)
    assert message in error.value.message and hint in error.value.hint
