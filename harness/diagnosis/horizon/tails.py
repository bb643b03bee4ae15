"""B-508 to B-511: how outputs leave the accelerator, what reads them on, and conversions that could be taken out.

Sources: article on high-precision outputs of linear layers (J6, Nov. 2025): an output that ends in a convolution or a
linear layer leaves as int32 on J6 E and M, as float32 on P and H; one that is read on is dequantized and quantized,
which becomes a rescale, or is quantized by the vector unit. Removable nodes: hb_model_modifier, `remove_node_type`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.diagnosis.horizon.alignment import MOST, march_of_run
from harness.diagnosis.rules import Findings, RunView, finding
from harness.records import Op, OpTime, Rule, TensorSpec
from harness.toolchains.fed_back import fed_back

LINEAR = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
MOVES = frozenset(("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity"))
ROUNDED = ("s8", "u8", "s16")
FLOAT_MARCHES = ("nash-b", "nash-p", "nash-h")  # nash-b-lite and nash-b-plus, too
LEAST_SHARE = 0.02  # of the latency; less is not worth a node
ARTICLE = "the reference's graph and the board's model_info; article on high-precision outputs (J6)"
RULES = (
    Rule("B-508", "note", "an output is rounded although a convolution makes it",
         "leave out set_model_output_int8 and model_output_type: such an output can leave unrounded",
         "Nash (J6, S100, S600) with a reference: a convolution or linear layer makes an output, and it leaves as int8 "
         "or int16", ARTICLE),
    Rule("B-509", "note", "an output is read on inside the network",
         "compare the latency with an output of its own: end the model there, or compute the copy apart",
         "Nash with a reference: ops read a tensor that is an output, unrounded, of a convolution or linear layer",
         ARTICLE),
    Rule("B-510", "note", "an output is an input again, and is converted on its way",
         "give both one type and one scale and remove the conversions: the bytes can then be handed on as they are",
         "an output and an input of one shape, whose names differ in a word like in and out only, that are not "
         "integers of one scale", "the board's model_info"),
    Rule("B-511", "note", "conversions at the ends of the model take time on the CPU",
         "remove_node_type or hb_model_modifier takes them out; then your program reads integers: value = integer x "
         "scale (per channel where there are several), in the layout and padding that model_info tells",
         "Quantize and Dequantize before the first or behind the last subgraph take 2 % of the latency or more",
         "the board's profiler"),
)  # fmt: skip


def rounded(view: RunView) -> Findings:
    """B-508: of outputs whose accumulators could leave."""
    for output, maker, _ in _outputs(view):
        dtype = _dtype(view, output)
        if dtype in ROUNDED:
            high = "float32" if march_of_run(view).startswith(FLOAT_MARCHES) else "int32"
            evidence = f"{output}: {maker.kind} {maker.name} makes it, and it leaves as {dtype}; {high} is possible"
            yield finding("B-508", evidence, subject=output)


def read_on(view: RunView) -> Findings:
    """B-509: what the readers get."""
    how = "dequantized and quantized for them, which becomes one rescale"
    if march_of_run(view).startswith(FLOAT_MARCHES):
        how = "quantized for them by the vector unit; qat_bc._integer_conv = True keeps it a rescale"
    for output, maker, readers in _outputs(view):
        if readers and _dtype(view, output) not in ROUNDED:
            names = ", ".join(op.name for op in readers[:MOST])
            evidence = f"{output} of {maker.kind} {maker.name} is read by {names}: {how}"
            yield finding("B-509", evidence, subject=output)


def _outputs(view: RunView) -> list[tuple[str, Op, tuple[Op, ...]]]:
    """(output, the linear op that makes it, ops that read it on), of a Nash model with a graph."""
    graph = view.comparison.extras.graph if view.comparison else None
    if graph is None or view.comparison is None or not march_of_run(view).startswith("nash"):
        return []
    makers = {tensor: op for op in graph.ops for tensor in op.outputs}
    pairs = []
    for name in (layer.name for layer in view.comparison.layers if layer.is_output):
        maker = makers.get(name)
        while maker is not None and _passes(maker, makers):
            maker = makers[maker.inputs[0]]
        if maker is not None and maker.kind in LINEAR:
            pairs.append((name, maker, _readers(graph.ops, name)))
    return pairs


def _readers(ops: Sequence[Op], tensor: str) -> tuple[Op, ...]:
    """Ops that read a tensor, through a quantizer of its own too."""
    direct = [op for op in ops if tensor in op.inputs]
    quantized = [name for op in direct if op.kind == "QuantizeLinear" for name in op.outputs]
    behind = [op for op in ops if any(name in op.inputs for name in quantized)]
    return tuple(op for op in (*direct, *behind) if op.kind != "QuantizeLinear")


def _passes(op: Op, makers: Mapping[str, Op]) -> bool:
    """Whether an op only moves what one before it made, or adds the bias of a product to it."""
    before = makers.get(op.inputs[0]) if len(op.inputs) == 1 else None
    return before is not None and (op.kind in MOVES or (op.kind == "Add" and before.kind == "MatMul"))


def _dtype(view: RunView, output: str) -> str:
    """In which the board keeps the output; "" where nothing tells."""
    layers = view.comparison.layers if view.comparison else ()
    return next((layer.dtype for layer in layers if layer.name == output), "")


# --------------------------------------------------------------------------- conversions


def state(view: RunView) -> Findings:
    """B-510: of every state that a frame hands to the next."""
    info = view.run.model_info
    if info is None or view.run.board.platform not in ("hbdnn", "ucp"):
        return
    inputs, outputs = ({spec.name: spec for spec in specs} for specs in (info.inputs, info.outputs))
    named = ([(one.name, tuple(sorted(one.shape))) for one in side.values()] for side in (outputs, inputs))
    for output, fed in fed_back(*named):  # sizes in any order: a board may keep channels last
        if not _is_one_integer(outputs[output], inputs[fed]):
            evidence = f"{output} leaves as {_words(outputs[output])} and comes back as {fed}, {_words(inputs[fed])}"
            yield finding("B-510", evidence, subject=output)


def _is_one_integer(one: TensorSpec, other: TensorSpec) -> bool:
    return one.dtype == other.dtype and one.dtype[:1] in "su" and one.quantization == other.quantization


def _words(spec: TensorSpec) -> str:
    scales = spec.quantization.scales if spec.quantization else ()
    shown = f"scale {scales[0]:.4g}" if len(scales) == 1 else f"{len(scales)} scales" if scales else ""
    return f"{spec.dtype} ({shown})" if shown else spec.dtype


def removable(view: RunView) -> Findings:
    """B-511: all of them together, the longest first."""
    profile = view.profile
    if profile is None or not profile.order_known or view.run.board.platform not in ("hbdnn", "ucp"):
        return
    ends = _at_the_ends(profile.ops)
    total_us = sum(op.mean_us for op in ends)
    if not ends or total_us < LEAST_SHARE * profile.latency.mean_us:
        return
    ends.sort(key=lambda op: -op.mean_us)
    shown = ", ".join(f"{op.name} {op.mean_us:.1f} us" for op in ends[:MOST])
    more = f" and {len(ends) - MOST} more" if len(ends) > MOST else ""
    share = total_us / profile.latency.mean_us
    yield finding("B-511", f"{share:.1%} of the latency: {shown}{more}", subject=ends[0].name)


def _at_the_ends(ops: Sequence[OpTime]) -> list[OpTime]:
    places = [place for place, op in enumerate(ops) if op.kind == "subgraph"]
    if not places:
        return []
    outer = (*ops[: places[0]], *ops[places[-1] + 1 :])
    return [op for op in outer if op.category in ("quantize", "dequantize") and op.unit == "CPU"]


CHECKS = (rounded, read_on, state, removable)
