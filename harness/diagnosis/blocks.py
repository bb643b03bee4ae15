"""Layers of a compiler's estimate summed by block: what a softmax or a LayerNorm was split into stands together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.records import PlanBlock, PlanComposite
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
            sum(layer.total_us or 0.0 for layer in own),
        )
        for name, own in blocks.items()
    )


# By a part of the layer's name, the first that fits. A batch norm is folded into its convolution, it is none of these.
_COMPOSITES = (
    ("Softmax", re.compile(r"softmax", re.IGNORECASE)),
    ("LayerNorm", re.compile(r"layer_?norm|^norm_?[0-9]*$|^ln_?[0-9]*$", re.IGNORECASE)),
    ("GELU", re.compile(r"gelu", re.IGNORECASE)),
    ("SiLU", re.compile(r"silu|swish", re.IGNORECASE)),
)
_PART = re.compile(r"[./]")


def composites_of(layers: Sequence[LayerCost]) -> tuple[PlanComposite, ...]:
    """Ops that were split into several layers, summed by kind, dearest first: each alone seems cheap."""
    by_kind: dict[str, list[tuple[str, LayerCost]]] = {}
    for layer in layers:
        if (split := _composite(layer.name)) is not None:
            by_kind.setdefault(split[0], []).append((split[1], layer))
    sums = [_summed(kind, rows) for kind, rows in by_kind.items()]
    return tuple(sorted(sums, key=lambda one: -(one.total_us or max(one.compute_us, one.load_store_us))))


def _composite(name: str) -> tuple[str, str] | None:
    """(kind, the name up to it): `encoder.0.attn.softmax` of `encoder.0.attn.softmax.exp`."""
    parts = [part for part in _PART.split(name) if part]
    for kind, pattern in _COMPOSITES:
        place = next((at for at, part in enumerate(parts) if pattern.search(part)), None)
        if place is not None:
            return kind, ".".join(parts[:place]) + ":" + re.sub(r"_(?:[a-z]+)$", "", parts[place])
    return None


def _summed(kind: str, rows: Sequence[tuple[str, LayerCost]]) -> PlanComposite:
    costs = [layer for _, layer in rows]
    return PlanComposite(
        kind,
        len({place for place, _ in rows}),
        len(rows),
        sum(layer.compute_us or 0.0 for layer in costs),
        sum(layer.load_store_us or 0.0 for layer in costs),
        sum(layer.total_us or 0.0 for layer in costs),
    )
