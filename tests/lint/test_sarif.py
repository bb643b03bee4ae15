"""SARIF, held against the official schema of version 2.1.0 (tests/data/sarif)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.lint.base import LintVendor
from harness.lint.findings import LintFinding, LintRule
from harness.lint.sarif import to_sarif, uri_of
from harness.vendors import parts
from tests.support.lint_examples import EXAMPLES

SCHEMA = Path(__file__).resolve().parents[1] / "data/sarif/sarif-schema-2.1.0.json"
KNOWN: dict[str, LintRule] = {
    name: rule for vendor in parts("lint", LintVendor).values() for name, rule in vendor.rules.items()
}


@pytest.fixture(scope="module")
def official() -> jsonschema.Draft4Validator:
    return jsonschema.Draft4Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def complaints(official: jsonschema.Draft4Validator, log: object) -> list[str]:
    return [f"{list(error.path)}: {error.message}" for error in official.iter_errors(log)]


def log_of(*findings: LintFinding, file: str = "config.yaml") -> dict[str, Any]:
    return to_sarif(findings, file, "0.1.0", KNOWN)


def test_a_finding_of_every_rule_is_sarif_as_is_none_at_all(official: jsonschema.Draft4Validator) -> None:
    every = [LintFinding(name, rule.severity, 0, "what", rule.source, "fix") for name, rule in KNOWN.items()]
    log = log_of(*every)
    assert complaints(official, log) == [] == complaints(official, log_of())
    assert len(log["runs"][0]["tool"]["driver"]["rules"]) == len(KNOWN) > 20
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert len(complaints(official, log)) == 1, "the schema is looked at"


@pytest.mark.parametrize("rule", sorted(EXAMPLES)[::9])
def test_what_the_command_prints_is_sarif(rule: str, official: jsonschema.Draft4Validator, tmp_path: Path) -> None:
    config = tmp_path / "a config.yaml"
    config.write_text(EXAMPLES[rule][0], encoding="utf-8")
    log = json.loads(CliRunner().invoke(cli, ["lint", str(config), "--sarif"]).stdout)
    assert complaints(official, log) == [] and log["runs"][0]["results"]
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == config.as_uri()


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("config.yaml", "config.yaml"),
        ("./sub/../a.yaml", "sub/../a.yaml"),
        ("/abs/a b.yaml", "/abs/a b.yaml"),
        ("50% #1?.yaml", "50% #1?.yaml"),
        ("c:a.yaml", "c:a.yaml"),
        ("sub\\a.yaml", "sub/a.yaml"),
        ("\u5377\u79ef.yaml", "\u5377\u79ef.yaml"),
        (os.fsdecode(b"\xff.yaml"), os.fsdecode(b"\xff.yaml")),
    ],
)
def test_a_path_becomes_a_uri_reference_that_is_read_back(file: str, path: str) -> None:
    uri = uri_of(file)
    assert re.fullmatch(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]+", uri) and not re.search(r"%(?![0-9A-F]{2})", uri)
    split = urlsplit(uri)
    assert unquote(split.path, errors="surrogateescape") == path
    assert split.scheme == ("file" if path.startswith("/") else "")
