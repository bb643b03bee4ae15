"""What a ptq json of Magik's transform kit sets for single nodes: those that are left out of quantization."""

from __future__ import annotations

import json
from pathlib import Path

from harness.emulator.compiler.node_types import NodeSettings
from harness.errors import ConfigError, InputError

MOST_BYTES = 16 * 2**20
BITS = ("feature_quantize_bits", "weight_quantize_bits")


def node_settings(path: Path) -> NodeSettings:
    """Nodes of skip_node_quant, which are emulated in float on the CPU.

    Errors: InputError for what is not emulated, ConfigError for what is no ptq json.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: too large for a ptq json", "give the json of --ptq_config_path")
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as a ptq json ({error})", "harness lint shows where") from None
    names = values.get("skip_node_quant", []) if isinstance(values, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{path}: skip_node_quant is no list of names", "harness lint shows where")
    if values.get("skip_op_quant"):
        raise InputError(f"{path}: skip_op_quant is not emulated", "name the nodes in skip_node_quant")
    if wide := next((key for key in BITS if values.get(key, 8) != 8), ""):
        raise InputError(f"{path}: {wide} {values[wide]!r}: emulated with 8 bits only", f'"{wide}": 8')
    return NodeSettings(on_cpu=tuple(dict.fromkeys(names)))
