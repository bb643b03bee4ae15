"""Board against reference, whole: rows, verdicts, roles, origins, coverage, and the word on it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from pathlib import Path

import yaml

from harness.consistency.checks import repeatability
from harness.consistency.checks.float_reference import (
    LABEL,
    SCALES,
    is_float,
    judges_noise,
    not_this_model,
    of_integers,
)
from harness.consistency.checks.noise_ratio import three_way
from harness.consistency.checks.notes import after_blame, remarks
from harness.consistency.fingerprint import error_maps
from harness.consistency.fingerprint.cause import Scene, cause, fed, is_open
from harness.consistency.metrics.pointwise import measure
from harness.consistency.origins.error_propagation import effects, growth
from harness.consistency.origins.isolate import Isolator
from harness.consistency.origins.localize import Bench, Blame, blame, with_fingerprints
from harness.consistency.origins.origins import sequence_origin
from harness.consistency.policy import Policy, Subject, load_policy
from harness.consistency.reading.hashed import Hashed
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.matching import Match, Matching, Rules, match
from harness.consistency.reading.missing import with_holes
from harness.consistency.reading.pairs import Pair, Storages, open_pair
from harness.consistency.reading.size_mismatch import Misfits, settle
from harness.consistency.reading.tensor_files import Array, file_md5, valid_md5
from harness.consistency.verdicts import GOOD_WORDS, OWED, Judgement, judge, run_verdict, waive
from harness.errors import HarnessError, InputError
from harness.records import (
    Checks,
    ComparedReference,
    Comparison,
    Coverage,
    Dump,
    Fingerprint,
    Gap,
    Graph,
    Layer,
    Metrics,
    NetworkOps,
    Origin,
    Picture,
)
from harness.reference.open import Reference, ReferenceTensor, dense_bytes

Progress = Callable[[str, int, int], None]
PICTURED = 8  # origins that get an error map and a histogram
FINGERPRINTED = 64  # origins; where more ops are wrong at once, the kind of each one says little


@dataclass(frozen=True)
class Settings:
    """How to compare. `mapping` is dump name -> reference name, or a YAML file of such lines."""

    storages: Storages | None = None
    policy: Policy | None = None
    mapping: Path | Mapping[str, str] | None = None
    rules: Rules | None = None
    graph: Graph | None = None  # instead of the reference's own
    model: Path | None = None  # the ONNX for single ops, instead of the reference's own
    isolate: bool = True
    floats: Reference | None = None  # a float reference: three-way noise ratios
    previous: Reference | None = None  # tensors of the frame before, where they are kept: tells stale data
    repeats: Sequence[Sequence[Dump]] = ()  # what other runs of the same input left
    gaps: Sequence[Gap] | None = None  # layers that the dumps' own numbers miss; None: they carry no numbers
    hashed: Mapping[Path, Hashed] = field(default_factory=dict)  # dumps that were hashed on the board, not pulled
    platform: str = ""
    toolchain: str = ""
    progress: Progress | None = None


def compare(reference: Reference, dumps: Sequence[Dump], settings: Settings | None = None) -> Comparison:
    """Compare what a board left with what the PC says. Errors: InputError for a mapping that does not fit."""
    return _Work(reference, dumps, settings or Settings()).result()


def read_mapping(source: Path | Mapping[str, str] | None) -> dict[str, str]:
    """Names of a mapping file (`board name: reference name`). Errors: InputError."""
    if source is None or isinstance(source, Mapping):
        return dict(source or {})
    try:
        names = yaml.safe_load(source.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{source}: not a readable mapping ({error})") from None
    if not isinstance(names, dict) or not all(isinstance(v, str | int) for v in names.values()):
        raise InputError(f"{source}: a mapping is lines of `board name: reference name`")
    return {str(board): str(wanted) for board, wanted in names.items()}


class _Work:
    """One comparison. Arrays are opened where they are needed and never kept: 5,000 layers, few open files."""

    def __init__(self, reference: Reference, dumps: Sequence[Dump], settings: Settings) -> None:
        self.reference, self.dumps, self.settings = reference, dumps, settings
        self.policy = settings.policy or load_policy()
        self.graph = settings.graph or reference.graph
        mapping = read_mapping(settings.mapping)
        matching = match(reference, dumps, mapping, settings.rules)
        self.matching: Matching = with_holes(matching, reference, self.graph, (dumps, settings.gaps), self.policy)
        self.matches = {row.tensor.name: row for row in self.matching.rows if row.tensor is not None}
        self.notes = list(remarks(reference, dumps, mapping, self.matching))
        self.isolator: Isolator | None = None
        self.misfits = Misfits(reference, settings.storages)
        self.equal: frozenset[str] = frozenset()  # rows that are equal, byte for byte
        self.narrow: dict[str, str] = {}  # rows whose dump holds integers where the reference has floats -> dtype
        self.unsure: dict[str, str] = {}  # rows whose file does not tell what is wrong with it -> expected dtype

    def result(self) -> Comparison:
        layers = self._layers()
        self.equal = frozenset(layer.name for layer in layers if layer.verdict == "exact")
        integers = of_integers(layers, self.narrow, self.pair) if is_float(self.reference) else ""
        noise = bool(integers) and judges_noise(self.policy)
        self.notes += [LABEL, *([SCALES] if self.narrow else [])] if integers else []
        blamed = self._blame(layers) if noise or not integers else Blame(list(layers))
        layers = self._fingerprinted(blamed)
        origins = with_fingerprints(blamed.origins, layers)
        coverage = self._coverage(layers)
        extras = self._extras(layers)
        word = run_verdict(layers, origins, coverage, self._owed(layers), self.policy.min_layers)
        if integers and not noise and word.word not in GOOD_WORDS:
            word = not_this_model(self.reference, integers)
        return Comparison(
            verdict=repeatability.final_verdict(word, extras),
            coverage=coverage,
            layers=tuple(layers),
            origins=origins,
            first_difference=next((layer.name for layer in layers if layer.verdict == "differs"), ""),
            reference=ComparedReference(self.reference.kind, self.reference.source, self.reference.provenance),
            policy=self.policy.name,
            graph_source=self.graph.source or "reference" if self._graph_serves(layers) and self.graph else "",
            notes=(*self.notes, *blamed.notes, *self._seen_after(layers, origins)),
            pictures=self._pictures(origins),
            extras=extras,
        )

    def pair(self, name: str) -> Pair:
        """Board and reference of a matched tensor. Errors: TensorError."""
        row = self.matches[name]
        assert row.tensor is not None and row.dump is not None
        return open_pair(row.tensor, row.dump, self.settings.storages)

    # ---------------------------------------------------------------- rows

    def _layers(self) -> list[Layer]:
        done = list(accumulate(_file_bytes(row) for row in self.matching.rows))
        layers: list[Layer] = []
        for index, row in enumerate(self.matching.rows):
            layers.append(self._layer(index, row))
            if self.settings.progress is not None:
                self.settings.progress("comparing", done[index], done[-1])
        return list(settle(self._without_misread(layers), self.unsure))

    def _without_misread(self, layers: list[Layer]) -> list[Layer]:
        """Integers that have the size of floats by their padding: only where other dumps are known to be integers."""
        if not self.narrow or not is_float(self.reference):
            return layers
        found = {row.name: self.misfits.misread(self.matches[row.name]) for row in layers if row.verdict == "differs"}
        self.narrow |= {name: dtype for name, dtype in found.items() if dtype}
        told = "its values follow the reference's, read as {}: not floats, though their size is that of floats"
        return [_misread(row, told.format(found[row.name])) if found.get(row.name) else row for row in layers]

    def _layer(self, index: int, row: Match) -> Layer:
        plain = _plain_layer(index, row)
        if row.tensor is None or row.dump is None:
            return plain
        try:
            return self._compared(plain, row.tensor, row.dump)
        except TensorError as error:
            found = self.misfits.look(error, row.tensor, row.dump)
            if found.narrow:
                self.narrow[plain.name] = found.narrow
            if found.open and row.tensor.spec is not None:
                self.unsure[plain.name] = row.tensor.spec.dtype
            return replace(plain, reason=found.reason, note=_joined(row.note, found.told))

    def _compared(self, plain: Layer, tensor: ReferenceTensor, dump: Dump) -> Layer:
        pair = open_pair(tensor, dump, self.settings.storages)
        metrics = measure(pair.board, pair.reference, pair.spec_board, pair.spec_reference)
        board_md5 = valid_md5(pair.board)
        reference_md5 = pair.reference_md5 or valid_md5(pair.reference)
        equal = metrics.mismatched == 0 and board_md5 == reference_md5
        hashed = self._hashed(dump, pair, board_md5 == reference_md5)
        judged = self._judge(plain, pair, metrics, equal)
        if metrics.special == "empty":
            return replace(plain, reason="empty", note=_joined(plain.note, "the tensor has no element"))
        return replace(
            plain,
            verdict=judged.verdict,
            reason=judged.reason,
            note=_joined(plain.note, pair.note, judged.note),
            dtype=pair.spec_board.dtype,
            shape=tuple(pair.reference.shape),
            size_bytes=pair.reference.nbytes,
            file_md5_board=hashed.file_md5 if hashed else file_md5(dump.path),
            file_md5_reference="" if tensor.path.suffix == ".npy" else file_md5(tensor.path),
            valid_md5_board=board_md5,
            valid_md5_reference=reference_md5,
            metrics=metrics,
            hashed=hashed.how if hashed else "",
        )

    def _hashed(self, dump: Dump, pair: Pair, equal: bool) -> Hashed | None:
        """Errors: TensorError where padding that is not the board's would be taken for its values."""
        hashed = self.settings.hashed.get(dump.path)
        if hashed is not None and not equal and not hashed.covers(dump.path, pair.stored):
            raise TensorError(
                f"{dump.path.name}: not pulled, and hashed on the board as a tensor that lies otherwise in it",
                "run again with --pull all",
            )
        return hashed

    def _judge(self, layer: Layer, pair: Pair, metrics: Metrics, equal: bool) -> Judgement:
        limits = self.policy.limits(self._subject(layer, pair))
        judged = judge(metrics, pair.form, limits, equal=equal)
        return waive(judged, metrics, layer.op, layer.name, self.policy)

    def _subject(self, layer: Layer, pair: Pair) -> Subject:
        return Subject(
            op_kind=layer.op_kind,
            dtype=pair.dtype,
            form=pair.form,
            unit=layer.unit,
            platform=self.settings.platform,
            toolchain=self.settings.toolchain,
        )

    # ---------------------------------------------------------------- blame

    def _graph_serves(self, layers: Sequence[Layer]) -> bool:
        """A graph that knows no differing row is of no use: the order of the rows is all there is."""
        if self.graph is None:
            return False
        known = {name for op in self.graph.ops for name in op.outputs} | set(self.graph.inputs)
        compared = [layer for layer in layers if layer.verdict != "not_compared"]
        return any(layer.name in known for layer in compared)

    def _blame(self, layers: Sequence[Layer]) -> Blame:
        if not self._graph_serves(layers) or self.graph is None:
            note = "no graph is known: the first difference in file order is named, others may be its consequence"
            origins = sequence_origin(layers)
            return Blame(list(layers), origins, notes=[note] if origins else [])
        return blame(self.graph, layers, self._bench(layers))

    def _seen_after(self, layers: Sequence[Layer], origins: Sequence[Origin]) -> Iterator[str]:
        return after_blame(self.graph, layers, origins) if self.graph is not None else iter(())

    def _bench(self, layers: Sequence[Layer]) -> Bench | None:
        model = self.settings.model or self.reference.model
        differing = any(layer.verdict == "differs" for layer in layers)
        if model is None or not self.settings.isolate or not differing:
            return None
        runner = self.reference.provenance.get("runner", {})
        try:
            self.isolator = Isolator(model, str(runner.get("optimizations", "disabled")))
        except HarnessError as error:
            self.notes.append(f"single ops cannot be run: {error.message}")
            return None
        return Bench(self.isolator, self.pair, partial(fed, self.reference), self._allowed)

    def _allowed(self, layer: Layer, pair: Pair, metrics: Metrics) -> bool:
        judged = judge(metrics, pair.form, self.policy.limits(self._subject(layer, pair)))
        return waive(judged, metrics, layer.op, layer.name, self.policy).verdict != "differs"

    def _fingerprinted(self, blamed: Blame) -> list[Layer]:
        """Fingerprints where they mean something: where a difference is born, not where it was carried to."""
        named = {origin.tensor for origin in blamed.origins[:FINGERPRINTED]}
        if len(blamed.origins) > FINGERPRINTED:
            blamed.notes.append(f"the kind of fault was looked for at the first {FINGERPRINTED} origins only")
        isolated = {origin.tensor for origin in blamed.origins if origin.how == "isolated"}
        rows = list(blamed.layers)
        for i, layer in enumerate(rows):
            if layer.name in named:
                alone = blamed.alone(layer.name) if layer.name in isolated else None
                rows[i] = replace(layer, fingerprint=self._fingerprint(layer, alone))
        return rows

    def _fingerprint(self, layer: Layer, alone: Array | None) -> Fingerprint:
        """Of an op that was found by running it alone: against what it gives alone, free of what came before."""
        pair = self.pair(layer.name)
        row = self.matches[layer.name]
        assert layer.metrics is not None
        if alone is not None and layer.single is not None:
            pair, layer = replace(pair, reference=alone), replace(layer, metrics=layer.single)
        scene = Scene(self.graph, self.reference, self.settings.previous, self.isolator, self.equal)
        found = cause(layer, pair, scene, self._repeats(row, pair))
        return (self.misfits.file_of(row) or found) if is_open(found) else found

    def _repeats(self, row: Match, pair: Pair) -> tuple[Array, ...]:
        """This tensor of the other runs, where it can be opened."""
        assert row.tensor is not None and row.dump is not None
        found = []
        others = (dump for run in self.settings.repeats for dump in run)
        for dump in (d for d in others if (d.name, d.role) == (row.dump.name, row.dump.role)):
            with suppress(TensorError):
                found.append(open_pair(row.tensor, dump, self.settings.storages).board)
        return tuple(array for array in found if array.shape == pair.board.shape and array.dtype == pair.board.dtype)

    # ---------------------------------------------------------------- around

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

    def _pictures(self, origins: Sequence[Origin]) -> dict[str, Picture]:
        drawn = {}
        for origin in origins[:PICTURED]:
            pair = self.pair(origin.tensor)
            drawn[origin.tensor] = Picture(error_maps.error_map(pair.board, pair.reference, pair.spec_reference))
        return drawn

    def _extras(self, layers: Sequence[Layer]) -> Checks:
        floats, repeats = self.settings.floats, self.settings.repeats
        differing = any(layer.verdict in ("within", "differs") for layer in layers)
        runs = [repeatability.hashes(dumps) for dumps in (self.dumps, *repeats)] if repeats else []
        return Checks(
            graph=NetworkOps(self.graph.ops) if self.graph is not None and self._graph_serves(layers) else None,
            growth=growth(layers) if differing else (),
            outputs=effects(layers, self.pair) if differing else (),
            three_way=three_way(layers, self.pair, floats, self.policy) if floats is not None else None,
            determinism={"": repeatability.determinism(runs)} if runs else {},
        )


def _plain_layer(index: int, row: Match) -> Layer:
    tensor, dump = row.tensor, row.dump
    spec = tensor.spec if tensor is not None else dump.spec if dump is not None else None
    return Layer(
        index=index,
        name=tensor.name if tensor is not None else dump.name if dump is not None else "",
        op=(tensor.op if tensor is not None else "") or (dump.op if dump is not None else ""),
        op_kind=_kind(tensor, dump),
        verdict="not_compared",
        reason=row.reason,
        note=row.note,
        match=row.how if tensor is not None and dump is not None else "",
        unit=dump.unit if dump is not None else "",
        dtype=spec.dtype if spec else "",
        shape=spec.shape if spec else (),
        size_bytes=max(0, dense_bytes(spec)) if spec else 0,
        board_file=dump.path.name if dump is not None else "",
        is_output=tensor.is_output if tensor is not None else False,
    )


def _misread(row: Layer, told: str) -> Layer:
    return replace(row, verdict="not_compared", reason="dtype_differs", note=told, metrics=None)


def _file_bytes(row: Match) -> int:
    return row.dump.path.stat().st_size if row.dump is not None and row.dump.path.is_file() else 0


def _kind(tensor: ReferenceTensor | None, dump: Dump | None) -> str:
    if tensor is not None and tensor.is_input:
        return "input"
    return (tensor.op_kind if tensor is not None else "") or (dump.op_kind if dump is not None else "")


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
