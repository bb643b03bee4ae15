"""`lint_ptq`: the json of magik-transform-tools' --ptq_config_path, the folders it names, and the command line.

Facts: the vendor's quantization guide (Feb. 2022), chapters 2 to 4, 7 and 8. A place where the guide contradicts itself
(MAX or MAX_ABS; feature_quantize_bit or _bits) is a warning with both words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.lint.findings import LintFinding
from harness.lint.magik.command import finding_of, lint_command
from harness.lint.magik.model import against_model
from harness.lint.numbers import number
from harness.lint.paths import files_in, is_file, is_folder, is_there

FORMATS = ("RGB", "BGR", "GRAY")
FEATURE_METHODS = ("KL", "ADMM", "MSE")
WEIGHT_METHODS = ("MAX_ABS", "ADMM")
BITS = (8, 10, 12, 14)
REQUIRED = (
    "format", "width", "height", "path", "used_image_num", "feature_quantize_method", "weight_quantize_method",
)  # fmt: skip
OPTIONAL = (
    "feature_quantize_bits", "weight_quantize_bits", "debug", "bias_corr", "weight_fake_quant", "feature_fake_quant",
    "skip_node_quant", "skip_op_quant",
)  # fmt: skip
NESTED = {
    "debug": {"open": bool, "debug_input_path": str, "debug_output_dir": str},
    "bias_corr": {"weight_corr": bool, "feature_corr": bool, "vali_dir": str, "corr_dir": str},
}
READ = ("debug_input_path", "vali_dir", "corr_dir")  # of those, what the tool reads
MISSPELT = {"feature_quantize_bit": "feature_quantize_bits", "weight_quantize_bit": "weight_quantize_bits"}
PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
FEW, MANY = 10, 100  # calibration pictures that the guide recommends
USUAL = 50
MOST_FILES = 20_000
OWN_WORDS = re.compile(
    r"used[ _-]*image[ _-]*num|(?:feature|weight)[ _-]*quantize[ _-]*(?:method|bits?)", re.IGNORECASE
)
YAML_KEY = re.compile(r"^[ \t]*[\w-]+[ \t]*:(?:\s|$)", re.MULTILINE)


@dataclass
class Ptq:
    """The config being linted and the findings so far."""

    text: str
    values: Mapping[str, Any]
    folder: Path | None
    findings: list[LintFinding] = field(default_factory=list)

    def line(self, key: str) -> int:
        """The line of a key, from 1; 1 where it is not in the text."""
        match = re.search(rf'"{re.escape(key)}"\s*:', self.text)
        return self.text.count("\n", 0, match.start()) + 1 if match else 1

    def add(self, rule: str, key: str, message: str, fix: str) -> None:
        """Keep a finding at the line of its key."""
        self.findings.append(finding_of(rule, self.line(key), message, fix))


def is_ptq(text: str) -> bool:
    """Whether a text is meant as such a json, damaged or not: its own words, however they are joined."""
    head = text.lstrip("\ufeff \t\r\n")
    return OWN_WORDS.search(text) is not None and (head.startswith("{") or not YAML_KEY.search(text))


def lint_ptq(
    text: str, name: str, folder: Path | None = None, command: str = "", model: Path | None = None
) -> tuple[LintFinding, ...]:
    """Findings by line. `command` is the transform command line, or a script that holds it. Errors: ConfigError for a
    file that is no json object."""
    values = _parse(text)
    if isinstance(values, LintFinding):
        return (values, *(lint_command(command, {}, None) if command else ()))
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: not a JSON object", "a ptq config begins with {")
    ptq = Ptq(text, values, folder)
    _doubled(ptq)
    _keys(ptq)
    _values(ptq)
    _nested(ptq)
    _pictures(ptq)
    for complaint in against_model(values, model) if model is not None else ():
        ptq.add(*complaint)
    findings = [*ptq.findings, *(lint_command(command, values, model, name) if command else ())]
    return tuple(sorted(findings, key=lambda one: (one.line, one.rule)))


# --------------------------------------------------------------------------- json


def _parse(text: str) -> Any:
    """The value, or the finding that says where it is no json."""
    try:
        return json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as strict:
        error = _at_the_comma(strict)
        lines = text.lstrip("\ufeff").split("\n")
        line = lines[error.lineno - 1].rstrip("\r") if error.lineno <= len(lines) else ""
        caret = " " * (error.colno - 1) + "^"
        why = _why(lines, error)
        return finding_of("M-701", error.lineno, f"invalid json: {why}\n{line.expandtabs(1)}\n{caret}", "see the caret")
    except RecursionError:
        return finding_of("M-701", 1, "invalid json: nested too deeply", "flatten it")
    except ValueError as error:  # of a number with thousands of digits
        long = re.search(r"\d{1000}", text)
        at = text.count("\n", 0, long.start()) + 1 if long else 1
        return finding_of(
            "M-701", at, f"invalid json: {str(error).partition(';')[0]}", "write a number of usual length"
        )


def _at_the_comma(error: json.JSONDecodeError) -> json.JSONDecodeError:
    """A comma too many is shown where it stands, as Python 3.13 does; older ones name what comes after it."""
    before = error.doc[: error.pos].rstrip()
    if before.endswith(",") and _ends_here(error.doc[error.pos :]):
        return json.JSONDecodeError(error.msg, error.doc, len(before) - 1)
    return error


def _ends_here(rest: str) -> bool:
    return rest.lstrip()[:1] in ("}", "]", "")


def _why(lines: Sequence[str], error: json.JSONDecodeError) -> str:
    rest = "\n".join(lines)[error.pos :].lstrip()
    if rest[:1] == "," and _ends_here(rest[1:]):
        return "comma before the closing bracket"
    if "delimiter" in error.msg and rest[:1] == '"':
        return "missing comma before this key"
    if rest[:1] == "'":
        return "single quotes; JSON needs double quotes"
    if rest.startswith(("//", "/*", "#")):
        return "comments are not allowed in JSON"
    return error.msg[0].lower() + error.msg[1:]


def _doubled(ptq: Ptq) -> None:
    """Keys that stand twice in one object: json takes the last, without a word."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = set()
        for key, _ in items:
            if key in seen:
                ptq.add("M-703", key, f"duplicate key {key!r}; the last one is used", f"keep one {key!r}")
            seen.add(key)
        return dict(items)

    json.loads(ptq.text.lstrip("\ufeff"), object_pairs_hook=pairs)


def _keys(ptq: Ptq) -> None:
    for key in REQUIRED:
        if key not in ptq.values:
            ptq.add("M-702", key, f"{key!r} is missing", f'"{key}": ...')
    for key in ptq.values:
        if key in MISSPELT:
            right = MISSPELT[key]
            ptq.add(
                "M-704", key, f"{key!r}: chapter 8 of the guide spells it this way, chapter 3 {right!r}", f'"{right}"'
            )
        elif key not in (*REQUIRED, *OPTIONAL):
            near = get_close_matches(key, (*REQUIRED, *OPTIONAL), n=1)
            ptq.add(
                "M-703",
                key,
                f"unknown key {key!r} of a ptq config",
                f"did you mean {near[0]!r}?" if near else "drop it",
            )


# --------------------------------------------------------------------------- values


def _values(ptq: Ptq) -> None:
    _one_of(ptq, "format", FORMATS)
    _one_of(ptq, "feature_quantize_method", FEATURE_METHODS)
    if ptq.values.get("weight_quantize_method") == "MAX":
        ptq.add("M-704", "weight_quantize_method", "'MAX': the guide says MAX, its example and the tool MAX_ABS",
                '"weight_quantize_method": "MAX_ABS"')  # fmt: skip
    else:
        _one_of(ptq, "weight_quantize_method", WEIGHT_METHODS)
    for key in ("width", "height", "used_image_num"):
        _whole(ptq, key)
    for key in ("feature_quantize_bits", "weight_quantize_bits"):
        value = ptq.values.get(key, 8)
        if isinstance(value, bool) or value not in BITS:
            ptq.add("M-705", key, f"{key} {value!r}: expected one of {', '.join(map(str, BITS))}", f'"{key}": 8')
    for key in ("weight_fake_quant", "feature_fake_quant"):
        _typed(ptq, key, ptq.values, bool)
    for key in ("skip_node_quant", "skip_op_quant"):
        value = ptq.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            ptq.add("M-705", key, f"{key}: expected a list of names", f'"{key}": ["name"]')


def _one_of(ptq: Ptq, key: str, known: Sequence[str]) -> None:
    if key in ptq.values and ptq.values[key] not in known:
        value = ptq.values[key]
        near = get_close_matches(str(value).upper(), known, n=1, cutoff=0.5)
        fix = f'"{key}": "{near[0] if near else known[0]}"'
        ptq.add("M-705", key, f"{key} {value!r} is not one of {', '.join(known)}", fix)


def _whole(ptq: Ptq, key: str) -> None:
    value = ptq.values.get(key)
    if key in ptq.values and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        ptq.add("M-705", key, f"{key} {value!r}: expected a positive whole number, without quotes", _meant(key, value))


def _meant(key: str, value: object) -> str:
    """The number that a text or 640.0 means, else a number of pictures that the guide recommends, else words."""
    plain = (number(str(value)) if isinstance(value, str | float) else None) or 0.0
    if plain.is_integer() and 1 <= plain < 1e9:
        return f'"{key}": {int(plain)}'
    return f'"{key}": {USUAL}' if key == "used_image_num" else f"give the {key} of the model's input in pixels"


def _typed(ptq: Ptq, key: str, values: Mapping[str, Any], kind: type) -> None:
    if key in values and not isinstance(values[key], kind):
        word = {bool: "true or false", str: "a path in quotes"}[kind]
        ptq.add(
            "M-705", key, f"{key} {values[key]!r}: expected {word}", f'"{key}": {"true" if kind is bool else "..."}'
        )


def _nested(ptq: Ptq) -> None:
    for name, known in NESTED.items():
        inner = ptq.values.get(name)
        if inner is None:
            continue
        if not isinstance(inner, dict):
            ptq.add("M-705", name, f"{name}: expected an object", f'"{name}": {{...}}')
            continue
        for key in inner:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                ptq.add("M-703", key, f"unknown key {key!r} of {name!r}", fix)
        for key, kind in known.items():
            _typed(ptq, key, inner, kind)
        _needs(ptq, name, inner)
        _places(ptq, name, inner)


def _needs(ptq: Ptq, name: str, inner: Mapping[str, Any]) -> None:
    """Switches that want a folder."""
    if name == "debug" and inner.get("open") is True and not inner.get("debug_input_path"):
        ptq.add("M-702", name, "debug is open, debug_input_path is missing", '"debug_input_path": "./photo.jpg"')
    corrects = inner.get("weight_corr") is True or inner.get("feature_corr") is True
    if name == "bias_corr" and corrects and not inner.get("corr_dir"):
        ptq.add("M-702", name, "bias_corr is on, corr_dir is missing", '"corr_dir": "./pictures"')


def _places(ptq: Ptq, name: str, inner: Mapping[str, Any]) -> None:
    """Files and folders that a switch reads, where they can be seen from here."""
    is_on = any(inner.get(key) is True for key in ("open", "weight_corr", "feature_corr"))
    for key in READ if is_on and ptq.folder is not None else ():
        given = inner.get(key)
        if isinstance(given, str) and given and not is_there(ptq.folder / given):  # type: ignore[operator]
            what = "no such file" if key == "debug_input_path" else "no such folder"
            ptq.add("M-706", key, f"{name}.{key} {given!r}: {what} (relative to the json)", f'"{key}": "..."')


# --------------------------------------------------------------------------- calibration pictures


def _pictures(ptq: Ptq) -> None:
    """The folder of `path`, where it can be seen from here: only pictures, and as many as are asked for."""
    text = ptq.values.get("path")
    if not isinstance(text, str) or ptq.folder is None:
        return
    folder = ptq.folder / text
    listed = files_in(folder) if is_folder(folder) else None
    if listed is None:
        ptq.add(
            "M-706", "path", f"path {text!r}: no such folder (relative to the json)", "give the folder of the pictures"
        )
        return
    files = listed[:MOST_FILES]
    strays = [path.name for path in files if path.suffix.lower() not in PICTURES or not _is_picture(path)]
    if strays:
        more = f" and {len(strays) - 3} more" if len(strays) > 3 else ""
        message = f"{text!r} holds {', '.join(strays[:3])}{more}: files other than pictures make the quantization fail"
        ptq.add("M-706", "path", message, "move them out of the folder")
    _count(ptq, len(files) - len(strays))


def _is_picture(path: Path) -> bool:
    if not is_file(path):
        return False
    try:
        with path.open("rb") as file:
            return file.read(8).startswith((b"\xff\xd8", b"\x89PNG", b"BM"))
    except OSError:
        return False


def _count(ptq: Ptq, count: int) -> None:
    used = ptq.values.get("used_image_num")
    if not isinstance(used, int) or isinstance(used, bool):
        return
    if used > count:
        ptq.add("M-707", "used_image_num", f"used_image_num {used}, the folder has {count} pictures",
                f'"used_image_num": {max(1, count)}')  # fmt: skip
    elif not FEW <= used <= MANY:
        ptq.add("M-708", "used_image_num", f"used_image_num {used}: the guide recommends {FEW} to {MANY} pictures",
                f'"used_image_num": {USUAL}')  # fmt: skip


def lint_file(path: Path, command: str = "", model: Path | None = None) -> tuple[LintFinding, ...]:
    """Findings of a json file; `command` is text, or the path of a script. Errors: ConfigError when it is not text."""
    script = Path(command) if command and "\n" not in command and len(command) < 4096 else None
    if script is not None and is_file(script):
        command = script.read_text(encoding="utf-8", errors="replace")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})", "save the json in UTF-8") from None
    return lint_ptq(text, str(path), path.parent, command, model)
