"""A run in a few plain lines, for the terminal after `harness run`. No escape codes; the caller cleans and prints."""

from __future__ import annotations

from harness.records import Run
from harness.records.run import LEFT_OUT, TAKEN
from harness.report.tables.headline import coverage_sentence, fault_sentence, plural
from harness.report.tables.layers import level
from harness.report.tables.previous import noise_sentence
from harness.report.tables.run import part_label, tables
from harness.report.tables.steps import steps_sentence
from harness.report.tables.times import exceeds, overlaps
from harness.report.values import Row, plain, share, shortened, tenths, text, time_us, visible

LABEL = 10  # letters that a line's label takes
_LOAD = ("operations", "memory traffic", "memory peak")  # labels of load_numbers
_MOST = 5  # of findings, origins and problems; the rest is counted


def lines(run: Run) -> list[str]:
    """Label and text per line, verdict first."""
    return toned_lines(run)[1]


def toned_lines(run: Run) -> tuple[str, list[str]]:
    """The headline's tone (good, part, bad, none, stop) and the lines."""
    data = tables(run)
    blocks = (
        _verdict,
        _samples,
        _flags,
        _coverage,
        _origins,
        _float,
        _stages,
        _previous,
        _latency,
        _split,
        _cuts,
        _load,
        _findings,
        _steps,
        _problems,
    )
    texts = [f"{label:<{LABEL}}{words}" for block in blocks for label, words in block(data)]
    return data["headline"]["tone"], [visible(line.replace("\u202f", " ")) for line in texts]


def _previous(data: Row) -> Lines:
    earlier = data["previous"]
    sentences = [shortened(sentence, 300) for sentence in earlier["sentences"]] if earlier else []
    return [("before" if not place else "", sentence) for place, sentence in enumerate(sentences)]


def _float(data: Row) -> Lines:
    three_way = data["comparison"]["checks"]["three_way"] if data["comparison"] else None
    sentence = noise_sentence(three_way["layers"]) if three_way else ""
    return [("float", sentence)] if sentence else []


def _stages(data: Row) -> Lines:
    """The stages of the build, in a line, and those that could not be had."""
    compared = data["comparison"]["checks"]["stages"] if data["comparison"] else None
    names = " > ".join(shortened(stage["name"], 40) for stage in compared["stages"]) if compared else ""
    lines_of_it = [f"{names}: {shortened(compared['detail'], 300)}"] if compared else []
    notes = [shortened(text(one), 400) for one in data["notes"] if text(one).startswith((TAKEN, LEFT_OUT))]
    return [("stages" if not place else "", line) for place, line in enumerate([*lines_of_it, *notes])]


Lines = list[tuple[str, str]]


def _verdict(data: Row) -> Lines:
    head = data["headline"]
    first = " ".join(part for part in (head["title"], shortened(head["subject"], 120)) if part)
    detail = [shortened(sentence, 300) for sentence in head["sentences"]]
    if data["coverage"]:
        detail = detail[:-1]  # the last sentence is the coverage, which has its own line
    itself = [("", shortened(head["quantization"], 600))] if head["quantization"] else []
    return [("verdict", first), *itself, *(("", sentence) for sentence in detail)]


def _samples(data: Row) -> Lines:
    """Agreement over all samples, what each stage costs, and the worst sample."""
    samples = data["samples"]
    sentences = [shortened(sentence, 300) for sentence in samples["sentences"]] if samples else []
    return [("samples" if not place else "", sentence) for place, sentence in enumerate(sentences)]


def _flags(data: Row) -> Lines:
    return [(fact["label"].lower(), fact["value"]) for fact in data["facts"] if fact["flag"]]


def _coverage(data: Row) -> Lines:
    covered = data["coverage"]
    if not covered:
        return []
    lines = [("layers", coverage_sentence(covered, data["counts"]).rstrip("."))]
    return [*lines, ("", data["hashed"].rstrip("."))] if data["hashed"] else lines


def _origins(data: Row) -> Lines:
    return _capped("origin", [_origin(origin, place) for place, origin in enumerate(data["origins"])])


def _origin(origin: Row, place: int) -> str:
    """The first origin's kind of fault already stands under the verdict."""
    layer = origin["layer"] or {}
    kind = f" ({shortened(origin['op_kind'], 40)})" if origin["op_kind"] else ""
    parts = [f"{shortened(origin['op'], 120)}{kind}"]
    if layer.get("max_step") is not None:
        parts.append(f"max step {plain(layer['max_step'])}")
    if layer.get("sqnr_db") is not None:
        parts.append(f"SQNR {level(layer['sqnr_db'], layer)} dB")
    if origin["fingerprint"] and place:
        parts.append(shortened(fault_sentence(origin["fingerprint"]), 200))
    before = f"somewhere in {plural(len(origin['unseen']), 'op')} up to: " if origin["unseen"] else ""
    return ("" if origin["certain"] else "suspected: ") + before + ", ".join(parts)


def _capped(label: str, texts: list[str]) -> Lines:
    shown = [(label if not place else "", line) for place, line in enumerate(texts[:_MOST])]
    return shown + ([("", f"and {len(texts) - _MOST} more in the report")] if len(texts) > _MOST else [])


def _latency(data: Row) -> Lines:
    latency = data["time"] and data["time"]["latency"]
    if not latency:
        return []
    alone = latency["frames"] == 1
    parts = [time_us(latency["mean_us"]) + ("" if alone else " mean")]
    if not alone and latency["min_us"] is not None and latency["max_us"] is not None:
        parts.append(f"{time_us(latency['min_us'])} to {time_us(latency['max_us'])}")
    if latency["fps"] is not None:
        parts.append(f"{tenths(latency['fps'])} frames per second")
    if latency["frames"] is not None:
        parts.append(plural(latency["frames"], "frame"))
    if latency["threads"] is not None:
        parts.append(plural(latency["threads"], "thread"))
    mark = _mark(data["time"]["estimated"], data)
    usual = [("", data["time"]["usual"] + mark)] if data["time"]["usual"] else []
    band = [("band", data["time"]["band"])] if data["time"]["band"] else []
    return [("latency", ", ".join(parts) + mark), *band, *usual]


def _split(data: Row) -> Lines:
    if not data["time"]:
        return []
    over = exceeds(data["time"])
    why = "ops overlap, or profiling slowed them" if overlaps(data["time"]) else "the tool rounds each figure"
    parts = [
        _part(part, over, _mark(part["estimated"], data))
        for part in data["time"]["split"]
        if (part["time_us"] or 0) > 0
    ]
    text = ", ".join(parts) + (f"; sum exceeds end to end: {why}" if over else "")
    return [("time", text)] if parts else []


def _mark(estimated: bool, data: Row) -> str:
    """What stands behind a time that no clock measured."""
    if not estimated:
        return ""
    return " (simulated)" if data["time"] and data["time"]["simulator"] else " (estimated)"


def _part(part: Row, overlapping: bool, mark: str) -> str:
    ratio = "" if overlapping else f" {share(part['share'])}"
    return f"{part_label(part['part'])} {time_us(part['time_us'])}{ratio}{mark}"


def _load(data: Row) -> Lines:
    """Operations, traffic and memory of a frame, in one line."""
    shown = [
        f"{row['label']} {row['value']}{' (estimated)' if row['estimated'] else ''}"
        for row in data["numbers"]
        if row["label"].startswith(_LOAD)
    ]
    return [("load", ", ".join(shown))] if shown else []


def _cuts(data: Row) -> Lines:
    """Ops in the middle that cut the accelerator's graph, with what each cut costs."""
    table = data["segmentation"]
    cuts = [row for row in table["rows"] if row["sort"] == "stretch" and row["place"] == "middle"] if table else []
    return _capped("cut", [_cut(row) for row in cuts])


def _cut(row: Row) -> str:
    names = ", ".join(f"{shortened(op['name'], 60)} ({op['kind']})" for op in row["ops"][:3])
    names += f" and {len(row['ops']) - 3} more" if len(row["ops"]) > 3 else ""
    mark = " (estimated)" if row["estimated"] else ""
    known = sorted((op for op in row["ops"] if op["reason"]), key=lambda op: -(op["time_us"] or 0.0))
    why = f"; {shortened(known[0]['why'], 120)}" if known else ""
    return f"{names}: {time_us(row['total_us'])} {share(row['share'])}{mark}: {row['parts']}{why}"


_DETAILED = 2  # findings that stand with evidence, next step and source; `harness explain` tells the rest


def _findings(data: Row) -> Lines:
    rows = data["findings"]
    lines = _capped("findings", [_finding(row) for row in rows])
    for place in reversed(range(min(len(rows), _DETAILED))):
        if rows[place]["severity"] != "note":
            lines[place + 1 : place + 1] = [("", f"  {detail}") for detail in _details(rows[place])]
    return lines


def _finding(row: Row) -> str:
    subject = row["subject"]
    about = f" ({shortened(subject, 80)})" if subject and subject not in row["title"] else ""
    return f"{row['rule']} {row['severity']}: {shortened(row['title'], 200)}{about}"


def _details(row: Row) -> list[str]:
    named = (("evidence", row["evidence"]), ("next", row["advice"]), ("source", row.get("source", "")))
    return [f"{label}: {shortened(words, 240)}" for label, words in named if words]


def _steps(data: Row) -> Lines:
    sentence = steps_sentence(data["steps"])
    return [("steps", shortened(sentence, 400))] if sentence else []


def _problems(data: Row) -> Lines:
    return _capped("problem", [shortened(text(problem), 300) for problem in data["problems"]])
