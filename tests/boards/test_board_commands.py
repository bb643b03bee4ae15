"""`harness boards` against a board behind a real server: who has it, what is left on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agent import Agent
from harness.emulator.servers.serve import Served, serve
from harness.records import Invocation
from harness.transports import open_transport
from tests.cli.answers import answer_of
from tests.support.builds import harness
from tests.support.servers import needs, ssh_board


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    needs("dropbear", "ssh-keygen")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with serve(tmp_path / "root", "dropbear") as made:
        fields = {"platform": "ort", "soc": "x86", "address": made.address, "port": made.port, "user": made.user}
        fields |= {"identity": made.identity, "known_hosts": made.known_hosts, "work": "work"}
        away = fields | {"port": 1, "limits": {"connect_timeout_s": 1}}
        (tmp_path / "hosts.yaml").write_text(json.dumps({"boards": {"here": fields, "away": away}}))
        yield made


def test_the_list_says_who_has_a_board_and_for_how_long(served: Served, tmp_path: Path) -> None:
    def listed() -> dict[str, dict[str, object]]:
        result = harness("boards", "list", "--leases", "--json", cwd=tmp_path, check=True)
        return {board["name"]: board.get("lease") for board in answer_of(result.stdout, "boards-list")["boards"]}

    first = listed()
    assert first["here"]["held"] is False and "refused" in str(first["away"]["error"])
    assert first["emu-x5"] is None, "a board that is only played is not asked"
    leased = harness("boards", "lease", "here", "--minutes", "5", "--json", cwd=tmp_path, check=True)
    assert answer_of(leased.stdout, "boards-lease")["held"]
    held = listed()["here"]
    assert held["held"] is True and "process" in str(held["holder"]) and 0 < float(str(held["left_s"])) <= 300
    shown = harness("boards", "list", "--leases", cwd=tmp_path, check=True).stdout
    assert "lease" in shown and "at most 2" in " ".join(shown.split())
    assert "lease" not in harness("boards", "list", cwd=tmp_path, check=True).stdout
    released = harness("boards", "release", "here", "--json", cwd=tmp_path, check=True)
    assert answer_of(released.stdout, "boards-release")["was_held"]
    trusted = harness("boards", "trust", "here", "--yes", "--json", cwd=tmp_path, check=True)
    assert answer_of(trusted.stdout, "boards-trust")["sha256"]


def test_cleaning_frees_what_runs_left_but_not_under_somebody(served: Served, tmp_path: Path) -> None:
    with open_transport(ssh_board(served).endpoint) as link:
        agent = Agent(link, "work")
        agent.install()
        place = agent.files.new_folder("old")
        agent.jobs.wait(agent.jobs.start(Invocation(("sh", "-c", "echo x >dump")), place, 10))
        (tmp_path / "root/work/cache").mkdir()
        (tmp_path / "root/work/cache/.0123.part").write_bytes(b"cut off")
        agent.lease.take("anna", 60)
        refused = harness("boards", "clean", "here", cwd=tmp_path)
        assert refused.returncode == 3 and "held by anna" in refused.stderr and Path(place, "dump").exists()
        agent.lease.release()
    result = harness("boards", "clean", "here", "--json", cwd=tmp_path, check=True)
    assert answer_of(result.stdout, "boards-clean")["runs"] == 1
    assert [path for path in (tmp_path / "root/work").rglob("*") if not path.is_dir()] == []
