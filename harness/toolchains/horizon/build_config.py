"""A toolchain's yaml as a plan: the march, the settings as they are written, and the nodes that it places or types."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from harness.errors import ConfigError
from harness.files.yaml_nodes import compose, pairs
from harness.toolchains.records import Artifact, PlannedNode

GROUPS = re.compile(
    r"^[ \t]*(model_parameters|input_parameters|calibration_parameters|compiler_parameters)[ \t]*:", re.MULTILINE
)
TITLE = "toolchain config; `harness lint` checks it"
PLACES = (("run_on_cpu", "CPU"), ("run_on_bpu", "BPU"))


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


def _text(node: yaml.Node) -> str:
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
