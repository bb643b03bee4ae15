"""Checks of mean_value, scale_value and std_value, and of norm_type, which hb_mapper follows."""

from __future__ import annotations

from collections.abc import Sequence

from harness.lint.horizon.config import Config
from harness.lint.horizon.inputs import CHANNELS, GROUP, at, dropped, inputs_of, replaced

NEEDED = {
    "data_mean": ("mean_value",),
    "data_scale": ("scale_value",),
    "data_mean_and_scale": ("mean_value", "scale_value"),
}
VALUES = ("mean_value", "scale_value", "std_value")
NORM_OF = {(True, True): "data_mean_and_scale", (True, False): "data_mean", (False, True): "data_scale"}


def check(config: Config) -> None:
    """Numbers, their count and size, and whether the tool uses them at all."""
    if config.group(GROUP) is None:
        return
    keys = VALUES if config.is_j6 else VALUES[:2]
    if config.is_j6 and all(_given(config, key) for key in ("scale_value", "std_value")):
        line = config.line(GROUP, "std_value")
        config.add("H-602", line, "scale_value and std_value cannot be used together", "leave std_value out")
    for index in range(inputs_of(config)):
        if config.is_j6:
            _featuremap(config, index)
        else:
            _norm(config, index)
        norm = at(config, "norm_type", index)
        for key in keys:
            if config.is_j6 or key.partition("_")[0] in norm:
                _values(config, key, index)


def _given(config: Config, key: str) -> bool:
    return any(config.words(GROUP, key))


def _featuremap(config: Config, index: int) -> None:
    """hb_compile derives the norm from the values, and a featuremap takes none."""
    if at(config, "input_type_rt", index) != "featuremap":
        return
    for key in VALUES:
        if at(config, key, index):
            what = f"input {index} is a featuremap: it takes no {key}"
            config.add("H-305", config.line(GROUP, key), what, dropped(config, key, index))


def _norm(config: Config, index: int) -> None:
    norm = at(config, "norm_type", index)
    line = config.line(GROUP, "norm_type")
    if at(config, "input_type_rt", index) == "featuremap":
        if norm not in ("", "no_preprocess"):
            what = f"input {index} is a featuremap with norm_type {norm}"
            config.add("H-305", line, what, replaced(config, "norm_type", index, "no_preprocess", "no_preprocess"))
        return
    needed = NEEDED.get(norm, ())
    given = {key: bool(at(config, key, index)) for key in VALUES[:2]}
    for key in VALUES[:2]:
        if key in needed and not given[key] and not config.is_template:
            config.add(
                "H-306",
                line,
                f"input {index}: norm_type {norm} needs {key}",
                f"give {key} as in training, {_how_many(CHANNELS.get(at(config, 'input_type_train', index), 0))}",
            )
        if key not in needed and given[key] and norm in ("", "no_preprocess", *NEEDED):
            norms = f"norm_type {norm}" if norm else "without norm_type the tool does no preprocessing and"
            wanted = NORM_OF[(given["mean_value"], given["scale_value"])]
            what = f"input {index}: {norms} does not use {key}"
            config.add(
                "H-307", config.line(GROUP, key), what, replaced(config, "norm_type", index, wanted, "no_preprocess")
            )


# --------------------------------------------------------------------------- numbers


def _values(config: Config, key: str, index: int) -> None:
    text = at(config, key, index)
    if not text:
        return
    line = config.line(GROUP, key)
    numbers = numbers_of(text)
    if numbers is None:
        what = f"{key}: {text!r} is not a list of numbers with blanks or commas between them"
        config.add("H-105", line, what, dropped(config, key, index))
        return
    _count(config, index, key, numbers)
    if key in ("scale_value", "std_value") and 0.0 in numbers:
        what = f"{key} {text}: " + ("the tool divides by it" if key == "std_value" else "a channel times 0 is empty")
        config.add("H-105", line, what, dropped(config, key, index), severity="" if key == "std_value" else "warning")
        return
    _looks(config, key, index, numbers)


def numbers_of(text: str) -> list[float] | None:
    """The numbers of one input; None where something else stands there."""
    try:
        return [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        return None


def _looks(config: Config, key: str, index: int, numbers: Sequence[float]) -> None:
    line, text = config.line(GROUP, key), at(config, key, index)
    inverse = " ".join(f"{1 / number:.6g}" for number in numbers if number)
    if key == "scale_value" and any(abs(number) > 1.0 for number in numbers):
        what = f"scale_value {text}: (data - mean) * scale would be far too large; it looks like a std"
        config.add("H-308", line, what, replaced(config, key, index, inverse))
    if key == "std_value" and all(0.0 < number <= 1.0 for number in numbers) and any(n < 1.0 for n in numbers):
        more = " ".join(f"{number * 255:.6g}" for number in numbers)
        what = f"std_value {text}: data is 0..255, so (data - mean) / std would be far too large"
        config.add("H-308", line, what, replaced(config, key, index, more))
    if key == "mean_value" and any(numbers) and all(0.0 <= number <= 1.0 for number in numbers):
        more = " ".join(f"{number * 255:.6g}" for number in numbers)
        what = f"mean_value {text}: data is 0..255, so this subtracts almost nothing"
        config.add("H-309", line, what, replaced(config, key, index, more))


def _how_many(channels: int) -> str:
    several = f"{channels} numbers with blanks between them" if channels else "a number for each channel"
    return "one number" if channels == 1 else several


def _count(config: Config, index: int, key: str, numbers: Sequence[float]) -> None:
    train = at(config, "input_type_train", index)
    channels = CHANNELS.get(train)
    if channels and len(numbers) not in (1, channels):
        what = f"input {index}: {len(numbers)} values in {key}, {train} has {channels} channels"
        right = [f"{numbers[0]:g}"] * channels if len(set(numbers)) == 1 else []
        fix = replaced(config, key, index, " ".join(right)) if right else f"give {key} {_how_many(channels)}"
        config.add("H-314", config.line(GROUP, key), what, fix)
