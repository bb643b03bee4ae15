"""`lint_ptq`: the json of magik-transform-tools' --ptq_config_path, the folders it names, and the command line.

Facts: the vendor's quantization guide (Feb. 2022), chapters 2 to 4, 7 and 8. A place where the guide contradicts itself
(MAX or MAX_ABS; feature_quantize_bit or _bits) is a warning with both words.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.lint.findings import LintFinding
from harness.lint.magik.rules import PTQ_RULES as RULES

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
MISSPELT = {"feature_quantize_bit": "feature_quantize_bits", "weight_quantize_bit": "weight_quantize_bits"}
PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
FEW, MANY = 10, 100  # calibration pictures that the guide recommends
DEVICES = ("T40", "T41", "A1", "X2500", "T02")
MOST_FILES = 20_000


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
        self.findings.append(_finding(rule, self.line(key), message, fix))


def _finding(rule: str, line: int, message: str, fix: str) -> LintFinding:
    known = RULES[rule]
    return LintFinding(rule, known.severity, line, message, known.source, fix)


def is_ptq(text: str) -> bool:
    """Whether a text is meant as such a json, damaged or not."""
    head = text.lstrip("\ufeff \t\r\n")
    return head.startswith("{") and any(f'"{key}"' in text for key in ("used_image_num", *REQUIRED[5:]))


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
    if model is not None:
        _against_model(ptq, model)
    findings = [*ptq.findings, *(lint_command(command, values, model) if command else ())]
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
        return _finding("M-701", error.lineno, f"invalid json: {why}\n{line.expandtabs(1)}\n{caret}", "see the caret")
    except RecursionError:
        return _finding("M-701", 1, "invalid json: nested too deeply", "flatten it")


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
        ptq.add("M-705", key, f"{key} {value!r}: expected a positive whole number, without quotes", f'"{key}": 640')


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


def _needs(ptq: Ptq, name: str, inner: Mapping[str, Any]) -> None:
    """Switches that want a folder."""
    if name == "debug" and inner.get("open") is True and not inner.get("debug_input_path"):
        ptq.add("M-702", name, "debug is open, debug_input_path is missing", '"debug_input_path": "./photo.jpg"')
    corrects = inner.get("weight_corr") is True or inner.get("feature_corr") is True
    if name == "bias_corr" and corrects and not inner.get("corr_dir"):
        ptq.add("M-702", name, "bias_corr is on, corr_dir is missing", '"corr_dir": "./pictures"')


# --------------------------------------------------------------------------- calibration pictures


def _pictures(ptq: Ptq) -> None:
    """The folder of `path`, where it can be seen from here: only pictures, and as many as are asked for."""
    text = ptq.values.get("path")
    if not isinstance(text, str) or ptq.folder is None:
        return
    folder = ptq.folder / text
    if not folder.is_dir():
        ptq.add(
            "M-706", "path", f"path {text!r}: no such folder (relative to the json)", "give the folder of the pictures"
        )
        return
    files = sorted(folder.iterdir())[:MOST_FILES]
    strays = [path.name for path in files if path.suffix.lower() not in PICTURES or not _is_picture(path)]
    if strays:
        more = f" and {len(strays) - 3} more" if len(strays) > 3 else ""
        message = f"{text!r} holds {', '.join(strays[:3])}{more}: files other than pictures make the quantization fail"
        ptq.add("M-706", "path", message, "move them out of the folder")
    _count(ptq, len(files) - len(strays))


def _is_picture(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(8).startswith((b"\xff\xd8", b"\x89PNG", b"BM"))


def _count(ptq: Ptq, count: int) -> None:
    used = ptq.values.get("used_image_num")
    if not isinstance(used, int) or isinstance(used, bool):
        return
    if used > count:
        ptq.add("M-707", "used_image_num", f"used_image_num {used}, the folder has {count} pictures",
                f'"used_image_num": {max(1, count)}')  # fmt: skip
    elif not FEW <= used <= MANY:
        ptq.add("M-708", "used_image_num", f"used_image_num {used}: the guide recommends {FEW} to {MANY} pictures",
                '"used_image_num": 50')  # fmt: skip


# --------------------------------------------------------------------------- model and command


def _against_model(ptq: Ptq, path: Path) -> None:
    sizes = input_sizes(path)
    if sizes is None:
        return
    channels, height, width = sizes
    wanted = 1 if ptq.values.get("format") == "GRAY" else 3
    if channels and channels != wanted:
        message = f"format {ptq.values.get('format')!r} gives {wanted} channels, the model needs {channels}"
        ptq.add("M-709", "format", message, '"format": "GRAY"' if channels == 1 else '"format": "RGB"')
    for key, size in (("height", height), ("width", width)):
        if size and isinstance(ptq.values.get(key), int) and ptq.values[key] != size:
            message = f"{key} {ptq.values[key]}, the model's input is {width}x{height} (w x h)"
            ptq.add("M-709", key, message, f'"{key}": {size}')


def input_sizes(path: Path) -> tuple[int, int, int] | None:
    """C, H, W of an ONNX model's first input, 0 for an open one; None for what is no such model."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except (DecodeError, OSError, ValueError):
        return None
    constants = {tensor.name for tensor in graph.initializer}
    first = next((value for value in graph.input if value.name not in constants), None)
    sizes = [dim.dim_value for dim in first.type.tensor_type.shape.dim] if first is not None else []
    return (sizes[1], sizes[2], sizes[3]) if len(sizes) == 4 else None


OPTIONS = (
    "framework", "target_device", "outputpath", "inputpath", "mean", "var", "img_width", "img_height", "img_channel",
    "input_nodes", "output_nodes", "post_training_quantization", "ptq_config_path", "save_quantize_model", "config",
)  # fmt: skip
NEEDED = ("framework", "target_device", "outputpath", "inputpath", "output_nodes", "ptq_config_path")


def options_of(command: str) -> dict[str, str]:
    """`--name value` and `--name=value` of a command line or script; line ends with a backslash are joined."""
    text = re.sub(r"\\\r?\n", " ", command)
    text = next((line for line in text.splitlines() if "magik-transform-tools" in line), text)
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    options: dict[str, str] = {}
    for i, word in enumerate(words):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            after = words[i + 1] if i + 1 < len(words) and not words[i + 1].startswith("--") else ""
            options[name] = value if equals else after
    return options


def lint_command(command: str, values: Mapping[str, Any], model: Path | None) -> tuple[LintFinding, ...]:
    """The command line: unknown and missing options, and what contradicts the json."""
    given = options_of(command)
    findings = []
    for name in given:
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, n=1)
            fix = f"--{near[0]}" if near else f"known: {', '.join(OPTIONS)}"
            findings.append(_finding("M-710", 1, f"unknown option --{name} of magik-transform-tools 1.0", fix))
    missing = [name for name in NEEDED if not given.get(name)] if "config" not in given else []
    findings += [_finding("M-710", 1, f"--{name} is missing or empty", f"--{name} ...") for name in missing]
    return (*findings, *(_finding("M-711", 1, message, fix) for message, fix in _contradictions(given, values)))


def _contradictions(given: Mapping[str, str], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = []
    device = given.get("target_device", "")
    if device and device not in DEVICES:
        near = get_close_matches(device.upper(), DEVICES, n=1, cutoff=0.4)
        pairs.append(
            (f"--target_device {device}: expected one of {', '.join(DEVICES)}", near[0] if near else DEVICES[0])
        )
    if given.get("outputpath") and not given["outputpath"].endswith(".mk.h"):
        pairs.append((f"--outputpath {given['outputpath']}: it must end in .mk.h", "--outputpath model.mk.h"))
    if given.get("post_training_quantization", "true").lower() != "true":
        pairs.append(("--post_training_quantization is not true: the json is not used", "true"))
    for option, key in (("img_width", "width"), ("img_height", "height")):
        if given.get(option) and key in values and given[option] != str(values[key]):
            pairs.append(
                (f"--{option} {given[option]}, the json's {key} is {values[key]}", f"--{option} {values[key]}")
            )
    channels = {"GRAY": "1"}.get(str(values.get("format")), "3")
    if given.get("img_channel") and "format" in values and given["img_channel"] != channels:
        pairs.append((f"--img_channel {given['img_channel']}, format {values['format']}", f"--img_channel {channels}"))
    for name in ("mean", "var"):
        parts = given.get(name, "").split(",")
        if given.get(name) and len(parts) not in (1, int(given.get("img_channel") or 3)):
            pairs.append((f"--{name} {given[name]}: one number per channel", f"--{name} {','.join(['0'] * 3)}"))
    return pairs


def lint_file(path: Path, command: str = "", model: Path | None = None) -> tuple[LintFinding, ...]:
    """Findings of a json file; `command` is text, or the path of a script. Errors: ConfigError when it is not text."""
    script = Path(command) if command and "\n" not in command and len(command) < 4096 else None
    if script is not None and script.is_file():
        command = script.read_text(encoding="utf-8", errors="replace")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})", "save the json in UTF-8") from None
    return lint_ptq(text, str(path), path.parent, command, model)
