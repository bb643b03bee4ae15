"""B-506 and B-507: what leaves a part of a Nash BPU idle: channels and head sizes that it pads, int16 products.

The vendor's guide to hb_analyzer: channels are padded to 16, a head of an attention to 64; below a tenth of int16
products nothing is to be gained, above three tenths the quantization is worth a look.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.diagnosis.rules import Findings, RunView, finding
from harness.records import Layer, Op, Rule

CHANNELS, HEAD = 16, 64
FEW = 8  # channels of pictures and masks at the ends of a network
LOOK, REVIEW = 0.1, 0.3
MOST = 5
RULES = (
    Rule("B-506", "note", "channels or head sizes do not fill the BPU",
         "make channels a multiple of 16 and the size of an attention head a multiple of 64: the rest is padding",
         "Nash (J6, S100, S600) with a reference: convolutions whose channels are no multiple of 16, attentions whose "
         "head size is none of 64", "the shapes of the reference's layers; guide to hb_analyzer"),
    Rule("B-507", "note", "a large share of the products is int16",
         "int8 features and weights are fastest: check which layers need int16",
         "more than a tenth of a segment's multiply-accumulates, by the compiler's perf JSON; \"worth a review\" above "
         "three tenths", "the compiler's perf JSON; guide to hb_analyzer"),
)  # fmt: skip


def unaligned(view: RunView) -> Findings:
    """B-506: of convolutions and attentions whose shapes the reference tells; marches of the Nash family only."""
    if view.comparison is None or not march_of_run(view).startswith("nash"):
        return
    graph = view.comparison.extras.graph
    attended = _attended(graph.ops if graph else ())
    odd = [words for layer in view.comparison.layers if (words := _odd(layer, attended))]
    if odd:
        more = f" and {len(odd) - MOST} more" if len(odd) > MOST else ""
        yield finding("B-506", f"{len(odd)} ops: {', '.join(odd[:MOST])}{more}")


def march_of_run(view: RunView) -> str:
    """Of the model that ran, or of its build; "" where neither tells."""
    info, plan = view.run.model_info, view.plan
    return (info.versions.get("march", "") if info else "") or (plan.march if plan else "")


def _odd(layer: Layer, attended: set[str]) -> str:
    """`conv1 (24 channels)`, `attn (head size 48)`; "" where an op fits, or its shape does not tell."""
    if layer.op_kind == "Conv" and len(layer.shape) == 4 and layer.shape[1] > FEW and layer.shape[1] % CHANNELS:
        return f"{layer.op} ({layer.shape[1]} channels)"
    if layer.op in attended and len(layer.shape) >= 3 and layer.shape[-1] % HEAD:
        return f"{layer.op} (head size {layer.shape[-1]})"
    return ""


def _attended(ops: Sequence[Op]) -> set[str]:
    """Products of attention weights and values: MatMuls that read a Softmax; their last axis is one head's."""
    weights = {tensor for op in ops if op.kind == "Softmax" for tensor in op.outputs}
    return {op.name for op in ops if op.kind == "MatMul" and weights & set(op.inputs)}


def wide_products(view: RunView) -> Findings:
    """B-507: the share of int16 products of a segment, as the compiler counts them."""
    for segment in view.plan.segments if view.plan else ():
        share = sum(part for types, part in segment.mac_shares.items() if "int16" in types)
        if share > LOOK:
            worth = "worth a review" if share > REVIEW else "worth a look"
            yield finding("B-507", f"{share:.1%} of the multiply-accumulates: {worth}", subject=segment.name)


CHECKS = (unaligned, wide_products)
