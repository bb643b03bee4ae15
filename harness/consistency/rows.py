"""One row for each matched tensor: opened, measured and judged.

Arrays are opened where they are needed: 5,000 layers, few open files. Of small ones the last few stay open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate

from harness.consistency.checks.float_reference import is_float
from harness.consistency.denormals import measured_flushed
from harness.consistency.hashes import RowHashes, hashes_of, same_bytes
from harness.consistency.metrics.by_name import measured
from harness.consistency.metrics.pointwise import measure
from harness.consistency.policy import Policy, Subject
from harness.consistency.reading.hashed import HashedDump
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.matching import Match, Matching
from harness.consistency.reading.pairs import Pair, open_pair
from harness.consistency.reading.size_mismatch import SizeMismatches, settle
from harness.consistency.settings import CompareSettings
from harness.consistency.verdicts import Judgement, finer_than_floats, judge, waive
from harness.records import Dump, Layer, Metrics
from harness.reference.open import Reference, ReferenceTensor, dense_bytes
from harness.reference.ranges import known_ranges

OPEN_PAIRS = 8  # of the last asked for
OPEN_BYTES = 12 << 20  # of both sides; what is larger is opened each time


class RowComparer:
    """Compares the rows of one matching, one after the other."""

    def __init__(self, reference: Reference, matching: Matching, settings: CompareSettings, policy: Policy) -> None:
        self.reference, self.matching, self.settings, self.policy = reference, matching, settings, policy
        self.matches = {row.tensor.name: row for row in matching.rows if row.tensor is not None}
        self.mismatches = SizeMismatches(reference, settings.storages)
        self.narrow: dict[str, str] = {}  # rows whose dump holds integers where the reference has floats -> dtype
        self._open: dict[str, Pair] = {}  # the last asked for, newest last
        self.judged: dict[str, tuple[Subject, bool]] = {}  # rows that were measured -> what rules fit, equal by md5
        self.flushed_below = 0.0  # size of float values that the board is known to make zeros of
        self.unsure: dict[str, str] = {}  # rows whose file does not tell what is wrong with it -> expected dtype

    def layers(self) -> list[Layer]:
        """Every row, as far as it can be compared."""
        finished_bytes = list(accumulate(_file_bytes(row) for row in self.matching.rows))
        layers: list[Layer] = []
        for index, row in enumerate(self.matching.rows):
            layers.append(self._layer(index, row))
            if self.settings.progress is not None:
                self.settings.progress("comparing", finished_bytes[index], finished_bytes[-1])
        return list(settle(self._without_misread(layers), self.unsure))

    def pair(self, name: str) -> Pair:
        """Board and reference of a matched tensor. Errors: TensorError."""
        pair = self._open.pop(name, None) or self._opened(name)
        if pair.board.nbytes + pair.reference.nbytes <= OPEN_BYTES:
            self._open[name] = pair
        if len(self._open) > OPEN_PAIRS:
            del self._open[next(iter(self._open))]
        return pair

    def _opened(self, name: str) -> Pair:
        row = self.matches[name]
        assert row.tensor is not None and row.dump is not None
        return open_pair(row.tensor, row.dump, self.settings.storages)

    def allowed(self, layer: Layer, pair: Pair, metrics: Metrics) -> bool:
        """Whether an op that ran alone gives what the policy lets pass."""
        metrics = self._with_named(layer, pair, metrics)
        subject = self._subject(layer, pair)
        judged = self._judge(layer, subject, metrics, equal=False)
        if judged.verdict == "differs" and self.flushed_below and pair.form == "float":
            judged = self._judge(layer, subject, measured_flushed(pair, self.flushed_below), equal=False)
        return judged.verdict != "differs"

    def judged_again(self, layers: Sequence[Layer], policy: Policy) -> list[Layer]:
        """The same rows by another policy that bounds no metric by name; nothing is read or measured again."""
        self.policy = policy
        return [self._judged_again(row) if row.name in self.judged and row.metrics else row for row in layers]

    def _judged_again(self, row: Layer) -> Layer:
        subject, equal = self.judged[row.name]
        if row.verdict == "not_compared" or row.metrics is None:
            return row
        judged, metrics = self._judge(row, subject, row.metrics, equal), row.metrics
        if judged.verdict == "differs" and self.flushed_below and subject.form == "float":
            metrics = measured_flushed(self.pair(row.name), self.flushed_below)
            judged = self._judge(row, subject, metrics, equal)
        return replace(row, verdict=judged.verdict, reason=judged.reason, metrics=metrics)

    @cached_property
    def known_ranges(self) -> dict[str, float]:
        """Width of the range of tensors whose op bounds it."""
        return known_ranges(self.settings.model or self.reference.model, self.settings.graph or self.reference.graph)

    def _without_misread(self, layers: list[Layer]) -> list[Layer]:
        """Integers that have the size of floats by their padding: only where other dumps are known to be integers."""
        if not self.narrow or not is_float(self.reference):
            return layers
        misread = {
            row.name: self.mismatches.misread(self.matches[row.name]) for row in layers if row.verdict == "differs"
        }
        self.narrow |= {name: dtype for name, dtype in misread.items() if dtype}
        template = "its values follow the reference's, read as {}: not floats, though their size is that of floats"
        return [_misread(row, template.format(misread[row.name])) if misread.get(row.name) else row for row in layers]

    def _layer(self, index: int, row: Match) -> Layer:
        plain = _plain_layer(index, row)
        if row.tensor is None or row.dump is None:
            return plain
        try:
            return self._compared(plain, row.tensor, row.dump)
        except TensorError as error:
            mismatch = self.mismatches.explain(error, row.tensor, row.dump)
            if mismatch.narrow:
                self.narrow[plain.name] = mismatch.narrow
            if mismatch.open and row.tensor.spec is not None:
                self.unsure[plain.name] = row.tensor.spec.dtype
            return replace(plain, reason=mismatch.reason, note=_joined(row.note, mismatch.evidence))

    def _compared(self, plain: Layer, tensor: ReferenceTensor, dump: Dump) -> Layer:
        pair = open_pair(tensor, dump, self.settings.storages)
        metrics = measure(pair.board, pair.reference, pair.spec_board, pair.spec_reference)
        sums = self._sums(pair, tensor, dump, may_be_same=metrics.mismatched == 0)
        equal = metrics.mismatched == 0 and sums.same
        metrics = metrics if equal else self._with_named(plain, pair, metrics)
        hashed = self._hashed(dump, pair, sums.same)
        subject = self._subject(plain, pair)
        self.judged[plain.name] = subject, equal
        judged = self._judge(plain, subject, metrics, equal)
        if metrics.special == "empty":
            return replace(plain, reason="empty", note=_joined(plain.note, "the tensor has no elements"))
        return replace(
            plain,
            verdict=judged.verdict,
            reason=judged.reason,
            note=_joined(plain.note, pair.note, judged.note),
            dtype=pair.spec_board.dtype,
            shape=tuple(pair.reference.shape),
            size_bytes=pair.reference.nbytes,
            file_md5_board=sums.file_board,
            file_md5_reference=sums.file_reference,
            valid_md5_board=sums.board,
            valid_md5_reference=sums.reference,
            metrics=metrics,
            hashed=hashed.how if hashed else "",
        )

    def _sums(self, pair: Pair, tensor: ReferenceTensor, dump: Dump, *, may_be_same: bool) -> RowHashes:
        hashed = self.settings.hashed.get(dump.path)
        if not self.settings.hashes and hashed is None:
            return RowHashes(may_be_same and same_bytes(pair))
        file_board = hashed.file_md5 if hashed else None
        return hashes_of(pair, tensor, dump, may_be_same=may_be_same, file_board=file_board)

    def _hashed(self, dump: Dump, pair: Pair, equal: bool) -> HashedDump | None:
        """Errors: TensorError where padding that is not the board's would be taken for its values."""
        hashed = self.settings.hashed.get(dump.path)
        if hashed is not None and not equal and not hashed.covers(dump.path, pair.stored):
            raise TensorError(
                f"{dump.path.name}: not downloaded, and hashed on the board with a different layout",
                "run again with --pull all",
            )
        return hashed

    def _judge(self, layer: Layer, subject: Subject, metrics: Metrics, equal: bool) -> Judgement:
        limits = self.policy.limits(subject)
        judged = judge(metrics, subject.form, limits, equal=equal)
        if judged.verdict == "differs" and subject.form == "float" and limits.range_floor:
            judged = judge(metrics, subject.form, limits, known_range=self.known_ranges.get(layer.name))
        if judged.verdict == "differs" and subject.form == "integer" and layer.name in self.known_ranges:
            floats = self.policy.limits(replace(subject, form="float", dtype="f32"))
            judged = finer_than_floats(metrics, floats, self.known_ranges[layer.name]) or judged
        return waive(judged, metrics, layer.op, layer.name, self.policy)

    def _with_named(self, layer: Layer, pair: Pair, metrics: Metrics) -> Metrics:
        """With the figures that the policy asks for by name."""
        return replace(metrics, named=measured(self.policy.limits(self._subject(layer, pair)).metrics, pair))

    def _subject(self, layer: Layer, pair: Pair) -> Subject:
        return Subject(
            op_kind=layer.op_kind,
            dtype=pair.dtype,
            form=pair.form,
            unit=layer.unit,
            platform=self.settings.platform,
            toolchain=self.settings.toolchain,
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


def _misread(row: Layer, sentence: str) -> Layer:
    return replace(row, verdict="not_compared", reason="dtype_differs", note=sentence, metrics=None)


def _file_bytes(row: Match) -> int:
    return row.dump.path.stat().st_size if row.dump is not None and row.dump.path.is_file() else 0


def _kind(tensor: ReferenceTensor | None, dump: Dump | None) -> str:
    if tensor is not None and tensor.is_input:
        return "input"
    return (tensor.op_kind if tensor is not None else "") or (dump.op_kind if dump is not None else "")


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
