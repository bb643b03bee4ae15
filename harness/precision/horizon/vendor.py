"""What each march offers beside int8, by its operator list, and hb_mapper's and hb_compile's configs."""

from __future__ import annotations

from collections.abc import Sequence

from harness.emulator.compiler.node_types import PLAIN, NodeTypes
from harness.platforms.horizon.op_lists import DUAL_INT16, DUAL_SINCE, EC_INPUTS, SOURCES, list_of, takes_int16
from harness.precision.base import FLOAT, ConfigTarget, PrecisionVendor, TypeChange, WrittenConfig
from harness.precision.horizon.calibrations import offer
from harness.precision.horizon.compile_config import compile_config
from harness.precision.horizon.mapper_config import mapper_config

INT16, DUAL, EC = "int16", "dual-int16", "int16-ec"


def options(march: str, kind: str) -> tuple[str, ...]:
    """Words of quant_config where there is one; what the list does not state is not offered."""
    wide = [INT16] if takes_int16(march, kind) else []
    if list_of(march) == "nash" and kind in DUAL_INT16:
        wide += [EC] if "input1" in EC_INPUTS.get(kind, ()) else []
        wide.append(DUAL)
    return (*wide, FLOAT)


def types(march: str, kind: str, option: str) -> NodeTypes:
    """node_info has an OutputType; quant_config sets inputs, and model_output_type those of the model."""
    if option == FLOAT or option not in options(march, kind):
        return PLAIN
    output = "" if list_of(march) == "nash" else INT16
    second = {DUAL: {1: INT16}, EC: {1: "ec"}}.get(option, {})
    return NodeTypes(INT16, second, output)


def write(target: ConfigTarget, changes: Sequence[TypeChange]) -> WrittenConfig:
    """A yaml of the chip's toolchain; for nash its quant_config and QAT lines too."""
    if list_of(target.soc.march) == "nash":
        return compile_config(target, changes)
    return mapper_config(target, changes)


def sources(march: str) -> str:
    """The operator list; where both inputs may be wide, since when."""
    more = f"; both inputs: {DUAL_SINCE}" if list_of(march) == "nash" else ""
    return f"{SOURCES[list_of(march)]}{more}"


VENDOR = PrecisionVendor(options, types, lambda march: list_of(march) == "nash", sources, write, offer)
