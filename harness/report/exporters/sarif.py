"""A run's findings as SARIF 2.1.0, for code scanning and editors.

A finding about an op has no line of a file: its physical place is the model, its logical one the op. GitHub shows a
result only with a physical place, and knows it again by its fingerprint.
"""

from __future__ import annotations

import hashlib
import json

from harness.records import Run
from harness.report.exporting import Exporter
from harness.report.values import Row, shortened

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "note": "note"}


def export(run: Run) -> str:
    """One SARIF run: a rule per kind of finding, a result per finding, the verdict among its properties."""
    from harness.report.tables.run import tables

    return json.dumps(_log(run, tables(run)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _log(run: Run, data: Row) -> Row:
    rules = list(dict.fromkeys(row["rule"] for row in data["findings"]))
    one: Row = {
        "tool": {"driver": _driver(data, rules)},
        "automationDetails": {"id": f"harness/{shortened(run.case.name)}/{shortened(run.board.name)}/"},
        "artifacts": _artifacts(run),
        "results": [_result(run, row, rules.index(row["rule"])) for row in data["findings"]],
        "properties": {"run": data["run"]["id"], "verdict": data["headline"]["word"]},
    }
    invocation = _invocation(run)
    more: Row = {"invocations": [invocation]} if invocation else {}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [one | more]}


def _driver(data: Row, rules: list[str]) -> Row:
    first = {row["rule"]: row for row in reversed(data["findings"])}
    version = data["run"]["harness_version"] or "0"
    held = [
        {
            "id": rule,
            "shortDescription": {"text": f"finding {rule}"},
            "help": {"text": shortened(first[rule]["advice"], 1000) or "see the report"},
            "defaultConfiguration": {"level": _level(first[rule])},
        }
        for rule in rules
    ]
    return {"name": "harness", "version": version, "semanticVersion": version, "rules": held}


def _level(row: Row) -> str:
    return _LEVELS.get(row["severity"], "warning")  # a word that this version does not know is not made light of


def _artifacts(run: Run) -> list[Row]:
    model = run.case.model
    if model is None:
        return []
    hashes = {name: value for name, value in (("md5", model.md5), ("sha-256", model.sha256)) if value}
    return [{"location": {"uri": _uri(model.name)}, **({"hashes": hashes} if hashes else {})}]


def _uri(name: str) -> str:
    from urllib.parse import quote

    return quote(name.encode("utf-8", "backslashreplace").decode())


def _result(run: Run, row: Row, place: int) -> Row:
    message = ". ".join(part.rstrip(".") for part in (row["title"], row["evidence"], row["advice"]) if part)
    key = "\0".join((row["rule"], run.case.name, run.board.name, row["subject"]))
    place_of_op = {"fullyQualifiedName": shortened(row["subject"]), "kind": "element"}
    location: Row = {"logicalLocations": [place_of_op]} if row["subject"] else {}
    if run.case.model:
        artifact = {"uri": _uri(run.case.model.name), "index": 0}
        location["physicalLocation"] = {"artifactLocation": artifact, "region": {"startLine": 1}}
    return {
        "ruleId": row["rule"],
        "ruleIndex": place,
        "level": _level(row),
        "message": {"text": f"{shortened(message, 4000)}."},
        "locations": [location] if location else [],
        "partialFingerprints": {"harnessFinding/v1": hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()},
    }


def _invocation(run: Run) -> Row:
    if run.verdict is None:
        return {}
    facts: Row = {"executionSuccessful": run.verdict.exit_code in (0, 1), "exitCode": run.verdict.exit_code}
    return facts | ({"startTimeUtc": run.started_utc} if run.started_utc.endswith("Z") else {})


ENTRY = Exporter("findings for code scanning (SARIF 2.1.0)", export)
