"""run.json to one HTML file: no link out of it, deterministic, readable with scripts off."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.assets import asset
from harness.consistency.fingerprint import kinds
from harness.records import Run
from harness.report import values
from harness.report.drawings import drawings
from harness.report.drawings.card import card
from harness.report.drawings.error_propagation import propagation_drawing
from harness.report.drawings.flags import strip_marks
from harness.report.drawings.frames import band_drawing, spread_drawing, with_blocks
from harness.report.drawings.jitter import jitter_drawings
from harness.report.drawings.near import near_drawing, profile_drawings
from harness.report.drawings.samples import squares
from harness.report.drawings.soak import BAND_PX, soak_drawing, timeline_drawing
from harness.report.drawings.sweep import sweep_drawing
from harness.report.graph.drawing import network_drawing
from harness.report.language import ENGLISH, language
from harness.report.tables import checks, folds, headline, layers
from harness.report.tables.run import part_label, tables
from harness.report.tables.times import exceeds, overlaps
from harness.report.values import Row

GLYPHS = {
    "origin": "\u2716",
    "suspect": "?",
    "differs": "\u2260",
    "propagated": "\u21b3",
    "cleared": "\u25c7",
    "not_compared": "\u2205",
    "within": "\u2248",
    "exact": "=",
}
# Of the squares of the network, by class: standings, errors, times, units. What is usual has none.
MARKS = (
    *((f"v{mark}", GLYPHS[name]) for mark, name in zip("osdpcnw", GLYPHS, strict=False)),
    *((f"{sort}{level}", str(level)) for sort in "et" for level in (1, 2, 3, 4)),
    ("uc", "C"),
    ("uq", "q"),
)
MOST_FILES = 200  # listed per mode; the rest is counted, and is in run.json
MOST_WAIVERS = 20  # listed; all are in the table of layers
MOST_MESSAGES = 60  # of the toolchain, listed
MOST_ORIGINS = 8  # drawn; the rest is listed
LONG_ROWS = 1000  # of layers: beyond it md5s are cut
PAGE_ROWS = folds.EARLY_ROWS  # of a long table on screen at a time; print and scripts-off show all


def render(run: Run, lang: str = ENGLISH) -> str:
    """The whole page. Pure: the same run gives the same bytes. `lang`: one of LANGUAGES."""
    return render_tables(tables(run), lang)


def render_tables(data: Row, lang: str = ENGLISH) -> str:
    """The page of `tables(run)`. Errors: InputError for a language that there is not."""
    words = language(lang)
    return filled("report/page.html.j2", data=data, drawn=_drawn(data), _=words, lang=words.html)


def filled(template: str, **content: Any) -> str:
    """A page of `content` with the style, the script and the policy that all pages share."""
    style, script = _source("style.css"), _source("script.js")
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            style=Markup(style),
            script=Markup(script),
            policy=Markup(_policy(style, script)),
        )
    )


def render_card(data: Row) -> str:
    """The card of `tables(run)` as SVG."""
    return _environment().get_template("report/card.svg.j2").render(card=card(data))


def _drawn(data: Row) -> Row:
    network, time = network_drawing(data["network"]), data["time"]
    strip = None if network and data["counts"]["exact"] == len(data["layers"]) else drawings.strip(data["layers"])
    return {
        "strip": strip,
        "network": network,
        "error_propagation": propagation_drawing(data["layers"]),
        "marks": strip_marks(strip, data["origins"]) if strip else [],
        "sweep": sweep_drawing(data["sweep"]),
        "soak": soak_drawing(data["soak"]),
        "samples": squares(data["samples"]),
        "jitter": jitter_drawings(data["jitter"]),
        "timeline": timeline_drawing(data["timeline"]),
        "split": drawings.split_bar(time) if time else [],
        "waterfall": with_blocks(drawings.waterfall(time), data["plan"]) if time else None,
        "spread": spread_drawing(time),
        "band": band_drawing(time),
        "telemetry": drawings.telemetry(data["telemetry"]),
        "origins": [_origin_drawings(origin) for origin in data["origins"][:MOST_ORIGINS]],
    }


def _origin_drawings(origin: Row) -> Row:
    return {
        "map": drawings.error_map(origin["pictures"].get("map")),
        "near": near_drawing(origin["pictures"].get("near")),
        "axes": profile_drawings(origin["pictures"].get("axes")),
        "histogram": drawings.histogram(origin["histogram"]),
        "around": drawings.around(origin["neighbours"]),
    }


def _policy(style: str, script: str) -> str:
    """What a browser may do with this page: its own style and script, nothing else."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _source(name: str) -> str:
    return (asset("templates") / "report" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(asset("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    environment.globals.update(_GLOBALS)
    return environment


def _finalize(value: Any) -> Any:
    """Last step of every value on the page: no invisible character, no `None`."""
    if value is None:
        return values.DASH
    return values.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def broken_off(data: Row) -> bool:
    """Whether a run ended with no mode to blame, so that its problems are what went wrong."""
    blamed = any(mode["failure"] for mode in data["modes"])
    return data["headline"]["tone"] == "stop" and bool(data["problems"]) and not blamed


def quantity(value: Any, unit: str) -> str:
    """A key number in its unit ("us", "fps", "count", "text")."""
    return _QUANTITIES.get(unit, values.text)(value)


_QUANTITIES = {"us": values.time_us, "count": values.plain, "fps": values.tenths}


def _tint(part: str) -> str:
    """Style of a part of the time, from a fixed set: accelerators share one, the CPU has its own."""
    if part in ("quantize", "dequantize"):
        return "quantize"
    return part if part in ("layout", "other", "unattributed") else "cpu" if part.upper().startswith("CPU") else "acc"


_OBTAINED = {
    "pulled": "downloaded",
    "reused": "equal to the PC's: not downloaded",
    "verified_on_board": "valid region equal by md5 on the board: not downloaded",
    "": "not downloaded",
}


def _obtained(value: Any) -> str:
    """How a file came to this PC; a dash where run.json does not tell."""
    return _OBTAINED.get(value, values.DASH) if isinstance(value, str) else values.DASH


_FILTERS = {
    "us": values.time_us,
    "micro": values.micro,
    "seconds": values.seconds,
    "share": values.share,
    "sci": values.scientific,
    "db": values.decibel,
    "plain": values.plain,
    "size": values.size,
    "utc": values.utc,
    "shape": values.shape,
    "short": values.shortened,
    "quantity": quantity,
    "small": layers.small,
    "level": layers.level,
    "differing": layers.differing,
    "tint": _tint,
    "obtained": _obtained,
    "factor": values.factor,
    "plural": headline.plural,
    "as_printed": values.as_printed,
    "capitalize_first": lambda text: f"{text[:1].upper()}{text[1:]}",
}
_GLOBALS = {
    "GLYPHS": GLYPHS,
    "MARKS": MARKS,
    "WORDS": layers.WORDS,
    "MEANINGS": layers.MEANINGS,
    "MOST_FILES": MOST_FILES,
    "MOST_ORIGINS": MOST_ORIGINS,
    "LONG_ROWS": LONG_ROWS,
    "PAGE_ROWS": PAGE_ROWS,
    "TELEMETRY_PX": drawings.TELEMETRY_PX,
    "SOAK_PX": BAND_PX,
    "MOST_NOISY": checks.MOST_NOISY,
    "MOST_UNSTABLE": checks.MOST_UNSTABLE,
    "MOST_STAGED": checks.MOST_STAGED,
    "MOST_WAIVERS": MOST_WAIVERS,
    "MOST_MESSAGES": MOST_MESSAGES,
    "disagreements": checks.disagreements,
    "kind_meaning": kinds.meaning,
    "kind_advice": kinds.advice,
    "part_label": part_label,
    "broken_off": broken_off,
    "beyond_a_step": layers.beyond_a_step,
    "size_sentence": headline.size_sentence,
    "layer_folds": folds.layer_folds,
    "op_folds": folds.op_folds,
    "late_rows": folds.late_rows,
    "node_folds": folds.node_folds,
    "constant": folds.constant,
    "tiles_of": folds.tiles_of,
    "exceeds": exceeds,
    "overlaps": overlaps,
    "fault_sentence": headline.fault_sentence,
    "INFINITE": values.INFINITE,
    "DASH": values.DASH,
}
