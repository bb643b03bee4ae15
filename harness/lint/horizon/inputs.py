"""Checks of input_parameters and of compiler_parameters.input_source."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.lint.horizon.config import Config, is_template
from harness.lint.horizon.schema import SOURCES_OF_TYPE, TYPE_PAIRS

GROUP = "input_parameters"
LISTS = (
    "input_type_train",
    "input_type_rt",
    "input_layout_train",
    "input_layout_rt",
    "input_space_and_range",
    "norm_type",
    "mean_value",
    "scale_value",
    "input_shape",
)
SHAPE = re.compile(r"^\d+(?:x\d+)*$")
NEEDED = {
    "data_mean": ("mean_value",),
    "data_scale": ("scale_value",),
    "data_mean_and_scale": ("mean_value", "scale_value"),
}
RESIZER_AREA = 18432  # H*W must be below (X5 manual)


def check(config: Config) -> None:
    """The group of the inputs: names, types, shapes, normalization, batch and where they come from."""
    if config.group(GROUP) is None:
        return
    _required(config)
    _lengths(config)
    for index in range(inputs_of(config)):
        _types(config, index)
        _shape(config, index)
        if config.tool == "hb_mapper":
            _norm(config, index)
        _values(config, index)
    _batch(config)
    _sources(config)


def inputs_of(config: Config) -> int:
    """How many inputs the config speaks of: the longest `;` list."""
    return max([1, *(len(config.words(GROUP, key)) for key in ("input_name", *LISTS))])


def at(config: Config, key: str, index: int) -> str:
    """The value of one input; a list with one value counts for every input only when there is one input."""
    words = config.words(GROUP, key)
    return words[index] if index < len(words) else ""


def shape_of(config: Config, index: int) -> tuple[int, ...]:
    """The shape that is written for an input, `1x3x224x224`; () where none is, or none that can be read."""
    text = at(config, "input_shape", index)
    return tuple(int(part) for part in text.split("x")) if SHAPE.match(text) else ()


def _required(config: Config) -> None:
    keys = ["input_type_train", "input_type_rt"]
    if config.tool == "hb_mapper":
        keys += ["input_layout_train", "norm_type"]
    elif any(word != "featuremap" for word in config.words(GROUP, "input_type_train")):
        keys += ["input_layout_train"]
    for key in keys:
        filled = config.get(GROUP, key) is not None
        if not filled and not (is_template(config) and config.has(GROUP, key)):
            config.add("H-106", config.line(GROUP, key), f"input_parameters.{key} is missing or empty", _example(key))


def _example(key: str) -> str:
    examples = {
        "input_type_train": "rgb",
        "input_type_rt": "nv12",
        "input_layout_train": "NCHW",
        "norm_type": "data_scale",
    }
    return f"{key}: {examples[key]}"


def _lengths(config: Config) -> None:
    names = config.words(GROUP, "input_name")
    count = len(names) or len(config.words(GROUP, "input_type_rt"))
    for key in LISTS:
        words = config.words(GROUP, key)
        if count and words and len(words) != count:
            config.add(
                "H-312",
                config.line(GROUP, key),
                f"{key} has {len(words)} values for {count} inputs",
                f"{key}: one value per input, separated by ;",
            )
    if not names and count > 1:
        config.add("H-106", config.line(GROUP), "input_name is needed with more than one input", "input_name: a;b")


def _types(config: Config, index: int) -> None:
    train, runtime = at(config, "input_type_train", index), at(config, "input_type_rt", index)
    base = runtime.removesuffix("_128")
    pairs = TYPE_PAIRS.get(train)
    if pairs and runtime and base not in pairs and not base.startswith("yuv_bt601"):
        config.add(
            "H-301",
            config.line(GROUP, "input_type_rt"),
            f"input {index}: trained on {train}, {runtime} on the board is not offered",
            f"input_type_rt: {pairs[0]}",
        )
    layout = at(config, "input_layout_rt", index)
    line = config.line(GROUP, "input_layout_rt")
    if runtime == "nv12" and layout and config.tool == "hb_mapper":
        config.add("H-302", line, f"input {index}: nv12 has its own layout; {layout} has no effect", "leave it out")
    if config.march == "bernoulli2" and base == "yuv444" and layout == "NCHW":
        config.add("H-303", line, f"input {index}: the X3 takes yuv444 as NHWC only", "input_layout_rt: NHWC")
    space = at(config, "input_space_and_range", index)
    if space == "bt601_video" and runtime and runtime != "nv12":
        config.add(
            "H-304",
            config.line(GROUP, "input_space_and_range"),
            f"input {index}: bt601_video with {runtime}",
            "input_space_and_range: regular",
        )


def _shape(config: Config, index: int) -> None:
    text = at(config, "input_shape", index)
    line = config.line(GROUP, "input_shape")
    if text and not SHAPE.match(text):
        config.add("H-310", line, f"input {index}: input_shape {text!r}", "input_shape: 1x3x224x224")
    shape = shape_of(config, index)
    runtime = at(config, "input_type_rt", index).removesuffix("_128")
    if len(shape) == 4 and runtime in ("nv12", "yuv444"):
        height, width = shape[1:3] if at(config, "input_layout_train", index) == "NHWC" else shape[2:]
        if height % 2 or width % 2:
            config.add(
                "H-311",
                line,
                f"input {index}: {height}x{width} is odd, {runtime} needs even sizes",
                f"{height + height % 2}x{width + width % 2}",
            )


def _norm(config: Config, index: int) -> None:
    norm = at(config, "norm_type", index)
    if not norm:
        return
    line = config.line(GROUP, "norm_type")
    if "featuremap" in (at(config, "input_type_train", index), at(config, "input_type_rt", index)):
        if norm != "no_preprocess":
            config.add(
                "H-305", line, f"input {index} is a featuremap with norm_type {norm}", "norm_type: no_preprocess"
            )
        return
    needed = NEEDED.get(norm, ())
    for key in ("mean_value", "scale_value"):
        given = at(config, key, index) not in ("", "None")
        if key in needed and not given and not (is_template(config) and config.has(GROUP, key)):
            config.add(
                "H-306",
                line,
                f"input {index}: norm_type {norm} needs {key}",
                f"{key}: {'123.675 116.28 103.53' if key == 'mean_value' else '0.01712 0.01751 0.01743'}",
            )
        if key not in needed and given and norm in ("no_preprocess", *NEEDED):
            config.add(
                "H-307",
                config.line(GROUP, key),
                f"input {index}: norm_type {norm} does not use {key}",
                "leave it out, or norm_type: data_mean_and_scale",
            )


def _numbers(text: str) -> list[float] | None:
    parts = text.replace(",", " ").split()
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None


def _values(config: Config, index: int) -> None:
    for key in ("mean_value", "scale_value"):
        text = at(config, key, index)
        if text in ("", "None"):
            continue
        line = config.line(GROUP, key)
        numbers = _numbers(text)
        if numbers is None:
            config.add(
                "H-105",
                line,
                f"{key}: {text!r} is not a list of numbers separated by spaces",
                f"{key}: 0.017 0.017 0.017",
            )
            continue
        _channels(config, index, key, numbers)
        if key == "scale_value" and any(abs(number) > 1.0 for number in numbers):
            config.add(
                "H-308",
                line,
                f"scale_value {text}: (data - mean) * scale would be far too large",
                f"scale_value: {' '.join(f'{1 / n:.6g}' for n in numbers if n)} (1 / std)",
            )
        if key == "mean_value" and _looks_like_unit_mean(numbers):
            config.add(
                "H-309",
                line,
                f"mean_value {text}: data is 0..255, so this subtracts almost nothing",
                f"mean_value: {' '.join(f'{n * 255:.6g}' for n in numbers)} (mean * 255)",
            )


def _looks_like_unit_mean(numbers: Sequence[float]) -> bool:
    return any(numbers) and all(0.0 <= number <= 1.0 for number in numbers)


def _channels(config: Config, index: int, key: str, numbers: Sequence[float]) -> None:
    train = at(config, "input_type_train", index)
    channels = {"rgb": 3, "bgr": 3, "yuv444": 3, "gray": 1}.get(train)
    if channels and len(numbers) not in (1, channels):
        config.add(
            "H-314",
            config.line(GROUP, key),
            f"input {index}: {len(numbers)} values in {key}, {train} has {channels} channels",
            f"{key}: one value, or {channels} separated by spaces",
        )


def _batch(config: Config) -> None:
    text = config.text(GROUP, "input_batch")
    if not text:
        return
    line = config.line(GROUP, "input_batch")
    high = 128 if config.march == "bernoulli2" else 4096
    if not text.isdigit() or not 1 <= int(text) <= high:
        config.add("H-313", line, f"input_batch {text!r} is outside 1..{high}", "input_batch: 1")
        return
    shape = shape_of(config, 0)
    if int(text) > 1 and inputs_of(config) > 1:
        config.add("H-313", line, "input_batch is for models with one input", "leave it out")
    elif int(text) > 1 and shape and shape[0] != 1:
        config.add("H-313", line, f"input_batch with an input_shape whose first size is {shape[0]}", "leave it out")


def _sources(config: Config) -> None:
    node = config.get("compiler_parameters", "input_source")
    names = config.words(GROUP, "input_name")
    for key, value in node.items if node is not None else ():
        line = key.line
        if key.text == "_default_value":
            continue
        if names and key.text not in names:
            config.add(
                "H-503", line, f"input_source names {key.text!r}; inputs are {', '.join(names)}", f"{names[0]}: ddr"
            )
            continue
        index = names.index(key.text) if names else 0
        runtime = at(config, "input_type_rt", index).removesuffix("_128")
        allowed = SOURCES_OF_TYPE.get(runtime, ("ddr", "pyramid", "resizer"))
        if value.text not in allowed:
            config.add(
                "H-503",
                line,
                f"input {key.text} of type {runtime or '?'} cannot come from {value.text!r}",
                f"{key.text}: {allowed[0]}",
            )
        elif value.text == "resizer":
            _resizer(config, line, index)


def _resizer(config: Config, line: int, index: int) -> None:
    shape = shape_of(config, index)
    if len(shape) == 4:
        nhwc = at(config, "input_layout_train", index) == "NHWC"
        height, width = shape[1:3] if nhwc else shape[2:]
        if height * width >= RESIZER_AREA:
            config.add("H-504", line, f"resizer input of {height}x{width}; H*W must be below {RESIZER_AREA}", "pyramid")
    if config.text("model_parameters", "layer_out_dump").lower() == "true":
        config.add("H-504", line, "resizer input with layer_out_dump", "layer_out_dump: False, or pyramid")
