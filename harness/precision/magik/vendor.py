"""What Magik's transform kit offers beside 8 bits for single nodes, and its json with the reasons beside it.

A node may be left out of quantization by its name (`skip_node_quant`). Whether such a node stays on the NNA or goes to
the CPU no public source says; it is emulated in float on the CPU. Bit widths are settings of the whole model in the
json of kit 1.0 (8, 10, 12, 14 bits); kit 2.0 takes them by node from a file of LOAD_OP_QUANT_BIT. Neither is emulated,
so neither is searched: what they would do is measured by the vendor's own tool only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from harness.emulator.compiler.node_types import PLAIN, NodeTypes
from harness.errors import InputError
from harness.precision.base import FLOAT, ConfigTarget, PrecisionVendor, TypeChange, WrittenConfig

SOURCE = "Magik quantization guide (Feb. 2022), chapter 3: skip_node_quant"
PICTURES = "pictures"
WIDE_BITS = 12  # what chapter 8 of the guide goes to for features
CHANNELS = {1: "GRAY", 3: "RGB"}


def options(march: str, kind: str) -> tuple[str, ...]:
    """Every node may be left out of quantization; the guide names no op that may not."""
    return (FLOAT,)


def types(march: str, kind: str, option: str) -> NodeTypes:
    """No type wider than 8 bits of a single node is emulated."""
    return PLAIN


def write(target: ConfigTarget, changes: Sequence[TypeChange]) -> WrittenConfig:
    """The ptq json, which takes no comments; a text with the reason of every name in it; bits by node for kit 2.0.

    Errors: InputError for a model whose input is no picture of one or three channels.
    """
    _, channels, height, width = _picture(target)
    stem = f"{target.model.stem}_{target.soc.name}"
    values = {
        "format": CHANNELS[channels],
        "width": width,
        "height": height,
        "path": PICTURES,
        "used_image_num": target.file_count,
        "feature_quantize_method": "KL",
        "weight_quantize_method": "MAX_ABS",
        "feature_quantize_bits": 8,
        "weight_quantize_bits": 8,
        "skip_node_quant": [change.op for change in changes],
    }
    files = {
        f"{stem}_ptq.json": json.dumps(values, indent=2) + "\n",
        f"{stem}_why.txt": "\n".join(_why(target, changes)) + "\n",
    }
    if changes:
        bits = {change.op: {"QUANT_FEATURE_BIT": WIDE_BITS} for change in changes}
        files[f"{stem}_node_quant_bit_info.json"] = json.dumps(bits, indent=2) + "\n"
    return WrittenConfig(files, _command(target, f"{stem}_ptq.json", channels, height, width), PICTURES)


def _picture(target: ConfigTarget) -> tuple[int, int, int, int]:
    name, shape = target.inputs[0]
    if len(target.inputs) > 1 or len(shape) != 4 or shape[1] not in CHANNELS:
        raise InputError(
            f"input {name!r} is no picture of one or three channels: the ptq json describes nothing else",
            "give a chip of another vendor with --soc, or a model with one picture as input",
        )
    return shape[0], shape[1], shape[2], shape[3]


def _command(target: ConfigTarget, config: str, channels: int, height: int, width: int) -> str:
    means, variances = ",".join(["0"] * channels), ",".join(["255.0"] * channels)
    return (
        f"magik-transform-tools --framework onnx --target_device {target.soc.name.upper()}"
        f" --outputpath {target.model.stem}_magik.mk.h --inputpath {target.model.name}"
        f" --mean {means} --var {variances} --img_width {width} --img_height {height} --img_channel {channels}"
        f" --input_nodes {target.inputs[0][0]} --output_nodes {','.join(target.outputs)}"
        f" --post_training_quantization true --ptq_config_path {config}"
    )


def _why(target: ConfigTarget, changes: Sequence[TypeChange]) -> Iterator[str]:
    """The json takes no comments, so they stand here, a line for each name."""
    yield "Written by harness tune; computed on a PC with the emulated compiler, not measured on a board."
    yield from (f"edited: {edit}" for edit in target.model_edits)
    colours = CHANNELS[target.inputs[0][1][1]]
    yield f"format {colours}, mean 0 and var 255: as harness measured; write what the network was trained with."
    yield "feature_quantize_method KL: the guide's; harness measured with the whole range of every feature map."
    yield f"skip_node_quant ({SOURCE}):"
    yield from (f"  {change.op}: {change.why}" for change in changes)
    if not changes:
        yield "  nothing: 8 bits are enough"
        return
    yield "Not known: whether a node that is left out stays on the NNA or goes to the CPU, and what it costs."
    yield "Not emulated, so not measured here: more bits instead of float. Kit 1.0 has feature_quantize_bits and"
    yield "weight_quantize_bits (8, 10, 12, 14; guide, chapters 3 and 8) for the whole model only. Kit 2.0 takes bits"
    yield f"by node (LOAD_OP_QUANT_BIT): the _node_quant_bit_info.json beside this asks for {WIDE_BITS} bits of the"
    yield "same nodes; names of skipped nodes are QUANT_NODE_SKIP there. Measure either with the tool's cosine table."


VENDOR = PrecisionVendor(options, types, lambda march: False, lambda march: SOURCE, write)
