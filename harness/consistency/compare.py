"""Board against reference, whole: rows, verdicts, roles, origins, coverage, and the word on it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from harness.consistency.arithmetic import PRECISION_BY_NAME, Evidence, Precision, of_values
from harness.consistency.checks import repeatability
from harness.consistency.checks.beyond_noise import beyond_noise
from harness.consistency.checks.float_reference import (
    LABEL,
    SCALES,
    is_float,
    judges_noise,
    not_this_model,
    of_integers,
)
from harness.consistency.checks.noise_ratio import three_way
from harness.consistency.checks.notes import after_localization, comparison_notes
from harness.consistency.checks.quantization import check_quantization
from harness.consistency.denormals import flushes, smallest_kept
from harness.consistency.faults import FaultSearch
from harness.consistency.fingerprint import error_maps
from harness.consistency.origins.closer import from_near
from harness.consistency.origins.error_propagation import effects, propagation_points
from harness.consistency.origins.localize import Localization, with_fingerprints, with_one_cause
from harness.consistency.origins.sides import op_sides
from harness.consistency.policy import Policy, load_policy
from harness.consistency.reading.matching import match
from harness.consistency.reading.missing import mark_missing
from harness.consistency.reading.proposals import propose, sentence
from harness.consistency.reading.readings import OWN, Candidate, settle
from harness.consistency.rows import RowComparer
from harness.consistency.settings import CompareSettings
from harness.consistency.verdicts import GOOD_WORDS, OWED, run_verdict
from harness.errors import InputError
from harness.records import (
    Checks,
    ComparedReference,
    Comparison,
    Coverage,
    Dump,
    Layer,
    NetworkOps,
    Origin,
    Picture,
    Reading,
)
from harness.records.callbacks import ProgressCallback
from harness.reference.open import Reference, dense_bytes

__all__ = ["CompareSettings", "ProgressCallback", "compare", "read_mapping"]

FLOAT_SIDE = (
    "the reference is the toolchain's own float graph: judged by policy float-reference; "
    "--policy default judges as float32"
)
PICTURED = 8  # origins that get an error map and a histogram


def compare(reference: Reference, dumps: Sequence[Dump], settings: CompareSettings | None = None) -> Comparison:
    """Compare what a board left with what the PC says. Errors: InputError for a mapping that does not fit."""
    dumps, settings = _as_read(reference, dumps, settings or CompareSettings())
    comparer = _Comparer(reference, dumps, settings)
    comparison = comparer.result()
    return (_beyond_noise(comparer) if comparer.foreign else None) or comparison


def fault_search(reference: Reference, dumps: Sequence[Dump], settings: CompareSettings) -> FaultSearch:
    """The same sides as for `compare`, opened for single tensors and ops. Errors: InputError."""
    dumps, settings = _as_read(reference, dumps, settings)
    return _Comparer(reference, dumps, settings).faults


def _beyond_noise(first: _Comparer) -> Comparison | None:
    """The float model beside a quantized board, judged by its noise: what is not noise is a fault all the same."""
    policy = _noise_policy(first)
    if first.settings.float_side:
        judged = _Comparer(first.reference, first.dumps, replace(first.settings, policy=policy)).result()
        return replace(judged, notes=(FLOAT_SIDE, *judged.notes))
    if not any(layer.verdict == "differs" for layer in first.rows.judged_again(first.layers, policy)):
        return None
    second = _Comparer(first.reference, first.dumps, replace(first.settings, policy=policy))
    return beyond_noise(second.result(), second.rows)


def _noise_policy(first: _Comparer) -> Policy:
    policy = load_policy("float-reference")
    return replace(policy, min_layers=first.policy.min_layers, optional=first.policy.optional)


def _as_read(
    reference: Reference, dumps: Sequence[Dump], settings: CompareSettings
) -> tuple[Sequence[Dump], CompareSettings]:
    """Dumps of a known platform may still be of two bytes a value, or hold several frames: unless that was asked."""
    if settings.reading is not None:
        return dumps, settings
    given = Candidate(settings.platform or OWN, tuple(dumps), settings.storages, settings.platform)
    choice = settle(reference, [given], read_mapping(settings.mapping))
    return choice.candidate.dumps, replace(settings, storages=choice.candidate.storages, reading=choice.reading)


def read_mapping(source: Path | Mapping[str, str] | None) -> dict[str, str]:
    """Names of a mapping file (`board tensor: reference tensor`). Errors: InputError."""
    if source is None or isinstance(source, Mapping):
        return dict(source or {})
    try:
        names = yaml.safe_load(source.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{source}: not a readable mapping ({error})") from None
    if not isinstance(names, dict) or not all(isinstance(v, str | int) for v in names.values()):
        raise InputError(f"{source}: expected lines of `board tensor: reference tensor`")
    return {str(board): str(wanted) for board, wanted in names.items()}


class _Comparer:
    """One comparison: its rows, where their faults are born, and the word on it all."""

    def __init__(self, reference: Reference, dumps: Sequence[Dump], settings: CompareSettings) -> None:
        self.reference, self.dumps, self.settings = reference, dumps, settings
        self.policy = settings.policy or load_policy()
        self.graph = settings.graph or reference.graph
        mapping = read_mapping(settings.mapping)
        matching = match(reference, dumps, mapping, settings.rules)
        matching = mark_missing(matching, reference, self.graph, (dumps, settings.gaps), self.policy)
        self.rows = RowComparer(reference, matching, settings, self.policy)
        self.faults = FaultSearch(self.rows, self.graph)
        self.notes = list(comparison_notes(reference, dumps, mapping, matching))
        self.layers: list[Layer] = []
        self.foreign = False  # whether the float model was compared with a board of integers, by a policy nobody chose

    def result(self) -> Comparison:
        layers = self.layers = self.rows.layers()
        equal = frozenset(layer.name for layer in layers if layer.verdict in ("exact", "within"))
        integers = of_integers(layers, self.rows.narrow, self.rows.pair) if is_float(self.reference) else ""
        noise = bool(integers) and judges_noise(self.policy)
        self.notes += [LABEL, *([SCALES] if self.rows.narrow else [])] if integers else []
        localized = self._localized(layers) if noise or not integers else Localization(list(layers))
        layers = self.faults.fingerprinted(localized, equal)
        layers, origins = with_one_cause(localized, layers, with_fingerprints(localized.origins, layers))
        coverage = self._coverage(layers)
        seen_after = after_localization(self.graph, layers, origins) if self.graph is not None else iter(())
        extras = self._extras(layers)
        self.notes += self._proposed(layers)
        word = run_verdict(layers, origins, coverage, self._owed(layers), self.policy.min_layers)
        if self.faults.precision is not None:
            word = replace(word, detail=f"{word.detail}; judged as {self.faults.precision.words}")
        if integers and not noise and word.word not in GOOD_WORDS:
            word = not_this_model(self.reference, integers)
            self.foreign = self.policy.automatic
        return Comparison(
            verdict=repeatability.final_verdict(word, extras),
            coverage=coverage,
            layers=tuple(layers),
            origins=origins,
            first_difference=next((layer.name for layer in layers if layer.verdict == "differs"), ""),
            reference=ComparedReference(self.reference.kind, self.reference.source, self.reference.provenance),
            policy=self.policy.name,
            graph_source=self.graph.source or "reference" if self.faults.graph_serves(layers) and self.graph else "",
            reading=self.settings.reading or Reading(),
            notes=(*self.notes, *self.faults.notes, *localized.notes, *seen_after),
            pictures=self._pictures(origins, layers),
            extras=extras,
        )

    def _localized(self, layers: Sequence[Layer]) -> Localization:
        """The origins; judged by the board's own precision where its values, or its single ops, show one."""
        judged_by_hand = not self.policy.automatic
        if judged_by_hand and self.policy.precision:
            return self.faults.localize(self._rounded_as(PRECISION_BY_NAME[self.policy.precision], layers))
        evidence = of_values(layers, self.rows.pair)
        if evidence is None or judged_by_hand:
            localized = self.faults.localize(layers)
            evidence = evidence or localized.arithmetic()
            if evidence is None or judged_by_hand:
                self.notes += [f"{evidence.sentence}: see --policy {evidence.precision.name}"] if evidence else []
                return localized
        return self.faults.localize(self._judged_as(evidence, layers))

    def _judged_as(self, evidence: Evidence, layers: Sequence[Layer]) -> list[Layer]:
        precision = evidence.precision
        self.policy = replace(load_policy(precision.name), min_layers=self.policy.min_layers)
        self.notes.append(
            f"the board computes in {precision.words} ({evidence.sentence}): judged by policy {precision.name}; "
            "--policy default judges as float32"
        )
        return self._rounded_as(precision, layers)

    def _rounded_as(self, precision: Precision, layers: Sequence[Layer]) -> list[Layer]:
        """The layers judged again with what that arithmetic alone does to values."""
        self.faults.precision = precision
        if flushes(layers, self.rows.pair, precision):
            self.rows.flushed_below = smallest_kept(precision)
            self.notes.append(
                f"values below {precision.smallest_normal:.1e}, the smallest normal one of {precision.words}, are "
                "zeros on the board: it flushes them, no fault"
            )
        return self.rows.judged_again(layers, self.policy)

    def _proposed(self, layers: Sequence[Layer]) -> list[str]:
        """Which names may belong together, where none did."""
        if any(layer.verdict != "not_compared" or layer.match for layer in layers):
            return []
        proposals = propose(self.reference, self.dumps)
        return [sentence(proposals)] if proposals else []

    def _coverage(self, layers: Sequence[Layer]) -> Coverage:
        """Of the reference's tensors that ops compute: inputs and dumps without partner do not count."""
        rows = self._computed(layers)
        compared = [layer for layer in rows if layer.verdict != "not_compared"]
        sizes = {layer.name: layer.size_bytes or self._bytes(layer.name) for layer in rows}
        return Coverage(
            layers_compared=len(compared),
            layers_total=len(rows),
            bytes_compared=sum(sizes[layer.name] for layer in compared),
            bytes_total=sum(sizes.values()),
        )

    def _computed(self, layers: Sequence[Layer]) -> list[Layer]:
        return [layer for layer in layers if (t := self.reference.tensors.get(layer.name)) and not t.is_input]

    def _owed(self, layers: Sequence[Layer]) -> list[Layer]:
        """Tensors of the reference that were not compared although the board has, or must have, a dump of them."""
        return [row for row in self._computed(layers) if row.reason in OWED and row.verdict == "not_compared"]

    def _bytes(self, name: str) -> int:
        spec = self.reference.tensors[name].spec
        return max(0, dense_bytes(spec)) if spec is not None else 0

    def _pictures(self, origins: Sequence[Origin], layers: Sequence[Layer]) -> dict[str, Picture]:
        drawn = {}
        for origin in origins[:PICTURED]:
            pair = self.rows.pair(origin.tensor)
            near, axes, worst = from_near(pair)
            models = (self.settings.model or self.reference.model, self.settings.board_model)
            sides = op_sides(origin, self.graph, models, layers, self.rows.pair)
            error_map = error_maps.error_map(pair.board, pair.reference, pair.spec_reference)
            drawn[origin.tensor] = Picture(error_map, near, axes, worst, sides)
        return drawn

    def _extras(self, layers: Sequence[Layer]) -> Checks:
        floats, repeats = self.settings.floats, self.settings.repeats
        differing = any(layer.verdict in ("within", "differs") for layer in layers)
        runs = [repeatability.hashes(dumps) for dumps in (self.dumps, *repeats)] if repeats else []
        return Checks(
            graph=NetworkOps(self.graph.ops) if self.graph is not None and self.faults.graph_serves(layers) else None,
            error_propagation=propagation_points(layers) if differing else (),
            outputs=effects(layers, self.rows.pair) if differing else (),
            three_way=three_way(layers, self.rows.pair, floats, self.policy) if floats is not None else None,
            quantization=check_quantization(self.reference, floats, self.graph) if floats is not None else None,
            determinism={"": repeatability.determinism(runs)} if runs else {},
        )
