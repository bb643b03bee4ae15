"""A matched dump and tensor, opened: two arrays with axes in one order, or the reason why there is no such pair."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from harness.consistency.reading.layouts import BLOCKED, NV12, REFERENCE_SIDE, TensorError
from harness.consistency.reading.specs import (
    Storages,
    board_spec,
    file_size,
    fitting,
    npy_header,
    open_array,
    open_board,
    stored_ways,
    ways_of,
)
from harness.consistency.reading.tensor_files import (
    Array,
    dequantize,
    nv12_to_yuv444,
    open_tensor,
    size_bytes,
    to_layout,
    value_range,
)
from harness.consistency.reading.unknown_shape import filled_up
from harness.records import Dump, Quantization, TensorSpec
from harness.reference.open import ReferenceTensor

GRID_TOLERANCE = 1e-3  # of a step: float32 products of small integers are this close
GRID_SAMPLE = 1 << 16  # elements looked at before a whole tensor is
SAME_SCALE = 1e-5


@dataclass(frozen=True)
class Pair:
    """Board and reference as logical arrays of one shape. `form` is one of policy.FORMS."""

    board: Array
    reference: Array
    spec_board: TensorSpec
    spec_reference: TensorSpec
    form: str
    stored: TensorSpec  # how the board keeps it
    reference_md5: str = ""
    note: str = ""

    @property
    def dtype(self) -> str:
        """What a policy's dtype means: the coarser of the two sides' floats, else the reference's."""
        kinds = {self.spec_board.dtype, self.spec_reference.dtype}
        return "f16" if self.form == "float" and "f16" in kinds else self.spec_reference.dtype


def open_pair(tensor: ReferenceTensor, dump: Dump, storages: Storages | None = None) -> Pair:
    """Open both sides. Errors: TensorError whose `reason` is one of records.REASONS."""
    raw = filled_up(tensor, dump)
    if raw is not None:
        return _of_raw_bytes(tensor, *raw)
    try:
        ways = [board_spec(tensor, dump, storages), *_other_dtypes(tensor, dump, storages)]
    except TensorError:
        picture = _picture(tensor, dump)
        if picture is None:
            raise
        return picture
    pairs = (_open_as(way, tensor, dump, storages) for way in ways)
    first = next(pairs)
    return first if len(ways) == 1 or _equal(first) else next(filter(_equal, pairs), first)


def _of_raw_bytes(tensor: ReferenceTensor, stored: TensorSpec, board: Array, reference: Array) -> Pair:
    dense = replace(stored, aligned_shape=())
    valid, full = stored.shape[-1], stored.aligned_shape[-1]
    note = f"nothing tells the shape: by the values {valid} bytes of a pixel, filled up to {full}"
    return Pair(board, reference, dense, dense, "integer", stored, tensor.md5, note)


def _equal(pair: Pair) -> bool:
    return np.array_equal(pair.board, pair.reference)


def _other_dtypes(tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> list[TensorSpec]:
    """Further dtypes in which a network input of this size may lie: tools dump it as it was given and as it was fed."""
    if not tensor.is_input or dump.spec is not None or dump.path.suffix == ".npy":
        return []
    size, first = file_size(dump.path), board_spec(tensor, dump, storages)
    by_dtype = {way.dtype: way for way in reversed(stored_ways(tensor, dump, storages)) if size_bytes(way) == size}
    return [way for dtype, way in by_dtype.items() if dtype != first.dtype]


def aligned(spec_board: TensorSpec, tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> Pair:
    """Both sides with axes in one order and of one shape, values as they are stored. Errors: TensorError."""
    stored = spec_board
    board = open_board(dump.path, spec_board)
    spec_reference, reference, md5 = _of_reference(tensor, spec_board, storages)
    notes = [_stored_as(dump, spec_board)]
    spec_board, note = _guess_layout(spec_board, spec_reference, dump.frames)
    if dump.path.suffix != ".npy" and not note:
        spec_board, note = _either_way(board, spec_board, reference, spec_reference)
    board = to_layout(board, spec_board, spec_reference.layout)
    board, which = _one_frame(board, reference.shape, dump)
    board, more = _same_shape(board, reference.shape, dump.name)
    spec_board = _with_scale(_as_opened(spec_board), spec_reference)
    form = _form(spec_board, spec_reference)
    return Pair(board, reference, spec_board, spec_reference, form, stored, md5, _notes(*notes, note, which, more))


def _open_as(spec_board: TensorSpec, tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> Pair:
    pair = _one_width(aligned(spec_board, tensor, dump, storages))
    pair = _as_integers(pair)
    return _other_halves(pair, tensor, dump) or pair


def _as_integers(pair: Pair) -> Pair:
    """Integers beside floats that are all whole steps of them: the other tool dequantized what it had."""
    note = _notes(pair.note, "dequantized integers, compared as integers")
    steps = _on_grid(pair.board, pair.spec_reference, pair.reference)
    if steps is not None:
        return replace(pair, board=steps, spec_board=pair.spec_reference, form="integer", note=note)
    steps = _on_grid(pair.reference, pair.spec_board, pair.board)
    if steps is not None:
        spec = pair.spec_board
        return replace(pair, reference=steps, spec_reference=spec, reference_md5="", form="integer", note=note)
    return pair


def _notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _as_opened(spec: TensorSpec) -> TensorSpec:
    return replace(spec, dtype="f32") if spec.dtype == "bf16" else spec


def _one_width(pair: Pair) -> Pair:
    """float64 beside float32 is judged as float32: a tool that widens its values has not changed them. A side that
    needs float64 keeps it, for what is equal once it is rounded is not equal."""
    if {pair.spec_board.dtype, pair.spec_reference.dtype} != {"f32", "f64"}:
        return pair
    with np.errstate(all="ignore"):  # what is larger than float32 holds becomes infinity
        board, reference = (_narrowed(side) for side in (pair.board, pair.reference))
    md5 = pair.reference_md5 if pair.reference.dtype == np.float32 else ""
    one, other = (replace(spec, dtype="f32") for spec in (pair.spec_board, pair.spec_reference))
    return replace(pair, board=board, reference=reference, reference_md5=md5, spec_board=one, spec_reference=other)


def _narrowed(side: Array) -> Array:
    narrow = side.astype(np.float32, copy=False)
    return narrow if narrow is side or np.array_equal(narrow, side, equal_nan=True) else side


def _stored_as(dump: Dump, spec: TensorSpec) -> str:
    """What an .npy tells of its storage beside the tensor's own axes, and a type that was not the file's word."""
    half = f"read as {spec.dtype}" if spec.dtype == "bf16" or (spec.dtype == "f16" and dump.spec is None) else ""
    if dump.path.suffix != ".npy":
        return half
    shape = npy_header(dump.path, dump.name).shape
    if spec.layout in BLOCKED and spec.aligned_shape == shape:
        return _notes(half, f"blocks of {shape[-1]} channels ({_times(shape)} on the board)")
    if spec.aligned_shape == shape:
        return _notes(half, f"{_times(shape)} on the board: channels are filled up, {_times(spec.shape)} are compared")
    return _notes(half, "" if shape == spec.shape else f"shape {_times(shape)} on the board")


def _one_frame(board: Array, wanted: tuple[int, ...], dump: Dump) -> tuple[Array, str]:
    """The reference's frame of a file that holds several."""
    if dump.frames == 1 or board.size != dump.frames * math.prod(wanted):
        return board, ""
    which = f"frame {dump.frame + 1} of {dump.frames} is the reference's"
    return board.reshape(dump.frames, *wanted)[dump.frame], f"holds {dump.frames} frames; {which}"


def _of_reference(
    tensor: ReferenceTensor, spec_board: TensorSpec, storages: Storages | None
) -> tuple[TensorSpec, Array, str]:
    """The PC's side. Errors: TensorError that says that it is this side whose file is damaged."""
    side = side_of(tensor, spec_board)
    try:
        spec = _reference_spec(side, spec_board, storages)
        return spec, open_array(side.path, spec), side.md5
    except TensorError as error:
        reason = "unreadable" if error.reason == "missing" else error.reason
        raise TensorError(f"{REFERENCE_SIDE} {error.message}", "create the reference again", reason) from None


def _picture(tensor: ReferenceTensor, dump: Dump) -> Pair | None:
    """A network input that the board was fed as NV12, where the reference holds the YUV444 that it stands for."""
    spec = tensor.spec
    if not tensor.is_input or dump.spec is not None or dump.path.suffix == ".npy" or spec is None:
        return None
    stored = TensorSpec(dump.name, "u8", spec.shape, NV12)
    try:
        if spec.dtype not in ("u8", "s8") or size_bytes(stored) != dump.path.stat().st_size:
            return None
        reference = open_array(tensor.path, spec)
        board = nv12_to_yuv444(open_tensor(dump.path, stored))
    except (TensorError, OSError):
        return None
    board = board if board.shape == reference.shape else np.ascontiguousarray(board.transpose(0, 2, 3, 1))
    if spec.dtype == "s8":  # the board subtracts it itself
        board = (board.astype(np.int16) - 128).astype(np.int8)
    return Pair(board, reference, spec, spec, "integer", stored, tensor.md5, "NV12, compared as YUV444")


NIBBLE_NOTE = "4-bit: board and PC use opposite nibble orders"


def _other_halves(pair: Pair, tensor: ReferenceTensor, dump: Dump) -> Pair | None:
    """The same pair with the halves of the board's bytes exchanged, where only that makes it equal: 4-bit tensors, and
    raw bytes of a type that neither side tells. Tools of one vendor pack them in both orders."""
    four_bits = pair.stored.dtype in ("u4", "s4") and dump.path.suffix != ".npy"
    # Only where 4-bit tensors are packed without telling so: elsewhere exchanged halves are a fault of their own.
    raw = tensor.spec is None and dump.spec is None and dump.may_be_nibbles and pair.board.dtype == np.uint8
    if not (four_bits or raw) or np.array_equal(pair.board, pair.reference):
        return None
    if raw:
        other: Array = (pair.board >> 4) | (pair.board << 4)
    else:
        order = "high_first" if pair.stored.nibble_order == "low_first" else "low_first"
        other = open_array(dump.path, replace(pair.stored, nibble_order=order))
        other = to_layout(other, pair.spec_board, pair.spec_reference.layout).reshape(pair.reference.shape)
    if not np.array_equal(other, pair.reference):
        return None
    return replace(pair, board=other, note="; ".join(note for note in (pair.note, NIBBLE_NOTE) if note))


def side_of(tensor: ReferenceTensor, spec_board: TensorSpec) -> ReferenceTensor:
    """The float side of a border where the board dumped floats."""
    other = tensor.alternate
    floats = spec_board.dtype[:1] == "f"
    return other if other is not None and floats and other.spec is not None else tensor


def _reference_spec(side: ReferenceTensor, spec_board: TensorSpec, storages: Storages | None) -> TensorSpec:
    if side.spec is not None:
        return side.spec
    if side.path.suffix == ".npy":
        return npy_header(side.path, side.name)
    plain = replace(spec_board, aligned_shape=(), stride_bytes=(), aligned_bytes=None)
    return fitting(ways_of(plain, "CPU", storages), file_size(side.path), side.path)


def _with_scale(spec_board: TensorSpec, spec_reference: TensorSpec) -> TensorSpec:
    """Dumps seldom tell their scale: with the dtype of the reference it is the reference's."""
    if spec_board.quantization is None and spec_board.dtype == spec_reference.dtype:
        return replace(spec_board, quantization=spec_reference.quantization)
    return spec_board


# --------------------------------------------------------------------------- axes


def _guess_layout(spec_board: TensorSpec, spec_reference: TensorSpec, frames: int = 1) -> tuple[TensorSpec, str]:
    """An .npy tells no layout: sizes that are the reference's with channels last are read so, and it is said."""
    if spec_board.layout or len(spec_board.shape) != 4 or spec_reference.layout not in ("NCHW", "NHWC"):
        return spec_board, ""
    order = (0, 2, 3, 1) if spec_reference.layout == "NCHW" else (0, 3, 1, 2)
    own = (spec_reference.shape[0] * frames, *spec_reference.shape[1:])
    turned = tuple(own[i] for i in order)
    if spec_board.shape == own or spec_board.shape != turned:
        return spec_board, ""
    layout = "NHWC" if spec_reference.layout == "NCHW" else "NCHW"
    return replace(spec_board, layout=layout), f"read as {layout}, which its shape is"


def _either_way(
    board: Array, spec_board: TensorSpec, reference: Array, spec_reference: TensorSpec
) -> tuple[TensorSpec, str]:
    """A dump whose layout no tool tells and whose sizes fit both (C = H = W): read in the way that is nearer."""
    plain = spec_board.layout == "" and spec_reference.layout == "NCHW" and board.ndim == 4
    if not plain or board.shape != reference.shape or len(set(board.shape[1:])) != 1 or board.shape[1] == 1:
        return spec_board, ""
    turned = to_layout(board, replace(spec_board, layout="NHWC"), "NCHW")
    kept, moved = (int(np.count_nonzero(way == reference)) for way in (board, turned))
    layout, equal = ("NHWC", moved) if moved > kept else ("NCHW", kept)
    match = "equal" if equal == board.size else f"nearer: {equal} of {board.size} elements are equal"
    return replace(spec_board, layout=layout), f"layout unknown, sizes match both; read as {layout}, {match}"


def _same_shape(board: Array, wanted: tuple[int, ...], name: str) -> tuple[Array, str]:
    """Axes of size one may come and go; any other difference of shape is one."""
    if board.shape == wanted:
        return board, ""
    if [n for n in board.shape if n != 1] == [n for n in wanted if n != 1]:
        return board.reshape(wanted), f"shape {_times(board.shape)} on the board"
    raise TensorError(f"{name}: shape {_times(board.shape)}, the reference has {_times(wanted)}", "", "shape_differs")


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


# --------------------------------------------------------------------------- form


def _form(board: TensorSpec, reference: TensorSpec) -> str:
    whole = [spec.dtype[:1] in ("s", "u", "b") for spec in (board, reference)]
    if not any(whole):
        return "float"
    if not all(whole):
        return "mixed"
    a, b = board.quantization, reference.quantization
    return "rescaled" if a is not None and b is not None and not _one_scale(a, b) else "integer"


def _one_scale(a: Quantization, b: Quantization) -> bool:
    """The test that metrics.measure makes, on lists of any length."""
    first, second = np.asarray(a.scales), np.asarray(b.scales)
    if first.size != second.size and 1 not in (first.size, second.size):
        return False
    return bool(np.allclose(first, second, rtol=SAME_SCALE, atol=0))


def _on_grid(board: Array, spec_reference: TensorSpec, reference: Array) -> Array | None:
    """Board floats that are all whole steps of an integer reference, as those integers; else None.

    Tools dequantize what the accelerator left: then steps can be counted, which a ratio of norms cannot do.
    """
    q = spec_reference.quantization
    if (
        q is None
        or len(q.scales) != 1
        or not q.scales[0]
        or board.dtype.kind != "f"
        or reference.dtype.kind not in "iu"
    ):
        return None
    if _steps(board.reshape(-1)[:GRID_SAMPLE], q, spec_reference) is None:
        return None
    steps = _steps(board, q, spec_reference)
    return None if steps is None else steps.astype(reference.dtype)


def _steps(values: Array, q: Quantization, spec: TensorSpec) -> Array | None:
    with np.errstate(invalid="ignore"):  # any bytes may lie in a file, also a NaN that signals
        exact = values.astype(np.float64) / q.scales[0]
    steps = np.rint(exact)
    low, high = value_range(spec)
    fits = np.isfinite(exact).all() and np.abs(exact - steps).max(initial=0) <= GRID_TOLERANCE
    steps = steps + q.zero_points[0]
    return steps if fits and steps.min(initial=0) >= low and steps.max(initial=0) <= high else None


def real_values(array: Array, spec: TensorSpec) -> Array:
    """Real values in float64, whatever the side's dtype."""
    return dequantize(array, spec.quantization) if array.dtype.kind in "iu" else array.astype(np.float64)


def as_stored(value: Array, pair: Pair) -> Array:
    """What an op gave, in the shape of the pair; booleans as bytes."""
    return (value.view("uint8") if value.dtype == bool else value).reshape(pair.board.shape)
