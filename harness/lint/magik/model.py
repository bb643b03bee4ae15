"""A ptq json and its transform command against the ONNX: channels, sizes, and names of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from harness.lint.names import near_name
from harness.lint.network import Network, read_network

# (rule, key, message, fix)
Complaint = tuple[str, str, str, str]


def against_model(values: Mapping[str, object], path: Path) -> Iterator[Complaint]:
    """What the json says that the model does not bear out; nothing for what is no ONNX."""
    network = read_network(path)
    if network is not None:
        yield from _sizes(values, network)
        for name in _names(values, "skip_node_quant"):
            if not knows(network, name):
                yield _unknown("skip_node_quant", name, network)
        for kind in _names(values, "skip_op_quant"):
            if kind not in network.types:
                near = get_close_matches(kind, network.types, n=1)
                fix = f"did you mean {near[0]!r}?" if near else f"ops of the model: {', '.join(sorted(network.types))}"
                yield "M-713", "skip_op_quant", f"skip_op_quant {kind!r}: the model has no such op", fix


def knows(network: Network, name: str) -> bool:
    """Whether a name is a node, a tensor or an input of the model."""
    return name in network.kinds or name in network.tensors or name in network.inputs


def unknown_nodes(option: str, given: str, network: Network) -> Iterator[tuple[str, str]]:
    """(message, fix) for every name of a command line's list that the model does not have."""
    for name in (one.strip() for one in given.replace(";", ",").split(",")):
        if name and not knows(network, name):
            _, _, message, fix = _unknown(f"--{option}", name, network)
            yield message, fix


def _unknown(where: str, name: str, network: Network) -> Complaint:
    known: Iterable[str] = (*network.outputs, *network.inputs, *network.kinds, *network.tensors)
    near = near_name(name, known)
    some = ", ".join(list(network.kinds)[:3] or network.outputs[:3])
    fix = f"did you mean {near!r}?" if near else f"names of the model: {some}, ..."
    return "M-712", where, f"{where} {name!r}: the model has no such node", fix


def _names(values: Mapping[str, object], key: str) -> list[str]:
    given = values.get(key)
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []


def _sizes(values: Mapping[str, object], network: Network) -> Iterator[Complaint]:
    first = next(iter(network.inputs.values()), None)
    if first is None or len(first.shape) != 4:
        return
    channels, height, width = first.shape[1:]
    wanted = 1 if values.get("format") == "GRAY" else 3
    if channels and channels != wanted:
        message = f"format {values.get('format')!r} gives {wanted} channels, the model needs {channels}"
        yield "M-709", "format", message, '"format": "GRAY"' if channels == 1 else '"format": "RGB"'
    for key, size in (("height", height), ("width", width)):
        if size and isinstance(values.get(key), int) and values[key] != size:
            message = f"{key} {values[key]}, the model's input is {width}x{height} (w x h)"
            yield "M-709", key, message, f'"{key}": {size}'
