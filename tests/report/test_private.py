"""Names of hosts and users, boot ids and folders of a user's own: in run.json, and in nothing that a report shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.report.markdown import markdown
from harness.report.page import render_tables
from harness.report.write import write_report
from tests.records.kit import lines, tables, typed
from tests.support import fixtures_run as runs
from tests.support.builds import ExampleModel, build, harness

PRIVATE = {
    "hostname": "kestrel-lab-41",
    "boot": "c0ffee00-1111-4222-8333-deadbeef0042",
    "work": "/data/wimbledon/harness-work",
    "address": "rk3588.corp.example",
    "login": "quillfeather",
    "name": "marmalade-pc",
    "user": "zzyzx",
    "home": "/mnt/homes/zzyzx",
    "cache": "/scratch/caches-of-zz/harness",
    "jump": "gatekeep@hop.corp.example:2222",
    "person": "ottoline",
}


def planted(source: dict[str, Any]) -> dict[str, Any]:
    """A run that holds every private value where a run can hold it, and in every text besides."""
    run: dict[str, Any] = json.loads(json.dumps(source))
    facts: dict[str, Any] = {key: PRIVATE[key] for key in ("hostname", "boot", "work")}
    facts |= {"tools": {"tool": f"{PRIVATE['cache']}/boards/x5/bin/tool"}, "kernel": f"6.1 {PRIVATE['hostname']}"}
    run["board"] |= {"facts": facts, "address": PRIVATE["address"], "user": PRIVATE["login"], "jump": PRIVATE["jump"]}
    run["host"] |= {key: PRIVATE[key] for key in ("name", "user", "home", "cache")}
    private = [
        f"{PRIVATE['login']}@{PRIVATE['address']}:22: no answer (by {PRIVATE['jump']})",
        f"unknown@{PRIVATE['address']}: refused",
        f"{PRIVATE['home']}/runs/x: No space left on device",
        f"'{PRIVATE['cache']}/boards' and /home/{PRIVATE['person']}/model.bin of {PRIVATE['person']}",
        f"{PRIVATE['hostname']}: boot {PRIVATE['boot']}, {PRIVATE['name']}, {PRIVATE['user']}; {PRIVATE['work']}/runs",
    ]
    for key in ("problems", "notes"):
        run[key] = [*(run.get(key) or []), *private]
    for mode in run["modes"]:
        mode["command"] = ["tool", f"--model={PRIVATE['work']}/cache/ab.bin", f"/home/{PRIVATE['person']}/x"]
        mode["environment"] = {"HARNESS_PATH": f"{PRIVATE['cache']}/bin:/opt/bin"}
        mode["notes"] = private
        mode["failure"] = {"kind": "k", "message": private[0], "hint": private[2], "evidence": "\n".join(private)}
    run["findings"] = [dict.fromkeys(("rule", "severity", "title", "evidence", "advice", "subject"), private[4])]
    run["case"]["options"] = {"path": PRIVATE["home"]}
    if run.get("verdict"):
        run["verdict"]["detail"] = private[0]
    run["model_info"] = {**(run.get("model_info") or {}), "warnings": private, "problems": private}
    return run


def secrets_in(text: str) -> list[str]:
    parts = [part for value in PRIVATE.values() for part in {value, *value.split("@")}]
    return sorted({part for part in parts if part in text})


@pytest.mark.parametrize("name", ["consistent", "diverging", "failed", "interrupted", "memory", "nightly", "unstable"])
def test_no_form_of_a_report_shows_a_private_value(name: str, tmp_path: Path) -> None:
    run = planted(runs.ALL[name]())
    data = tables(run)
    page, beside, _ = write_report(typed(run), tmp_path / "report.html")
    for form in (page.read_text(), beside.read_text(), markdown(data), "\n".join(lines(run))):
        assert secrets_in(form) == []
    assert "&lt;work&gt;/cache/ab.bin" in page.read_text() and "/opt/bin" in page.read_text()


def test_what_is_no_secret_stays_as_it_is() -> None:
    """A board that is called like its host name, a layer like a user, and `@` in a fault's name."""
    run = runs.diverging_run(18, origin=9)
    plain = json.dumps(tables(run))
    layer = run["comparison"]["layers"][3]["name"]
    run["board"]["facts"] |= {"hostname": run["board"]["name"], "work": "/data"}
    run["host"] |= {"user": layer, "name": run["board"]["soc"], "home": "/", "cache": ""}
    assert json.dumps(tables(run) | {"environment": []}) == json.dumps(json.loads(plain) | {"environment": []})
    run["notes"] = ["fault halved@conv3:1 is planted", "1000 of 1000"]
    run["host"]["user"] = "1000"
    assert tables(run)["notes"][:2] == run["notes"]


def test_a_page_of_tables_is_what_is_shown() -> None:
    """The page adds nothing of its own to the tables."""
    data = tables(planted(runs.failed_run()))
    assert secrets_in(render_tables(data)) == []


@pytest.fixture(scope="module")
def digits(shared_folder: Path) -> ExampleModel:
    return build(shared_folder, "digits")


@pytest.mark.slow
def test_a_real_run_keeps_them_and_its_report_does_not(
    digits: ExampleModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, home = tmp_path / "caches-of-zz", tmp_path / "homes" / "ottoline"
    home.mkdir(parents=True)
    for key, value in {"HARNESS_HOME": cache, "HOME": home, "LOGNAME": "zzyzx", "USER": "zzyzx"}.items():
        monkeypatch.setenv(key, str(value))
    argv: list[str | Path] = [
        "--board",
        "emu-x5",
        "--input",
        digits.input,
        "--reference",
        digits.reference,
        "--frames",
        "2",
    ]
    result = harness("run", digits.model, *argv, cwd=tmp_path, check=True)
    (file,) = tmp_path.rglob("run.json")
    run = json.loads(file.read_text())
    facts = run["board"]["facts"]
    private = [str(cache), str(home), facts["hostname"], facts["boot"], run["host"]["name"], "zzyzx"]
    assert all(value and value in file.read_text() for value in private)
    shown = [(file.parent / name).read_text() for name in ("report.html", "report.json")]
    shown += [harness("report", file.parent, "--markdown", cwd=tmp_path).stdout]
    summary = [line for line in result.stdout.splitlines() if not line.startswith("report ")]
    for text in (*shown, "\n".join(summary)):
        assert [value for value in private if re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", text)] == []
