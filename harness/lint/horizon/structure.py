"""Checks of groups, keys and plain values, and of commands that stand in comments."""

from __future__ import annotations

from difflib import get_close_matches

from harness.lint.horizon import commands, values
from harness.lint.horizon.config import Config, unfilled
from harness.lint.horizon.schema import (
    CALIBRATION,
    COMPILER,
    DEPRECATED_X,
    FILLED_IN,
    GROUPS,
    INPUT,
    MODEL,
    NO_EFFECT_J6,
    OPEN_GROUPS,
)
from harness.lint.yaml_tree import Node

EXAMPLES = {
    MODEL: "onnx_model: model.onnx",
    INPUT: "input_type_rt: nv12\n  input_type_train: rgb\n  input_layout_train: NCHW",
    CALIBRATION: "cal_data_dir: ./calibration_data",
    COMPILER: "compile_mode: latency",
}

# What an official template leaves empty and no build can do without.
TO_FILL_IN = (
    "march", "input_name", "input_shape", "input_type_rt", "input_type_train", "input_layout_train", "norm_type",
    "cal_data_dir",
)  # fmt: skip


def check(config: Config, text: str) -> None:
    """Groups and keys and the types of their values; `text` is the file as it is written."""
    for number, command in commands.in_comments(text):
        commands.report(config, number, command)
    _groups(config)
    _doubles(config, config.tree, "")
    for group, fields in config.schema.items():
        for key, value in config.group(group).items if config.group(group) else ():  # type: ignore[union-attr]
            if key.text not in fields:
                _unknown_key(config, group, key)
                continue
            _deprecated(config, group, key, value)
            values.check(config, group, key, value, fields[key.text])
    if config.is_template:
        _template(config)


def _groups(config: Config) -> None:
    for key, value in config.tree.items:
        if key.text not in config.schema:
            _unknown_group(config, key)
        elif value.kind != "map":
            optional = key.text in FILLED_IN[config.tool]
            fix = f"leave {key.text} out" if optional else skeleton(key.text)
            config.add("H-105", value.line, f"{key.text} is not a mapping: the tool rejects the file", fix)
    for name in GROUPS:
        if config.tree.get(name) is None and name not in FILLED_IN[config.tool]:
            config.add("H-103", 1, f"group {name} is missing", skeleton(name))


def _unknown_group(config: Config, key: Node) -> None:
    near = get_close_matches(key.text, config.schema, n=1)
    fix = f"did you mean {near[0]}?" if near else f"leave {key.text} out: groups are {', '.join(config.schema)}"
    if key.text == "node_info":
        fix = "move it under model_parameters"
    config.add("H-101", key.line, f"unknown parameter group {key.text!r}: the tool rejects the file", fix)


def skeleton(group: str) -> str:
    """The least of a group that the tool takes."""
    return f"{group}:\n  {EXAMPLES.get(group, 'custom_op_method: register')}"


def _doubles(config: Config, node: Node, where: str) -> None:
    seen: dict[str, int] = {}
    for key, value in node.items:
        if key.text in seen:
            first = seen[key.text]
            message = f"{where}{key.text} is a duplicate key (first at line {first}); the tool uses this one"
            config.add("H-109", key.line, message, f"keep one of them: remove line {first}")
        seen[key.text] = key.line
        _doubles(config, value, f"{key.text}.")


def _unknown_key(config: Config, group: str, key: Node) -> None:
    home = next((name for name, fields in config.schema.items() if key.text in fields), "")
    near = get_close_matches(key.text, config.schema[group], n=1)
    fix = f"move it to {home}" if home else f"did you mean {near[0]}?" if near else f"leave {key.text} out"
    if group not in OPEN_GROUPS[config.tool]:
        config.add("H-102", key.line, f"{group} has no key {key.text!r}: the tool rejects the file", fix)
    elif near or home:
        message = f"{group} does not know {key.text!r}: the tool hands it on to the calibrator"
        config.add("H-102", key.line, message, fix, severity="warning")


def _deprecated(config: Config, group: str, key: Node, value: Node) -> None:
    if config.is_j6 and key.text in NO_EFFECT_J6:
        config.add("H-601", key.line, f"{group}.{key.text} has no effect in hb_compile", NO_EFFECT_J6[key.text])
    elif not config.is_j6 and key.text in DEPRECATED_X and value.value is not False:
        config.add("H-108", key.line, f"{group}.{key.text} is deprecated", DEPRECATED_X[key.text])


def _template(config: Config) -> None:
    """One finding for all that a template leaves to its user."""
    empty = [
        (group.text, key.text) for group, node in config.tree.items for key, value in node.items if unfilled(value)
    ]
    named = [key for _, key in empty if key in TO_FILL_IN]
    march = [] if config.march or "march" in named else ["march"]
    wanted = ", ".join(["onnx_model (or caffe_model and prototxt)", *march, *named])
    line = next((config.line(*one) for one in empty), 1)
    config.add("H-117", line, f"this is a template: {len(empty)} values are still empty", f"fill in {wanted}")
