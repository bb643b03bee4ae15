"""The kinds of fault a fingerprint may name: one table, for people and for the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What a kind means, and what to do next. One sentence each."""

    name: str
    meaning: str
    advice: str


_TABLE = (
    Kind("none", "The tensors are equal byte for byte.", "Nothing to do."),
    Kind(
        "shift",
        "Every value is multiplied by a power of two: a requantization shift is off.",
        "Compare the op's output shift or scale in the compiled model with the quantized one, then recompile.",
    ),
    Kind(
        "scale",
        "Every value is multiplied by one factor that is no power of two.",
        "Compare the op's output scale in the compiled model with the quantized one.",
    ),
    Kind(
        "zero_point",
        "Every value is off by one constant: a zero point, an offset or a bias.",
        "Compare zero points (and u8 against s8) on both sides of the op.",
    ),
    Kind(
        "saturation",
        "Values are cut at a limit on one side and not on the other.",
        "Look for a narrower accumulator or a missing or additional clip, and at the calibrated range.",
    ),
    Kind(
        "rounding",
        "Scattered values differ by about one step, up or down: another rounding or another order of sums.",
        "Allow it by policy if the op is known for it; otherwise compare the rounding modes.",
    ),
    Kind(
        "permutation",
        "The same values in another order.",
        "Check the order of channels or of concatenated inputs; the named order makes the two equal.",
    ),
    Kind(
        "layout",
        "The same bytes read with other axes: NHWC for NCHW, or channel blocks.",
        "Check the layout that the dump's reader or the next op assumes.",
    ),
    Kind(
        "stride",
        "Rows are read with the wrong pitch, padding is taken for data, or an edge row or column is wrong.",
        "Check row strides and aligned shapes on both sides of the op.",
    ),
    Kind(
        "tile",
        "Errors are confined to one block of rows, columns or channels: one piece of the work is wrong.",
        "Check the tiling of the op: try the compiler without tiling or splitting, or another input size.",
    ),
    Kind(
        "cache_line",
        "Errors are confined to one aligned 64 byte line of the board's memory.",
        "Check cache flush and invalidate around the op's buffer.",
    ),
    Kind(
        "page",
        "Errors are confined to one aligned 4 KiB page of the board's memory.",
        "Check the mapping and the flush of the op's buffer, and copies that end at a page.",
    ),
    Kind(
        "stale",
        "The tensor, or what is wrong in it, is an earlier frame's.",
        "Check synchronisation and buffer reuse: the op was read before it was written, or not run at all.",
    ),
    Kind(
        "zeroed_region",
        "The board holds zero where the reference holds data.",
        "Check that the op ran over all of its output and that nothing clears the buffer afterwards.",
    ),
    Kind(
        "dead_channel",
        "One or a few channels are constant on the board and alive in the reference.",
        "Check the weights and scales of those channels in the compiled model, and channel padding.",
    ),
    Kind(
        "nan",
        "The board has NaN where the reference has none.",
        "Look at this op's inputs for 0/0, inf - inf, roots and logs.",
    ),
    Kind(
        "inf",
        "The board has infinity where the reference has none.",
        "Look for overflow, in float16 above all, and for division by zero.",
    ),
    Kind(
        "preprocessing",
        "The network's input differs: mean, scale or colour order.",
        "Compare the input's bytes on both sides first: mean, scale, RGB or BGR, NV12 conversion.",
    ),
    Kind(
        "other_tensor",
        "The file holds exactly another tensor's values.",
        "Two files have changed places, or one lies over another: see how the dumps are named and copied.",
    ),
    Kind(
        "cut_off",
        "The file is the beginning of the tensor in a wider type, and has the size of a narrower one.",
        "Copy the dump again, and look at the space on the board.",
    ),
    Kind(
        "other_input",
        "The network was fed something else than the reference.",
        "Feed both sides the same bytes: make the reference again with the board's input, or run with the reference's.",
    ),
    Kind("input_order", "Two inputs have changed places.", "Match inputs by name, not by position, on both sides."),
    Kind(
        "nibble_order",
        "The two halves of every byte have changed places.",
        "Give the other nibble order for this side's 4-bit dumps.",
    ),
    Kind(
        "endianness",
        "The bytes of every element are in reverse order.",
        "Write and read the dump little endian on both sides.",
    ),
    Kind(
        "single_element",
        "One element differs, or a handful with nothing in common.",
        "Repeat the run: the same element again is the model's, another one is the memory's.",
    ),
    Kind(
        "bit_flip",
        "A few scattered elements differ in one bit each.",
        "Repeat the run and try another board: memory, power or temperature.",
    ),
    Kind(
        "nondeterminism",
        "The board gives another result at another run of the same input.",
        "Run with --repeat and per core; look for races and missing synchronisation before blaming numbers.",
    ),
    Kind(
        "unclassified",
        "The difference fits none of the known kinds.",
        "Look at the histogram and the error map; isolate the op.",
    ),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}


def meaning(name: str) -> str:
    """One sentence on a kind; "" for a name that this version does not know."""
    return KINDS[name].meaning if name in KINDS else ""


def advice(name: str) -> str:
    """What to do next; "" for a name that this version does not know."""
    return KINDS[name].advice if name in KINDS else ""
