"""Before and around a comparison: do modes agree with each other, do repeats, do boards?"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.specs import open_array
from harness.consistency.reading.tensor_files import file_md5, valid_md5
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD
from harness.records import Checks, DebugVsRelease, Determinism, Dump, Instability, TensorSpec, Verdict, Vote

Resolve = Callable[[Dump], TensorSpec | None]
MISSING = "missing"  # a tensor that one run has and another has not is an instability of its own
WHOLE_FILE = "file:"  # mark of a hash that holds padding too, because nothing tells the valid region


def hashes(dumps: Iterable[Dump], resolve: Resolve | None = None) -> dict[str, str]:
    """md5 of the valid region of each dump by name.

    `resolve` gives the spec of a dump that has none. Where nobody knows it, the hash is of the whole file, marked as
    such: padding is undefined on these boards, so two such hashes may differ while the tensors are the same. A file
    that cannot be read has the hash "": it equals nothing that could. A tensor that lies in several files (an op
    wrote it, others read it) has one hash of them all; of those whose valid region is known, where any is.
    """
    by_name: dict[str, list[str]] = {}
    for dump in dumps:
        by_name.setdefault(dump.name, []).append(_hash(dump, resolve))
    return {name: _joined(copies) for name, copies in by_name.items()}


def _joined(copies: Sequence[str]) -> str:
    known = [copy for copy in copies if not copy.startswith(WHOLE_FILE)]
    chosen = known or list(copies)
    if len(chosen) == 1 or "" in chosen:
        return "" if "" in chosen else chosen[0]
    mark = "" if known else WHOLE_FILE
    return mark + hashlib.md5(" ".join(chosen).encode(), usedforsecurity=False).hexdigest()


def _hash(dump: Dump, resolve: Resolve | None) -> str:
    try:
        spec = dump.spec or (resolve(dump) if resolve else None)
        if spec is None and dump.path.suffix != ".npy":
            return WHOLE_FILE + file_md5(dump.path)
        return valid_md5(open_array(dump.path, spec or TensorSpec(dump.name, "u8", ())))
    except TensorError:
        return ""


def debug_vs_release(outputs_by_mode: Mapping[str, Mapping[str, str]]) -> DebugVsRelease:
    """Do the modes give the same outputs? A mode that dumps layers may compute something else.

    Gives `same` (None with fewer than two modes, or nothing in common), the tensors that differ with the hash
    of each mode, and a sentence.
    """
    modes = [mode for mode, outputs in outputs_by_mode.items() if outputs]
    common = _common([outputs_by_mode[mode] for mode in modes])
    if len(modes) < 2 or not common:
        return DebugVsRelease(modes=tuple(modes), detail="nothing to compare")
    differing, unread = {}, []
    for name in common:
        by_mode = {mode: outputs_by_mode[mode][name] for mode in modes}
        if "" in by_mode.values():
            unread.append(name)
        elif len(set(by_mode.values())) > 1:
            differing[name] = by_mode
    if differing:
        detail = (
            f"{' and '.join(modes)} give different {', '.join(differing)}: the layer dumps are not of the release run"
        )
    else:
        read = len(common) - len(unread)
        detail = f"{' and '.join(modes)} give the same {'output' if read == 1 else f'{read} outputs'}"
    if unread:
        detail += f"; not readable in every mode: {', '.join(unread)}"
    same = False if differing else None if len(unread) == len(common) else True
    return DebugVsRelease(same, tuple(modes), differing, tuple(unread), detail)


def _common(sets: Sequence[Mapping[str, str]]) -> list[str]:
    if not sets:
        return []
    return [name for name in sets[0] if all(name in other for other in sets[1:])]


def determinism(repeats: Sequence[Mapping[str, str]], order: Sequence[str] = ()) -> Determinism:
    """Are the tensors of repeated runs the same, byte for byte?

    `repeats` holds, per run, a hash per tensor, in execution order (or as `order` says). Gives `deterministic`
    (None for fewer than two runs, or nothing that could be judged), how many tensors were `judged`, the first one that
    is not the same and how many before it are undecided, and for each such tensor how often the commonest result came,
    how many others there were, in which runs, and the hash of each run.
    """
    if len(repeats) < 2:
        return Determinism(runs=len(repeats), detail="one run only")
    names = list(order) or list(dict.fromkeys(name for run in repeats for name in run))
    undecided = [name for name in names if _undecided(name, repeats)]
    settled = [name for name in names if name not in undecided]
    unstable = {name: instability for name in settled if (instability := _instability(name, repeats)) is not None}
    first = next(iter(unstable), "")
    runs = len(repeats)
    if not first:
        detail = f"{runs} runs, {len(settled)} tensors, all equal"
    else:
        instability = unstable[first]
        agree = f"{instability.same} of {runs} runs agree" if instability.same > 1 else f"no two of {runs} runs agree"
        detail = f"{agree}; first difference at {first}"
    if undecided:
        tensors = "1 tensor" if len(undecided) == 1 else f"{len(undecided)} tensors"
        detail += f"; {tensors} not comparable: not readable, or unknown padding"
    return Determinism(
        deterministic=not first if settled else None,
        runs=runs,
        judged=len(settled),
        first=first,
        unstable=unstable,
        undecided=tuple(undecided),
        undecided_before=sum(name in undecided for name in names[: names.index(first)]) if first else 0,
        detail=detail,
    )


def _undecided(name: str, repeats: Sequence[Mapping[str, str]]) -> bool:
    """Nothing can be said: a file that could not be read, or files that differ and may do so in padding alone."""
    seen = {run.get(name, MISSING) for run in repeats}
    return "" in seen or (len(seen) > 1 and all(value.startswith(WHOLE_FILE) for value in seen))


def _instability(name: str, repeats: Sequence[Mapping[str, str]]) -> Instability | None:
    seen = [run.get(name, MISSING) for run in repeats]
    counts = Counter(seen)
    commonest, same = counts.most_common(1)[0]
    if len(counts) == 1 and commonest:
        return None
    outliers = [i for i, value in enumerate(seen) if value != commonest or not commonest]
    return Instability(same if commonest else 0, len(counts), tuple(outliers), tuple(seen))


def vote(boards: Mapping[str, Mapping[str, str]]) -> Vote:
    """Several boards, one model, one input: one that stands alone is a board fault, a split is not decided.

    Gives `dissenting` (boards that stand against a majority), `agree`, and a sentence.
    """
    results = {board: tuple(sorted(hashed.items())) for board, hashed in boards.items()}
    counts = Counter(results.values())
    if len(results) < 3:
        return Vote(len(counts) <= 1, detail="needs at least three boards")
    commonest, votes = counts.most_common(1)[0]
    if votes * 2 <= len(results):
        return Vote(False, detail="no majority: suspect the model or toolchain, not a board")
    dissenting = sorted(board for board, result in results.items() if result != commonest)
    detail = f"{', '.join(dissenting)} against {votes} others" if dissenting else f"all {votes} boards agree"
    return Vote(not dissenting, tuple(dissenting), detail)


def final_verdict(verdict: Verdict, extras: Checks) -> Verdict:
    """The word on a run once repeats are known: what is not the same twice cannot be called right or wrong."""
    unstable = [repeats for repeats in extras.determinism.values() if repeats.deterministic is False]
    if not unstable:
        return verdict
    most = max(unstable, key=lambda repeats: len(repeats.unstable))  # layers say more than outputs: where it begins
    return Verdict("not_deterministic", most.detail, MEASURED_BAD)


def without_reference(checks: Checks) -> Verdict:
    """The word on a run that was compared with nothing but itself, by `observer` and `determinism` of its checks.

    Two modes or two repeats that contradict each other are measured and bad, whatever a reference would say. Repeats
    of which no tensor could be judged were not measured.
    """
    repeats = checks.determinism
    unstable = {kind: repeat for kind, repeat in repeats.items() if repeat.deterministic is False}
    if unstable:
        kind = max(reversed(unstable), key=lambda name: len(unstable[name].unstable))  # debug, where as many
        return Verdict("not_deterministic", f"{NO_REFERENCE}; {_departing(kind, unstable[kind])}", MEASURED_BAD)
    if checks.debug_vs_release is not None and checks.debug_vs_release.same is False:
        return Verdict("diverges", f"{NO_REFERENCE}; {checks.debug_vs_release.detail}", MEASURED_BAD)
    if not repeats:
        return Verdict("not_compared", f"measured, not compared: {NOTHING_TO_COMPARE}", GOOD)
    repeat = "; ".join(_agreeing(kind, repeats[kind]) for kind in repeats)
    if not any(answer.judged for answer in repeats.values()):
        return Verdict("not_comparable", f"{NO_REFERENCE}; {repeat}", COULD_NOT_MEASURE)
    return Verdict("not_compared", f"{NO_REFERENCE}; {repeat}", GOOD)


NO_REFERENCE = "not compared with a reference"
NOTHING_TO_COMPARE = "no reference given, or no mode with dumps run"


def _departing(kind: str, answer: Determinism) -> str:
    """`3 debug repeats differ from layer conv2 on: no two of them agree there; 4 layers before it ...`"""
    same = answer.unstable[answer.first].same
    agree = f"{same} of {answer.runs} agree there" if same > 1 else "no two agree there"
    before = answer.undecided_before
    unseen = f"; {before} layers before it are not comparable ({WHY_UNDECIDED})" if before else ""
    order = " (in the order of the files)" if answer.order == "files" else ""
    return f"{answer.runs} {kind} repeats differ from layer {answer.first}{order}: {agree}{unseen}"


def _agreeing(kind: str, answer: Determinism) -> str:
    """`3 debug repeats agree in every layer compared (12 of 14; 2 could not be judged: ...)`."""
    judged, undecided = answer.judged, len(answer.undecided)
    why = f"; {undecided} not comparable: {WHY_UNDECIDED}" if undecided else ""
    if not judged:
        return f"of {answer.runs} {kind} repeats no layer could be compared" + (f" ({why[2:]})" if why else "")
    return f"{answer.runs} {kind} repeats agree in every layer compared ({judged} of {judged + undecided}{why})"


WHY_UNDECIDED = "files differ with unknown padding, or are unreadable"
