"""A config against the ONNX that it names: inputs, shapes, outputs and names of nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.lint.horizon.config import Config, runs_fast
from harness.lint.horizon.inputs import at, sizes_of
from harness.lint.horizon.schema import CALIBRATION, INPUT, MODEL
from harness.lint.names import near_name
from harness.lint.network import ModelInput, Network
from harness.lint.yaml_tree import Node

MOST_OUTPUTS = 32  # hb_mapper's limit
HIGHEST_OPSET = 11  # that the X-series manuals name
MOST_NEAR = 20  # unknown names that get a proposal
# What the toolchain puts around a node's name when it adds or splits nodes.
ADDED = ("HZ_PREPROCESS_FOR_", "UNIT_CONV_FOR_")


def check(config: Config) -> None:
    """All that the config says of the model, where the model is here."""
    network = config.network
    if network is None:
        return
    _convertible(config, network)
    _inputs(config, network)
    for name in config.words(MODEL, "output_nodes"):
        if name and name not in network.kinds and name not in network.tensors:
            known = (*network.kinds, *network.tensors)
            _unknown(config, config.line(MODEL, "output_nodes"), "output_nodes", name, known)
    for line, where, name in node_names(config):
        report_unknown(config, line, where, name)


def report_unknown(config: Config, line: int, where: str, name: str) -> None:
    """A finding where `name` is neither a node of the ONNX nor made of one; nothing where no ONNX is here."""
    network = config.network
    if network is not None and not _is_known(name, network):
        severity = "warning" if not network.kinds else ""
        _unknown(config, line, where, name, tuple(network.kinds), severity)


def _convertible(config: Config, network: Network) -> None:
    line = config.line(MODEL, "onnx_model")
    if config.is_j6:
        return
    if network.opset > HIGHEST_OPSET:
        what = f"{network.path.name} has opset {network.opset}; the manuals name {HIGHEST_OPSET} as the highest"
        config.add("H-805", line, what, f"export it with opset {HIGHEST_OPSET}", severity="warning")
    if len(network.outputs) > MOST_OUTPUTS and not config.words(MODEL, "output_nodes"):
        what = f"{network.path.name} has {len(network.outputs)} outputs; the tool takes {MOST_OUTPUTS}"
        config.add("H-805", line, what, "cut outputs off, or name those that are needed in output_nodes")


# --------------------------------------------------------------------------- inputs


def _inputs(config: Config, network: Network) -> None:
    names = config.words(INPUT, "input_name")
    known = list(network.inputs)
    line = config.line(INPUT, "input_name")
    right = f"input_name: {';'.join(known)}"
    if names and not runs_fast(config) and len(names) != len(known):
        what = f"input_name has {len(names)} names, the model has {len(known)} inputs"
        config.add("H-801", line, what, right)
    elif not names and len(known) > 1 and not runs_fast(config):
        config.add("H-801", line, f"the model has {len(known)} inputs: input_name is needed", right)
    for index, name in enumerate(names):
        if name and name not in network.inputs:
            near = near_name(name, known)
            listed = [near if near and i == index else one for i, one in enumerate(names)]
            fix = f"input_name: {';'.join(listed)}" if near else right
            config.add("H-801", line, f"the model has no input {name!r}; its inputs are {', '.join(known)}", fix)
            if len(names) == len(known):
                _shape(config, index, network.inputs[near or known[index]])
        elif name:
            _shape(config, index, network.inputs[name])
    if not names and len(known) == 1:
        _shape(config, 0, network.inputs[known[0]])


def _shape(config: Config, index: int, given: ModelInput) -> None:
    text = at(config, "input_shape", index)
    line = config.line(INPUT, "input_shape")
    model = "x".join(str(size or "?") for size in given.shape)
    if not text:
        open_sizes = [i for i, size in enumerate(given.shape) if not size]
        if open_sizes and not (runs_fast(config) and open_sizes == [0]):
            whole = "x".join(str(size or 1) for size in given.shape)
            config.add("H-803", line, f"{given.name} is {model} in the model", f"input_shape: {whole}")
        return
    shape = sizes_of(text)
    if not shape:
        return
    wrong = len(shape) != len(given.shape) or any(m and m != s for s, m in zip(shape, given.shape, strict=True))
    if wrong:
        sizes = shape if len(shape) == len(given.shape) else (1,) * len(given.shape)
        right = "x".join(str(m or s) for s, m in zip(sizes, given.shape, strict=True))
        words = config.words(INPUT, "input_shape")
        fix = f"input_shape: {';'.join(right if i == index else one for i, one in enumerate(words))}"
        config.add("H-802", line, f"input_shape {text}: {given.name} is {model} in the model", fix)


# --------------------------------------------------------------------------- nodes


def node_names(config: Config) -> Iterator[tuple[int, str, str]]:
    """(line, where, name) of every node that the config names."""
    info = config.get(MODEL, "node_info")
    if info is not None and info.kind == "map":
        yield from ((key.line, "node_info", key.text) for key, _ in info.items)
    for key in ("node_info", "set_node_data_type"):
        node = config.get(MODEL, key)
        if node is not None and node.kind == "scalar":
            for part in config.words(MODEL, key):
                yield node.line, key, part.rpartition(":")[0].strip() or part
    for key in ("run_on_cpu", "run_on_bpu"):
        yield from ((config.line(CALIBRATION, key), key, name) for name in config.words(CALIBRATION, key) if name)
    if config.is_j6:
        yield from quant_names(config.get(CALIBRATION, "quant_config"))


def quant_names(quant: Node | None) -> Iterator[tuple[int, str, str]]:
    """The same of a quant_config that is written out."""
    nodes = quant.get("node_config") if quant is not None and quant.kind == "map" else None
    if nodes is not None and nodes.kind == "map":
        yield from ((key.line, "node_config", key.text) for key, _ in nodes.items)


def _is_known(name: str, network: Network) -> bool:
    """In the model, or a name that the toolchain makes of one that is."""
    plain = name
    for front in ADDED:
        plain = plain.removeprefix(front)
    if plain in network.kinds or plain in network.inputs or plain in network.tensors:
        return True
    fronts = (plain[: mark.start()] for mark in re.finditer("_", plain) if mark.start() > 2)
    return any(front in network.kinds or front in network.tensors for front in fronts)


def _unknown(config: Config, line: int, where: str, name: str, known: tuple[str, ...], severity: str = "") -> None:
    unknown_before = sum(one.rule == "H-804" for one in config.findings)
    near = near_name(name, known) if unknown_before < MOST_NEAR else ""
    some = ", ".join(known[:3]) + (", ..." if len(known) > 3 else "")
    fix = f"did you mean {near}?" if near else f"names of the model: {some}" if known else "name the nodes first"
    config.add("H-804", line, f"{where} names {name!r}, which is no node of the model", fix, severity)
