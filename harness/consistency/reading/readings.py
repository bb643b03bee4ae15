"""Whose files are these, and how do they lie? One reading for a whole folder, chosen by what it makes of the values.

Names alone prove little: a suffix of one vendor's dumps may be part of the reference's own names. So plain files in
the reference's own layout are a candidate like every platform's, and so are channels last and in blocks, two bytes a
value where four are expected, and several frames in a file. The candidate that brings most layers near the reference
is taken for all files; a layer that alone needs another one differs then, which is a fault of its layout.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from harness.consistency.reading.agreement import Agreement, agreement
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.matching import Match, match
from harness.consistency.reading.specs import HALVES, LANES, Storages, board_spec, file_size, stored_ways
from harness.consistency.reading.tensor_files import size_bytes
from harness.dumps.folders import platform_named, read_dumps, telling
from harness.dumps.manifest import MANIFEST
from harness.records import Dump, Reading, TensorSpec
from harness.reference.open import Reference

OWN = "the reference's own layout"
TRIED = 32  # layers that are looked at
MOST_FRAMES = 64
TRIED_FRAMES = 8  # of a file that are tried
SURE = ("mapping", "exact", "rule")
Remake = Callable[[Dump], Dump]


@dataclass(frozen=True)
class Candidate:
    """One way to read all files. `prior` breaks ties: the lowest is taken."""

    name: str
    dumps: tuple[Dump, ...]
    storages: Storages | None
    platform: str = ""
    prior: int = 0


@dataclass(frozen=True)
class Choice:
    """The candidate that was taken, and the words on it."""

    candidate: Candidate
    reading: Reading


def choose(reference: Reference, path: Path, platform: str = "", mapping: Mapping[str, str] | None = None) -> Choice:
    """How the files under `path` are read. `platform`: whose they are, where a person said it. Errors: InputError."""
    return settle(reference, list(_candidates(reference, path, platform, mapping or {})), mapping or {})


def settle(reference: Reference, candidates: Sequence[Candidate], mapping: Mapping[str, str]) -> Choice:
    """Of candidates, and of what each may be besides (two bytes a value, several frames), the one that agrees best."""
    by_dumps = {id(one.dumps): one.dumps for one in candidates}
    rows = {key: _rows(reference, dumps, mapping) for key, dumps in by_dumps.items()}
    laid: dict[tuple[object, ...], _Laid] = {}
    for candidate in sorted(candidates, key=lambda one: one.prior):
        for one in _variants(_Laid(candidate, rows[id(candidate.dumps)])):
            laid.setdefault(one.key, one)
    scored = [one for one in laid.values() if len(laid) == 1 or one.is_shown]
    choice = _choice(sorted(scored, key=lambda one: one.rank, reverse=True), alone=len(laid) == 1)
    alone = len(laid) == 1 and len(candidates) == 1
    return replace(choice, reading=replace(choice.reading, alone=alone))


def _choice(ranked: Sequence[_Laid], *, alone: bool) -> Choice:
    """The first; `alone`: nothing else comes into question, and no value was looked at."""
    candidate, next_best = ranked[0].candidate, ranked[1] if len(ranked) > 1 else None
    agrees = Agreement() if alone else ranked[0].agreement
    reading = Reading(
        name=candidate.name,
        platform=candidate.platform,
        layers=agrees.layers,
        near=agrees.near,
        equal=agrees.equal,
        runner_up=next_best.candidate.name if next_best else "",
        runner_up_near=next_best.agreement.near if next_best else 0,
    )
    return Choice(candidate, reading)


# --------------------------------------------------------------------------- candidates


def _candidates(reference: Reference, path: Path, platform: str, mapping: Mapping[str, str]) -> Iterator[Candidate]:
    if platform:
        yield Candidate(platform, read_dumps(path, platform), platform_named(platform).storages, platform)
        return
    plain = read_dumps(path, plain=True)
    names = telling(path) if path.is_dir() and not (path / MANIFEST).is_file() else ()
    sure = _sure(reference, plain, mapping)
    yield from (replace(one, prior=10) for one in _stored_plainly(plain))
    for rank, name in enumerate(names):
        dumps, storages = read_dumps(path, name), platform_named(name).storages
        first = 0 if _sure(reference, dumps, mapping) > sure else 20
        yield Candidate(name, dumps, storages, name, prior=first + rank)
        yield Candidate(f"names of {name}, {OWN}", dumps, own, name, prior=first + 15 + rank)


def _sure(reference: Reference, dumps: Sequence[Dump], mapping: Mapping[str, str]) -> int:
    """Dumps that have a partner by their whole name."""
    rows = match(reference, dumps, mapping).rows
    return sum(row.tensor is not None and row.dump is not None and row.how in SURE for row in rows)


def _stored_plainly(dumps: tuple[Dump, ...]) -> Iterator[Candidate]:
    """Files under the tensors' names, in every way of storing them that harness knows."""
    yield Candidate(OWN, dumps, own)
    yield Candidate("channels last (NHWC)", dumps, channels_last)
    for lanes in LANES:
        yield Candidate(f"channels last, filled up to {lanes}", dumps, partial(_filled_last, lanes=lanes))
    for lanes in LANES:
        yield Candidate(f"channels in blocks of {lanes} (NC{lanes}HW{lanes})", dumps, partial(_in_blocks, lanes=lanes))


def own(spec: TensorSpec, _unit: str) -> tuple[TensorSpec, ...]:
    """The reference's own layout, dense; integers also dequantized."""
    return _with_floats([replace(spec, aligned_shape=(), stride_bytes=(), aligned_bytes=None)])


def channels_last(spec: TensorSpec, unit: str) -> tuple[TensorSpec, ...]:
    """N, H, W, C; tensors of another rank as they are."""
    plain = own(spec, unit)[0]
    if len(spec.shape) != 4 or spec.layout != "NCHW":
        return own(spec, unit)
    n, c, h, w = spec.shape
    q = spec.quantization
    turned = replace(q, axis=(0, 3, 1, 2)[q.axis]) if q is not None and q.axis is not None else q
    return _with_floats([replace(plain, shape=(n, h, w, c), layout="NHWC", quantization=turned)])


def _filled_last(spec: TensorSpec, unit: str, lanes: int) -> tuple[TensorSpec, ...]:
    ways = channels_last(spec, unit)
    if ways[0].layout != "NHWC" or len(spec.shape) != 4:
        return ways
    n, h, w, c = ways[0].shape
    return _with_floats([replace(ways[0], aligned_shape=(n, h, w, -(-c // lanes) * lanes))])


def _in_blocks(spec: TensorSpec, unit: str, lanes: int) -> tuple[TensorSpec, ...]:
    if len(spec.shape) != 4 or spec.layout != "NCHW" or min(spec.shape) < 1:
        return own(spec, unit)
    n, c, h, w = spec.shape
    blocks = (n, -(-c // lanes), h, w, lanes)
    return _with_floats([replace(own(spec, unit)[0], layout="NC1HWC2", aligned_shape=blocks)])


def _with_floats(ways: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    floats = [
        replace(way, dtype="f32", quantization=None)
        for way in ways
        if way.dtype[:1] in ("s", "u") and way.quantization is not None
    ]
    return (*ways, *floats)


def _rows(reference: Reference, dumps: Sequence[Dump], mapping: Mapping[str, str]) -> tuple[Match, ...]:
    """Layers with a dump, a few spread over the network."""
    pairs = [row for row in match(reference, dumps, mapping).rows if row.tensor and row.dump]
    known = [row for row in pairs if row.tensor is not None and row.tensor.spec is not None]
    return tuple(known[:: max(1, -(-len(known) // TRIED))])


# --------------------------------------------------------------------------- what a candidate may be besides


@dataclass(frozen=True)
class _Laid:
    """A candidate with the rows whose values are looked at. `before`: the same without what was guessed besides."""

    candidate: Candidate
    rows: tuple[Match, ...]
    before: _Laid | None = None

    @cached_property
    def specs(self) -> tuple[TensorSpec | None, ...]:
        """How each dump lies; None for one that cannot lie so."""
        return tuple(_spec(row, self.candidate.storages) for row in self.rows)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for candidates that read every file alike."""
        dumps = [row.dump for row in self.rows if row.dump is not None]
        return (*self.specs, *((dump.path, dump.frames, dump.frame, dump.spec) for dump in dumps))

    @property
    def opened(self) -> int:
        return sum(spec is not None for spec in self.specs)

    @property
    def is_shown(self) -> bool:
        """Whether what was guessed besides is borne out by most files that it opens: a file that is cut off has the
        size of half its type, too."""
        if self.before is None:
            return True
        more = self.agreement.near - self.before.agreement.near
        return more > 0 and 2 * more >= self.opened - self.before.opened

    @property
    def rank(self) -> tuple[int, int, int, int]:
        return self.agreement.near, self.agreement.equal, self.opened, -self.candidate.prior

    @cached_property
    def agreement(self) -> Agreement:
        total = Agreement()
        for row, spec in zip(self.rows, self.specs, strict=True):
            if spec is not None and row.dump is not None:
                total += agreement(row, row.dump, spec, self.candidate.storages)
        return total

    def changed(self, more: str, remake: Remake, storages: Storages | None = None, *, guessed: bool = True) -> _Laid:
        """The same with other words on its dumps; what is only guessed must be borne out by their values."""
        one = self.candidate
        name = ", ".join(word for word in (one.name, more) if word)
        dumps = tuple(remake(dump) for dump in one.dumps)
        candidate = replace(one, name=name, dumps=dumps, storages=storages or one.storages)
        rows = tuple(replace(row, dump=remake(row.dump)) if row.dump else row for row in self.rows)
        return _Laid(candidate, rows, self if guessed else None)


def _spec(row: Match, storages: Storages | None) -> TensorSpec | None:
    assert row.tensor is not None and row.dump is not None
    try:
        return board_spec(row.tensor, row.dump, storages)
    except TensorError:
        return None


def _variants(laid: _Laid) -> Iterator[_Laid]:
    for one in _cubes(laid):
        yield one
        yield from _halves(one)
        yield from _framed(one)


def _cubes(laid: _Laid) -> Iterator[_Laid]:
    """Shapes that fit channels first and last alike (C = H = W), in files that tell a shape and no layout: read as the
    folder's other layers are; where there are none, both are tried."""
    if not any(row.dump is not None and _is_cube(row.dump) for row in laid.rows):
        yield laid
        return
    votes = Counter(vote for row in laid.rows if (vote := _vote(row)))
    layouts = ("NCHW", "NHWC") if not votes else ("NHWC",) if votes["NHWC"] > votes["NCHW"] else ("NCHW",)
    for layout in layouts:
        more = "channels last where the shape fits both ways" if layout == "NHWC" else ""
        yield laid.changed(more, partial(_labelled, layout=layout), guessed=False)


def _is_cube(dump: Dump) -> bool:
    spec = dump.spec
    return spec is not None and not spec.layout and len(spec.shape) == 4 and spec.shape[1] > 1 and _alike(spec.shape)


def _alike(shape: Sequence[int]) -> bool:
    return len(set(shape[1:])) == 1


def _labelled(dump: Dump, layout: str) -> Dump:
    if not _is_cube(dump) or dump.spec is None:
        return dump
    return replace(dump, spec=replace(dump.spec, layout=layout))


def _vote(row: Match) -> str:
    """The layout of a layer whose shape tells it."""
    given, side = row.dump.spec if row.dump else None, row.tensor.spec if row.tensor else None
    if given is None or side is None or given.layout or side.layout != "NCHW" or len(given.shape) != 4:
        return ""
    inner, turned = side.shape[1:], (*side.shape[2:], side.shape[1])  # frames apart
    if turned == inner or given.shape[1:] not in (inner, turned):
        return ""
    return "NCHW" if given.shape[1:] == inner else "NHWC"


def _halves(laid: _Laid) -> Iterator[_Laid]:
    """Two bytes a value where four are expected, told apart by the values: float16 and bfloat16."""
    words = {row.dump.path for row in laid.rows if row.dump is not None and _is_words(row)}
    if not words and None not in laid.specs:
        return
    for half in HALVES:
        yield laid.changed(HALF_NAMES[half], partial(_as_half, half=half, words=words), _with_halves(laid, half))


HALF_NAMES = {"f16": "float16", "bf16": "bfloat16"}


def _is_words(row: Match) -> bool:
    """uint16 where the reference has floats: numpy has no bfloat16, and some tools store it, and float16, as that."""
    given, side = row.dump.spec if row.dump else None, row.tensor.spec if row.tensor else None
    return given is not None and side is not None and given.dtype == "u16" and side.dtype[:1] == "f"


def _as_half(dump: Dump, half: str, words: Collection[Path]) -> Dump:
    is_word = dump.spec is not None and dump.path in words
    return replace(dump, spec=replace(dump.spec, dtype=half, quantization=None)) if is_word and dump.spec else dump


def _with_halves(laid: _Laid, half: str) -> Storages:
    def storages(spec: TensorSpec, unit: str) -> tuple[TensorSpec, ...]:
        before = laid.candidate.storages
        ways = before(spec, unit) if before is not None else (spec,)
        floats = [way for way in (*ways, spec) if way.dtype == "f32"]
        return (*ways, *(replace(way, dtype=half, stride_bytes=(), quantization=None) for way in floats))

    return storages


def _framed(laid: _Laid) -> Iterator[_Laid]:
    """Several frames in each file, of which the reference has one; padding is guessed after that."""
    counts = Counter(
        frames for row, spec in zip(laid.rows, laid.specs, strict=True) for frames in _counts(laid, row, spec)
    )
    frames, layers = max(counts.items(), key=lambda item: (item[1], -item[0]), default=(1, 0))
    if 2 * layers < len(laid.rows):
        return
    for frame in range(min(frames, TRIED_FRAMES)):
        yield laid.changed(f"frame {frame + 1} of {frames}", partial(replace, frames=frames, frame=frame))


def _counts(laid: _Laid, row: Match, spec: TensorSpec | None) -> set[int]:
    """How many frames a file may hold: none of a file that its storage fills."""
    assert row.tensor is not None and row.dump is not None
    if row.tensor.spec is None or (spec is not None and not (spec.aligned_shape or spec.aligned_bytes) and _fills(row)):
        return set()
    own_size = math.prod(row.tensor.spec.shape)
    if row.dump.path.suffix == ".npy" or row.dump.spec is not None:
        given = row.dump.spec.shape if row.dump.spec is not None else ()
        sizes = [(math.prod(given), own_size)]
    else:
        try:
            given_bytes = file_size(row.dump.path)
        except TensorError:
            return set()
        sizes = [(given_bytes, size_bytes(way)) for way in stored_ways(row.tensor, row.dump, laid.candidate.storages)]
    return {a // b for a, b in sizes if b > 0 and a % b == 0 and 1 < a // b <= MOST_FRAMES}


def _fills(row: Match) -> bool:
    """Whether a file that tells its shape tells no more elements than the tensor has."""
    given, side = row.dump.spec if row.dump else None, row.tensor.spec if row.tensor else None
    return given is None or side is None or math.prod(given.shape) == math.prod(side.shape)
