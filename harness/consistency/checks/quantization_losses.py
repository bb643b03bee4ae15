"""The first op where quantization loses something, for each output that suffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.consistency.checks.quantized_tensors import QuantizedTensor
from harness.records import Graph, Op, QuantizationLoss

DAMAGED_DB = 8.0  # an output below this is damaged: noise of 40 % of its energy's root
SURE = ("channels", "swallowed")  # of all kinds
MOVES_DATA = (
    "Reshape", "Transpose", "Flatten", "Squeeze", "Slice", "Split", "Concat", "Identity", "Pad", "Gather", "Cast",
    "Expand", "Tile", "QuantizeLinear", "Dequantize", "Quantize", "layout",
)  # fmt: skip
SQUASHES = ("Sigmoid", "Softmax", "Tanh", "Exp", "Relu", "Clip", "Lut")  # small results are in their nature


class Losses:
    """`tensors` by name, the network's `graph` where it is known, and which of the tensors are its outputs."""

    def __init__(self, tensors: Mapping[str, QuantizedTensor], graph: Graph | None, outputs: Sequence[str]) -> None:
        self.tensors, self.outputs = tensors, outputs
        self.made_by: dict[str, Op] = {name: op for op in (graph.ops if graph else ()) for name in op.outputs}
        self.in_order = sorted(tensors.values(), key=lambda one: one.order)

    def losses(self) -> list[QuantizationLoss]:
        """Each op once: harmful ones first, of them what is lost whatever is fed, then in execution order."""
        losses = [*self._channels(), *self._masks(), *self._of_damaged()]
        once = {loss.tensor: loss for loss in reversed(losses)}  # the first of them says most
        order = {tensor.name: tensor.order for tensor in self.in_order}
        return sorted(once.values(), key=lambda one: (not one.is_harmful, one.kind not in SURE, order[one.tensor]))

    # ---- channels of an output

    def _channels(self) -> Iterator[QuantizationLoss]:
        for output in self.outputs:
            lossy = [tensor for tensor in self._moved(output) if tensor.lost_channels]
            if lossy:
                origin = min(lossy, key=lambda tensor: tensor.order)
                yield _of_channels(origin, output, not _is(origin.op_kind, SQUASHES))

    def _moved(self, output: str) -> Iterator[QuantizedTensor]:
        """An output and the tensors that it is moved from, back to the ops that compute them."""
        seen, left = {output}, [output]
        while left:
            name = left.pop()
            if name in self.tensors:
                yield self.tensors[name]
            op = self.made_by.get(name)
            if op is not None and _is(op.kind, MOVES_DATA):
                left += [one for one in op.inputs if one not in seen]
                seen.update(op.inputs)

    # ---- large values that set the step

    def _masks(self) -> Iterator[QuantizationLoss]:
        """A mask's constant that swallows what it masks is a loss whatever the outputs say."""
        for tensor in self.in_order:
            if tensor.swallowed is not None and tensor.swallowed.is_mask:
                yield _of_swallowed(tensor, self._suffering(tensor.name))
                return

    # ---- outputs that are mostly noise

    def _of_damaged(self) -> Iterator[QuantizationLoss]:
        for output in self.outputs:
            level = self.tensors[output].sqnr_db
            if level is not None and level < DAMAGED_DB:
                yield self._why(output)

    def _why(self, output: str) -> QuantizationLoss:
        before = self._before(output)
        for tensor in before:
            plain = not _is(tensor.op_kind, (*SQUASHES, *MOVES_DATA)) or "Concat" in tensor.op_kind
            if tensor.swallowed is not None and plain:
                return _of_swallowed(tensor, (output,))
            if tensor.saturated is not None:
                return _of_saturated(tensor, output)
            if tensor.coarse is not None and plain:
                return _of_coarse(tensor, output)
        return _of_noise(max(before, key=self._drop_db), output)

    def _before(self, output: str) -> list[QuantizedTensor]:
        """The tensors that an output is computed from, and itself, in execution order; all of them without a graph."""
        if output not in self.made_by:
            return self.in_order
        names, left = {output}, [output]
        while left:
            op = self.made_by.get(left.pop())
            new = [name for name in (op.inputs if op else ()) if name not in names]
            names.update(new)
            left += new
        return [tensor for tensor in self.in_order if tensor.name in names]

    def _drop_db(self, tensor: QuantizedTensor) -> float:
        """How much an op lowers the level of its worst input."""
        op = self.made_by.get(tensor.name)
        levels = [self.tensors[n].sqnr_db for n in (op.inputs if op else ()) if n in self.tensors]
        known = [min(level, 60.0) for level in levels if level is not None]
        own = tensor.sqnr_db if tensor.sqnr_db is not None else 60.0
        return min(known, default=60.0) - min(own, 60.0)

    def _suffering(self, tensor: str) -> tuple[str, ...]:
        return tuple(name for name in self.outputs if any(one.name == tensor for one in self._before(name)))


def _is(kind: str, words: Sequence[str]) -> bool:
    return any(word.lower() in kind.lower() for word in words)


def _of_channels(origin: QuantizedTensor, output: str, is_harmful: bool) -> QuantizationLoss:
    count = len(origin.lost_channels)
    are, whose = ("are", "their") if count > 1 else ("is", "its")
    why = f", its step is larger than {whose} whole range" if origin.step is not None else ""
    return QuantizationLoss(
        "channels",
        origin.op,
        origin.op_kind,
        origin.name,
        f"{count} of {origin.channels} channels {are} {origin.lost_words}{why}",
        is_harmful=is_harmful,
        outputs=(output,),
        step=origin.step,
        channels=origin.channels,
        lost_channels=origin.lost_channels,
    )


def _of_swallowed(tensor: QuantizedTensor, outputs: Sequence[str]) -> QuantizationLoss:
    seen = tensor.swallowed
    assert seen is not None
    large = float(f"{seen.large:.2g}")
    what = f"the mask of {large:.0f} makes" if seen.is_mask else f"values of about {large:.3g} make"
    detail = (
        f"{what} a step of {tensor.step:.3g}: the other {seen.values} values ({seen.low:.3g} to {seen.high:.3g}) "
        "all become one"
    )
    constant = large if seen.is_mask else None
    return QuantizationLoss(
        *("swallowed", tensor.op, tensor.op_kind, tensor.name, detail),
        is_harmful=True,
        outputs=tuple(outputs),
        step=tensor.step,
        constant=constant,
    )


def _of_saturated(tensor: QuantizedTensor, output: str) -> QuantizationLoss:
    seen = tensor.saturated
    assert seen is not None
    detail = (
        f"{seen.share:.1%} of its values, up to {seen.furthest:.3g}, are beyond its calibrated range "
        f"({seen.low:.3g} to {seen.high:.3g})"
    )
    return QuantizationLoss(
        *("saturated", tensor.op, tensor.op_kind, tensor.name, detail),
        is_harmful=True,
        outputs=(output,),
        step=tensor.step,
    )


def _of_coarse(tensor: QuantizedTensor, output: str) -> QuantizationLoss:
    low, high = tensor.coarse or (0.0, 0.0)
    detail = f"its step of {tensor.step:.3g} is too large for its values ({low:.3g} to {high:.3g})"
    return QuantizationLoss(
        *("coarse", tensor.op, tensor.op_kind, tensor.name, detail),
        is_harmful=True,
        outputs=(output,),
        step=tensor.step,
    )


def _of_noise(tensor: QuantizedTensor, output: str) -> QuantizationLoss:
    level = f"{tensor.sqnr_db:.1f} dB" if tensor.sqnr_db is not None else "no level"
    return QuantizationLoss(
        *("noise", tensor.op, tensor.op_kind, tensor.name, f"loses most: {level} behind it"),
        is_harmful=True,
        outputs=(output,),
        step=tensor.step,
    )
