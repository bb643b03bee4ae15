"""Layers of a compiler's estimate summed by block: what a softmax or a LayerNorm was split into stands together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.records import PlanBlock
from harness.toolchains.records import LayerCost

_UP_TO_A_NUMBER = re.compile(r"_*[A-Za-z]+(?:_[A-Za-z]+)*_[0-9]+")


def block_of(name: str) -> str:
    """`/model.10/attn` of `/model.10/attn/Softmax_exp`, `layers.3` of `layers.3.norm.mul`, `_features_0` of
    `_features_0_0_hz_conv2d`; a name without parts is its own block."""
    parts = name.split("/")
    if len([part for part in parts if part]) > 1:
        head = "/" if name.startswith("/") else ""
        return head + "/".join([part for part in parts if part][:-1][:2])
    dotted = name.split(".")
    if len(dotted) > 2:
        return ".".join(dotted[:2])
    match = _UP_TO_A_NUMBER.match(name)
    return match[0] if match else name


def blocks_of(layers: Sequence[LayerCost]) -> tuple[PlanBlock, ...]:
    """Sums by block, in the order of the first layer of each; layers without a cost count as layers only."""
    blocks: dict[str, list[LayerCost]] = {}
    for layer in layers:
        blocks.setdefault(block_of(layer.name), []).append(layer)
    return tuple(
        PlanBlock(
            name,
            len(own),
            sum(layer.compute_us or 0.0 for layer in own),
            sum(layer.load_store_us or 0.0 for layer in own),
        )
        for name, own in blocks.items()
    )
