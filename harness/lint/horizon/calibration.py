"""Checks of calibration_parameters, and of the calibration folders where they lie beside the config."""

from __future__ import annotations

import math
import re
from pathlib import Path

from harness.lint.horizon.config import Config, is_template
from harness.lint.horizon.inputs import GROUP as INPUTS
from harness.lint.horizon.inputs import at, inputs_of, shape_of
from harness.lint.horizon.ops import kind_of

GROUP = "calibration_parameters"
ELEMENT_BYTES = {"float32": 4, "uint8": 1, "int8": 1, "int16": 2, "int32": 4}
FEW_SAMPLES = 20  # the manuals ask for 20 to 100 typical samples
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
PLAIN_J6 = ("set_model_output_int8", "set_model_output_int16", "run_fast")
EVERY = {word for words in PLAIN.values() for word in words} | set(PLAIN_J6)
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")


def check(config: Config) -> None:
    """The group of the calibration: its type, data, optimizations and folders."""
    if config.group(GROUP) is None:
        return
    _type_effects(config)
    _data(config)
    for word in _optimizations(config):
        _optimization(config, word)
    for index, folder in enumerate(config.words(GROUP, "cal_data_dir")):
        _folder(config, index, folder)


def calibration_type(config: Config) -> str:
    """The calibration type that is set, or the tool's default."""
    return config.text(GROUP, "calibration_type", "default")


def _type_effects(config: Config) -> None:
    kind = calibration_type(config)
    percentile = config.text(GROUP, "max_percentile")
    if percentile and kind != "max" and kind in ("kl", "mix", "load", "skip", "default"):
        config.add(
            "H-401",
            config.line(GROUP, "max_percentile"),
            f"max_percentile {percentile} has no effect with calibration_type {kind}",
            "calibration_type: max, or leave max_percentile out",
        )
    if config.text(GROUP, "per_channel").lower() == "true" and kind in ("default", "mix", "load", "skip"):
        config.add(
            "H-402",
            config.line(GROUP, "per_channel"),
            f"per_channel has no effect with calibration_type {kind}"
            + (" (the search tries it itself)" if kind in ("default", "mix") else ""),
            "calibration_type: max or kl, or leave per_channel out",
        )


def _data(config: Config) -> None:
    kind = calibration_type(config)
    folders = config.words(GROUP, "cal_data_dir")
    line = config.line(GROUP, "cal_data_dir")
    if folders and kind in ("load", "skip"):
        config.add("H-404", line, f"cal_data_dir is not read with calibration_type {kind}", "leave it out")
    needed = kind not in ("load", "skip") and config.tool == "hb_mapper"
    if needed and not folders and not (is_template(config) and config.has(GROUP, "cal_data_dir")):
        config.add("H-403", line, f"calibration_type {kind} needs cal_data_dir", "cal_data_dir: ./calibration_data")
    if folders and len(folders) != inputs_of(config):
        config.add(
            "H-312",
            line,
            f"cal_data_dir has {len(folders)} folders for {inputs_of(config)} inputs",
            "one folder per input, with ; between them",
        )
    if config.tool == "hb_mapper":
        for index, folder in enumerate(folders):
            _data_type(config, index, folder)


def _data_type(config: Config, index: int, folder: str) -> None:
    """cal_data_type wins over the suffix; without it `_f32` means float32 and all else uint8."""
    words = config.words(GROUP, "cal_data_type")
    suffix = folder.rstrip("/").endswith("_f32")
    if index < len(words):
        if suffix and words[index] != "float32":
            config.add(
                "H-405",
                config.line(GROUP, "cal_data_type"),
                f"folder {folder} ends in _f32, cal_data_type is {words[index]}: the files are read as {words[index]}",
                "cal_data_type: float32, or rename the folder",
            )
    elif not suffix and at(config, "input_type_train", index) == "featuremap":
        config.add(
            "H-406",
            config.line(GROUP, "cal_data_dir"),
            f"no cal_data_type and {folder} does not end in _f32: the files are read as uint8",
            "cal_data_type: float32",
        )


def _optimizations(config: Config) -> list[str]:
    words = [part.strip() for word in config.words(GROUP, "optimization") for part in word.split(",")]
    return [word for word in words if word]


def _optimization(config: Config, word: str) -> None:
    line = config.line(GROUP, "optimization")
    match = KIND_SETTING.match(word)
    if match and word not in EVERY:
        _kind_setting(config, line, word, match["kind"])
        return
    if word not in EVERY:
        lower = {one.lower(): one for one in EVERY}
        fix = lower.get(word.lower(), "leave it out")
        config.add("H-407", line, f"no optimization {word!r}", f"optimization: {fix}" if fix in EVERY else fix)
        return
    allowed = PLAIN_J6 if config.tool == "hb_compile" else PLAIN.get(config.march, tuple(EVERY))
    if word not in allowed:
        config.add("H-408", line, f"{word} is not offered on {config.march}", f"one of {', '.join(allowed)}")
    elif word.startswith("set_model_output_"):
        rule = "H-708" if config.tool == "hb_compile" else "H-213"
        config.add(
            rule,
            line,
            f"{word}: a tail Conv loses its high-precision output",
            "remove it where the output needs precision",
        )


def _kind_setting(config: Config, line: int, word: str, kind: str) -> None:
    if config.tool == "hb_compile" or config.march in ("bernoulli2", "bayes"):
        config.add("H-408", line, f"{word}: settings by op type are for the X5 (bayes-e)", "leave it out")
    elif kind_of(kind) != kind and kind_of(kind.capitalize()):
        config.add("H-407", line, f"{word}: op types are case-sensitive", word.replace(kind, kind.capitalize()))


def _folder(config: Config, index: int, text: str) -> None:
    """The folder's files against input_shape; silent where the folder is not on this PC."""
    if config.folder is None or calibration_type(config) in ("load", "skip"):
        return
    folder = config.folder / Path(text).expanduser()
    if not folder.is_dir():
        return
    line = config.line(GROUP, "cal_data_dir")
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not files:
        config.add("H-409", line, f"{text} is empty", "put 20 to 100 samples into it, one file each")
        return
    if len(files) < FEW_SAMPLES:
        config.add("H-410", line, f"{text} has {len(files)} samples", "use 20 to 100 typical samples")
    _sizes(config, index, text, files)


def _sizes(config: Config, index: int, text: str, files: list[Path]) -> None:
    shape = shape_of(config, index)
    words = config.words(GROUP, "cal_data_type")
    word = words[index] if index < len(words) else ("float32" if text.rstrip("/").endswith("_f32") else "uint8")
    raw = [path for path in files if path.suffix.lower() not in (*IMAGES, ".npy")]
    if config.tool == "hb_compile":
        wrong = [path for path in files if path.suffix != ".npy"]
        if wrong:
            config.add(
                "H-409",
                config.line(GROUP, "cal_data_dir"),
                f"{wrong[0].name} in {text} is not a .npy file",
                "hb_compile reads .npy files only",
            )
        return
    if not shape or word not in ELEMENT_BYTES:
        return
    expected = math.prod(shape) * ELEMENT_BYTES[word]
    for path in raw:
        if path.stat().st_size != expected:
            name = config.words(INPUTS, "input_name")[index : index + 1]
            config.add(
                "H-409",
                config.line(GROUP, "cal_data_dir"),
                f"{path.name} in {text} has {path.stat().st_size} bytes; {word} of {'x'.join(map(str, shape))} is "
                f"{expected}" + (f" (input {name[0]})" if name else ""),
                "save the data in that dtype and shape",
            )
            return
