"""Policies: which difference of which layer is still `within`. Data, in YAML; the built-in one is `default`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.config import load_file
from harness.consistency.metrics.by_name import METRICS
from harness.errors import ConfigError
from harness.records import Metrics, WaiverOfRun

BUILT_IN = Path(__file__).parent / "policies"
SPAN_SHARE = 1 / 16  # of what the reference spans: a floor that exceeds it says nothing of a small tensor
SMALLEST_HALF = 2.0**-24  # half precision holds no smaller value
FORMS = ("integer", "rescaled", "float", "mixed")
Form = Literal["integer", "rescaled", "float", "mixed"]
Dtype = Literal["s4", "u4", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f16", "f32", "f64", "bool8"]


@dataclass(frozen=True)
class ErrorLimits:
    """Upper bounds of what is `within`; None does not gate. `names` are the rules that set them."""

    max_step: float | None = None
    mismatch_share: float | None = None
    relative_l2: float | None = None
    max_abs_over_range: float | None = None
    max_abs: float | None = None  # in the unit of the tensor
    abs_floor: float | None = None  # differences up to it, and to SPAN_SHARE of the reference's span, are within
    range_floor: float | None = None  # differences up to this share of a range that the op bounds (Sigmoid: 1)
    min_sqnr_db: float | None = None
    look_sqnr_db: float | None = None
    one_minus_cosine: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)  # by the name of one of METRICS
    names: tuple[str, ...] = ()

    def floor(self, known_range: float | None, span: float) -> float:
        """The absolute difference up to which nothing else is asked.

        `known_range` is the width that the op bounds the tensor to, if any; `span` is the reference's own, largest less
        smallest value: a floor near it would let a tensor of any values pass. What is left of a floor where the
        reference spans next to nothing is the last digit of half precision, and that of a range of 1.
        """
        width = known_range or 0.0
        share = SPAN_SHARE * span
        absolute = min(self.abs_floor or 0.0, max(share, SMALLEST_HALF))
        ranged = (self.range_floor or 0.0) * min(width, max(1.0, share / (self.range_floor or 1.0)))
        return max(absolute, ranged)


@dataclass(frozen=True)
class Subject:
    """What a rule can be about."""

    op_kind: str = ""
    dtype: str = ""
    form: str = ""
    unit: str = ""
    platform: str = ""
    toolchain: str = ""


@dataclass(frozen=True)
class PolicyRule:
    """Limits for the layers that fit every list; an empty list fits all."""

    name: str
    limits: ErrorLimits
    op_kinds: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    toolchains: tuple[str, ...] = ()  # patterns: "1.23.*"

    def fits(self, subject: Subject) -> bool:
        """Whether the rule speaks of that tensor; what it leaves out fits all."""
        return (
            _listed(self.op_kinds, subject.op_kind)
            and self._fits_dtype(subject)
            and _listed(self.units, subject.unit)
            and _listed(self.platforms, subject.platform)
            and _listed(self.toolchains, subject.toolchain)
        )

    def _fits_dtype(self, subject: Subject) -> bool:
        """A dtype alone says nothing where the two sides differ in it or in scale: there the form must be named."""
        alike = subject.form in ("integer", "float")
        return not self.dtypes or subject.form in self.dtypes or (alike and subject.dtype in self.dtypes)


def _listed(patterns: tuple[str, ...], value: str) -> bool:
    return not patterns or any(fnmatchcase(value, pattern) for pattern in patterns)


@dataclass(frozen=True)
class Waiver:
    """A known difference that is accepted for a while, up to its bounds."""

    reason: str
    until: date
    op: str = ""
    tensor: str = ""
    max_step: float | None = None
    mismatch_share: float | None = None
    relative_l2: float | None = None

    def is_about(self, op: str, tensor: str) -> bool:
        """Whether its patterns match the op and the tensor; one that is left out matches all."""
        return (not self.op or fnmatchcase(op, self.op)) and (not self.tensor or fnmatchcase(tensor, self.tensor))

    def excess(self, metrics: Metrics) -> str:
        """What is worse than the waiver allows, "" when nothing is."""
        for name in ("max_step", "mismatch_share", "relative_l2"):
            bound, value = getattr(self, name), getattr(metrics, name)
            if bound is not None and (value is None or value > bound):
                return f"{name} {'undefined' if value is None else f'{value:.4g}'} > {bound:g}"
        return "" if metrics.nonfinite_agree else "NaN or infinity"


@dataclass(frozen=True)
class Policy:
    """Rules in order, waivers, and the bounds of the noise ratio."""

    name: str
    rules: tuple[PolicyRule, ...]
    waivers: tuple[Waiver, ...] = ()
    three_way: tuple[float, float, float] = (1.1, 1.5, 3.0)
    min_layers: float = 0.0  # share of the reference's layers that must be compared
    optional: tuple[str, ...] = ()  # patterns of tensors and ops that need no dump, whatever speaks for one
    precision: str = ""  # of the board's float arithmetic, "" for float32: what its roundings make is no fault
    source: str = ""
    automatic: bool = (
        False  # nobody chose it: another built-in one stands in where the board's values show its precision
    )
    today: date = field(default_factory=date.today)

    def is_optional(self, op: str, tensor: str) -> bool:
        """Whether a layer need not have a dump."""
        return any(fnmatchcase(name, pattern) for pattern in self.optional for name in (op, tensor) if name)

    def limits(self, subject: Subject) -> ErrorLimits:
        """The limits of a layer: every rule that fits, later over earlier."""
        merged = ErrorLimits()
        for rule in self.rules:
            if rule.fits(subject):
                merged = _merge(merged, rule)
        return merged

    def waiver(self, op: str, tensor: str) -> Waiver | None:
        """The waiver of a layer: one that is still valid before one that is not."""
        about = [w for w in self.waivers if w.is_about(op, tensor)]
        return next((w for w in about if w.until >= self.today), about[0] if about else None)


def _merge(limits: ErrorLimits, rule: PolicyRule) -> ErrorLimits:
    names = [f.name for f in fields(ErrorLimits) if f.name not in ("names", "metrics")]
    given = {name: getattr(rule.limits, name) for name in names if getattr(rule.limits, name) is not None}
    metrics = {**limits.metrics, **rule.limits.metrics}
    return replace(limits, **given, metrics=metrics, names=(*limits.names, rule.name))


# --------------------------------------------------------------------------- files


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class LimitsEntry(_Entry):
    """`limits:` of a rule: the figures of docs/metrics.md; shares are 0 to 1, SQNR in dB."""

    max_step: float | None = Field(default=None, ge=0)
    mismatch_share: float | None = Field(default=None, ge=0, le=1)
    relative_l2: float | None = Field(default=None, ge=0)
    max_abs_over_range: float | None = Field(default=None, ge=0)
    max_abs: float | None = Field(default=None, ge=0)
    abs_floor: float | None = Field(default=None, ge=0)
    range_floor: float | None = Field(default=None, ge=0, le=1)
    min_sqnr_db: float | None = None
    look_sqnr_db: float | None = None
    one_minus_cosine: float | None = Field(default=None, ge=0, le=2)
    metrics: dict[str, float] = {}


class RuleEntry(_Entry):
    """One of `rules:`: which layers it is about, and the limits that they are held against."""

    name: str
    limits: LimitsEntry
    op_kinds: list[str] = []
    dtypes: list[Form | Dtype] = []
    units: list[str] = []
    platforms: list[str] = []
    toolchains: list[str] = []


class WaiverEntry(_Entry):
    """One of `waivers:`: a difference that is known and allowed until a day, with the reason."""

    reason: str = Field(min_length=3)
    until: date
    op: str = ""
    tensor: str = ""
    max_step: float | None = Field(default=None, ge=0)
    mismatch_share: float | None = Field(default=None, ge=0, le=1)
    relative_l2: float | None = Field(default=None, ge=0)


class ThreeWayEntry(_Entry):
    """`three_way:`, bounds of the noise ratio (board against float, over the PC's own noise)."""

    note: float = Field(gt=0)
    look: float = Field(gt=0)
    bad: float = Field(gt=0)


class CoverageEntry(_Entry):
    """`coverage:`: the share of layers (0 to 1) that must be compared, and patterns of those that need no dump."""

    min_layers: float | None = Field(default=None, ge=0, le=1)
    optional: list[str] = []


class PolicyFile(_Entry):
    """A whole policy file."""

    policy: str
    extends: str = ""
    precision: Literal["f16", "bf16", "tf32"] | None = None
    rules: list[RuleEntry] = []
    waivers: list[WaiverEntry] = []
    three_way: ThreeWayEntry | None = None
    coverage: CoverageEntry | None = None


def built_in_names() -> tuple[str, ...]:
    """Policies that come with harness."""
    return tuple(sorted(path.stem for path in BUILT_IN.glob("*.yaml")))


def load_policy(source: str | Path = "", min_coverage: float | None = None) -> Policy:
    """A policy by built-in name, or from a file; "" is the default, chosen by nobody. `min_coverage` in percent stands
    in for its own.

    Errors: ConfigError with file and line.
    """
    name = str(source) or "default"
    policy = _built_in(name) if name in built_in_names() else _loaded(name)
    policy = replace(policy, automatic=not str(source))
    return policy if min_coverage is None else replace(policy, min_layers=min_coverage / 100)


@cache
def _built_in(name: str) -> Policy:
    """Read once: the files that come with harness do not change under it."""
    return _loaded(name)


def _loaded(source: str) -> Policy:
    path = _path(source)
    entry = load_file(path, PolicyFile)
    base = _base(entry, path)
    own = tuple(_rule(e, path) for e in entry.rules)
    waivers = tuple(_waiver(e, path) for e in entry.waivers)
    bounds, seen = entry.three_way, entry.coverage or CoverageEntry()
    return Policy(
        name=entry.policy,
        rules=(*(base.rules if base else ()), *own),
        waivers=(*waivers, *(base.waivers if base else ())),
        three_way=(bounds.note, bounds.look, bounds.bad) if bounds else (base.three_way if base else (1.1, 1.5, 3.0)),
        min_layers=seen.min_layers if seen.min_layers is not None else (base.min_layers if base else 0.0),
        optional=(*seen.optional, *(base.optional if base else ())),
        precision=entry.precision or (base.precision if base else ""),
        source=path.name,
    )


def _path(source: str) -> Path:
    if source in built_in_names():
        return BUILT_IN / f"{source}.yaml"
    if not Path(source).is_file():
        names = ", ".join(built_in_names())
        raise ConfigError(f"{source}: no such policy file", f"give a policy file or a built-in name: {names}")
    return Path(source)


def _base(entry: PolicyFile, path: Path) -> Policy | None:
    if not entry.extends:
        return None
    if entry.extends not in built_in_names():
        raise ConfigError(f"{path}: extends {entry.extends!r}", f"built in: {', '.join(built_in_names())}")
    return _built_in(entry.extends)


def _rule(entry: RuleEntry, path: Path) -> PolicyRule:
    for name in entry.limits.metrics:
        try:
            METRICS.get(name)
        except ConfigError as error:
            raise ConfigError(f"{path}: rule {entry.name!r}: {error.message}", error.hint) from error
    lists = {name: tuple(getattr(entry, name)) for name in ("op_kinds", "dtypes", "units", "platforms", "toolchains")}
    return PolicyRule(entry.name, ErrorLimits(**entry.limits.model_dump()), **lists)


def _waiver(entry: WaiverEntry, path: Path) -> Waiver:
    if not entry.op and not entry.tensor:
        raise ConfigError(f"{path}: waiver without `op` or `tensor`", "name its layer")
    return Waiver(**entry.model_dump())


def expired(policy: Policy) -> Sequence[Waiver]:
    """Waivers whose date has passed."""
    return [w for w in policy.waivers if w.until < policy.today]


def waiver_record(policy: Policy, layers: Sequence[tuple[str, str]]) -> tuple[WaiverOfRun, ...]:
    """Every waiver of a policy for run.json: its words and bounds, whether it has ended, how many of the `layers`
    ((op, tensor) each) it is about."""
    ended = expired(policy)
    return tuple(
        WaiverOfRun(
            reason=waiver.reason,
            until=str(waiver.until),
            op=waiver.op,
            tensor=waiver.tensor,
            max_step=waiver.max_step,
            mismatch_share=waiver.mismatch_share,
            relative_l2=waiver.relative_l2,
            ended=waiver in ended,
            layers=sum(waiver.is_about(op, tensor) for op, tensor in layers),
        )
        for waiver in policy.waivers
    )
