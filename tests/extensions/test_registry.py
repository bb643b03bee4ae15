"""Things are found by the files of a folder and by installed packages; a broken package costs only itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.boards.flat import compose
from harness.boards.hosts_file import load_boards
from harness.errors import ConfigError
from harness.extensions import packages
from harness.records import Board
from harness.transports import KINDS, open_transport
from tests.extensions.installed import install

GROUP = "harness.transports"
PIGEON = """\
from harness.transports.base import Kind
from harness.transports.kinds import local
KIND = Kind(lambda board, prompt, patience: local.connect(board, prompt, patience), needs_address=False)
NOTHING = "coo"
"""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    packages.forget()
    yield
    packages.forget()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def board(transport: str, root: Path) -> Board:
    return compose("b", "hbdnn", "x5", transport=transport, address=str(root))


def test_a_package_gives_a_transport_under_its_name(site: Path, tmp_path: Path) -> None:
    install(site, "pigeons", {GROUP: {"pigeon": "pigeons_a:KIND"}}, {"pigeons_a": PIGEON})
    with open_transport(board("pigeon", tmp_path).endpoint) as link:
        assert link.run(["echo", "coo"], timeout_s=10).out == b"coo\n"
    assert KINDS.names() == ("local", "openssh", "ssh", "telnet", "pigeon")


def test_a_name_that_nobody_gives_is_told_with_those_that_are(site: Path, tmp_path: Path) -> None:
    install(site, "pigeons", {GROUP: {"pigeon": "pigeons_b:KIND"}}, {"pigeons_b": PIGEON})
    with pytest.raises(ConfigError, match="unknown transport 'pidgeon'") as error:
        open_transport(board("pidgeon", tmp_path).endpoint)
    assert "did you mean 'pigeon'?" in error.value.hint and "local, openssh, ssh, telnet, pigeon" in error.value.hint


def test_two_packages_with_one_name_are_both_named(site: Path, tmp_path: Path) -> None:
    for project in ("pigeons", "doves"):
        install(site, project, {GROUP: {"bird": "birds_c:KIND"}}, {"birds_c": PIGEON})
    with pytest.raises(ConfigError, match=r"'bird' is given by 2 packages: doves 1\.0, pigeons 1\.0") as error:
        open_transport(board("bird", tmp_path).endpoint)
    assert "pip uninstall" in error.value.hint
    assert "bird" not in KINDS.all() and "doves 1.0, pigeons 1.0" in packages.problems()[0]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("pigeons_d:NOTHING", "it is a str, expected a Kind"),
        ("pigeons_d:ABSENT", "AttributeError"),
        ("no_such_module_d:KIND", "ModuleNotFoundError"),
        ("raises_d:KIND", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_package_that_is_broken_is_named_and_costs_only_itself(
    site: Path, tmp_path: Path, target: str, why: str
) -> None:
    modules = {"pigeons_d": PIGEON, "raises_d": "1 / 0\n"}
    install(site, "pigeons", {GROUP: {"pigeon": target}}, modules)
    with pytest.raises(ConfigError, match=r"package pigeons 1\.0 cannot give transport 'pigeon'") as error:
        open_transport(board("pigeon", tmp_path).endpoint)
    assert why in error.value.message and "pip uninstall pigeons" in error.value.hint
    with open_transport(board("local", tmp_path).endpoint) as link:
        assert link.alive()
    assert list(KINDS.all()) == list(KINDS.built_in)
    assert "left out: package pigeons 1.0" in packages.problems()[0]


def test_a_name_of_harness_itself_cannot_be_taken(site: Path) -> None:
    install(site, "pigeons", {GROUP: {"ssh": "pigeons_e:KIND"}}, {"pigeons_e": PIGEON})
    assert KINDS.get("ssh").host_keys
    assert KINDS.names() == KINDS.built_in and "harness already has one of that name" in packages.problems()[0]


@pytest.mark.parametrize("argv", [["--help"], ["run", "--help"], ["lint", "--help"], ["report", "--help"]])
def test_help_reads_no_metadata(argv: list[str]) -> None:
    code = (
        "import sys\nfrom harness.cli import cli\n"
        "try:\n    cli(sys.argv[1:], prog_name='harness')\n"
        "except SystemExit:\n    print('METADATA' if 'importlib.metadata' in sys.modules else 'NONE')\n"
    )
    result = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True)
    assert "Usage: harness" in result.stdout and result.stdout.endswith("NONE\n")


def test_reading_an_inventory_of_built_in_names_asks_no_package(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("boards:\n  b: {platform: hbdnn, soc: x5, address: h}\n")
    assert load_boards(tmp_path / "hosts.yaml")["b"].endpoint.port == 22
    assert packages.given.cache_info().currsize == 0
    (tmp_path / "hosts.yaml").write_text("boards:\n  b: {platform: hbdnn, soc: x5, address: h, transport: telnet}\n")
    assert load_boards(tmp_path / "hosts.yaml")["b"].endpoint.port == 23


def test_an_unknown_transport_in_the_inventory_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("boards:\n  b:\n    platform: hbdnn\n    transport: telnt\n    address: h\n")
    with pytest.raises(ConfigError, match=r"hosts\.yaml:4: boards\.b\.transport: unknown transport 'telnt'") as error:
        load_boards(tmp_path / "hosts.yaml")
    assert "did you mean 'telnet'?" in error.value.hint


def test_a_built_in_board_asks_no_package() -> None:
    """pydantic reads metadata of its own accord, so what is counted are harness's own questions to packages."""
    code = (
        "from harness.boards.connect import open_board\nfrom harness.boards.inventory import find_board\n"
        "from harness.emulator.model.faults import parse_faults\nfrom harness.extensions import packages\n"
        "with open_board(find_board('emu-x5')) as (_, link):\n    assert link.alive()\n"
        "parse_faults('halved@conv;silent_failure@infer')\n"
        "print(packages.given.cache_info().currsize)\n"
        "from harness.emulator.built_in import boards\nboards()\nprint(packages.given.cache_info().currsize)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["0", "1"]
