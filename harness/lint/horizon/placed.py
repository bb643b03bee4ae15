"""Which nodes the chip will leave to the CPU, by the placement that harness's own compiler uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from harness.lint.horizon.config import Config, op_type
from harness.lint.horizon.inputs import shape_of
from harness.lint.horizon.ops import MARCHES_J6, MARCHES_X, RUN_ON_BPU
from harness.lint.horizon.schema import CALIBRATION, INPUT, MODEL
from harness.lint.network import Network
from harness.platforms.horizon.op_lists import CPU_ONLY

MOST_BYTES = 200_000_000  # of a model that is placed; a larger one takes too long to read
SHOWN = 3  # names in a message


def check(config: Config) -> None:
    """Nodes on the CPU by reason, and nodes that are forced where they cannot run."""
    network = config.network
    if network is None or config.march not in (*MARCHES_X, *MARCHES_J6):
        return
    forced = _forced(config)
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, reason in _cpu_nodes(config, network).items():
        if name not in forced:
            by_reason[reason].append(name)
        elif forced[name][2] == "BPU" and not _is_default(config, name, reason):
            line, where, _ = forced[name]
            what = f"{where} forces {name} onto the BPU: {reason}"
            config.add("H-807", line, what, f"leave {name} out of {where}, or replace the op")
    for reason, names in by_reason.items():
        shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        movable = not config.is_j6 and all(_is_default(config, name, reason) for name in names)
        fix = "ON: BPU for them in node_info" if movable and config.march != "bernoulli2" else "replace the op"
        what = f"{shown}: on the CPU ({reason}); each stretch on the CPU splits the model"
        config.add("H-806", config.line(MODEL, "onnx_model"), what, f"{fix}, where the cost matters")


def _is_default(config: Config, name: str, reason: str) -> bool:
    """Whether the CPU is the default only: the list has the op on the BPU for those who ask for it."""
    kind = op_type(config, name)
    return kind in RUN_ON_BPU and kind not in CPU_ONLY.get(config.march, ()) and " is a CPU op on " in reason


def _cpu_nodes(config: Config, network: Network) -> Mapping[str, str]:
    """Node -> why it runs on the CPU; empty where the model cannot be prepared, which other findings tell."""
    if network.path.stat().st_size > MOST_BYTES:
        return {}
    from harness.emulator.compiler import prepare_model
    from harness.emulator.compiler.placement import CPU, PASSIVE, place
    from harness.emulator.horizon.op_rules import rules_of
    from harness.emulator.model.nodes import ModelGraph

    try:
        model = prepare_model.load(network.path)
        if prepare_model.is_quantized(model):
            return {}
        graph = ModelGraph(prepare_model.prepare(model, _shapes(config, network), lambda one: one))
        placed = place(graph, replace(rules_of(config.march), name=config.march))
    except Exception:  # onnx's own errors have no common base: an input that nothing writes is its ConvertError
        return {}
    kinds = {node.name: node.op_type for node in graph.nodes}
    away = {name: one.reason for name, one in placed.items() if one.unit == CPU and kinds[name] not in PASSIVE}
    return {name: reason for name, reason in away.items() if name in network.kinds or not network.kinds}


def _shapes(config: Config, network: Network) -> dict[str, tuple[int, ...]]:
    names = config.words(INPUT, "input_name") or list(network.inputs)
    given = {name: shape_of(config, i) for i, name in enumerate(names) if name in network.inputs}
    return {name: shape for name, shape in given.items() if len(shape) == len(network.inputs[name].shape)}


def _forced(config: Config) -> dict[str, tuple[int, str, str]]:
    """Node -> (line, where it is placed by hand, onto which unit)."""
    by_hand = {
        name: (config.line(CALIBRATION, key), key, unit)
        for key, unit in (("run_on_cpu", "CPU"), ("run_on_bpu", "BPU"))
        for name in config.words(CALIBRATION, key)
        if name
    }
    info = config.get(MODEL, "node_info")
    for key, value in info.items if info is not None and info.kind == "map" else ():
        place = value.get("ON") if value.kind == "map" else None
        if place is not None and place.text in ("BPU", "CPU"):
            by_hand[key.text] = (key.line, "node_info", place.text)
    return by_hand
