"""Reader of hb_verifier and hb_model_verifier output: strict checks of X3/J5/X5, tables of J6/S100."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.toolchains.horizon.log import VERSION
from harness.toolchains.horizon.messages import read_messages
from harness.toolchains.records import Artifact, Check, Similarity
from harness.toolchains.text import Line, PipeTable, count_of, lines_of, number_of, pipe_tables

STRICT = re.compile(r"Strict check (?P<word>PASSED|FAILED)$")
CONSISTENT = re.compile(r"model output consistency comparison was successful")
INCONSISTENT = re.compile(r"model output consistency compar\w+ was failed|No output to compare")
SKIPPED = re.compile(r"skip this tensor calculation")
SOURCE = re.compile(r"^compare source: (?P<what>.+)$")
OUTPUT = re.compile(r"^Comparison results of original output is (?P<name>\S+)$")
FIGURE = re.compile(
    r"^(?P<key>mismatch line num|total line num|mismatch rate|mismatch result num|total result num"
    r"|relative mismatch ratio|max abs error|mismatch\.line_(?:miss|diff|nan) num): (?P<n>\S+)$"
)
OF = re.compile(r"^(?P<n>\d+)\s*/\s*(?P<total>\d+)")


@dataclass
class _State:
    figures: dict[str, float] = field(default_factory=dict)
    source: str = ""
    output: str = ""


def read_verifier(text: str) -> Artifact:
    """Strict checks, J6 cosine rows and J6 consistency rows, with what could not be read."""
    lines = list(lines_of(text))
    checks, facts, problems = _strict(lines)
    similarities: list[Similarity] = []
    tables = pipe_tables(lines)
    for table in tables:
        similarities.extend(_cosines(table))
        checks.extend(_consistency(table))
    damaged = sum(table.damaged for table in tables)
    if damaged:
        problems.append(f"{damaged} truncated table rows skipped")
    sentences = sum(1 for line in lines if CONSISTENT.search(line.text) or INCONSISTENT.search(line.text))
    if sentences > 1:
        problems.append(f"the file holds {sentences} verdicts; it is only a success if all of them are")
    if not checks and not similarities and _verdict_sentence(lines) is None:
        problems.append("no verdict and no table in it")
    version = next((m["version"] for line in lines if line.whole and (m := VERSION.match(line.text))), "")
    return Artifact(
        kind="hb_verifier",
        title="hb_verifier output",
        versions={"hb_verifier": version} if version else {},
        finished=_whole_verdict(_verdict(checks) if checks else None, _verdict_sentence(lines)),
        similarities=tuple(similarities),
        checks=tuple(checks),
        messages=tuple(one for one in read_messages(lines) if one.meaning or one.severity == "error"),
        facts=facts,
        problems=tuple(problems),
    )


def _verdict_sentence(lines: Sequence[Line]) -> bool | None:
    """The verdict of J6's tool in a sentence. Nothing compared, an error, or one of several verdicts: no success."""
    text = "\n".join(line.text for line in lines)
    if INCONSISTENT.search(text) or any(line.level in ("ERROR", "CRITICAL") for line in lines):
        return False
    return True if CONSISTENT.search(text) and not SKIPPED.search(text) else None


def _verdict(checks: Sequence[Check]) -> bool | None:
    if any(check.passed is False for check in checks):
        return False
    return True if checks and all(check.passed for check in checks) else None


def _whole_verdict(of_checks: bool | None, of_sentences: bool | None) -> bool | None:
    """A tool may say both, and an appended file several: one failure is one."""
    words = [word for word in (of_checks, of_sentences) if word is not None]
    return all(words) if words else None


def _strict(lines: Sequence[Line]) -> tuple[list[Check], dict[str, float], list[str]]:
    """Figures stand before the verdict that they belong to; without a verdict a mismatch is still a mismatch."""
    state = _State()
    checks: list[Check] = []
    everything: dict[str, float] = {}
    for line in lines:
        text = line.text.strip()
        if match := FIGURE.match(text):
            number = number_of(match["n"]) if line.whole else None
            if number is not None:
                state.figures[match["key"]] = everything[match["key"]] = number
        elif match := SOURCE.match(text):
            state.source = match["what"]
        elif match := OUTPUT.match(text):
            state.output = match["name"]
        elif match := STRICT.search(text):
            what = text[: match.start()].strip().removesuffix(" result")
            checks.append(_check(what, match["word"] == "PASSED", state.figures))
            state.figures = {}
    if state.figures:
        checks.append(_check(state.source or "output", None, state.figures))
    facts: dict[str, float] = {key: value for key, value in everything.items() if key.startswith("mismatch")}
    problems = [] if checks else ["no strict check in it"] if everything else []
    return checks, facts, problems


def _check(what: str, passed: bool | None, figures: dict[str, float]) -> Check:
    mismatched = figures.get("mismatch result num", figures.get("mismatch line num"))
    total = figures.get("total result num", figures.get("total line num"))
    if passed is None and mismatched is not None:
        passed = mismatched == 0
    return Check(
        what=what,
        passed=passed,
        mismatched=int(mismatched) if mismatched is not None else None,
        total=int(total) if total is not None else None,
        max_abs_error=figures.get("max abs error"),
        max_relative_error=None,
    )


def _cosines(table: PipeTable) -> list[Similarity]:
    words = [column.lower().replace(" ", "") for column in table.columns]
    if "tensorname" not in words or not any("cosine" in word for word in words):
        return []
    rows = []
    for row in table.rows:
        cells = dict(zip(words, row, strict=True))
        metrics = {word: number_of(cell) for word, cell in cells.items() if "cosine" in word}
        rows.append(
            Similarity(
                name=cells.get("nodename", ""),
                tensor=cells["tensorname"],
                metrics={_metric(word): value for word, value in metrics.items() if value is not None},
            )
        )
    return rows


def _metric(word: str) -> str:
    return {"cosinesimilarity": "cosine", "calibratedcosine": "calibrated_cosine"}.get(
        word, word.replace("cosine", "_cosine")
    )


def _consistency(table: PipeTable) -> list[Check]:
    """J6 bc/hbm: output_name, ret, mismatched n/total (%), max_abs_diff, max_rel_diff."""
    if len(table.columns) != 5 or not all(row[1] in ("True", "False") for row in table.rows):
        return []
    checks = []
    for name, ret, mismatched, max_abs, max_rel in table.rows:
        part = OF.match(mismatched)
        checks.append(
            Check(
                what=name,
                passed=ret == "True",
                mismatched=count_of(part["n"]) if part else count_of(mismatched),
                total=count_of(part["total"]) if part else None,
                max_abs_error=number_of(max_abs),
                max_relative_error=number_of(max_rel),
            )
        )
    return checks
