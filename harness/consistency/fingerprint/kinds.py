"""The kinds of fault a fingerprint may name: one table, for people and for the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DifferenceKind:
    """What a kind means, and what to do next. One sentence each."""

    name: str
    meaning: str
    advice: str


_TABLE = (
    DifferenceKind("none", "The values of the tensors are equal.", "Nothing to do."),
    DifferenceKind(
        "shift",
        "Every value is multiplied by a power of two: a requantization shift is off.",
        "Compare the op's output shift or scale in the compiled model with the quantized one, then recompile.",
    ),
    DifferenceKind(
        "scale",
        "Every value is multiplied by one factor that is not a power of two.",
        "Compare the op's output scale in the compiled model with the quantized one.",
    ),
    DifferenceKind(
        "zero_point",
        "Every value is off by one constant: a zero point, an offset or a bias.",
        "Compare zero points (and u8 against s8) on both sides of the op.",
    ),
    DifferenceKind(
        "saturation",
        "Values are clipped at a limit on one side only.",
        "Check accumulator width, missing or extra clips, and the calibrated range.",
    ),
    DifferenceKind(
        "rounding",
        "Scattered values differ by about one step, up or down: different rounding or summation order.",
        "Allow it by policy if it is known for this op; otherwise compare the rounding modes.",
    ),
    DifferenceKind(
        "permutation",
        "The same values in a different order.",
        "Check the order of channels or concatenated inputs; the order given makes both equal.",
    ),
    DifferenceKind(
        "layout",
        "The same bytes with a different layout: NHWC instead of NCHW, or channel blocks.",
        "Check the layout that the dump's reader or the next op assumes.",
    ),
    DifferenceKind(
        "stride",
        "Rows are read with the wrong stride, padding is read as data, or an edge row or column is wrong.",
        "Check row strides and aligned shapes on both sides of the op.",
    ),
    DifferenceKind(
        "moved",
        "The values are moved by whole elements along an axis.",
        "Compare padding (begin and end exchanged), crop, and the coordinate and nearest mode of a Resize.",
    ),
    DifferenceKind(
        "tile",
        "Errors are confined to one block of rows, columns or channels (one tile).",
        "Check the op's tiling: compile without tiling or splitting, or with another input size.",
    ),
    DifferenceKind(
        "channel",
        "One output channel of an op with weights differs, or a few: weights, bias or scale of that channel.",
        "Compare weights, bias and scale of the named channels in the compiled model and in the quantized one.",
    ),
    DifferenceKind(
        "channel_offset",
        "Every channel is off by a constant of its own: the bias is left out, or another one.",
        "Compare the op's bias in the compiled model with the reference's: dropped, in another scale or order.",
    ),
    DifferenceKind(
        "channel_scale",
        "Every channel is multiplied by a factor of its own: scales per channel of another op, or one for all.",
        "Compare the op's weight scales per channel on both sides, and their order.",
    ),
    DifferenceKind(
        "channel_affine",
        "Every channel has a factor and an offset of its own: a normalization was folded with other figures.",
        "Compare epsilon, mean and variance of the normalization, and the weights that it was folded into.",
    ),
    DifferenceKind(
        "weight_order",
        "The op's weights are in another order: transposed, flipped, or laid out for another op.",
        "Compare the layout of this op's weights in the compiled model with the one that the op reads.",
    ),
    DifferenceKind(
        "weight_bits",
        "The op's weights have fewer bits than the reference's.",
        "Compare the weight precision of this op in the toolchain's config (bits; per tensor or per channel).",
    ),
    DifferenceKind(
        "weight_scale",
        "The op's weights are dequantized with wrong scales: one for all channels, or without their zero point.",
        "Compare the weight scales and zero points of this op on both sides: per channel or per tensor.",
    ),
    DifferenceKind(
        "bias",
        "The op's bias is left out, added twice, of the other sign, or cut to fewer bits.",
        "Compare the op's bias in the compiled model with the reference's.",
    ),
    DifferenceKind(
        "padding",
        "The op pads at other ends, with another value, or counts padding in its mean.",
        "Compare the op's pads on both sides: SAME_UPPER or SAME_LOWER, count_include_pad, the padded value.",
    ),
    DifferenceKind(
        "window",
        "The op ignores or exchanges strides, dilations or groups.",
        "Compare strides, dilations and groups of the op in the compiled model with the reference's.",
    ),
    DifferenceKind(
        "axis",
        "The op works along another axis, or takes its axes or operands in another order.",
        "Compare the op's axis, permutation and operand order on both sides (NCHW or NHWC).",
    ),
    DifferenceKind(
        "resampling",
        "The op resamples with another mode or other coordinates.",
        "Compare mode, coordinate_transformation_mode (align_corners) and nearest_mode of the op on both sides.",
    ),
    DifferenceKind(
        "epsilon",
        "The normalization uses another epsilon, or adds it elsewhere.",
        "Compare the epsilon of the op on both sides.",
    ),
    DifferenceKind(
        "normalization",
        "The normalization leaves out its scale, offset or statistics, or computes them in another way.",
        "Compare scale, offset, mean and variance of the op on both sides.",
    ),
    DifferenceKind(
        "parameter",
        "The op uses another parameter: a slope, a limit or a constant.",
        "Compare the op's attributes and constants on both sides.",
    ),
    DifferenceKind(
        "function",
        "The op computes another function: an approximation, or a sum instead of a mean.",
        "Compare which formula both sides use (GELU by tanh or erf, hard or exact sigmoid, mean or sum).",
    ),
    DifferenceKind(
        "activation",
        "The op's activation is left out, or there is one that the reference has not.",
        "Compare the activations that were fused into the op on both sides.",
    ),
    DifferenceKind(
        "skipped_op",
        "The op was not computed: its output is its input.",
        "Check whether the compiler removed or merged the op, and whether it ran at all.",
    ),
    DifferenceKind(
        "repeated_op",
        "The op was computed twice: its output went through it again.",
        "Check the schedule of the op and the buffers that it reads and writes.",
    ),
    DifferenceKind(
        "accumulator",
        "The op's sums overflow: they wrap or saturate in fewer bits than the reference's.",
        "Check the accumulator's width for this op, and the size of its weights and inputs.",
    ),
    DifferenceKind(
        "precision",
        "The op computes in another type than the reference: narrower floats, or floats where that is quantized.",
        "Check which type this op runs in: float16, bfloat16 or TF32; its line in the toolchain's list of layer types.",
    ),
    DifferenceKind(
        "truncation",
        "About half of the values are one step off, always down or always towards zero: truncated, not rounded.",
        "Compare the rounding of the op's requantization with the reference's (to nearest).",
    ),
    DifferenceKind(
        "cache_line",
        "Errors are confined to one aligned 64 byte line of the board's memory.",
        "Check cache flush and invalidate around the op's buffer.",
    ),
    DifferenceKind(
        "page",
        "Errors are confined to one aligned 4 KiB page of the board's memory.",
        "Check the mapping and the flush of the op's buffer, and copies that end at a page.",
    ),
    DifferenceKind(
        "stale",
        "The tensor, or its wrong part, is from an earlier frame.",
        "Check synchronisation and buffer reuse: the buffer was read before it was written, or the op did not run.",
    ),
    DifferenceKind(
        "zeroed_region",
        "The board has zeros where the reference has data.",
        "Check that the op writes all of its output and that nothing clears the buffer afterwards.",
    ),
    DifferenceKind(
        "dead_channel",
        "One or a few channels are constant on the board but not in the reference.",
        "Check the weights and scales of those channels in the compiled model, and channel padding.",
    ),
    DifferenceKind(
        "nan",
        "The board has NaN where the reference has none.",
        "Check this op's inputs for 0/0, inf - inf, roots and logs.",
    ),
    DifferenceKind(
        "inf",
        "The board has infinity where the reference has none.",
        "Check for overflow (especially float16) and division by zero.",
    ),
    DifferenceKind(
        "overflow",
        "Values beyond 65504, the largest of half precision (float16), are lost: infinite, or cut to the limit.",
        "Keep this op in float32 or bfloat16, or scale its input down first (in a norm: before the square).",
    ),
    DifferenceKind(
        "preprocessing",
        "The network input differs: mean, scale or colour order.",
        "Compare the input's bytes on both sides first: mean, scale, RGB or BGR, NV12 conversion.",
    ),
    DifferenceKind(
        "dequantization",
        "The integers are right and were turned into real values wrongly: zero point, scale or signedness.",
        "Correct the step that dequantizes: (integer - zero point) x scale, with this tensor's own figures.",
    ),
    DifferenceKind(
        "other_tensor",
        "The dump holds another tensor's values.",
        "Two files are swapped, or one overwrote another: check how the dumps are named and copied.",
    ),
    DifferenceKind(
        "cut_off",
        "The file is truncated: it holds the start of the tensor in a wider dtype.",
        "Copy the dump again, and check the board's free space.",
    ),
    DifferenceKind(
        "other_input",
        "The board and the reference got different inputs.",
        "Use the same input on both sides: create the reference with the board's input, or run with the reference's.",
    ),
    DifferenceKind("input_order", "Two inputs are swapped.", "Match inputs by name, not by position, on both sides."),
    DifferenceKind(
        "nibble_order",
        "The two nibbles of every byte are swapped.",
        "Set the other nibble order for this side's 4-bit dumps.",
    ),
    DifferenceKind(
        "endianness",
        "The bytes of every element are reversed (endianness).",
        "Write and read the dump little endian on both sides.",
    ),
    DifferenceKind(
        "single_element",
        "One or a few unrelated elements differ.",
        "Repeat the run: the same element again points to the model, a different one to memory.",
    ),
    DifferenceKind(
        "bit_flip",
        "A few scattered elements differ in one bit each.",
        "Repeat the run and try another board; suspect memory, power or temperature.",
    ),
    DifferenceKind(
        "nondeterminism",
        "The board gives different results for the same input.",
        "Run with --repeat and per core; check for races and missing synchronisation.",
    ),
    DifferenceKind(
        "unclassified",
        "The difference matches no known fault kind.",
        "See the histogram and error map; run the op alone.",
    ),
)

KINDS: dict[str, DifferenceKind] = {kind.name: kind for kind in _TABLE}


def meaning(name: str) -> str:
    """One sentence on a kind; "" for a name that this version does not know."""
    return KINDS[name].meaning if name in KINDS else ""


def advice(name: str) -> str:
    """What to do next; "" for a name that this version does not know."""
    return KINDS[name].advice if name in KINDS else ""
