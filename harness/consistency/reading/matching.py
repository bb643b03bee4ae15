"""Which dump belongs to which tensor of the reference. Never by shape alone; two candidates are a row, not a choice.

Ways, surest first: `mapping` (the user said so), `exact` (name or an ONNX name of the same value), `rule` (a name
that the platform derives, the same name with the characters that file systems do not take replaced, or the name of
a node that makes it), `suffix` (an ending or a scope more or less, or a name cut at one end; only when one tensor and
one dump fit).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from harness.errors import InputError
from harness.names import file_form
from harness.records import Dump
from harness.reference.open import Reference, ReferenceTensor, dense_bytes
from harness.reference.spellings import by_spelling, numbered, spellings

Rules = Callable[[str], tuple[str, ...]]
MIN_SUFFIX = 4  # characters; shorter names end too many others
MIN_PREFIX = 16  # characters of a name that was cut at its end


@dataclass(frozen=True)
class Match:
    """A row to be: a tensor, a dump, or both. `reason` is "" for a pair, else one of records.REASONS."""

    tensor: ReferenceTensor | None
    dump: Dump | None
    how: str = ""
    reason: str = ""
    note: str = ""


@dataclass(frozen=True)
class Matching:
    """`rows` in the reference's order, dumps without partner after; `inputs` are dumps of op inputs by tensor."""

    rows: tuple[Match, ...]
    inputs: Mapping[str, tuple[Dump, ...]]  # further dumps of a tensor that has its own row


def match(
    reference: Reference,
    dumps: Sequence[Dump],
    mapping: Mapping[str, str] | None = None,
    rules: Rules | None = None,
) -> Matching:
    """Pair dumps with tensors. `mapping` is dump name -> reference name. Errors: InputError for a mapping to a
    tensor that the reference does not have."""
    names = _Names(reference)
    mapping = mapping or {}
    _check_mapping(mapping, reference)
    dumps = [dump for dump in dumps if dump.role != "parameter"]  # weights and the like are no tensors of a run
    rows_of_numbers = numbered(dump.name for dump in dumps)
    pairs = [_find(dump, names, mapping, rules, rows_of_numbers) for dump in dumps]
    by_tensor: dict[str, list[tuple[Dump, str]]] = defaultdict(list)
    loose: list[Match] = []
    for dump, (candidates, how) in zip(dumps, pairs, strict=True):
        if len(candidates) == 1:
            by_tensor[candidates[0]].append((dump, how))
        else:
            loose.append(_loose(dump, candidates, how))
    rows: list[Match] = []
    inputs: dict[str, tuple[Dump, ...]] = {}
    for tensor in sorted(reference.tensors.values(), key=lambda t: t.order):
        chosen, rest = _choose(tensor, by_tensor.get(tensor.name, []))
        rows += chosen
        inputs[tensor.name] = rest
    return Matching((*_without_idle_inputs(rows), *loose), inputs)


class _Names:
    """Every name of the reference's tensors, by way of matching."""

    def __init__(self, reference: Reference) -> None:
        self.exact: dict[str, list[str]] = defaultdict(list)
        self.written: dict[str, list[str]] = defaultdict(list)
        self.tensors = reference.tensors
        tensors = reference.tensors.values()
        for tensor in tensors:
            self.exact[tensor.name] = [tensor.name]
        for tensor in tensors:
            for name in (tensor.onnx_name, *tensor.aliases):
                if name and name not in reference.tensors and tensor.name not in self.exact[name]:
                    self.exact[name].append(tensor.name)
        self.nodes = _by_node(reference)
        for name, owners in self.exact.items():
            self.written[file_form(name)] += [o for o in owners if o not in self.written[file_form(name)]]
        self.spelled = by_spelling(self.exact)

    def by_node(self, dump: Dump, derived: Iterable[str]) -> list[str]:
        """Tensors made by a node of that name; one whose size is known to be another is none."""
        owners = _owners(self.nodes, (file_form(name) for name in (dump.name, *derived)))
        return [name for name in owners if _may_hold(dump, self.tensors[name])]

    def other_spelling(self, name: str) -> list[str]:
        """Tensors that a name stands for without what tools append to it, or with what they left out."""
        for form in spellings(name):
            if self.written.get(form):
                return self.written[form]
        return next((self.spelled[form] for form in (file_form(name), *spellings(name)) if form in self.spelled), [])

    def ending(self, cut: str) -> list[str]:
        """Tensors of which a name ends (or, long as it is, begins) with `cut` or, cut themselves, are an end of it."""
        form = file_form(cut)
        if len(form) < MIN_SUFFIX:
            return []
        owners = [o for name, owned in self.written.items() if _ends(name, form) for o in owned]
        return list(dict.fromkeys(owners))


def _may_hold(dump: Dump, tensor: ReferenceTensor) -> bool:
    """False where both sides tell their shape and it is another one, the number of frames (axis 0) apart."""
    if dump.spec is None or tensor.spec is None:
        return True
    board, wanted = dump.spec.shape, tensor.spec.shape
    return math.prod(board) == math.prod(wanted) or (len(board) == len(wanted) and board[1:] == wanted[1:])


def _by_node(reference: Reference) -> dict[str, list[str]]:
    """Output of the op that a node's name stands for: dumps are also named by node, and a fused op has several."""
    names: dict[str, list[str]] = defaultdict(list)
    for op in reference.graph.ops if reference.graph is not None else ():
        outputs = [name for name in op.outputs if name in reference.tensors]
        for node in dict.fromkeys((op.name, *op.covers)) if len(op.outputs) == 1 else ():
            names[file_form(node)] += outputs
    return names


def _ends(name: str, form: str) -> bool:
    cut = len(form) >= MIN_PREFIX and name.startswith(form)
    return cut or name.endswith(form) or (len(name) >= MIN_SUFFIX and form.endswith(name))


def _check_mapping(mapping: Mapping[str, str], reference: Reference) -> None:
    for board, wanted in mapping.items():
        if wanted not in reference.tensors:
            near = get_close_matches(wanted, reference.tensors, n=1)
            raise InputError(
                f"--map: board tensor {board!r} is mapped to {wanted!r}, which is not a tensor of the reference",
                f"did you mean {near[0]!r}?" if near else "harness compare --json without --map lists the names",
            )


def _find(
    dump: Dump, names: _Names, mapping: Mapping[str, str], rules: Rules | None, rows: frozenset[str]
) -> tuple[list[str], str]:
    """Tensors that a dump may be, and the way; several only where that way is ambiguous. `rows`: names of dumps that
    differ by a number alone."""
    own = (dump.name, *dump.aliases)
    mapped = [mapping[name] for name in own if name in mapping]
    if mapped:
        return list(dict.fromkeys(mapped)), "mapping"
    if names.exact.get(dump.name):
        return names.exact[dump.name], "exact"
    derived = (*dump.aliases, *(rules(dump.name) if rules else ()))
    for owners in (
        _owners(names.exact, derived),
        _owners(names.written, (file_form(name) for name in (dump.name, *derived))),
        names.by_node(dump, derived),
    ):
        if owners:
            return owners, "rule"
    spelled = [] if dump.name in rows else names.other_spelling(dump.name)
    if len(spelled) == 1:
        return spelled, "suffix"
    ends = [name for alias in own for name in names.ending(alias)]
    return list(dict.fromkeys(ends)), "suffix"


def _owners(names: Mapping[str, list[str]], wanted: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(owner for name in wanted for owner in names.get(name, ())))


def _loose(dump: Dump, candidates: Sequence[str], how: str) -> Match:
    if not candidates:
        return Match(None, dump, reason="no_reference")
    several = ", ".join(candidates[:4]) + (", ..." if len(candidates) > 4 else "")
    return Match(None, dump, how, "ambiguous", f"may be {several}; give a mapping file (--map)")


RANK = ("mapping", "exact", "rule", "suffix")


def _choose(tensor: ReferenceTensor, candidates: list[tuple[Dump, str]]) -> tuple[list[Match], tuple[Dump, ...]]:
    """The row of one tensor, and further dumps of it. The surest way goes first, then what was written before what
    was read; dumps that fit less surely are rows without a partner."""
    if not candidates:
        return [Match(tensor, None, reason="no_dump")], ()
    how = min((way for _, way in candidates), key=RANK.index)
    sure = [dump for dump, way in candidates if way == how]
    written = [dump for dump in sure if dump.role == "output"]
    row = _pair(tensor, written or sure[:1], how)
    others = [dump for dump, way in candidates if way != how and dump.role == "output"]
    note = f"its name resembles {tensor.name!r}, which has a better match"
    if tensor.is_input:  # tools dump what they were fed once more, under names of their own
        return [row], tuple(dump for dump, _ in candidates if dump is not row.dump)
    spare = [Match(None, dump, reason="no_reference", note=note) for dump in others]
    return [row, *spare], tuple(dump for dump, _ in candidates if dump.role != "output" and dump is not row.dump)


def _pair(tensor: ReferenceTensor, sure: list[Dump], how: str) -> Match:
    first = _one_of_outputs(tensor, sure)
    if first is None:
        claims = ", ".join(dump.path.name for dump in sure[:4])
        return Match(
            tensor, None, how, "ambiguous", f"{len(sure)} dumps match it: {claims}; give a mapping file (--map)"
        )
    others = [dump.path.name for dump in sure if dump is not first]
    return Match(tensor, first, how, note=f"also dumped in {', '.join(others)}" if others else "")


def _one_of_outputs(tensor: ReferenceTensor, outputs: list[Dump]) -> Dump | None:
    """One dump, or the one whose dtype is the tensor's (a float op and its quantizer share a name); else None."""
    if len(outputs) == 1:
        return outputs[0]
    alike = [d for d in outputs if d.spec and tensor.spec and d.spec.dtype == tensor.spec.dtype]
    alike = alike or _beside_float_sides(tensor, outputs)
    return alike[0] if len(alike) == 1 else None


def _beside_float_sides(tensor: ReferenceTensor, outputs: Sequence[Dump]) -> list[Dump]:
    """Of plain bytes: those of the integers' size, where all others are of the size of the float side."""
    floats = tensor.alternate.spec if tensor.alternate is not None else None
    if floats is None or tensor.spec is None or any(dump.spec is not None for dump in outputs):
        return []
    sizes = {dump.name: dump.path.stat().st_size if dump.path.exists() else -1 for dump in outputs}
    wanted, other = dense_bytes(tensor.spec), dense_bytes(floats)
    integers = [dump for dump in outputs if sizes[dump.name] == wanted]
    return integers if all(sizes[d.name] == other for d in outputs if d not in integers) else []


def _without_idle_inputs(rows: Iterable[Match]) -> list[Match]:
    """A graph input that the board did not dump was fed, not computed: no row."""
    return [r for r in rows if not (r.reason == "no_dump" and r.tensor is not None and r.tensor.is_input)]
