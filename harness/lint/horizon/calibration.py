"""Checks of calibration_parameters but for the files themselves (beside/samples.py) and quant_config (quant.py)."""

from __future__ import annotations

import re

from harness.lint.horizon.config import DATA_FREE, Config, calibration_type, is_on, runs_fast
from harness.lint.horizon.inputs import at, inputs_of, one_each
from harness.lint.horizon.ops import kind_of
from harness.lint.horizon.schema import CALIBRATION as GROUP
from harness.lint.horizon.values import nearest
from harness.lint.numbers import number

KIND_SETTING = re.compile(r"^set_(?P<kind>[A-Za-z]+)_(?:input|output)_(?:int8|int16)$")
PLAIN = {
    "bernoulli2": ("set_model_output_int8",),
    "bayes": ("set_model_output_int8", "set_model_output_int16"),
    "bayes-e": (
        "set_model_output_int8",
        "set_model_output_int16",
        "set_all_nodes_int16",
        "asymmetric",
        "bias_correction",
        "lstm_batch_last",
        "run_fast",
    ),
}
# Of the manual, and what D-Robotics' own S100 configs use beside it.
PLAIN_J6 = ("set_model_output_int8", "set_model_output_int16", "run_fast", "set_all_nodes_int16")
EVERY = {word for words in PLAIN.values() for word in words} | set(PLAIN_J6)
SEARCHES = ("default", "mix")  # calibration types that try per_channel themselves
LOW_PERCENTILE = 0.5
DEPRECATED_J6 = ("mix", "default")


def check(config: Config) -> None:
    """The group of the calibration: its type, data and optimizations."""
    _data(config)
    if config.group(GROUP) is None:
        return
    _type(config)
    _percentile(config)
    _per_channel(config)
    for word in _optimizations(config):
        _optimization(config, word)


def _type(config: Config) -> None:
    kind = calibration_type(config)
    line = config.line(GROUP, "calibration_type")
    if config.is_j6 and kind in DEPRECATED_J6:
        config.add("H-604", line, f"calibration_type {kind} is deprecated in hb_compile", "calibration_type: kl")


def _percentile(config: Config) -> None:
    kind, text = calibration_type(config), config.text(GROUP, "max_percentile")
    if not text or text == "None":
        return
    line = config.line(GROUP, "max_percentile")
    if kind in ("kl", "mix", "load", "skip", "default"):
        what = f"max_percentile {text} has no effect with calibration_type {kind}"
        config.add("H-401", line, what, "leave max_percentile out")
    if 0.0 < (number(text) or 0.0) < LOW_PERCENTILE:
        what = f"max_percentile {text} cuts off more than half of the range; the manuals speak of 0.5 to 1.0"
        config.add("H-412", line, what, "leave max_percentile out")


def _per_channel(config: Config) -> None:
    kind = calibration_type(config)
    if is_on(config, GROUP, "per_channel") and kind in (*SEARCHES, *DATA_FREE):
        more = " (the search tries it itself)" if kind in SEARCHES else ""
        what = f"per_channel has no effect with calibration_type {kind}{more}"
        config.add("H-402", config.line(GROUP, "per_channel"), what, "leave per_channel out")


# --------------------------------------------------------------------------- data


def _data(config: Config) -> None:
    kind = calibration_type(config)
    folders = config.words(GROUP, "cal_data_dir")
    line = config.line(GROUP, "cal_data_dir")
    if folders and kind in DATA_FREE:
        config.add("H-404", line, f"cal_data_dir is not read with calibration_type {kind}", "leave cal_data_dir out")
    elif not folders and not config.has(GROUP, "cal_data_dir") and not config.is_template:
        _no_data(config, kind, line)
    if folders and kind not in DATA_FREE and len(folders) != inputs_of(config):
        what = f"cal_data_dir has {len(folders)} folders for {inputs_of(config)} inputs"
        config.add("H-312", line, what, one_each("cal_data_dir", folders, inputs_of(config)))
    if not config.is_j6:
        _data_types(config, folders)


def _no_data(config: Config, kind: str, line: int) -> None:
    if kind in DATA_FREE or runs_fast(config):
        return
    count = inputs_of(config)
    several = ";".join("./calibration_data" + (f"_{i}" if count > 1 else "") for i in range(count))
    if not config.is_j6:
        what = f"calibration_type {kind} needs cal_data_dir"
        config.add("H-403", line, what, f"cal_data_dir: {several}")
        return
    effect = f"calibration_type {kind} becomes skip" if kind else "calibration is skipped"
    what = f"no cal_data_dir: {effect}; cosines and thresholds are meaningless"
    config.add("H-603", line, what, f"cal_data_dir: {several}")


def _data_types(config: Config, folders: list[str]) -> None:
    """cal_data_type wins over the suffix; without it `_f32` means float32 and all else uint8."""
    words = config.words(GROUP, "cal_data_type")
    if words and len(words) != inputs_of(config):
        what = f"cal_data_type has {len(words)} values for {inputs_of(config)} inputs"
        config.add(
            "H-312", config.line(GROUP, "cal_data_type"), what, one_each("cal_data_type", words, inputs_of(config))
        )
    for index, folder in enumerate(folders if calibration_type(config) not in DATA_FREE else ()):
        suffix = folder.rstrip("/").endswith("_f32")
        if index < len(words) and suffix and words[index] != "float32":
            what = (
                f"folder {folder} ends in _f32, cal_data_type is {words[index]}: the files are read as {words[index]}"
            )
            right = f"cal_data_type: {';'.join('float32' if i == index else one for i, one in enumerate(words))}"
            config.add("H-405", config.line(GROUP, "cal_data_type"), what, right)
        elif not words and not suffix and at(config, "input_type_train", index) == "featuremap":
            what = f"no cal_data_type and {folder} does not end in _f32: the files are read as uint8"
            config.add("H-406", config.line(GROUP, "cal_data_dir"), what, _read_as(config, folders))


def _read_as(config: Config, folders: list[str]) -> str:
    """cal_data_type with float32 for feature maps; the other inputs keep the type that their folder's name gives."""
    names = [*folders, *[""] * inputs_of(config)][: inputs_of(config)]
    floats = [
        name.rstrip("/").endswith("_f32") or at(config, "input_type_train", i) == "featuremap"
        for i, name in enumerate(names)
    ]
    return f"cal_data_type: {';'.join('float32' if one else 'uint8' for one in floats)}"


# --------------------------------------------------------------------------- optimization


def _optimizations(config: Config) -> list[str]:
    words = [part.strip() for word in config.words(GROUP, "optimization") for part in word.split(",")]
    return [word for word in words if word]


def _without(config: Config, word: str, instead: str = "") -> str:
    """The key without one word, or with another in its place."""
    kept = [instead if one == word else one for one in _optimizations(config)]
    rest = [one for one in kept if one]
    return f"optimization: {','.join(rest)}" if rest else "leave optimization out"


def _optimization(config: Config, word: str) -> None:
    line = config.line(GROUP, "optimization")
    match = KIND_SETTING.match(word)
    if match and word not in EVERY:
        _kind_setting(config, line, word, match["kind"])
        return
    allowed = PLAIN_J6 if config.is_j6 else PLAIN.get(config.march, tuple(EVERY))
    if word not in EVERY:
        config.add("H-407", line, f"no optimization {word!r}", _without(config, word, nearest(word, allowed)))
    elif word not in allowed:
        severity = "warning" if config.is_j6 else ""  # hb_compile does not refuse the words of the X5
        what = f"{word} is not offered on {config.march or config.tool}"
        config.add("H-408", line, what, _without(config, word), severity)
    elif word.startswith("set_model_output_"):
        rule = "H-708" if config.is_j6 else "H-213"
        config.add(rule, line, f"{word}: a tail Conv loses its high-precision output", _without(config, word))


def _kind_setting(config: Config, line: int, word: str, kind: str) -> None:
    if config.is_j6 or config.march in ("bernoulli2", "bayes"):
        severity = "warning" if config.is_j6 else ""
        what = f"{word}: settings by op type are for the X5 (bayes-e)"
        config.add("H-408", line, what, _without(config, word), severity)
    elif kind_of(kind) != kind and kind_of(kind.capitalize()):
        right = word.replace(kind, kind.capitalize())
        config.add("H-407", line, f"{word}: op types are case-sensitive", _without(config, word, right))
