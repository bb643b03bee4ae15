"""What was fed, what crossed the link, what memory it took and how long each step lasted, as tables."""

from __future__ import annotations

from harness.report.reach import Row, items, rows, section
from harness.report.tables.times import finite, share_of
from harness.report.values import text, whole

# How a file of a mode came to this PC, as run.json writes it -> the key here
_WAYS = {"link": "link", "known": "known", "hashed": "hashed", "": "left"}


def input_rows(run: Row) -> list[Row]:
    """What each input of the model was fed. `file` is its copy in the run folder."""
    return [_input(row) for row in rows(section(run, "case"), "inputs")]


def _input(row: Row) -> Row:
    named = {key: text(row.get(key)) for key in ("tensor", "name", "file", "md5")}
    return named | {"bytes": whole(row.get("bytes")), "generated": row.get("generated") is True}


def traffic(run: Row) -> Row | None:
    """Bytes over the link, both ways; None where run.json does not tell.

    `sent_bytes` of `offered_bytes`: the board keeps files by content, what it has is not sent again. Per mode, files
    that crossed the `link`, that were `known` (equal to the PC's by size and md5, so they did not), `hashed` (padded,
    and equal by the md5 that the board made of their valid bytes) or were `left`.
    """
    pushed = rows(run, "pushed")
    modes = [told for mode in rows(run, "modes") if (told := _mode(mode)) is not None]
    if not pushed and not modes:
        return None
    counted = [whole(row.get("sent_bytes")) for row in pushed]
    return {
        "sent_bytes": sum(sent or 0 for sent in counted),
        "offered_bytes": sum(whole(row.get("bytes")) or 0 for row in pushed),
        "sent_known": None not in counted,
        "modes": modes,
        "total": {key: sum(mode[key] for mode in modes) for key in _COUNTS} if modes else None,
    }


_COUNTS = tuple(f"{way}_{what}" for way in _WAYS.values() for what in ("files", "bytes"))


def _mode(mode: Row) -> Row | None:
    files = [file for file in rows(mode, "files") if isinstance(file.get("came"), str) and file["came"] in _WAYS]
    if not files:
        return None
    found: Row = {"mode": text(mode.get("mode")), **dict.fromkeys(_COUNTS, 0)}
    for file in files:
        way = _WAYS[file["came"]]
        found[f"{way}_files"] += 1
        found[f"{way}_bytes"] += whole(file.get("bytes")) or 0
    return found


def memory_rows(run: Row) -> list[Row]:
    """Figures in bytes as each mode tells them."""
    told = section(run, "memory")
    return [
        {"mode": text(mode), "figure": text(name), "label": _label(text(name)), "bytes": whole(size)}
        for mode in told
        for name, size in section(told, mode).items()
    ]


def _label(figure: str) -> str:
    return figure.removesuffix("_bytes").replace("_", " ")


def timing_rows(run: Row) -> list[Row]:
    """Seconds per step of the run, in order, and what belongs to none; shares are of the whole run."""
    told = section(run, "timings_s")
    steps = [(text(step), finite(seconds)) for step, seconds in told.items()]
    whole_s, known = finite(run.get("duration_s")), sum(seconds or 0.0 for _, seconds in steps)
    if steps and whole_s is not None and whole_s > known:
        steps.append(("between steps", whole_s - known))
    total = max(whole_s or 0.0, known) or None
    return [{"step": step, "seconds": seconds, "share": share_of(seconds, total)} for step, seconds in steps]


def notes(run: Row) -> list[str]:
    """What the run says of itself and the board's tool of the model, each once."""
    told = (*items(run, "notes"), *items(section(run, "model_info"), "warnings"))
    return list(dict.fromkeys(text(note) for note in told))
