"""A run in a dozen lines of Markdown, for a ticket. Names are in code spans and cannot become markup."""

from __future__ import annotations

import re

from harness.report.page import GLYPHS, quantity
from harness.report.tables.headline import fault_sentence
from harness.report.tables.layers import WORDS, differing, level, small
from harness.report.tables.sweep import COLUMNS, cells
from harness.report.values import Row, plain, share, shortened, time_us, utc

_MOST_ROWS = 10
MOST_SETTINGS = 40


def markdown(data: Row) -> str:
    """The summary of `tables(run)`."""
    blocks = [
        _title(data),
        _facts(data),
        _numbers(data),
        _settings(data),
        _segments(data),
        _findings(data),
        _worst_layers(data),
        _before(data),
        _problems(data),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def code(value: object) -> str:
    """A code span around any text: the fence is longer than every run of backticks inside."""
    name = shortened(value, 160).replace("|", "\u2502")
    if not name:
        return "(no name)"
    fence = "`" * (max((len(run) for run in re.findall(r"`+", name)), default=0) + 1)
    gap = " " if name[0] == "`" or name[-1] == "`" else ""
    return f"{fence}{gap}{name}{gap}{fence}"


def prose(value: object) -> str:
    """Text of a board or a user with Markdown's and HTML's own characters escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|~@!])", r"\\\1", shortened(value, 500))


def _title(data: Row) -> str:
    head = data["headline"]
    subject = f" {code(head['subject'])}" if head["subject"] else ""
    lines = [line for line in (head["quantization"], *head["sentences"]) if line]
    return "\n\n".join([f"### {prose(head['title'])}{subject}", *map(prose, lines)])


def _facts(data: Row) -> str:
    lines = []
    for fact in data["facts"]:
        shown = utc(fact["value"]) if fact["label"] == "date" else fact["value"]
        md5 = f", md5 {code(fact['md5'])}" if fact["md5"] else ""
        label = f"**{prose(fact['label'])}**" if fact["flag"] else prose(fact["label"])
        lines.append(f"- {label}: {prose(shown)}{md5}")
    return "\n".join(lines)


def _numbers(data: Row) -> str:
    parts = []
    mark = " (simulated)" if data["time"] and data["time"]["simulator"] else " (estimated)"
    for number in data["numbers"]:
        shown = quantity(number["value"], number["unit"])
        ratio = f" ({share(number['share'])})" if number["share"] is not None else ""
        parts.append(f"{prose(number['label'])} {prose(shown)}{ratio}{mark if number['estimated'] else ''}")
    return "; ".join(parts)


def _settings(data: Row) -> str:
    """A sweep: every setting, up to MOST_SETTINGS."""
    points = data["sweep"]["points"] if data["sweep"] else []
    if not points:
        return ""
    lines = ["| " + " | ".join(prose(name) for name in COLUMNS) + " |", "|--:|---|--:|--:|--:|--:|--:|---|"]
    lines += ["| " + " | ".join(prose(cell) for cell in cells(row)) + " |" for row in points[:MOST_SETTINGS]]
    left = len(points) - MOST_SETTINGS
    return "\n".join([*lines, *([f"\n{left} more rows are in the report."] if left > 0 else [])])


def _segments(data: Row) -> str:
    """Subgraphs and cuts, where there is a cut or an op elsewhere."""
    table = data["segmentation"]
    if not table or not any(row["ops"] for row in table["rows"]):
        return ""
    lines = ["| what | time | of a frame | made of | why |", "|---|--:|--:|---|---|"]
    for row in table["rows"][: 2 * _MOST_ROWS]:
        name = code(row["name"]) if row["sort"] == "subgraph" else prose(row["name"])
        whys = "; ".join(f"{code(op['name'])}: {prose(op['why'])}" for op in row["ops"][:3])
        cells = (time_us(row["total_us"]) + (" est." if row["estimated"] else ""), share(row["share"]))
        lines.append(f"| {name} | {' | '.join(cells)} | {prose(row.get('parts', ''))} | {whys} |")
    return "\n".join(lines)


def _findings(data: Row) -> str:
    return "\n".join(
        f"- **{prose(row['rule'])}** {prose(row['severity'])}: {prose(row['title'])}. {prose(row['advice'])}"
        for row in data["findings"][:_MOST_ROWS]
    )


def _worst_layers(data: Row) -> str:
    """Layers that are to blame or unknown; what propagated is only counted, in the headline."""
    shown = [row for row in data["layers"] if row["standing"] in ("origin", "suspect", "differs", "not_compared")]
    if not shown:
        return ""
    lines = ["| # | tensor | verdict | max step | differ | rel. L2 | SQNR dB |", "|--:|---|---|--:|--:|--:|--:|"]
    lines += [_layer(row) for row in shown[:_MOST_ROWS]]
    if len(shown) > _MOST_ROWS:
        lines.append(f"\n{len(shown) - _MOST_ROWS} more rows are in the report.")
    kinds = [
        f"- {code(o['op'])}: {prose(fault_sentence(o['fingerprint']))}" for o in data["origins"] if o["fingerprint"]
    ]
    return "\n".join([*lines, "", *kinds[:_MOST_ROWS]])


def _layer(row: Row) -> str:
    verdict = f"{GLYPHS[row['standing']]} {WORDS[row['standing']]} {prose(row['reason'].replace('_', ' '))}".strip()
    cells = (
        plain(row["index"]),
        code(row["name"]),
        verdict,
        plain(row["max_step"]),
        differing(row),
        small(row["relative_l2"], row),
        level(row["sqnr_db"], row),
    )
    return f"| {' | '.join(cells)} |"


def _before(data: Row) -> str:
    earlier = data["previous"]
    return f"Against {code(earlier['run'])}: {prose('; '.join(earlier['sentences']))}." if earlier else ""


def _problems(data: Row) -> str:
    return "\n".join(f"- problem: {prose(problem)}" for problem in data["problems"][:_MOST_ROWS])
