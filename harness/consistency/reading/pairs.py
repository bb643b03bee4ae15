"""A matched dump and tensor, opened: two arrays with axes in one order, or the reason why there is no such pair."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.consistency.reading.layouts import NV12, REFERENCE_SIDE, TensorError
from harness.consistency.reading.tensor_files import (
    Array,
    dequantize,
    nv12_to_yuv444,
    open_tensor,
    size_bytes,
    to_layout,
    value_range,
)
from harness.dumps.folders import npy_spec
from harness.records import Dump, Quantization, TensorSpec
from harness.reference.open import ReferenceTensor

Storages = Callable[[TensorSpec, str], tuple[TensorSpec, ...]]
GRID_TOLERANCE = 1e-3  # of a step: float32 products of small integers are this close
GRID_SAMPLE = 1 << 16  # elements looked at before a whole tensor is
SAME_SCALE = 1e-5
WIDTHS = (8, 16, 32, 64)  # bits of the dtypes that a file of unexpected size may hold


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


def _equal(pair: Pair) -> bool:
    return np.array_equal(pair.board, pair.reference)


def _other_dtypes(tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> list[TensorSpec]:
    """Further dtypes in which a network input of this size may lie: tools dump it as it was given and as it was fed."""
    if not tensor.is_input or dump.spec is not None or dump.path.suffix == ".npy":
        return []
    size, first = _size(dump.path), board_spec(tensor, dump, storages)
    by_dtype = {way.dtype: way for way in reversed(_stored(tensor, dump, storages)) if size_bytes(way) == size}
    return [way for dtype, way in by_dtype.items() if dtype != first.dtype]


def _open_as(spec_board: TensorSpec, tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> Pair:
    stored = spec_board
    board = open_array(dump.path, spec_board)
    spec_reference, reference, md5 = _of_reference(tensor, spec_board, storages)
    spec_board, note = _guess_layout(spec_board, spec_reference)
    if dump.path.suffix != ".npy" and not note:
        spec_board, note = _either_way(board, spec_board, reference, spec_reference)
    board = to_layout(board, spec_board, spec_reference.layout)
    board, more = _same_shape(board, reference.shape, dump.name)
    note = "; ".join(n for n in (note, more) if n)
    spec_board = _with_scale(spec_board, spec_reference)
    steps = _on_grid(board, spec_reference, reference)
    if steps is not None:
        board, spec_board = steps, spec_reference
        note = "; ".join(n for n in (note, "dequantized integers, compared as integers") if n)
    form = _form(spec_board, spec_reference)
    pair = Pair(board, reference, spec_board, spec_reference, form, stored, md5, note)
    return _other_halves(pair, tensor, dump) or pair


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


def open_array(path: Path, spec: TensorSpec) -> Array:
    """The valid region, memory-mapped: an .npy by its header, anything else by its spec. Errors: TensorError."""
    if path.suffix != ".npy":
        return open_tensor(path, spec)
    _size(path)
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = "holds Python objects, or is not a .npy" if "pickle" in str(error) else str(error)
        raise TensorError(f"{path.name}: {reason}", "", _npy_reason(path, error)) from None
    return array.view(np.uint8) if array.dtype == np.bool_ else array


def _npy_reason(path: Path, error: Exception) -> str:
    if path.is_file() and path.stat().st_size == 0:
        return "empty"
    return "truncated" if "mmap" in str(error) or isinstance(error, EOFError) else "unreadable"


# --------------------------------------------------------------------------- specs


def board_spec(tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> TensorSpec:
    """How a dump lies in its file. Errors: TensorError when nothing that is known has the file's size."""
    if dump.path.suffix == ".npy":
        header = _npy_spec(dump.path, dump.name)
        if dump.spec is None:
            return header
        four_bits = dump.spec.dtype in ("s4", "u4")  # numpy has no such type: one byte per element
        return replace(dump.spec, shape=header.shape, dtype=dump.spec.dtype if four_bits else header.dtype)
    size = _size(dump.path)
    if dump.spec is not None:
        return _fitting(_ways(dump.spec, dump.unit, storages), size, dump.path)
    ways = _stored(tensor, dump, storages)
    if not ways:
        return TensorSpec(dump.name, "u8", (size,))  # raw bytes against raw bytes
    return _fitting(iter(ways), size, dump.path)


def _stored(tensor: ReferenceTensor, dump: Dump, storages: Storages | None) -> list[TensorSpec]:
    """The file alone does not tell its layout: the platform's likeliest storage of its size is taken, the reference's
    own only after them. (48 x 48 x 32 and 32 x 48 x 48 have one size.)"""
    sides = [s.spec for s in (tensor, tensor.alternate) if s is not None and s.spec is not None]
    return [*(way for spec in sides for way in (storages(spec, dump.unit) if storages else ())), *sides]


def _npy_spec(path: Path, name: str) -> TensorSpec:
    header = npy_spec(path)
    if header is None:
        open_array(path, TensorSpec(name, "u8", ()))  # says what is wrong with the file
        raise TensorError(f"{path}: has an unsupported dtype", "", "dtype_differs")
    return replace(header, name=name)


def _size(path: Path) -> int:
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise TensorError(f"{path.name}: is a broken link") from None
        raise TensorError(f"{path.name}: file not found", "", "missing") from None
    except OSError as error:
        raise TensorError(f"{path.name}: cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise TensorError(f"{path.name}: is {_KINDS.get(stat.S_IFMT(status.st_mode), 'no regular file')}, not a dump")
    return status.st_size


_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device"}


def _ways(spec: TensorSpec, unit: str, storages: Storages | None) -> Iterator[TensorSpec]:
    yield spec
    if storages is not None:
        yield from storages(spec, unit)


def _fitting(ways: Iterator[TensorSpec], size: int, path: Path) -> TensorSpec:
    """The first way whose size is the file's size. Errors: TensorError with both sizes."""
    tried = []
    for way in ways:
        if size_bytes(way) == size:
            return way
        tried.append(way)
    sizes = list(dict.fromkeys(size_bytes(way) for way in tried))
    more = f" (or {len(sizes) - 3} other sizes)" if len(sizes) > 3 else ""
    expected = " or ".join(str(n) for n in sizes[:3])
    message = f"{path.name}: expected {expected} bytes{more} for {tried[0].dtype}, the file has {size}"
    other = _other_width(tried, size)
    if other:
        raise TensorError(f"{message}, which is its size in {other} bits: unknown scale", "", "dtype_differs")
    reason = "empty" if size == 0 else "truncated" if size < min(sizes) else "shape_differs"
    raise TensorError(message, "", reason)


def _other_width(tried: Sequence[TensorSpec], size: int) -> int:
    """Bits of the dtype with which a way of storing would have the file's size; 0 for none."""
    ways = [replace(way, stride_bytes=(), aligned_bytes=None) for way in tried]
    return next((bits for bits in WIDTHS for way in ways if size == size_bytes(replace(way, dtype=f"s{bits}"))), 0)


def side_of(tensor: ReferenceTensor, spec_board: TensorSpec) -> ReferenceTensor:
    """The float side of a border where the board dumped floats."""
    other = tensor.alternate
    floats = spec_board.dtype[:1] == "f"
    return other if other is not None and floats and other.spec is not None else tensor


def _reference_spec(side: ReferenceTensor, spec_board: TensorSpec, storages: Storages | None) -> TensorSpec:
    if side.spec is not None:
        return side.spec
    if side.path.suffix == ".npy":
        return _npy_spec(side.path, side.name)
    plain = replace(spec_board, aligned_shape=(), stride_bytes=(), aligned_bytes=None)
    return _fitting(_ways(plain, "CPU", storages), _size(side.path), side.path)


def _with_scale(spec_board: TensorSpec, spec_reference: TensorSpec) -> TensorSpec:
    """Dumps seldom tell their scale: with the dtype of the reference it is the reference's."""
    if spec_board.quantization is None and spec_board.dtype == spec_reference.dtype:
        return replace(spec_board, quantization=spec_reference.quantization)
    return spec_board


# --------------------------------------------------------------------------- axes


def _guess_layout(spec_board: TensorSpec, spec_reference: TensorSpec) -> tuple[TensorSpec, str]:
    """An .npy tells no layout: sizes that are the reference's with channels last are read so, and it is said."""
    if spec_board.layout or len(spec_board.shape) != 4 or spec_reference.layout not in ("NCHW", "NHWC"):
        return spec_board, ""
    order = (0, 2, 3, 1) if spec_reference.layout == "NCHW" else (0, 3, 1, 2)
    turned = tuple(spec_reference.shape[i] for i in order)
    if spec_board.shape == spec_reference.shape or spec_board.shape != turned:
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
