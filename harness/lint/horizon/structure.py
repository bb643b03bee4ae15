"""Checks of groups, keys and plain values, and of the model and compiler groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from harness.lint.horizon.config import Config, is_template, unfilled
from harness.lint.horizon.ops import MARCHES_J6, MARCHES_X
from harness.lint.horizon.schema import DEPRECATED_X, GROUPS, NO_EFFECT_J6, Field
from harness.lint.yaml_tree import Node

WRONG_COMMAND = re.compile(
    r"\bhb_mapper\s+(?:-c|--config)\b|\bhb_mapper\s+(?!checker|makertbin|infer|--|-)(?P<sub>[a-z_]+)\b"
)
ONE_CORE = ("nash-b-lite", "nash-b", "nash-b-plus", "nash-e", "nash-m")


def check(config: Config, text: str) -> None:
    """Groups and keys, the march, the model's file and the compiler's options; `text` is the file as it is written."""
    _commands(config, text)
    _groups(config)
    _keys(config)
    _march(config)
    _model(config)
    _compiler(config)


def _commands(config: Config, text: str) -> None:
    """Command lines that people keep in comments."""
    for number, line in enumerate(text.splitlines(), 1):
        comment = line.partition("#")[2]
        if WRONG_COMMAND.search(comment):
            config.add(
                "H-112",
                number,
                f"unknown command: {comment.strip()}",
                f"hb_mapper makertbin --config {config.name.rsplit('/', 1)[-1]} --model-type onnx",
            )


def _groups(config: Config) -> None:
    for key, value in config.tree.items:
        if key.text not in config.schema:
            near = get_close_matches(key.text, config.schema, n=1)
            fix = f"did you mean {near[0]}?" if near else f"groups are {', '.join(config.schema)}"
            if key.text == "node_info":
                fix = "move it under model_parameters"
            config.add("H-101", key.line, f"unknown parameter group {key.text!r}: the tool rejects the file", fix)
        elif value.kind != "map" and not value.empty:
            config.add("H-105", value.line, f"{key.text} is not a mapping", f"{key.text}:\n  key: value")
    for name in GROUPS:
        if config.tree.get(name) is None:
            more = ": required by the manual; without it code is compiled at O0" if name == GROUPS[3] else ""
            config.add("H-103", 1, f"group {name} is missing{more}", _skeleton(name))
    _doubles(config, config.tree, "")


def _skeleton(group: str) -> str:
    examples = {
        "model_parameters": "onnx_model: model.onnx\n  march: bayes-e\n  output_model_file_prefix: model",
        "input_parameters": "input_type_rt: nv12\n  input_type_train: rgb\n  norm_type: ...",
        "calibration_parameters": "cal_data_dir: ./calibration_data\n  calibration_type: default",
        "compiler_parameters": "compile_mode: latency\n  optimize_level: O3",
    }
    return f"{group}:\n  {examples[group]}"


def _doubles(config: Config, node: Node, where: str) -> None:
    seen: dict[str, int] = {}
    for key, value in node.items:
        if key.text in seen:
            config.add(
                "H-109",
                key.line,
                f"{where}{key.text} is a duplicate key (first at line {seen[key.text]}); the tool uses this one",
                "keep one of them",
            )
        seen[key.text] = key.line
        _doubles(config, value, f"{key.text}.")


def _keys(config: Config) -> None:
    for group, fields in config.schema.items():
        for key, value in config.group(group).items if config.group(group) else ():  # type: ignore[union-attr]
            if key.text not in fields:
                _unknown_key(config, group, key)
            else:
                _deprecated(config, group, key, value)
                _value(config, group, key, value, fields[key.text])


def _unknown_key(config: Config, group: str, key: Node) -> None:
    home = next((name for name, fields in config.schema.items() if key.text in fields), "")
    near = get_close_matches(key.text, config.schema[group], n=1)
    fix = f"move it to {home}" if home else f"did you mean {near[0]}?" if near else "leave it out"
    config.add("H-102", key.line, f"{group} has no key {key.text!r}: the tool rejects the file", fix)


def _deprecated(config: Config, group: str, key: Node, value: Node) -> None:
    if config.tool == "hb_compile" and key.text in NO_EFFECT_J6:
        config.add("H-601", key.line, f"{group}.{key.text} has no effect in hb_compile", NO_EFFECT_J6[key.text])
    elif config.tool == "hb_mapper" and key.text in DEPRECATED_X and value.value is not False:
        config.add("H-108", key.line, f"{group}.{key.text} is deprecated", DEPRECATED_X[key.text])


def _value(config: Config, group: str, key: Node, value: Node, field: Field) -> None:
    if unfilled(value) or key.text in (NO_EFFECT_J6 if config.tool == "hb_compile" else ()):
        return
    name = f"{group}.{key.text}"
    if field.kind == "bool" and not isinstance(value.value, bool) and value.text.lower() not in ("true", "false"):
        config.add("H-105", value.line, f"{name}: {value.text!r} is not a boolean", f"{key.text}: False")
    elif field.kind == "map" and value.kind != "map":
        config.add("H-105", value.line, f"{name} is not a mapping", f"{key.text}: {{'input name': 'ddr'}}")
    elif field.kind == "number":
        _number(config, name, key, value, field)
    elif field.kind == "words":
        _words(config, name, key, value, field)
    elif field.kind == "text" and value.kind != "scalar":
        config.add("H-105", value.line, f"{name}: expected text", f"{key.text}: 'text'")


def _number(config: Config, name: str, key: Node, value: Node, field: Field) -> None:
    low, high = field.low or 0.0, field.high or 0.0
    try:
        number = float(value.text)
    except ValueError:
        config.add("H-105", value.line, f"{name}: {value.text!r} is not a number", f"{key.text}: {high:g}")
        return
    if not low <= number <= high and number not in field.also:
        more = f" or {field.also[0]:g}" if field.also else ""
        config.add(
            "H-105", value.line, f"{name}: {value.text} is outside {low:g}..{high:g}{more}", f"{key.text}: {high:g}"
        )


def _words(config: Config, name: str, key: Node, value: Node, field: Field) -> None:
    for word in _split(value):
        if word in field.choices:
            continue
        near = get_close_matches(word, field.choices, n=1) or get_close_matches(word.lower(), field.choices, n=1)
        fix = f"{key.text}: {near[0]}" if near else f"one of {', '.join(field.choices)}"
        config.add("H-104", value.line, f"{name}: {word!r} is not one of {', '.join(field.choices)}", fix)


def _split(value: Node) -> Iterator[str]:
    if value.kind == "list":
        yield from (one.text.strip() for one in value.entries)
    elif value.kind == "scalar":
        yield from (word.strip() for word in value.text.split(";") if word.strip())
    else:
        yield "{...}"


def _march(config: Config) -> None:
    group = config.group("model_parameters")
    if group is None:
        return
    march = config.march
    line = config.line("model_parameters", "march")
    allowed = MARCHES_J6 if config.tool == "hb_compile" else MARCHES_X
    if not march:
        config.add("H-106", line, "model_parameters.march is missing", f"march: {allowed[-1]}")
    elif march not in allowed:
        every = (*MARCHES_X, *MARCHES_J6)
        near = get_close_matches(march.lower().replace("_", "-"), every, n=1)
        tool = "hb_compile" if march in MARCHES_J6 else "hb_mapper" if march in MARCHES_X else ""
        what = f"march {march!r} is for {tool}, not for {config.tool}" if tool else f"no march {march!r}"
        config.add("H-107", line, what, f"march: {near[0]}" if near and not tool else f"one of {', '.join(allowed)}")


def _model(config: Config) -> None:
    if config.group("model_parameters") is None:
        return
    onnx = config.get("model_parameters", "onnx_model")
    caffe = config.get("model_parameters", "caffe_model")
    proto = config.get("model_parameters", "prototxt")
    line = config.line("model_parameters", "caffe_model" if caffe else "onnx_model")
    if onnx and (caffe or proto):
        config.add("H-110", line, "both onnx_model and caffe_model are given", "keep one kind of model")
    elif bool(caffe) != bool(proto):
        config.add("H-110", line, "a Caffe model needs caffe_model and prototxt", "give both")
    elif not onnx and not caffe and not is_template(config):
        config.add("H-110", line, "no model file is given", "onnx_model: model.onnx")
    if not config.has("model_parameters", "output_model_file_prefix"):
        config.add(
            "H-111",
            config.line("model_parameters"),
            "output_model_file_prefix is missing: files are named model_*, not after the model",
            "output_model_file_prefix: my_model",
        )
    if config.text("model_parameters", "layer_out_dump").lower() == "true":
        config.add(
            "H-113",
            config.line("model_parameters", "layer_out_dump"),
            "layer_out_dump adds an output after every convolution: do not use this build's latency",
            "layer_out_dump: False for builds to be timed",
        )


def _compiler(config: Config) -> None:
    if config.group("compiler_parameters") is None:
        return
    group = "compiler_parameters"
    best = "O2" if config.tool == "hb_compile" else "O3"
    level = config.text(group, "optimize_level")
    default = "O2" if config.tool == "hb_compile" else "O0"
    if (level or default) in ("O0", "O1", "O2", "O3") and (level or default) < best:
        what = f"optimize_level {level}" if level else f"optimize_level is missing, default {default}"
        config.add("H-501", config.line(group, "optimize_level"), f"{what}: slower code", f"optimize_level: {best}")
    if config.has(group, "balance_factor") and config.text(group, "compile_mode") != "balance":
        config.add(
            "H-505",
            config.line(group, "balance_factor"),
            "balance_factor has no effect without compile_mode balance",
            "compile_mode: balance, or leave balance_factor out",
        )
    _cores(config)


def _cores(config: Config) -> None:
    cores = config.text("compiler_parameters", "core_num")
    single = {"bayes-e": "the X5 has one core", "bayes": "the manual says not to set it on Ultra"}
    reason = single.get(config.march, "")
    if config.march in ONE_CORE:
        reason = f"{config.march} compiles for one core"
    if cores not in ("", "1") and reason and cores.isdigit():
        line = config.line("compiler_parameters", "core_num")
        config.add("H-502", line, f"core_num {cores}: {reason}", "core_num: 1")
