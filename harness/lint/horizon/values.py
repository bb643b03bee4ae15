"""One value against what its key takes: its type, its words, its bounds, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from harness.lint.horizon.config import Config, unfilled
from harness.lint.horizon.inputs import inputs_of
from harness.lint.horizon.schema import CALIBRATION, CHECKED_ALL_THE_SAME, INPUT, NO_EFFECT_J6, WORDS_OF_OTHERS, Key
from harness.lint.numbers import number as number_of
from harness.lint.yaml_tree import Node

WORDS = {"text": "text", "bool": "True or False", "whole": "a whole number", "number": "a number", "map": "a mapping"}
CHANNEL_VALUES = ("mean_value", "scale_value", "std_value")
LISTED = (  # several words with ; between them, though not one for each input
    "run_on_cpu", "run_on_bpu", "output_nodes", "remove_node_name", "remove_node_type", "set_node_data_type",
    "node_info", "op_register_files", "optimization", "separate_name", "debug_mode",
)  # fmt: skip
LIST_IN_WORDS = "write one text, with ; between inputs, x between sizes and blanks between channels"
OWN_FINDING = (
    "march", "onnx_model", "caffe_model", "prototxt", "output_model_file_prefix", "input_name", "input_type_rt",
    "input_type_train", "input_layout_train",
)  # fmt: skip


def check(config: Config, group: str, key: Node, value: Node, field: Key) -> None:
    """Findings about one value; those that depend on other keys are elsewhere."""
    name = key.text
    if config.is_j6 and name in NO_EFFECT_J6 and name not in CHECKED_ALL_THE_SAME:
        return
    if unfilled(value):
        _empty(config, group, name, value, field)
    elif value.kind == "list":
        _list(config, group, name, value, field)
    elif not _is_of(value, field):
        _wrong_type(config, group, name, value, field)
    elif value.kind == "scalar" and isinstance(_number(value, field), int | float):
        _bounds(config, group, name, value, field)
    elif value.kind == "scalar" and field.choices:
        _words(config, group, name, value, field)


def instead(name: str, field: Key) -> str:
    """What to write where a value cannot be mended: the tool's default, else nothing."""
    return f"{name}: {field.default}" if field.default else f"leave {name} out"


def _empty(config: Config, group: str, name: str, value: Node, field: Key) -> None:
    """'' or nothing where the tool wants a value. Required keys are spoken of where they are required."""
    is_null = value.kind == "scalar" and value.value is None
    if config.is_template or value.kind == "map" or not value.empty or _has_its_own(name):
        return
    if not (field.null if is_null else field.empty):
        what = "has no value" if is_null else "is empty"
        config.add("H-105", value.line, f"{group}.{name} {what}; expected {_expected(field)}", instead(name, field))


def _has_its_own(name: str) -> bool:
    """Keys that have a finding of their own when they are empty."""
    return name in OWN_FINDING


def _expected(field: Key) -> str:
    return " or ".join(WORDS[one] for one in field.takes)


def _list(config: Config, group: str, name: str, value: Node, field: Key) -> None:
    """The tools take one text with ; in it, not a YAML list."""
    if "text" not in field.takes:
        config.add("H-105", value.line, f"{group}.{name} is a list; expected {_expected(field)}", instead(name, field))
        return
    joined = _joined(config, name, value, field)
    fix = instead(name, field) if not value.entries else LIST_IN_WORDS if not joined else f"{name}: {quoted(joined)}"
    what = f"{group}.{name} is a list; the tool reads one text with ; between the values"
    as_recipe = _is_list_form(config, group, value, field)
    more = ", though the vendor's recipe for several inputs writes lists" if as_recipe else ""
    config.add("H-105", value.line, what + more, fix, severity="warning" if as_recipe else "")


def quoted(text: str) -> str:
    """A text in single quotes, as YAML writes it."""
    return "'" + text.replace("'", "''") + "'"


def _joined(config: Config, name: str, value: Node, field: Key) -> str:
    """The list as the one text that is meant; "" where that is not clear: `;` stands between inputs, and the sizes or
    the channels of one input have marks of their own."""
    mark = "x" if name == "input_shape" else " " if name in CHANNEL_VALUES else ""
    if any(one.kind == "map" or (one.kind == "list" and not mark) for one in value.entries):
        return ""
    if not mark:
        words = [one.text.strip() or "None" for one in value.entries]
        return ";".join(words) if len(words) == 1 or field.per_input or name in LISTED else ""
    parts = [mark.join(inner.text.strip() for inner in one.entries or (one,)) for one in value.entries]
    if all(one.kind == "scalar" and number_of(one.text) is not None for one in value.entries):
        is_one_each = mark == " " and len(parts) == inputs_of(config)
        return ";".join(parts) if is_one_each else mark.join(parts) if inputs_of(config) == 1 else ""
    return ";".join(part or "None" for part in parts) if len(parts) == inputs_of(config) else ""


def _is_list_form(config: Config, group: str, value: Node, field: Key) -> bool:
    """Whether all inputs are written as lists, the way of one official recipe of hb_compile."""
    names = config.get(INPUT, "input_name")
    if not config.is_j6 or group not in (INPUT, CALIBRATION) or not field.per_input or names is None:
        return False
    return names.kind == "list" and len(names.entries) > 1 and len(names.entries) == len(value.entries)


def _is_of(value: Node, field: Key) -> bool:
    if value.kind == "map":
        return "map" in field.takes
    return any(_is_one(value, field, one) for one in field.takes)


def _is_one(value: Node, field: Key, kind: str) -> bool:
    is_number = isinstance(value.value, int | float) and not isinstance(value.value, bool)
    if kind == "bool":
        return isinstance(value.value, bool)
    if kind in ("whole", "number"):
        whole = isinstance(value.value, int) or kind == "number"
        number = _as_number(value) if field.quoted and isinstance(value.value, str) else None
        as_text = number is not None and (kind == "number" or number.is_integer())
        return (is_number and whole) or value.text in field.choices or as_text
    return kind == "text" and (isinstance(value.value, str) or not field.strict)


def _as_number(value: Node) -> float | None:
    """What a text would be as a number; YAML 1.1 takes `1e7` for text."""
    return number_of(value.text)


def _number(value: Node, field: Key) -> float | None:
    if "whole" not in field.takes and "number" not in field.takes:
        return None
    return None if value.text in field.choices else _as_number(value)


def _wrong_type(config: Config, group: str, name: str, value: Node, field: Key) -> None:
    shown = "a mapping" if value.kind == "map" else repr(value.text) + (" in quotes" if value.quoted else "")
    message = f"{group}.{name}: {shown} is not {_expected(field)}"
    config.add("H-105", value.line, message, _mended(name, value, field))


def _mended(name: str, value: Node, field: Key) -> str:
    """The same value in the right type where that is clear, else the default."""
    if value.kind == "scalar" and "bool" in field.takes and value.text.strip().lower() in ("true", "false", "1", "0"):
        on = value.text.strip().lower() in ("true", "1")
        return f"{name}: {'true' if on else 'false'}"
    number = _as_number(value) if value.kind == "scalar" else None
    kinds = {"whole", "number"} & set(field.takes)
    if number is not None and kinds and _fits(number, field) and (number.is_integer() or "number" in kinds):
        return f"{name}: {_plain(number)}"
    if value.kind == "scalar" and field.takes == ("text",) and field.strict and not field.choices:
        return f"{name}: '{value.raw}'"
    return instead(name, field)


def _fits(number: float, field: Key) -> bool:
    low = field.low is None or number >= field.low
    return number in field.also or (low and (field.high is None or number <= field.high) and abs(number) < 1e15)


def _plain(number: float) -> str:
    """Whole numbers written out; others as short as they are exact."""
    return str(int(number)) if float(number).is_integer() else repr(number)


def _bounds(config: Config, group: str, name: str, value: Node, field: Key) -> None:
    number = _number(value, field)
    if number is None or _fits(number, field):
        return
    low, high = (_plain(one) if one is not None else "" for one in (field.low, field.high))
    bounds = f"outside {low}..{high}" if high else f"below {low}"
    more = f" or {_plain(field.also[0])}" if field.also else ""
    config.add("H-105", value.line, f"{group}.{name}: {value.text} is {bounds}{more}", instead(name, field))


def _words(config: Config, group: str, name: str, value: Node, field: Key) -> None:
    words = config.words(group, name) if _is_listed(name, field) else [value.text.strip()]
    for word in words:
        if word not in field.choices:
            _word(config, group, name, value, word, field)


def _is_listed(name: str, field: Key) -> bool:
    """Whether the text holds several words with ; between them."""
    return field.per_input or name == "remove_node_type"


def _word(config: Config, group: str, name: str, value: Node, word: str, field: Key) -> None:
    shown = repr(word) if word else "an empty value"
    message = f"{group}.{name}: {shown} is not one of {', '.join(field.choices)}"
    if name == "calibration_type" and word in WORDS_OF_OTHERS:
        message += f" ({word} is a word of {WORDS_OF_OTHERS[word]})"
    mended = (
        with_word(value.text, word, field.choices, field.per_input)
        if _is_listed(name, field)
        else (nearest(word.split(";")[0].strip(), field.choices))
    )
    config.add("H-104", value.line, message, f"{name}: {mended}" if mended else one_of(name, field))


def one_of(name: str, field: Key) -> str:
    """The choices, where none is near: the default if there is one."""
    return f"{name}: {field.default}" if field.default else f"one of {', '.join(field.choices)}"


def nearest(word: str, choices: Sequence[str]) -> str:
    """The choice that a misspelt word means, "" where none is near."""
    folded = {choice.lower().replace("-", "_"): choice for choice in choices}
    near = get_close_matches(word.lower().replace("-", "_"), folded, n=1, cutoff=0.7)
    return folded[near[0]] if near else ""


def with_word(text: str, word: str, choices: Sequence[str], per_input: bool) -> str:
    """The whole value with the wrong word mended; "" where that is not clear."""
    listed = [part.strip() for part in word.replace(",", ";").split(";")] if not per_input else [word]
    mended = [choice for part in listed if (choice := part if part in choices else nearest(part, choices))]
    if len(mended) != len(listed):
        return ""
    parts = [";".join(mended) if part.strip() == word else part.strip() for part in text.split(";")]
    return ";".join(parts) if len(parts) > 1 else ";".join(mended)
