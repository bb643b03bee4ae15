"""Command lines of the toolchain: in comments of a config, and in the scripts that people keep beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.lint.findings import LintFinding
from harness.lint.horizon.config import Config
from harness.lint.horizon.rules import MANUALS, RULES

CONFIG_FLAG = re.compile(r"(?:^|\s)(?:-c|--config)(?:[= ]+(?P<path>[^\s;|&]+))?")
COMMAND = re.compile(r"\bhb_mapper(?:\s+(?P<word>[^\s;|&]+))?(?P<rest>[^;|&\n]*)")
KNOWN = ("checker", "makertbin", "infer")
HELP = ("-h", "--help", "--version")


def in_comments(text: str) -> Iterator[tuple[int, str]]:
    """(line, command) of every wrong command line in a comment."""
    for number, line in enumerate(text.splitlines(), 1):
        comment = line.partition("#")[2]
        if is_wrong(comment):
            yield number, comment.strip()


def is_wrong(text: str) -> bool:
    """Whether a text calls hb_mapper with no subcommand, or one that it does not have."""
    return any(_is_wrong(match["word"] or "", match["rest"]) for match in COMMAND.finditer(text))


def _is_wrong(word: str, rest: str) -> bool:
    if word in KNOWN or word in HELP:
        return False
    if word.startswith("-"):
        return bool(CONFIG_FLAG.search(f" {word}{rest}"))
    return re.fullmatch(r"[a-z_]+", word) is not None and bool(CONFIG_FLAG.search(rest) or "--" in rest)


def right(config_name: str) -> str:
    """The command that makes a model of a config."""
    return f"hb_mapper makertbin --config {config_name} --model-type onnx"


def report(config: Config, line: int, command: str) -> None:
    """A wrong command line in a comment, at its line."""
    config.add("H-112", line, f"unknown command: {command}", right(config.name.rsplit("/", 1)[-1]))


def is_script(text: str) -> bool:
    """Whether a text is a script that calls the toolchain, and no config."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    calls = any(re.match(r"\s*(?:sudo\s+|time\s+)?(?:\S*/)?hb_(?:mapper|compile)\b", line) for line in lines)
    return text.startswith("#!") or (calls and not any(re.match(r"\w+_parameters\s*:", line) for line in lines))


def lint_script(text: str) -> tuple[LintFinding, ...]:
    """Findings of a shell script: calls of hb_mapper that it refuses, at their lines."""
    rule = RULES["H-112"]
    findings = []
    for number, line in _logical_lines(text):
        match = next((m for m in COMMAND.finditer(line) if _is_wrong(m["word"] or "", m["rest"])), None)
        if match is not None:
            named = CONFIG_FLAG.search(f" {match['word'] or ''}{match['rest']}")
            path = (named["path"] if named else None) or "config.yaml"
            message = f"unknown command: {match[0].strip()}"
            findings.append(LintFinding(rule.id, "error", number, message, MANUALS[""], right(path)))
    return tuple(findings)


def configs_of(text: str) -> tuple[tuple[int, str], ...]:
    """(line, path) of the configs that a script hands to the toolchain."""
    configs = []
    for number, line in _logical_lines(text):
        for match in re.finditer(r"\bhb_(?:mapper|compile)\b[^;|&\n]*", line):
            named = CONFIG_FLAG.search(match[0])
            if named and named["path"] and "$" not in named["path"]:
                configs.append((number, named["path"].strip("'\"")))
    return tuple(dict.fromkeys(configs))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, those that end in a backslash joined, with the number of the first."""
    start, held = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        start = start if held else number
        held += line
        if held.endswith("\\"):
            held = held[:-1] + " "
            continue
        yield start, "" if held.lstrip().startswith("#") else held
        held = ""
    if held:
        yield start, held
