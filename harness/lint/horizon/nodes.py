"""Checks of node_info, set_node_data_type, run_on_cpu, run_on_bpu: where single nodes run and in which type."""

from __future__ import annotations

import re

from harness.lint.horizon.config import Config, op_type, unfilled
from harness.lint.horizon.ops import INT16_NOT_STATED, RUN_ON_BPU
from harness.lint.horizon.rules import SOURCES
from harness.lint.horizon.values import nearest
from harness.lint.yaml_tree import Node
from harness.platforms.horizon.op_lists import CPU_ONLY

LACKING = {  # what to do about a part of the text form; which type or name is meant, only its writer knows
    "no type": "write a colon and int8 or int16 behind the name",
    "no name": "write the node's name in front of the colon",
    "two colons": "give a node whose name holds a colon in node_info, as a mapping",
}
NODE_KEY = re.compile(r"^(?:ON|OutputType|InputType\d*)$")
MODEL, CALIBRATION = "model_parameters", "calibration_parameters"


def check(config: Config) -> None:
    """What is set for single nodes: their names, units and types, in each of the forms that the tool takes."""
    infos = [node for node in (config.tree.get("node_info"), config.get(MODEL, "node_info")) if node is not None]
    typed: list[str] = []
    for info in infos:
        typed.extend(_node_info(config, info))
    old = config.get(MODEL, "set_node_data_type")
    if old is not None and old.kind == "scalar":
        _text_form(config, old, "set_node_data_type")
    if config.march == "bernoulli2":
        for key in ("node_info", "set_node_data_type"):
            if config.get(MODEL, key) is not None:
                config.add(
                    "H-201",
                    config.line(MODEL, key),
                    f"{key} is not supported on the X3 (bernoulli2)",
                    "place nodes with run_on_cpu and run_on_bpu",
                )
    _run_on(config, typed)


def _node_info(config: Config, info: Node) -> list[str]:
    """Checks a node_info value; returns the nodes it names."""
    if unfilled(info):
        return []
    if info.kind == "scalar":
        return _text_form(config, info, "node_info")
    for key, value in info.items:
        if not key.text.strip():
            config.add("H-214", key.line, "node_info: a node has no name", "give the node's name")
        _one_node(config, key, value)
    return [key.text for key, _ in info.items]


def _text_form(config: Config, node: Node, where: str) -> list[str]:
    """`n:int16;m:int16`, one colon each: the tool refuses names that hold one, which the mapping takes."""
    names = []
    parts = [one.strip() for one in node.text.split(";") if one.strip()]
    for index, part in enumerate(parts):
        name, _, word = (one.strip() for one in part.rpartition(":"))
        if part.count(":") != 1 or not name or not word:
            lacks = "no type" if ":" not in part else "no name" if not name else "no type" if not word else "two colons"
            config.add("H-214", node.line, f"{where}: {part!r} has {lacks}", LACKING[lacks])
            continue
        names.append(name)
        front, back = parts[:index], parts[index + 1 :]
        _dtype(config, node.line, name, where, word, (f"{where}: {';'.join([*front, name])}", ";".join(["", *back])))
    return names


def _one_node(config: Config, name: Node, value: Node) -> None:
    if value.kind != "map":
        config.add("H-105", value.line, f"node_info.{name.text} is not a mapping", f"{name.text}:\n  'ON': 'CPU'")
        return
    place = ""
    typed: list[Node] = []
    if not value.items:
        what = f"node_info.{name.text} is empty: it sets nothing"
        config.add("H-108", value.line, what, f"leave {name.text} out", source=SOURCES["H-202"].of(config.tool, ""))
    for key, setting in value.items:
        if key.value is True and not key.quoted:
            config.add(
                "H-203",
                key.line,
                f"{name.text}: {key.raw} without quotes is the boolean True in YAML, which the tool rejects",
                "'ON': " + repr(setting.text),
            )
            place = setting.text
        elif not NODE_KEY.match(key.text):
            config.add(
                "H-202",
                key.line,
                f"{name.text}: no key {key.text!r} in node_info",
                _key_meant(key.text),
            )
        elif key.text == "ON":
            place = setting.text
        else:
            _dtype(config, setting.line, name.text, key.text, setting.text)
            if setting.text in ("int8", "int16"):
                typed.append(key)
    _place(config, name, place, typed)


def _key_meant(key: str) -> str:
    near = nearest(key, ("ON", "InputType", "OutputType"))
    return f"did you mean {near}?" if near else f"leave {key} out: keys are 'ON', InputType, InputType0, OutputType"


def _place(config: Config, name: Node, place: str, typed: list[Node]) -> None:
    if place not in ("", "BPU", "CPU"):
        config.add(
            "H-205", name.line, f"{name.text}: ON is {place!r}", f"'ON': '{nearest(place, ('BPU', 'CPU')) or 'CPU'}'"
        )
    if place == "CPU" and typed:
        config.add(
            "H-206",
            typed[0].line,
            f"{name.text} runs on the CPU in float; {', '.join(key.text for key in typed)} has no effect",
            f"leave {typed[0].text} out",
        )
    if place == "BPU":
        _forced(config, name.line, name.text)


def _dtype(config: Config, line: int, node: str, key: str, word: str, around: tuple[str, str] | None = None) -> None:
    """`around`: what stands before and behind `:TYPE` in the text form."""
    front, back = (f"{around[0]}:", around[1]) if around is not None else (f"{key}: ", "")
    right = "int8" if config.march == "bernoulli2" else "int16"
    if word not in ("int8", "int16"):
        fix = f"{front}{right}{back}"
        if "float" in word:
            fix = "for float write 'ON': 'CPU' and no type"
        config.add("H-204", line, f"{node}: {key} {word!r}; expected int8 or int16", fix)
    elif word == "int16":
        _int16(config, line, node, f"{front}int8{back}")


def _int16(config: Config, line: int, node: str, as_int8: str) -> None:
    kind = op_type(config, node)
    if config.march == "bernoulli2":
        config.add("H-208", line, f"{node}: the X3 (bernoulli2) has no int16 in post-training quantization", as_int8)
    elif kind in INT16_NOT_STATED.get(config.march, ()):
        config.add(
            "H-207",
            line,
            f"{node}: the operator list of {config.march} states no int16 for {kind}. Where an input is not offered, "
            "the tool logs 'does not support data type: int16' and goes on with int8",
            f"build, then look at the DataType of {node} in the node table (harness inspect LOG)",
        )


def _forced(config: Config, line: int, node: str) -> None:
    kind = op_type(config, node)
    if kind in CPU_ONLY.get(config.march, ()) and (config.network is None or node not in config.network.kinds):
        config.add(
            "H-209", line, f"{node}: {kind} is a CPU op on {config.march}", "leave it on the CPU or replace the op"
        )


def _run_on(config: Config, typed: list[str]) -> None:
    cpu = [name for name in config.words(CALIBRATION, "run_on_cpu") if name]
    bpu = [name for name in config.words(CALIBRATION, "run_on_bpu") if name]
    line = config.line(CALIBRATION, "run_on_bpu")
    for name in sorted(set(cpu) & set(bpu)):
        config.add("H-212", line, f"{name} is in both run_on_cpu and run_on_bpu", _off(config, name))
    for name in [one for one in (*cpu, *bpu) if one in typed]:
        config.add("H-211", line, f"{name} is in both run_on_* and node_info; node_info wins", _off(config, name))
    for name in bpu:
        _forced(config, line, name)
        _run_on_bpu(config, line, name)


def _off(config: Config, name: str) -> str:
    """The run_on key that names a node, without it."""
    key = "run_on_bpu" if name in config.words(CALIBRATION, "run_on_bpu") else "run_on_cpu"
    rest = [one for one in config.words(CALIBRATION, key) if one and one != name]
    return f"{key}: {';'.join(rest)}" if rest else f"leave {key} out"


def _run_on_bpu(config: Config, line: int, name: str) -> None:
    if config.is_j6:
        return  # a rule of the X-series FAQ
    kind = op_type(config, name)
    if kind and kind not in RUN_ON_BPU and kind not in CPU_ONLY.get(config.march, ()):
        config.add(
            "H-210",
            line,
            f"{name}: run_on_bpu works for trailing Relu, Softmax and pooling, and for CPU ops in "
            f"front of a Transpose; {kind} is none of them",
            _off(config, name),
        )
    elif kind in ("Relu", "Clip"):
        config.add(
            "H-213",
            line,
            f"{name} behind a tail Conv on the BPU makes the output int8: the Conv loses its int32 output",
            "leave it on the CPU where the output needs precision",
        )
