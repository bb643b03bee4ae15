"""A night on a farm is the night of one PC; what cannot be said is said before it begins."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, HarnessError, InputError
from harness.farm.addresses import Certificates, certificates_of, checked_address, is_loopback
from tests.cli.answers import answer_of
from tests.farm.kit import farm
from tests.house.sources import ROOT
from tests.nightly.lab import HEALTH, SUITE, Lab, halved, words
from tests.nightly.test_night import LAYERS, TIMES
from tests.support.builds import harness_here

CERTIFICATES = Certificates(Path("ca"), Path("pc"), Path("key"))


# --------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("text", "certificates", "insecure", "address"),
    [
        ("tcp://127.0.0.1:1", None, False, "tcp://127.0.0.1:1"),
        ("localhost", None, False, "tcp://localhost:8786"),
        ("127.0.0.3:99", None, False, "tcp://127.0.0.3:99"),
        ("[::1]:99", None, False, "tcp://[::1]:99"),
        ("farm", CERTIFICATES, False, "tls://farm:8786"),
        ("tls://0.0.0.0:8786", CERTIFICATES, False, "tls://0.0.0.0:8786"),
        ("tcp://10.0.0.5:8786", None, True, "tcp://10.0.0.5:8786"),
    ],
)
def test_addresses(text: str, certificates: Certificates | None, insecure: bool, address: str) -> None:
    assert checked_address(text, certificates, insecure) == address


@pytest.mark.parametrize(
    ("text", "certificates", "kind", "said_words"),
    [
        ("tcp://10.0.0.5:8786", None, ConfigError, "plain TCP beyond this PC"),
        ("tcp://0.0.0.0:8786", None, ConfigError, "plain TCP beyond this PC"),
        ("farm-pc", None, ConfigError, "plain TCP beyond this PC"),
        ("tls://127.0.0.1:1", None, InputError, "TLS needs certificates"),
        ("tcp://127.0.0.1:1", CERTIFICATES, InputError, "is plain TCP"),
        ("http://farm", None, InputError, "not the address of a scheduler"),
        ("farm:99999", None, InputError, "not the address of a scheduler"),
    ],
)
def test_an_address_that_strangers_reach_is_refused(
    text: str, certificates: Certificates | None, kind: type[HarnessError], said_words: str
) -> None:
    with pytest.raises(kind, match=said_words):
        checked_address(text, certificates, insecure=False)


def test_some_certificates_are_none(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("")
    with pytest.raises(InputError, match="TLS without --tls-cert"):
        certificates_of(tmp_path / "ca", None, None)
    with pytest.raises(InputError, match="no such file"):
        certificates_of(*[tmp_path / "absent"] * 3)
    assert [is_loopback(host) for host in ("localhost", "127.9.9.9", "::1", "0.0.0.0", "farm", "10.0.0.1")] == [
        *(True, True, True, False, False, False)
    ]


# --------------------------------------------------------------------------- the command line


def test_dask_is_loaded_late_and_its_absence_is_a_sentence(tmp_path: Path) -> None:
    """An interpreter that finds no dask: what a user without the extra has."""
    code = (
        "import sys\nsys.modules['distributed'] = sys.modules['dask'] = None\n"
        "from harness.__main__ import main\nsys.argv = ['harness', *sys.argv[1:]]\nmain()"
    )

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", code, "farm", *argv]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)

    assert run("--help").returncode == 0
    (tmp_path / "suite.yaml").write_text("suite: x\n")
    for argv in (["scheduler"], ["worker", "emu-x5", "--scheduler", "127.0.0.1"], ["status", "--scheduler", "::1"]):
        if argv[0] == "status":
            argv[-1] = "[::1]"
        result = run(*argv)
        assert (result.returncode, result.stderr.splitlines()) == (
            *(3, ["error: dask is not installed", "hint: pip install 'harness[dask]'"]),
        )


def test_a_scheduler_that_is_not_reachable_is_a_sentence_and_no_night_begins(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="dask is not installed (pip install 'harness[dask]')")
    lab = Lab(tmp_path, {"b1": ""})
    lab.write_suite([LAYERS], SUITE)
    status = harness_here("farm", "status", "--scheduler", "tcp://127.0.0.1:9", "--json", cwd=tmp_path)
    assert answer_of(status.stdout, "error")["exit_code"] == status.returncode == 3
    assert "the scheduler is not reachable" in status.stderr and "harness farm scheduler" in status.stderr
    submit = harness_here("farm", "submit", "suite.yaml", "--scheduler", "tcp://127.0.0.1:9", cwd=tmp_path)
    assert (submit.returncode, "not reachable" in submit.stderr) == (3, True)
    assert not (tmp_path / "nights").exists()
    refused = harness_here("farm", "submit", "suite.yaml", "--scheduler", "tcp://10.0.0.1:9", cwd=tmp_path)
    assert (refused.returncode, "--insecure" in refused.stderr) == (2, True)
    nothing = harness_here("farm", "submit", cwd=tmp_path)
    assert (nothing.returncode, "missing argument 'SUITE'" in nothing.stderr) == (2, True)


# --------------------------------------------------------------------------- the same night


def certificates(folder: Path) -> tuple[str, ...]:
    """Made by the commands of docs/farm.md."""
    text = (ROOT / "docs/farm.md").read_text().split("## Certificates")[1].split("```sh\n")[1].split("```")[0]
    subprocess.run(["sh", "-e", "-c", text], cwd=folder, check=True, capture_output=True)
    return "--tls-ca", f"{folder}/ca.pem", "--tls-cert", f"{folder}/pc.pem", "--tls-key", f"{folder}/pc.key"


def plain(night: Mapping[str, Any]) -> dict[str, Any]:
    """What a night says, without times, names of folders, and latencies, which are measured anew."""
    cells = [
        {
            key: cell[key]
            for key in ("case", "board", "state", "word", "reason", "consistency", "model_md5", "tries", "blamed")
        }
        | {"epoch": cell["epoch"], "outputs": cell.get("outputs"), "detail": cell["detail"]}
        | {"latency": bool(cell["latency"]), "sentence": (cell["latency"] or {}).get("sentence")}
        for cell in night["cells"]
    ]
    kept = (
        "suite",
        "state",
        "sentence",
        "exit_code",
        "tickets",
        "incidents",
        "votes",
        "boards",
        "left_out",
        "problems",
    )
    return {"cells": cells, **{key: night[key] for key in kept}}


def without_figures(text: str) -> str:
    """A page's or a JUnit file's text with every number and time as `0`."""
    return re.sub(r"\d+(?:[.,:T-]\d+)*Z?", "0", re.sub(r"<svg.*?</svg>", "<svg/>", text, flags=re.DOTALL))


@pytest.mark.slow
def test_a_suite_gives_the_same_on_one_pc_and_on_two(tmp_path: Path) -> None:
    """Two workers with caches and addresses of their own, TLS between all; two boards are well and one is wrong."""
    lab = Lab(tmp_path, {"b1": "", "b2": halved(), "b3": ""})
    lab.write_suite([LAYERS, TIMES], SUITE)
    code, one_pc = lab.nightly()
    first = lab.newest()
    with farm(lab, security=certificates(tmp_path)) as own:
        own.scheduler()
        own.worker("one", "b1", "b2")
        own.worker("other", "b3", host="127.0.0.3")
        night = own.submit("--json", "--junit", "ci.xml", "--nights", "farm")
        answer = answer_of(night.communicate(timeout=240)[0], "nightly")
        assert night.returncode == code == 3, own.log("submit")  # one board stands against two: it is to blame
        status = answer_of(
            own.start("status", "status", "--scheduler", own.address, "--json").communicate()[0], "farm-status"
        )
        assert [sorted(worker["boards"]) for worker in status["workers"]] == [["b1", "b2"], ["b3"]]
        assert status["jobs"] == [] and status["others"] == 0
        assert own.attempts() and {state for _, _, state in own.attempts()} == {"ended"}
    (second,) = (path.parent for path in (tmp_path / "farm").rglob("night.json"))
    several = json.loads((second / "night.json").read_text())
    assert plain(several) == plain(one_pc)
    assert answer["cells"] == several["cells"]
    for name in ("junit.xml", "index.html"):
        assert without_figures((second / name).read_text()) == without_figures((first / name).read_text())
    for cell in several["cells"]:
        run = second / cell["run"]
        assert {"run.json", "report.html"} <= {path.name for path in run.iterdir()}
        assert not list(run.rglob("*.bin")), "tensors stay on the worker's PC"
    assert list((tmp_path / "hosts/one/runs").rglob("*.bin"))
    assert list((tmp_path / "hosts/other/home/farm/contents").iterdir()), "files came by the database"


@pytest.mark.slow
def test_boards_without_a_worker_and_workers_of_another_harness_are_named(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {"b1": "", "b2": ""})
    lab.write_suite([LAYERS], SUITE + HEALTH)
    with farm(lab) as own:
        own.scheduler("--no-worker-after", "2")
        worker = own.worker("one", "b1")
        assert own.ended(own.submit()) == 3
        night = lab.night()
        assert words(night) == {("layers", "b1"): "pass", ("layers", "b2"): "unmeasured host"}
        (lonely,) = [cell for cell in night["cells"] if cell["board"] == "b2"]
        assert "no worker for board b2: harness farm worker b2 on its PC" in lonely["detail"]
        worker.terminate()
        assert worker.wait(60) == 0
        other = "import harness\nharness.__version__ = '0.0.9'\nfrom harness.__main__ import main\nmain()"
        line = [sys.executable, "-c", other, "farm", "worker", "b1", "--scheduler", own.address, "--json"]
        with (tmp_path / "old.log").open("w") as log:
            old = subprocess.Popen(
                line,
                cwd=tmp_path,
                env={**os.environ, "HARNESS_HISTORY": own.url},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        own.processes.append(old)
        own.wait_for("old", "connected with")
        assert own.ended(own.submit(name="again"), "again") == 3
        assert "has harness 0.0.9" in own.log("again")
        old.terminate()
        text = old.communicate(timeout=60)[0]
        assert answer_of(text, "farm-worker")["worker"]["version"] == "0.0.9"
        scheduler = own.start("json", "scheduler", "--listen", "127.0.0.1:0", "--json")
        own.wait_for("json", "scheduler: ")
        scheduler.terminate()
        assert json.loads(scheduler.communicate(timeout=60)[0])["answer"] == "farm-scheduler"
        answer_of(
            json.dumps({"answer": "farm-scheduler", "format": 1, "scheduler": "tcp://127.0.0.1:1"}), "farm-scheduler"
        )
