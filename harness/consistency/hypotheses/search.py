"""Which variant of an op gives the board's values: the op runs again in each way, while the time allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from harness.consistency.hypotheses.bench import KEPT_BYTES, MOST_SCENES, Bench, NodeScene, value_alone
from harness.consistency.hypotheses.catalogue import variants
from harness.consistency.hypotheses.everywhere import everywhere
from harness.consistency.hypotheses.variant import Variant
from harness.consistency.metrics.pointwise import measure
from harness.consistency.origins.isolate import CannotIsolate, Isolator, Request
from harness.consistency.origins.rounded import STYLES, Rounding
from harness.consistency.reading.pairs import Pair, as_stored
from harness.consistency.reading.tensor_files import Array
from harness.errors import InputError
from harness.records import Fingerprint, Layer, Metrics

ORIGIN_S = 10.0
RUN_S = 60.0
LEFT = 0.2  # of the error may be left
WORTH = 0.25  # of the squared error where the op is wrong: more is left by no explanation
LOOKED_AT = 1 << 14  # elements of a first look
MOST_FLOOR = 0.1  # of the error: an op that misses the reference by more is not the reference's
FLOOR_ROOM = 1.5  # the op misses the board's values about as much as the reference's
GOOD_FIT = 0.02  # of the error: a fit that admits chance no more
EQUAL_FITS = 2.0  # a fit that is as near as the best one, within that factor
ONE_STEP = 0.02  # of the elements may be one step off where a result lies between two steps
FEW = 16  # elements; below, a fit says little
HABIT = 3  # ops with one kind of mistake
SHOWN = 3  # other fits in a sentence
SEEN_AS = {  # kinds of values -> mistakes of an op that are seen as such
    "permutation": ("axis", "weight_order"),
    "layout": ("axis", "weight_order"),
    "scale": ("function", "weight_scale"),
    "shift": ("function", "weight_scale"),
    "zero_point": ("bias",),
    "saturation": ("activation", "parameter"),
}
PRECISIONS = (("float16", 11), ("bfloat16", 8))

Allowed = Callable[[Layer, Pair, Metrics], bool]


@dataclass(frozen=True)
class Fit:
    """A variant that gives the board's values."""

    kind: str
    words: str
    metrics: Metrics
    error: float
    within: bool  # the policy; else one step in a few elements


@dataclass
class Tried:
    """What came of one origin."""

    fits: list[Fit] = field(default_factory=list)
    count: int = 0
    cut: bool = False  # for want of time, or since not all nodes of an interval are looked at
    plain: Fit | None = None  # the op as it is
    floor: float = 0.0  # what the op misses of the reference, fed with the reference's tensors


class OutOfTime(Exception):
    """What may be spent on an origin is spent."""


@dataclass
class HypothesisSearch:
    """Tries variants of one comparison's ops; `spent_s` counts against RUN_S. `clock` counts seconds."""

    allowed: Allowed
    origin_s: float = ORIGIN_S
    run_s: float = RUN_S
    spent_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    cut: list[str] = field(default_factory=list)  # tensors whose search was cut, or not begun
    long: list[str] = field(default_factory=list)  # tensors of intervals of which only the last nodes were tried
    explained: dict[str, list[str]] = field(
        default_factory=dict
    )  # kinds -> tensors whose likeliest fit is of that kind

    @property
    def notes(self) -> list[str]:
        """Mistakes that several ops share, and what was not tried for want of time."""
        notes = [
            f"{len(names)} ops make one kind of mistake ({kind}: {_few(names)}): one cause in the build is likely"
            for kind, names in self.explained.items()
            if len(names) >= HABIT
        ]
        if self.cut:
            notes.append(
                f"variants of the op not all tried for {_few(self.cut)}: "
                f"at most {self.origin_s:g} s for an origin and {self.run_s:g} s in all (--no-hypotheses tries none)"
            )
        if self.long:
            notes.append(
                f"variants of only the last nodes between the dumped tensors tried for {_few(self.long)}: "
                f"at most {MOST_SCENES} nodes, and {KEPT_BYTES >> 20} MiB of tensors"
            )
        return notes

    def explain(
        self, layer: Layer, pair: Pair, isolator: Isolator, requests: Sequence[Request], kinds: Sequence[str] = ()
    ) -> Tried | None:
        """Variants of the op that gives `layer`, fed with the board's tensors; None where that cannot be judged.

        `requests`: the op fed with the board's tensors, and with the reference's. An op that does not give the
        reference's values with the reference's tensors is not the reference's op. `kinds`: try only variants of these.
        """
        if pair.form not in ("integer", "float"):
            return None
        if self.spent_s >= self.run_s:
            self.cut.append(layer.name)
            return None
        begun = self.clock()
        until = begun + min(self.origin_s, self.run_s - self.spent_s)

        def check() -> None:
            if self.clock() > until:
                raise OutOfTime

        try:
            tried = self._explain(layer, pair, isolator, (requests, kinds), check)
        except (CannotIsolate, InputError):
            return None
        except OutOfTime:  # before any variant
            self.cut.append(layer.name)
            return None
        finally:
            self.spent_s += self.clock() - begun
        if tried is not None and tried.fits:
            self.explained.setdefault(_best(tried)[0].kind, []).append(layer.name)
        return tried

    def _explain(
        self,
        layer: Layer,
        pair: Pair,
        isolator: Isolator,
        wanted: tuple[Sequence[Request], Sequence[str]],
        check: Callable[[], None],
    ) -> Tried | None:
        requests, kinds = wanted
        bench = Bench(isolator, requests[0], check)
        plain = self._fit(layer, pair, bench.value)
        if plain is None or plain.within or _says_little(pair.board):
            return None
        check()
        floor = self._floor(layer, pair, value_alone(isolator, requests[1]))
        if floor > MOST_FLOOR * plain.error:
            return None
        check()
        tried = Tried(plain=plain, floor=floor)
        try:
            self._try(layer, pair, _values(bench, isolator, requests[0], kinds), bench.value, tried)
        except OutOfTime:
            tried.cut = True
            self.cut.append(layer.name)
        if bench.left_out:
            tried.cut = True
            self.long.append(layer.name)
        return tried

    def _try(
        self, layer: Layer, pair: Pair, values: Iterator[tuple[str, str, Array]], plain: Array, tried: Tried
    ) -> None:
        """Fills in what fits. Errors: OutOfTime."""
        glance = _Glance(pair.board, plain)
        for kind, words, value in values:
            tried.count += 1
            fit = self._fit(layer, pair, value, kind, words) if glance.is_nearer(value) else None
            if fit is not None and _explains(fit, tried):
                tried.fits.append(fit)

    def _floor(self, layer: Layer, pair: Pair, value: Array) -> float:
        """What the op misses of the reference by itself, fed with the reference's tensors: the float op of a quantized
        network, for example. 0 where it reproduces the reference."""
        given = self._fit(layer, replace(pair, board=pair.reference, spec_board=pair.spec_reference), value)
        if given is None:
            return float("inf")
        return 0.0 if given.within else given.error

    def _fit(self, layer: Layer, pair: Pair, value: Array, kind: str = "", words: str = "") -> Fit | None:
        """How near a value is; None for one that is no such tensor."""
        if value.size != pair.board.size or value.dtype.kind not in "fiub":
            return None
        value = as_stored(value, pair)
        if pair.form == "integer" and value.dtype != pair.reference.dtype:
            return None
        with np.errstate(all="ignore"):
            metrics = measure(pair.board, value, pair.spec_board, pair.spec_reference)
        error = _error(metrics)
        return Fit(kind, words, metrics, error, self.allowed(layer, replace(pair, reference=value), metrics))


def _says_little(board: Array) -> bool:
    """One or two values: saturated, or empty, whatever was computed."""
    return board.size > FEW and np.unique(board.reshape(-1)[: 1 << 16]).size <= 2


class _Glance:
    """A first look, at some of the elements: most variants are as far off as the op itself."""

    def __init__(self, board: Array, plain: Array) -> None:
        flat = board.reshape(-1)
        wrong = np.flatnonzero(flat != plain.reshape(-1)) if plain.size == board.size else np.arange(flat.size)
        self.at = wrong[:: max(1, wrong.size // LOOKED_AT)]
        self.board, self.size = flat[self.at].astype(np.float64), board.size
        self.plain = self._power(plain)

    def _power(self, value: Array) -> float:
        with np.errstate(all="ignore"):
            off = value.reshape(-1)[self.at].astype(np.float64) - self.board
        return float(np.square(np.where(np.isfinite(off), off, 0)).sum())

    def is_nearer(self, value: Array) -> bool:
        """Whether a value is worth to be measured."""
        return value.size == self.size and self._power(value) <= WORTH * self.plain


def _error(metrics: Metrics) -> float:
    if metrics.mismatched == 0:
        return 0.0
    if not metrics.nonfinite_agree:
        return float("inf")
    return metrics.mismatch_share if metrics.relative_l2 is None else metrics.relative_l2


def _explains(fit: Fit, tried: Tried) -> bool:
    """The board's values within the policy, or one step beside in a few elements, and far nearer than without.

    Where the op misses the reference, too: as near as it comes to that.
    """
    metrics, plain = fit.metrics, tried.plain
    if plain is None or not fit.error <= LEFT * plain.error:
        return False
    steps = metrics.max_step is not None and metrics.max_step <= 1 and metrics.mismatch_share <= ONE_STEP
    fewer = metrics.mismatched <= LEFT * plain.metrics.mismatched
    return fit.within or (steps and fewer) or fit.error <= FLOOR_ROOM * tried.floor


def _values(
    bench: Bench, isolator: Isolator, request: Request, kinds: Sequence[str]
) -> Iterator[tuple[str, str, Array]]:
    """(kind, words, what the op gives) of each variant that can run and changes something. Errors: OutOfTime."""
    kinds_between = [bench.part.nodes[i].op_type for i in bench.moving_nodes]
    several = sum(kind not in ("QuantizeLinear", "DequantizeLinear") for kind in kinds_between) > 1
    if several and not kinds:
        yield from everywhere(bench, isolator)
    for scene, variant in variants(bench, kinds):
        value = _in_place(scene, variant)
        whole = None if value is None else bench.with_value(scene.output, value)
        if whole is not None and not _is_same(whole, bench.value):
            place = f" at {scene.node.name or scene.output} ({scene.kind})" if several else ""
            yield variant.kind, f"{variant.words}{place}", whole
        bench.check()
    if not kinds or "precision" in kinds:
        yield from _narrower(bench, isolator, request)


def _is_same(value: Array, plain: Array) -> bool:
    """Most that differ show it in the first elements."""
    if value.shape != plain.shape:
        return False
    ends = (slice(LOOKED_AT), slice(None)) if value.size > LOOKED_AT else (slice(None),)
    flat, given = value.reshape(-1), plain.reshape(-1)
    return all(np.array_equal(flat[end], given[end], equal_nan=value.dtype.kind == "f") for end in ends)


def _narrower(bench: Bench, isolator: Isolator, request: Request) -> Iterator[tuple[str, str, Array]]:
    for name, bits in PRECISIONS:
        for style in STYLES:
            bench.check()
            with suppress(CannotIsolate, InputError):
                part = isolator.cut(replace(request, rounding=Rounding(bits, style)))
                words = "operands and results" if style == "everything" else style
                yield "precision", f"{words} rounded to {name}", isolator.compute(part, [part.output])[0]


def _in_place(scene: NodeScene, variant: Variant) -> Array | None:
    """A variant's value as the output of its node; None where it is no such tensor."""
    value, y = variant.value, scene.y
    if value is None or value.dtype != y.dtype or value.size != y.size:
        return None
    if value.shape != y.shape and not variant.reshaped:
        return None
    return np.ascontiguousarray(value).reshape(y.shape)


def fingerprint(tried: Tried, mark: Fingerprint) -> Fingerprint:
    """The kind of an origin with what its variants say; `mark` is what the values alone say."""
    figures = {**mark.figures, "hypotheses": tried.count, "hypotheses_cut": tried.cut}
    if not tried.fits:
        text = mark.evidence
        if mark.kind == "unclassified":
            text += f"; none of {tried.count} variants of the op gives the board's values"
        return replace(mark, evidence=text, figures=figures)
    best = _best(tried)
    figures["fits"] = [f"{fit.kind}: {fit.words}" for fit in best[:8]]
    sentence = _sentence(best)
    if tried.floor:
        sentence += f"; as near as the op alone comes to the reference ({tried.floor:.2g})"
    if mark.certain:
        alike = {fit.kind for fit in best} <= {mark.kind, *SEEN_AS.get(mark.kind, ())}
        return replace(mark, certain=alike, evidence=f"{mark.evidence}; {sentence}", figures=figures)
    return Fingerprint(best[0].kind, _is_certain(tried, best), sentence, best[0].words, figures)


def _best(tried: Tried) -> list[Fit]:
    """The nearest fits, likeliest first."""
    least = min(fit.error for fit in tried.fits)
    return [fit for fit in tried.fits if fit.error <= EQUAL_FITS * least]


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _is_certain(tried: Tried, best: Sequence[Fit]) -> bool:
    """One kind only, all variants tried, and next to nothing left of an error in enough elements."""
    plain = tried.plain
    enough = plain is not None and plain.metrics.mismatched >= FEW and best[0].error <= GOOD_FIT * plain.error
    return enough and not (tried.cut or tried.floor) and len({fit.kind for fit in best}) == 1


def _sentence(best: Sequence[Fit]) -> str:
    first = best[0]
    how = "the board's values exactly" if first.metrics.mismatched == 0 else "the board's values"
    if first.metrics.mismatched and first.metrics.max_step is not None:
        how += f" but for one step in {first.metrics.mismatch_share:.2g} of the elements"
    elif first.metrics.mismatched and first.metrics.relative_l2 is not None:
        how += f" (relative L2 {first.metrics.relative_l2:.2g})"
    others = [fit.words for fit in best[1 : 1 + SHOWN]]
    more = f", and {len(best) - 1 - SHOWN} other variants" if len(best) > 1 + SHOWN else ""
    also = f"; so it does with {'; or with '.join(others)}{more}" if others else ""
    return f"with {first.words} this PC computes {how}{also}"
