"""The command line of magik-transform-tools: its options, and what contradicts the json or the ONNX."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from harness.lint.findings import LintFinding
from harness.lint.magik.model import unknown_nodes
from harness.lint.magik.rules import PTQ_RULES as RULES
from harness.lint.network import read_network
from harness.lint.numbers import whole
from harness.lint.paths import for_shell

DEVICES = ("T40", "T41", "A1", "X2500", "T02")
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


def finding_of(rule: str, line: int, message: str, fix: str) -> LintFinding:
    """A finding with its rule's severity and source."""
    known = RULES[rule]
    return LintFinding(rule, known.severity, line, message, known.source, fix)


def lint_command(
    command: str, values: Mapping[str, object], model: Path | None, config_name: str = ""
) -> tuple[LintFinding, ...]:
    """Unknown and missing options, and what contradicts the json, a file called `config_name`, or the model."""
    given = options_of(command)
    findings = []
    for name in given:
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, n=1)
            fix = f"--{near[0]}" if near else f"known: {', '.join(OPTIONS)}"
            findings.append(finding_of("M-710", 1, f"unknown option --{name} of magik-transform-tools 1.0", fix))
    missing = [name for name in NEEDED if not given.get(name)] if "config" not in given else []
    findings += [finding_of("M-710", 1, f"--{name} is missing or empty", f"--{name} ...") for name in missing]
    pairs = [*_contradictions(given, values), *_files(given, config_name)]
    findings += [finding_of("M-711", 1, message, fix) for message, fix in pairs]
    network = read_network(model) if model is not None else None
    for option in ("input_nodes", "output_nodes") if network is not None else ():
        unknown = unknown_nodes(option, given.get(option, ""), network)  # type: ignore[arg-type]
        findings += [finding_of("M-712", 1, message, fix) for message, fix in unknown]
    return tuple(findings)


def _files(given: Mapping[str, str], name: str) -> list[tuple[str, str]]:
    """Files on the command line that are not what the option takes."""
    pairs = []
    config, own = given.get("ptq_config_path", ""), Path(name).name
    if config and not config.endswith(".json"):
        right = own if own.endswith(".json") else f"{config.rpartition('.')[0] or config}.json"
        pairs.append((f"--ptq_config_path {config}: no .json file", f"--ptq_config_path {for_shell(right)}"))
    elif config and own.endswith(".json") and Path(config).name != own:
        pairs.append(
            (
                f"--ptq_config_path {config}: the command reads another file than {own}",
                f"--ptq_config_path {for_shell(own)}",
            )
        )
    source = given.get("inputpath", "")
    if source and given.get("framework") == "onnx" and not source.endswith(".onnx"):
        stem = source.rpartition(".")[0] or source
        pairs.append(
            (f"--inputpath {source}: framework onnx reads .onnx files", f"--inputpath {for_shell(stem + '.onnx')}")
        )
    return pairs


def _contradictions(given: Mapping[str, str], values: Mapping[str, object]) -> list[tuple[str, str]]:
    pairs = []
    device = given.get("target_device", "")
    if device and device not in DEVICES:
        near = get_close_matches(device.upper(), DEVICES, n=1, cutoff=0.4)
        pairs.append(
            (
                f"--target_device {device}: expected one of {', '.join(DEVICES)}",
                near[0] if near else f"one of {', '.join(DEVICES)}",
            )
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
        count = whole(given.get("img_channel") or "") or int(channels)
        if given.get(name) and len(parts) not in (1, count):
            fix = f"give --{name} one number" + (f", or {count} with commas between them" if count > 1 else "")
            pairs.append((f"--{name} {given[name]}: one number per channel", fix))
    return pairs
