"""What was fed, what crossed the link, what memory it took and how long each step lasted, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records import FedInput, ModeOfRun, OpTime, Run
from harness.report.tables.times import finite, share_of
from harness.report.values import Row, size

# How a file of a mode came to this PC, as run.json writes it -> the key here
_WAYS = {"pulled": "pulled", "reused": "reused", "verified_on_board": "verified_on_board", "": "not_pulled"}


def input_rows(run: Run) -> list[Row]:
    """What each input of the model was fed. `file` is its copy in the run folder."""
    return [_input(fed) for fed in run.case.inputs]


def _input(fed: FedInput) -> Row:
    named = {"tensor": fed.tensor, "name": fed.name, "file": fed.file, "md5": fed.md5}
    return {**named, "bytes": fed.size_bytes, "generated": fed.generated}


def traffic(run: Run) -> Row | None:
    """Bytes over the link, both ways; None where run.json does not tell.

    `sent_bytes` of `offered_bytes`: the board keeps files by content, what it has is not sent again. Per mode, files
    that crossed the `link`, that were `known` (equal to the PC's by size and md5, so they did not), `hashed` (padded,
    and equal by the md5 that the board made of their valid bytes) or were `left`.
    """
    modes = [row for mode in run.modes if (row := _mode(mode)) is not None]
    if not run.pushed and not modes:
        return None
    counted = [file.sent_bytes for file in run.pushed]
    return {
        "sent_bytes": sum(sent or 0 for sent in counted),
        "offered_bytes": sum(file.size_bytes for file in run.pushed),
        "sent_known": None not in counted,
        "modes": modes,
        "total": {key: sum(mode[key] for mode in modes) for key in _COUNTS} if modes else None,
    }


_COUNTS = tuple(f"{way}_{what}" for way in _WAYS.values() for what in ("files", "bytes"))


def _mode(mode: ModeOfRun) -> Row | None:
    files = [(_WAYS[file.obtained], file.size_bytes) for file in mode.files if file.obtained in _WAYS]
    if not files:
        return None
    row: Row = {"mode": mode.mode, **dict.fromkeys(_COUNTS, 0)}
    for way, size_bytes in files:
        row[f"{way}_files"] += 1
        row[f"{way}_bytes"] += size_bytes
    return row


def memory_rows(run: Run) -> list[Row]:
    """Figures in bytes as each mode tells them."""
    return [
        {"mode": mode, "figure": name, "label": _label(name), "bytes": size_bytes}
        for mode, figures in run.memory.items()
        for name, size_bytes in figures.items()
    ]


def load_numbers(run: Run) -> list[Row]:
    """Key numbers of work and memory, where the tools tell them: operations and traffic of a frame, the most in use."""
    ops = run.profile.ops if run.profile else ()
    estimated = any(op.estimated for op in ops)
    gops, moved = _total(ops, "gops"), _total(ops, "bytes") + _total(ops, "parameter_bytes")
    rows = [("operations", f"{gops:.3f} GOPs", False)] if gops else []
    rows += [("memory traffic", f"{size(int(moved))} per frame", estimated)] if moved else []
    for mode, figures in run.memory.items():
        peak, total = figures.get("peak_bytes"), figures.get("total_bytes")
        if peak is not None:
            of_all = f" of {size(total)}" if total else ""
            rows.append((f"memory peak ({mode})", f"{size(peak)}{of_all}", False))
    return [
        {"label": label, "value": value, "unit": "text", "share": None, "estimated": is_estimate}
        for label, value, is_estimate in rows
    ]


def _total(ops: Sequence[OpTime], figure: str) -> float:
    return sum(finite(op.figures.get(figure)) or 0.0 for op in ops)


def _label(figure: str) -> str:
    return figure.removesuffix("_bytes").replace("_", " ")


def timing_rows(run: Run) -> list[Row]:
    """Seconds per step of the run, in order, and what belongs to none; shares are of the whole run."""
    steps = [(step, finite(seconds)) for step, seconds in run.timings_s.items()]
    whole_s, known = finite(run.duration_s), sum(seconds or 0.0 for _, seconds in steps)
    if steps and whole_s is not None and whole_s > known:
        steps.append(("between steps", whole_s - known))
    total = max(whole_s or 0.0, known) or None
    return [{"step": step, "seconds": seconds, "share": share_of(seconds, total)} for step, seconds in steps]


def notes(run: Run) -> list[str]:
    """What the run says of itself and the board's tool of the model, each once."""
    sentences = [*run.notes, *(run.model_info.warnings if run.model_info else ())]
    if run.unknown:
        sentences.append(f"run.json has keys unknown to this version, not shown: {', '.join(run.unknown)}")
    return list(dict.fromkeys(sentences))
