"""Where the differences of one comparison are born, and what kind of fault each looks like."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial

from harness.consistency.arithmetic import F16, Precision
from harness.consistency.fingerprint.cause import LayerContext, cause, fed, is_open
from harness.consistency.fingerprint.other_tensors import OtherTensors, with_owner_of_scale
from harness.consistency.hypotheses.search import SEEN_AS, HypothesisSearch, fingerprint
from harness.consistency.metrics.pointwise import measure
from harness.consistency.origins.alone import OpRunner
from harness.consistency.origins.isolate import Isolator
from harness.consistency.origins.localize import OWN_CAUSE, Localization, localize
from harness.consistency.origins.origins import sequence_origin
from harness.consistency.origins.rounded import WEIGHTED, Rounding
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.matching import Match
from harness.consistency.reading.pairs import Pair, open_pair
from harness.consistency.reading.tensor_files import Array
from harness.consistency.rows import RowComparer
from harness.errors import HarnessError
from harness.records import Fingerprint, Graph, Layer, Origin

OF_NO_OP = (*OWN_CAUSE, "nondeterminism", "other_input", "preprocessing")  # said of the file, the input or the run
SERVES = 0.5  # share of the compared tensors that a graph must know
EXPLAINED = 16  # origins whose ops run in other ways
EXPLAINED_OF_MANY = 4  # where there are more: a habit of the build shows in these, too
FINGERPRINTED = 32  # origins; where more ops are wrong at once, the kind of each one says little


class FaultSearch:
    """Looks for the origins among compared rows."""

    def __init__(self, rows: RowComparer, graph: Graph | None) -> None:
        self.rows, self.graph = rows, graph
        self.reference, self.settings = rows.reference, rows.settings
        self.notes: list[str] = []
        self.precision: Precision | None = None  # the float arithmetic that the board is known to compute in
        self._isolator: Isolator | None = None
        self._weighted: frozenset[str] = frozenset()
        self.others = OtherTensors(rows.reference)
        self._hypotheses = HypothesisSearch(rows.allowed)

    def graph_serves(self, layers: Sequence[Layer]) -> bool:
        """A graph that knows less than half of the rows is another model's, or has other names: the order of the rows
        is all there is then."""
        known, compared = self._known(layers)
        return bool(known) and known >= SERVES * compared

    def _known(self, layers: Sequence[Layer]) -> tuple[int, int]:
        """How many compared rows the graph knows, of how many; a tensor of that network that repeats another counts as
        known, a network input does not count."""
        if self.graph is None:
            return 0, 0
        made = {name for op in self.graph.ops for name in op.outputs}
        compared = [layer.name for layer in layers if layer.verdict != "not_compared"]
        computed = [name for name in compared if name not in self.graph.inputs] or compared
        return sum(name in made or name in self.graph.inputs for name in computed), len(computed)

    def localize(self, layers: Sequence[Layer]) -> Localization:
        """The origins, from the graph where there is one."""
        if not self.graph_serves(layers) or self.graph is None:
            known, compared = self._known(layers)
            if self.graph is not None and compared:
                source = self.graph.source or "the reference's graph"
                self.notes.append(f"{source} knows {known} of {compared} compared tensors: not used as the graph")
            note = "no graph: the first difference in file order is reported; later ones may be consequences"
            origins = sequence_origin(layers)
            return Localization(list(layers), origins, notes=[note] if origins else [])
        return localize(self.graph, layers, self.op_runner(layers))

    def fingerprinted(self, localized: Localization, equal: frozenset[str]) -> list[Layer]:
        """Fingerprints where they mean something: where a difference is born, not where it was carried to.

        `equal`: names of the rows that are `exact` or `within`.
        """
        named = {origin.tensor for origin in localized.origins[:FINGERPRINTED]}
        most = EXPLAINED if len(localized.origins) <= EXPLAINED else EXPLAINED_OF_MANY
        explained = {origin.tensor: origin.op_kind for origin in localized.origins[:most]}
        in_vain: set[str] = set()  # kinds of ops; where there are many origins, one more op of them says as little
        self._weighted = self._with_weights(localized.origins)
        if len(localized.origins) > FINGERPRINTED:
            localized.notes.append(f"fault kind determined for the first {FINGERPRINTED} origins only")
        if most < len(localized.origins) and self._isolator is not None and self.settings.hypotheses:
            localized.notes.append(
                f"other ways of computing the op tried at the first {most} of {len(localized.origins)} origins only"
            )
        isolated = {origin.tensor for origin in localized.origins if origin.how == "isolated"}
        rows = list(localized.layers)
        for i, layer in enumerate(rows):
            if layer.name in named:
                alone = localized.alone(layer.name) if layer.name in isolated else None
                mark = self._fingerprint(layer, alone, equal)
                overflow = self._overflowing(layer, localized) if layer.name in isolated and not mark.certain else None
                kind = explained.get(layer.name)
                first = kind is not None and kind not in in_vain and overflow is None
                mark = self._explained(layer, mark, localized) if first else overflow or mark
                if kind and len(localized.origins) > EXPLAINED and _found_nothing(mark):
                    in_vain.add(kind)
                rows[i] = replace(layer, fingerprint=_as_sure_as_fed(mark, layer.name in localized.fed_right))
        localized.notes += self._hypotheses.notes
        return rows

    def _explained(self, layer: Layer, mark: Fingerprint, localized: Localization) -> Fingerprint:
        """The fingerprint with what variants of the op say, where they may say more than the values."""
        if self._isolator is None or not self.settings.hypotheses or (mark.certain and mark.kind not in SEEN_AS):
            return mark
        requests = localized.requests(layer.name)
        if not requests:
            return mark
        kinds = SEEN_AS[mark.kind] if mark.certain else ()
        tried = self._hypotheses.explain(layer, self.rows.pair(layer.name), self._isolator, requests, kinds)
        return mark if tried is None else fingerprint(tried, mark)

    def _with_weights(self, origins: Sequence[Origin]) -> frozenset[str]:
        """Tensors of origins whose op, or one of the unseen ops before it, has weights."""
        kinds = {op.name: op.kind for op in (self.graph.ops if self.graph is not None else ())}
        reached = ((o.tensor, {o.op_kind, *(kinds.get(name, "") for name in o.unseen)}) for o in origins)
        return frozenset(tensor for tensor, named in reached if named & WEIGHTED)

    def _overflowing(self, layer: Layer, localized: Localization) -> Fingerprint | None:
        """Whether the op gives the board's values once it is played in half precision, range and all."""
        if self.precision is not F16:
            return None
        pair = self.rows.pair(layer.name)
        value = localized.alone(layer.name, Rounding(F16.significant_bits, "everything", narrow_range=True))
        if value is None:
            return None
        metrics = measure(pair.board, value, pair.spec_board, pair.spec_reference)
        if not self.rows.allowed(layer, replace(pair, reference=value), metrics):
            return None
        text = "alone in half precision the op gives the board's values: something in it exceeds 65504"
        return Fingerprint("overflow", metrics.mismatched == 0, text)

    def op_runner(self, layers: Sequence[Layer]) -> OpRunner | None:
        """What runs single ops of the reference's ONNX; None without one, or where nothing differs."""
        model = self.settings.model or self.reference.model
        differing = any(layer.verdict == "differs" for layer in layers)
        if model is None or not self.settings.isolate or not differing:
            return None
        runner = self.reference.provenance.get("runner", {})
        try:
            repeats = {tensor.name: tensor.repeats for tensor in self.reference.tensors.values() if tensor.repeats}
            self._isolator = self._isolator or Isolator(
                model, str(runner.get("optimizations", "disabled")), repeats=repeats
            )
        except HarnessError as error:
            self.notes.append(f"single ops cannot be run: {error.message}")
            return None
        return OpRunner(
            self._isolator,
            self.rows.pair,
            partial(fed, self.reference),
            self.rows.allowed,
            self.precision,
            kernels=cache(partial(Isolator, model, "all", repeats=repeats)),
            real=self._real_input,
            casts=("cast",) if self.settings.runs_onnxruntime else (),
        )

    def _real_input(self, name: str) -> Array | None:
        """The float side of a quantized network input, where the reference has it."""
        tensor = self.reference.tensors.get(name)
        return None if tensor is None or tensor.alternate is None else tensor.alternate.load()

    def _fingerprint(self, layer: Layer, alone: Array | None, equal: frozenset[str]) -> Fingerprint:
        """Of an op that was found by running it alone: against what it gives alone, free of what came before."""
        own, fed_equal = self.rows.pair(layer.name), equal
        pair = own
        row = self.rows.matches[layer.name]
        assert layer.metrics is not None and row.tensor is not None
        if alone is not None and layer.single is not None:
            pair, layer = replace(pair, reference=alone), replace(layer, metrics=layer.single)
            fed_equal = equal | frozenset(self._read_by(layer.name))  # it was run with the board's own values
        scene = LayerContext(
            self.graph,
            self.reference,
            self.settings.previous,
            self._isolator,
            fed_equal,
            weighted=self._weighted,
            in_memory=row.dump is not None and row.dump.path.suffix != ".npy",
        )
        mark = cause(layer, pair, scene, self._repeats(row, pair))
        if not is_open(mark):
            return with_owner_of_scale(mark, self.reference)
        other = self.rows.mismatches.file_of(row) or self.others.holds(row.tensor.name, own)
        held = str(other.figures.get("holds", "")) if other is not None else ""
        if other is not None and held in self._read_by(layer.name) and self._may_be_right(held, equal):
            return replace(other, kind="skipped_op", evidence=f"its output is its input {held!r}")
        return other or mark

    def _may_be_right(self, tensor: str, equal: frozenset[str]) -> bool:
        """Whether an op may have read what the reference has: of a wrong file its values are another tensor's."""
        row = self.rows.matches.get(tensor)
        return tensor in equal or row is None or row.dump is None

    def _read_by(self, tensor: str) -> tuple[str, ...]:
        ops = self.graph.ops if self.graph is not None else ()
        return next((op.inputs for op in ops if tensor in op.outputs), ())

    def _repeats(self, row: Match, pair: Pair) -> tuple[Array, ...]:
        """This tensor of the other runs, where it can be opened."""
        assert row.tensor is not None and row.dump is not None
        arrays = []
        others = (dump for run in self.settings.repeats for dump in run)
        for dump in (d for d in others if (d.name, d.role) == (row.dump.name, row.dump.role)):
            with suppress(TensorError):
                arrays.append(open_pair(row.tensor, dump, self.settings.storages).board)
        return tuple(array for array in arrays if array.shape == pair.board.shape and array.dtype == pair.board.dtype)


def _as_sure_as_fed(mark: Fingerprint, fed_right: bool) -> Fingerprint:
    """What an op did to its values is certain only where it is known that it read the right ones: it may as well hand
    on what was wrong before it."""
    if fed_right or not mark.certain or mark.kind in OF_NO_OP:
        return mark
    return replace(mark, certain=False, evidence=f"{mark.evidence} (what the op read was not compared)")


def _found_nothing(mark: Fingerprint) -> bool:
    """Whether all variants of an op were tried in vain; of a certain kind only some are tried."""
    return "hypotheses" in mark.figures and "fits" not in mark.figures and not mark.certain
