"""A toolchain's yaml as a plan: the march, the settings as they are written, and the nodes that it places or types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from harness.errors import ConfigError, InputError
from harness.files.yaml_nodes import compose, pairs
from harness.toolchains.records import Artifact, PlannedNode

GROUPS = re.compile(
    r"^[ \t]*(model_parameters|input_parameters|calibration_parameters|compiler_parameters)[ \t]*:", re.MULTILINE
)
TITLE = "toolchain config; `harness lint` checks it"
PLACES = (("run_on_cpu", "CPU"), ("run_on_bpu", "BPU"))


_INPUT = re.compile(r"^(?:InputType|input)(\d+)$")
_CPU_TYPES = ("float16", "float32")
_BOTH = {"dual-int16": "int16", "int16-ec": "ec"}  # a type that says something of the second input too
MOST_BYTES = 64 * 2**20


def read_config(text: str) -> Artifact:
    """What the yaml asks for. A text that is no YAML keeps the names of its groups, and a problem."""
    facts: dict[str, object] = {"groups": list(dict.fromkeys(GROUPS.findall(text)))}
    try:
        root = compose(text, "the config")
    except ConfigError as error:
        return Artifact("build_config", TITLE, facts=facts, problems=(error.message,))
    groups = {_text(key): value for key, value in pairs(root)}
    settings = {
        group: {_text(key): _text(value) for key, value in pairs(node) if isinstance(value, yaml.ScalarNode)}
        for group, node in groups.items()
        if pairs(node)
    }
    model = settings.get("model_parameters", {})
    nodes = {node.name: node for node in (*_run_on(settings), *_node_info(groups.get("model_parameters")))}
    return Artifact(
        "build_config",
        TITLE,
        march=model.get("march", ""),
        settings=settings,
        nodes=tuple(nodes.values()),
        facts=facts,
    )


def _text(node: yaml.Node | None) -> str:
    return str(node.value).strip() if isinstance(node, yaml.ScalarNode) else ""


def _run_on(settings: dict[str, dict[str, str]]) -> Iterator[PlannedNode]:
    """Of run_on_cpu and run_on_bpu; node_info wins over them."""
    for key, unit in PLACES:
        names = settings.get("calibration_parameters", {}).get(key, "")
        yield from (PlannedNode(name.strip(), unit, "") for name in names.split(";") if name.strip())


def _node_info(model: yaml.Node | None) -> Iterator[PlannedNode]:
    """Nodes of node_info, as a mapping or as `n:int16;m:int16`; "" where no unit is asked for."""
    info = next((value for key, value in pairs(model) if _text(key) == "node_info"), None)
    for key, value in pairs(info):
        wanted = {_text(name): _text(one) for name, one in pairs(value)}
        unit = wanted.get("ON", "")
        dtype = wanted.get("InputType") or wanted.get("InputType0") or ""
        outputs = (wanted["OutputType"],) if "OutputType" in wanted else ()
        yield PlannedNode(_text(key), unit if unit in ("BPU", "CPU") else "", "", None, dtype, outputs)
    for part in _text(info).split(";") if info is not None else ():
        name, colon, dtype = (one.strip() for one in part.rpartition(":"))
        if colon and name:
            yield PlannedNode(name, "", "", output_dtypes=(dtype,))


# --------------------------------------------------------------------------- types of single nodes


@dataclass(frozen=True)
class NodeSetting:
    """One node, or one type of op. `features` is of all feature maps; places in `inputs` are before it."""

    unit: str = ""  # "CPU", "BPU", "" where nothing is set
    features: str = ""
    inputs: Mapping[int, str] = field(default_factory=dict)
    output: str = ""


@dataclass(frozen=True)
class ConfigTypes:
    """Settings by node name and by op type, and of the whole model: of every node and of its outputs.

    `calibration` are the keys of the calibration as they are written, where the config has any: `calibration_type`,
    `max_percentile`, `per_channel`, `num_bin`, and `asymmetric`, `bias_correction` as "true".
    """

    nodes: Mapping[str, NodeSetting] = field(default_factory=dict)
    kinds: Mapping[str, NodeSetting] = field(default_factory=dict)
    every: str = ""
    outputs: str = ""
    calibration: Mapping[str, str] = field(default_factory=dict)


def read_types(path: Path) -> ConfigTypes:
    """Of a yaml of hb_mapper or hb_compile, or a quant_config.json. Errors: InputError, ConfigError."""
    root = _root(path)
    groups = {_text(key): value for key, value in pairs(root)}
    if {"model_config", "op_config", "node_config", "subgraph_config"} & groups.keys():
        return _quant_config(root)
    model, calibration = groups.get("model_parameters"), groups.get("calibration_parameters")
    if model is None and calibration is None:
        raise ConfigError(f"{path}: no model_parameters and no quant_config in it", "give a yaml of the toolchain")
    quant = _child(calibration, "quant_config")
    outer = _calibration_keys(calibration)
    if isinstance(quant, yaml.ScalarNode) and quant.value:
        types = read_types(path.parent / str(quant.value))
        return replace(types, calibration={**outer, **types.calibration})
    if quant is not None:
        types = _quant_config(quant)
        return replace(types, calibration={**outer, **types.calibration})
    return replace(_mapper(model, calibration), calibration=outer)


def _calibration_keys(calibration: yaml.Node | None) -> dict[str, str]:
    """Of calibration_parameters; the words of `optimization` that change ranges or biases are keys of their own."""
    keys = {key: _text(_child(calibration, key)) for key in ("calibration_type", "max_percentile", "per_channel")}
    words = [word.strip() for word in _text(_child(calibration, "optimization")).replace(";", ",").split(",")]
    keys |= {word: "true" for word in ("asymmetric", "bias_correction") if word in words}
    return {key: value for key, value in keys.items() if value}


def _activation_keys(model: yaml.Node | None) -> dict[str, str]:
    """Of a quant_config's model_config; of a list, which begins a search there, the first value."""
    names = ("calibration_type", "max_percentile", "per_channel", "asymmetric", "num_bin")
    activation = _child(model, "activation")
    keys = {key: _first(_child(activation, key)) for key in names}
    if _child(_child(model, "weight"), "bias_correction") is not None:
        keys["bias_correction"] = "true"
    return {key: value for key, value in keys.items() if value}


def _first(node: yaml.Node | None) -> str:
    if isinstance(node, yaml.SequenceNode):
        return _text(node.value[0]) if node.value else ""
    return _text(node)


def _root(path: Path) -> yaml.Node | None:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: too large for a config", "give the yaml or the quant_config.json")
        text = path.read_text(encoding="utf-8-sig").replace("\t", " ")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a config ({error})", "give a yaml or a json in UTF-8") from None
    return compose(text, str(path))


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in pairs(node) if _text(key) == name), None)


# --------------------------------------------------------------------------- hb_mapper


def _mapper(model: yaml.Node | None, calibration: yaml.Node | None) -> ConfigTypes:
    nodes = dict(_placed(calibration))
    info = _child(model, "node_info")
    for key, value in pairs(info):
        nodes[_text(key)] = _of_mapping({_text(name): _text(one) for name, one in pairs(value)})
    for part in _text(info).split(";") if isinstance(info, yaml.ScalarNode) else ():
        name, colon, dtype = (one.strip() for one in part.rpartition(":"))
        if colon and name:
            nodes[name] = NodeSetting(features=dtype, output=dtype)
    words = [word.strip() for word in _text(_child(calibration, "optimization")).split(",")]
    every = "int16" if "set_all_nodes_int16" in words else ""
    return ConfigTypes(nodes, {}, every, "int16" if "set_model_output_int16" in words else "")


def _placed(calibration: yaml.Node | None) -> Iterator[tuple[str, NodeSetting]]:
    for key, unit in PLACES:
        names = _text(_child(calibration, key)).split(";")
        yield from ((name.strip(), NodeSetting(unit)) for name in names if name.strip())


def _of_mapping(wanted: Mapping[str, str]) -> NodeSetting:
    inputs = {int(match[1]): one for name, one in wanted.items() if (match := _INPUT.match(name))}
    return NodeSetting(wanted.get("ON", ""), wanted.get("InputType", ""), inputs, wanted.get("OutputType", ""))


# --------------------------------------------------------------------------- hb_compile


def _quant_config(root: yaml.Node | None) -> ConfigTypes:
    model = _child(root, "model_config")
    parts = {
        part: {_text(key): _of_types(value) for key, value in pairs(_child(root, part))}
        for part in ("node_config", "op_config")
    }
    return ConfigTypes(
        parts["node_config"],
        parts["op_config"],
        _wide(_text(_child(model, "all_node_type"))),
        _wide(_text(_child(model, "model_output_type"))),
        _activation_keys(model),
    )


def _wide(dtype: str) -> str:
    return dtype if dtype == "int16" else ""


def _of_types(node: yaml.Node) -> NodeSetting:
    wanted = {_text(key): _text(value) for key, value in pairs(node)}
    inputs = {int(match[1]): one for name, one in wanted.items() if (match := _INPUT.match(name))}
    qtype = wanted.get("qtype", "")
    if qtype in _CPU_TYPES:
        return NodeSetting("CPU")
    if qtype in _BOTH:
        return NodeSetting(features="int16", inputs={1: _BOTH[qtype]} | inputs)
    return NodeSetting(features=qtype, inputs=inputs)
