"""The table of differences in sentences and short cells, the same ones in the terminal and on the page."""

from __future__ import annotations

from harness.report.differences.layers import CHANGES
from harness.report.values import DASH, Row, number, plain, time_us

_OPS = ("slower", "faster", "estimate_differs", "new", "gone")


def sentence_of(data: Row, place: int) -> str:
    """What became of one run, in a line: verdict, layers, bytes, latency, ops."""
    run, base = data["runs"][place], data["runs"][0]
    parts = [
        *_verdict(base, run),
        *_layers(data["layers"], place, _causes(data, place)),
        _latency(data["latency"][place]["change"]),
    ]
    parts += _ops(data["ops"], place)
    if run["damage"] or base["damage"]:
        parts.append("a run.json is damaged in places, what it held there is unknown")
    return f"{run['label']} against {base['label']}: {'; '.join(parts)}"


def _verdict(base: Row, run: Row) -> list[str]:
    words = [word.replace("_", " ") or "none" for word in (base["verdict"], run["verdict"])]
    if run["verdict_change"] == "same":
        return [f"the verdict is the same, {words[1]}"]
    mark = f" ({run['verdict_change']})" if run["verdict_change"] in ("better", "worse") else ""
    return [f"verdict {words[0]}, then {words[1]}{mark}"]


def _causes(data: Row, place: int) -> str:
    """What else is not the same and makes other bytes by itself: they say nothing about the board then."""
    rows = [row for row in data["conditions"] if row["changed"] and row["values"][place] != row["values"][0]]
    groups = dict.fromkeys(row["group"] for row in rows if row["what"].endswith("md5"))
    named = [group for group in groups if group in ("model", "inputs")]
    verb = "differs" if named == ["model"] else "differ"
    return f" ({' and '.join(named)} {verb} too)" if named else ""


def _layers(layers: Row, place: int, causes: str) -> list[str]:
    if not (layers["runs_with_layers"][0] and layers["runs_with_layers"][place]):
        return ["layers not compared: one of both has none"]
    counts = layers["counts"][place]
    parts = [f"{count(counts[word], 'layer')} {word.replace('_', ' ')}" for word in CHANGES if counts[word]]
    same, changed, unknown = (counts[f"hash_{word}"] for word in ("same", "changed", "unknown"))
    differ = f"bytes of {count(changed, 'layer' if layers['judged'] else 'file')} differ{causes if changed else ''}"
    bytes_words = f"{differ}, of {plain(same)} are equal"
    unchanged = (
        "no layer's verdict changed" if layers["judged"] else "no reference: only files are held against each other"
    )
    return [
        *(parts or [unchanged]),
        bytes_words + (f", of {plain(unknown)} unknown" if unknown else ""),
    ]


def _latency(change: Row) -> str:
    if change["word"] == "not_comparable":
        return f"latency not comparable: {change['why_not']}"
    return f"latency {change_words(change)}"


def _ops(ops: Row, place: int) -> list[str]:
    counts = ops["counts"][place]
    parts = [f"{count(counts[word], 'op')} {OP_WORDS[word]}" for word in _OPS if counts.get(word)]
    return [*parts, *([f"{count(counts['moved'], 'op')} on another unit"] if counts["moved"] else [])]


OP_WORDS = {
    "": DASH,
    "slower": "slower",
    "faster": "faster",
    "within_noise": "within the noise",
    "noise_unknown": "noise unknown",
    "equal": "equal",
    "estimate_differs": "estimated otherwise",
    "new": "new",
    "gone": "gone",
    "not_comparable": "not comparable",
}


def change_words(change: Row) -> str:
    """`slower, +4.9 % (95 % interval +3.1 to +6.8 %)`; what is within the noise is named as that."""
    word = OP_WORDS[change["word"]]
    if change["percent"] is None:
        return f"{word}: {change['why_not']}" if change["why_not"] else word
    text = f"{word}, {signed(change['percent'])} %"
    if change["low_percent"] is not None:
        name = "bounds" if change["basis"] == "bounds" else "95 % interval"
        text += f" ({name} {signed(change['low_percent'])} to {signed(change['high_percent'])} %)"
    return text + (", estimated" if change["estimated"] else "")


def signed(percent: float) -> str:
    """+4.9; a change that would read as nothing keeps its digits."""
    return f"{percent:+.1f}" if percent == 0 or abs(percent) >= 0.05 else f"{percent:+.1g}"


def usual_words(row: Row) -> str:
    """`7.10 ms (7.05 ms to 7.20 ms)`, with `estimated` where it is."""
    if number(row["usual_us"]) is None:
        return DASH
    interval = f" ({time_us(row['low_us'])} to {time_us(row['high_us'])})" if row["low_us"] is not None else ""
    return f"{time_us(row['usual_us'])}{interval}{', estimated' if row['estimated'] else ''}"


def op_words(cell: Row) -> str:
    """Time of an op in one run, its unit where that is another one, and its change where it is said."""
    change = cell["change"]
    if cell["usual_us"] is None:
        return OP_WORDS[change["word"]] if change["word"] == "gone" else DASH
    parts = [usual_words(cell), f"on {cell['unit']}" if cell["moved"] else ""]
    parts.append(change_words(change | {"estimated": False}) if change["word"] not in ("", "equal") else "")
    return "; ".join(part for part in parts if part)


def layer_words(cell: Row) -> str:
    """A layer of one run in a few words: `differs (origin), bytes 2`."""
    if cell["state"] != "there":
        return {"absent": "not there", "no_layers": "no layers"}[cell["state"]]
    role = f" ({cell['role']})" if cell["role"] else ""
    variant = f", bytes {cell['variant']}" if cell["variant"] else ", bytes unknown"
    return f"{cell['verdict'].replace('_', ' ')}{role}{variant}"


def count(number_of: int, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{plain(number_of)} {noun}{'' if number_of == 1 else 's'}"
