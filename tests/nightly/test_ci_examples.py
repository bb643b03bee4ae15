"""The examples of ways into a night: their commands parse, their files are what their readers take."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.house.test_docs import arguments_of, parse
from tests.support.servers import needs

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "ci"
FILES = sorted(path for path in FOLDER.iterdir() if path.is_file())
COMMAND = re.compile(r"(?:^|[\s'/])(harness (?:nightly|lint|boards) [^'\n]*)")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_command_of_an_example_parses(path: Path) -> None:
    if path.suffix == ".timer":
        return
    text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith(("#", "//")))
    lines = COMMAND.findall(text)
    assert any(line.startswith("harness nightly suite.yaml") for line in lines)
    for line in lines:
        parse(arguments_of(line.split(" >>")[0]))


def test_gitlab_keeps_the_order_of_its_jobs_and_the_night_after_a_failure() -> None:
    jobs = yaml.safe_load((FOLDER / "gitlab-ci.yml").read_text())
    stages = jobs.pop("stages")
    assert all(job["stage"] in stages for job in jobs.values())
    for job in jobs.values():
        assert all(stages.index(jobs[other]["stage"]) < stages.index(job["stage"]) for other in job.get("needs", []))
    night = jobs["night"]["artifacts"]
    assert (night["when"], night["reports"]["junit"]) == ("always", "junit.xml")


def test_github_pins_its_actions_and_asks_for_no_rights() -> None:
    text = (FOLDER / "github-night.yml").read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["night"]["steps"]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)
    assert steps[-1]["if"] == "always()"


def test_braces_and_quotes_of_the_jenkinsfile_close() -> None:
    text = re.sub(r"//.*", "", (FOLDER / "Jenkinsfile").read_text())
    bare = re.sub(r"'[^'\n]*'", "", text)
    assert "'" not in bare
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0


def test_systemd_takes_unit_and_timer(tmp_path: Path) -> None:
    """Its warnings are on stderr, with exit code 0: any line is a failure."""
    needs("systemd-analyze")
    for name in ("harness-night.service", "harness-night.timer"):
        text = (FOLDER / name).read_text().replace("/usr/local/bin/harness", str(shutil.which("true")))
        (tmp_path / name).write_text(text.replace("User=harness\n", "").replace("/srv/harness", "/"))
    units = [str(tmp_path / name) for name in ("harness-night.service", "harness-night.timer")]
    result = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    damaged = tmp_path / "harness-night.service"
    damaged.write_text(damaged.read_text().replace("KillMode=mixed", "KillMood=mixed"))
    result = subprocess.run(["systemd-analyze", "verify", str(damaged)], capture_output=True, text=True, timeout=60)
    assert "KillMood" in result.stderr
