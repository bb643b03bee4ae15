"""Checks of input_parameters: names, types, layouts, shapes and batch. The numbers of a normalization: norms.py."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.lint.horizon.config import Config, is_on
from harness.lint.horizon.schema import INPUT, TYPE_PAIRS
from harness.lint.numbers import number, whole

GROUP = INPUT
LISTS = (
    "input_type_train",
    "input_type_rt",
    "input_layout_train",
    "input_layout_rt",
    "input_space_and_range",
    "norm_type",
    "mean_value",
    "scale_value",
    "std_value",
    "input_shape",
)
SHAPE = re.compile(r"^ *[0-9]+ *(?:[xX] *[0-9]+ *)*$")
MOST_SIZES, MOST_SIZE_DIGITS = 32, 12
MOST_BATCH = {"bernoulli2": 128}
CHANNELS = {"rgb": 3, "bgr": 3, "yuv444": 3, "yuv444_128": 3, "gray": 1}  # of pictures, by their type
EXAMPLES = {"input_type_train": "rgb", "input_type_rt": "nv12", "input_layout_train": "NCHW"}


def check(config: Config) -> None:
    """The group of the inputs but for the normalization."""
    if config.group(GROUP) is None:
        if config.is_template or config.tree.get(GROUP) is not None:
            return
    else:
        _required(config)
        _names(config)
        _lengths(config)
        for index in range(inputs_of(config)):
            _types(config, index)
            _layout_rt(config, index)
            _shape(config, index)
        _layout_rt_missing(config)
        _batch(config)
        if config.is_j6:
            _separate(config)


def inputs_of(config: Config) -> int:
    """How many inputs the config speaks of: by their names, else by the longest `;` list."""
    names = config.words(GROUP, "input_name")
    return len(names) or max([1, *(len(config.words(GROUP, key)) for key in LISTS)])


def at(config: Config, key: str, index: int) -> str:
    """The value of one input; a list with one value counts for every input only when there is one input."""
    words = config.words(GROUP, key)
    return words[index] if index < len(words) else ""


def shape_of(config: Config, index: int) -> tuple[int, ...]:
    """The shape that is written for an input, `1x3x224x224`; () where none is, or none that can be read."""
    text = at(config, "input_shape", index)
    if not text:
        return _model_shape(config, index)
    return sizes_of(text)


def sizes_of(text: str) -> tuple[int, ...]:
    """`1x3x224x224` as numbers; () for what is no such text, or has sizes that no tensor has."""
    parts = text.lower().split("x") if SHAPE.match(text) else []
    sizes = [size for part in parts if len(part) <= MOST_SIZE_DIGITS and (size := whole(part)) is not None]
    return tuple(sizes) if len(sizes) == len(parts) <= MOST_SIZES else ()


def _model_shape(config: Config, index: int, whatever: bool = False) -> tuple[int, ...]:
    """What the ONNX says where the config says nothing, or `whatever` it says; () where it leaves a size open."""
    if config.network is None or (config.words(GROUP, "input_shape") and not whatever):
        return ()
    names = config.words(GROUP, "input_name")
    given = list(config.network.inputs.values())
    same = config.network.inputs.get(names[index]) if index < len(names) else given[0] if len(given) == 1 else None
    return same.shape if same is not None and all(same.shape) else ()


def replaced(config: Config, key: str, index: int, word: str, other: str = "None") -> str:
    """`key: a;b` with the word of one input changed, and `other` where an input has none."""
    words = config.words(GROUP, key)
    words += [""] * (inputs_of(config) - len(words))
    return f"{key}: {';'.join(word if i == index else one or other for i, one in enumerate(words))}"


def dropped(config: Config, key: str, index: int) -> str:
    """The key without the word of one input, left out where no other input has one."""
    has_more = any(one for i, one in enumerate(config.words(GROUP, key)) if i != index)
    return replaced(config, key, index, "None") if has_more else f"leave {key} out"


def one_each(key: str, words: Sequence[str], count: int) -> str:
    """What to write where a list has not one value for each of `count` inputs: words, where none is sure."""
    if len(words) > count and len(set(words)) == 1 and words[0]:
        return f"{key}: {';'.join(words[:count])}"
    return f"give {key} one value for each of {count} inputs, ; between them" if count > 1 else f"give {key} one value"


def size_of(config: Config, index: int) -> tuple[int, int] | None:
    """(height, width) of an input of four dimensions, by its layout; None for any other."""
    shape = shape_of(config, index)
    if len(shape) != 4:
        return None
    height, width = shape[1:3] if at(config, "input_layout_train", index) == "NHWC" else shape[2:]
    return height, width


def _required(config: Config) -> None:
    keys = ["input_type_train", "input_type_rt"]
    if not config.is_j6 or any(word != "featuremap" for word in config.words(GROUP, "input_type_rt")):
        keys += ["input_layout_train"]
    for key in keys:
        if config.get(GROUP, key) is None and not config.is_template:
            fix = f"{key}: {_example(config, key)}"
            config.add("H-106", config.line(GROUP, key), f"input_parameters.{key} is missing or empty", fix)


def _example(config: Config, key: str) -> str:
    """A value that goes with the other type, for each input."""
    other = {"input_type_train": "input_type_rt", "input_type_rt": "input_type_train"}.get(key, "")
    given = config.words(GROUP, other) if other else []
    if key == "input_layout_train":
        return ";".join([EXAMPLES[key]] * inputs_of(config))
    fitting = {"nv12": "rgb", "yuv444_128": "yuv444"} if key == "input_type_train" else {}
    return ";".join(fitting.get(word, word) for word in given if word) or EXAMPLES[key]


def _names(config: Config) -> None:
    names = config.words(GROUP, "input_name")
    line = config.line(GROUP, "input_name")
    doubled = next((name for name in names if name and names.count(name) > 1), None)
    if doubled is not None:
        fix = "input_name: every input once, in the model's order"
        config.add("H-317", line, f"input_name {doubled!r} stands twice", fix)
    if len(names) > 1 and "" in names:
        config.add("H-106", line, "input_name has an empty name", f"input_name: {';'.join(filter(None, names))}")
    elif config.raw(GROUP, "input_name") is not None and not names and not config.is_j6:
        node = config.raw(GROUP, "input_name")
        if node is not None and node.kind == "scalar" and node.value is None and not config.is_template:
            config.add("H-105", line, "input_name has no value", "leave input_name out")


def _lengths(config: Config) -> None:
    names = config.words(GROUP, "input_name")
    count = len(names) or len(config.words(GROUP, "input_type_rt"))
    ignored = ("norm_type", "input_layout_rt") if config.is_j6 else ("std_value",)
    for key in LISTS:
        words = config.words(GROUP, key)
        if count and words and len(words) != count and key not in ignored:
            what = f"{key} has {len(words)} values for {count} input{'s' if count > 1 else ''}"
            config.add("H-312", config.line(GROUP, key), what, _of_all(config, key, words, count))
    if not names and count > 1 and not config.is_template:
        config.add(
            "H-106", config.line(GROUP), "input_name is needed with more than one input", _all_names(config, count)
        )


def _of_all(config: Config, key: str, words: Sequence[str], count: int) -> str:
    """One value for each input, where it is sure: `;` stands between sizes or channels, or the ONNX says."""
    numbers = [number(one) for one in words]
    if count == 1 and None not in numbers and key in ("mean_value", "scale_value", "std_value"):
        return f"{key}: {' '.join(words)}"
    if key == "input_shape":
        shapes = [_model_shape(config, i, whatever=True) for i in range(count)]
        if all(shapes):
            return f"{key}: {';'.join('x'.join(map(str, shape)) for shape in shapes)}"
        if count == 1 and all(whole(one) for one in words) and sizes_of("x".join(words)):
            return f"{key}: {'x'.join(words)}"
    return one_each(key, words, count)


def _all_names(config: Config, count: int) -> str:
    known = list(config.network.inputs) if config.network is not None else []
    names = known if len(known) == count else [chr(ord("a") + i % 26) for i in range(count)]
    return f"input_name: {';'.join(names)}"


# --------------------------------------------------------------------------- types and layouts


def _types(config: Config, index: int) -> None:
    train, runtime = at(config, "input_type_train", index), at(config, "input_type_rt", index)
    known = set(config.schema[GROUP]["input_type_train"].choices) | {"nv12"}
    if not {train, runtime} <= known:
        return
    pairs = TYPE_PAIRS.get(train, ())
    if train != runtime and runtime not in pairs:
        what = f"input {index}: trained on {train}, {runtime} on the board is not offered"
        config.add(
            "H-301",
            config.line(GROUP, "input_type_rt"),
            what,
            replaced(config, "input_type_rt", index, (pairs or (train,))[0]),
        )
    elif _space(config, index) == "bt601_video":
        _video(config, index, train, runtime)


def _space(config: Config, index: int) -> str:
    return at(config, "input_space_and_range", index)


def _video(config: Config, index: int, train: str, runtime: str) -> None:
    line = config.line(GROUP, "input_space_and_range")
    fix = replaced(config, "input_space_and_range", index, "regular")
    if runtime != "nv12":
        config.add("H-304", line, f"input {index}: bt601_video with {runtime}; it is for nv12 only", fix)
    elif not config.is_j6 and train not in ("rgb", "bgr"):
        config.add("H-304", line, f"input {index}: bt601_video is made from rgb or bgr, not from {train}", fix)


def _layout_rt(config: Config, index: int) -> None:
    """hb_mapper only: hb_compile keeps the layout of the float model."""
    if config.is_j6:
        return
    runtime, layout = at(config, "input_type_rt", index), at(config, "input_layout_rt", index)
    line = config.line(GROUP, "input_layout_rt")
    others = [kind for i, kind in enumerate(config.words(GROUP, "input_type_rt")) if i != index]
    if runtime == "nv12" and layout and all(kind == "nv12" for kind in others):  # others need theirs, and so a list
        what = f"input {index}: nv12 has its own layout; {layout} has no effect"
        config.add("H-302", line, what, "leave input_layout_rt out")
    fix = replaced(config, "input_layout_rt", index, "NHWC")
    if config.march == "bernoulli2" and runtime in ("yuv444", "yuv444_128") and layout == "NCHW":
        config.add("H-303", line, f"input {index}: the X3 takes yuv444 as NHWC only", fix)


def _layout_rt_missing(config: Config) -> None:
    if config.is_j6 or config.is_template or config.get(GROUP, "input_layout_rt") is not None:
        return
    kinds = config.words(GROUP, "input_type_rt")
    other = next((kind for kind in kinds if kind not in ("", "nv12")), "")
    if other:
        what = f"{other} without input_layout_rt; the check of hb_mapper wants it for all types but nv12"
        fix = ";".join("NCHW" if kind in ("featuremap", "gray") else "NHWC" for kind in kinds)
        config.add("H-319", config.line(GROUP, "input_layout_rt"), what, f"input_layout_rt: {fix}")


# --------------------------------------------------------------------------- shapes


def _shape(config: Config, index: int) -> None:
    """The first reason only: a shape of the wrong kind is not odd as well."""
    text = at(config, "input_shape", index)
    line = config.line(GROUP, "input_shape")
    if text and (not sizes_of(text) or 0 in sizes_of(text)):
        fix = replaced(config, "input_shape", index, _readable(text) or "1x3x224x224")
        config.add("H-310", line, f"input {index}: input_shape {text!r} is not sizes with x between them", fix)
        return
    if not text and config.words(GROUP, "input_shape"):
        fix = replaced(config, "input_shape", index, "1x3x224x224")
        config.add("H-310", line, f"input {index}: input_shape is empty", fix)
        return
    shape, runtime = shape_of(config, index), at(config, "input_type_rt", index)
    train = at(config, "input_type_train", index)
    if not shape:
        return
    if len(shape) != 4 and (runtime not in ("", "featuremap") or train in CHANNELS):
        what = f"input {index}: {runtime or train} needs four dimensions, input_shape {text} has {len(shape)}"
        config.add(
            "H-315", line, what, "input_type_rt and input_type_train: featuremap, or a shape such as 1x3x224x224"
        )
    elif not _channels(config, index, train, shape):
        _even(config, index, runtime)


def _readable(text: str) -> str:
    """A shape with other marks between its sizes, as it is meant."""
    sizes = re.findall(r"[0-9]+", text)
    rest = re.sub(r"[0-9\s,;*xX\[\]()]", "", text)
    read = sizes_of("x".join(sizes)) if len(sizes) > 1 and not rest else ()
    return "x".join(map(str, read)) if 0 not in read else ""


def _channels(config: Config, index: int, train: str, shape: tuple[int, ...]) -> bool:
    """Whether the channels were found wrong."""
    layout, channels = at(config, "input_layout_train", index), CHANNELS.get(train)
    if not channels or len(shape) != 4 or layout not in ("NCHW", "NHWC"):
        return False
    place, other = (1, 3) if layout == "NCHW" else (3, 1)
    if shape[place] == channels:
        return False
    line = config.line(GROUP, "input_shape")
    seems = "NHWC" if layout == "NCHW" else "NCHW"
    front = f"input {index}: {train} has {channels} channel{'s' if channels > 1 else ''}"
    written = "x".join(map(str, shape))
    if shape[other] == channels:
        fix = replaced(config, "input_layout_train", index, seems)
        config.add("H-316", line, f"{front}; {written} is {seems}, input_layout_train says {layout}", fix)
    elif shape == _model_shape(config, index, whatever=True):
        kind = "gray" if shape[place] == 1 else "rgb" if shape[place] == 3 else "featuremap"
        fix = replaced(config, "input_type_train", index, kind) + ", and input_type_rt with it"
        config.add("H-316", line, f"{front}, the model's input {written} has {shape[place]}", fix)
    else:
        right = list(shape)
        right[place] = channels
        what = f"{front}, {layout} {written} has {shape[place]}"
        config.add("H-316", line, what, replaced(config, "input_shape", index, "x".join(map(str, right))))
    return True


def _even(config: Config, index: int, runtime: str) -> None:
    size = size_of(config, index)
    kinds = ("nv12",) if config.is_j6 else ("nv12", "yuv444", "yuv444_128")
    if size is None or runtime not in kinds or not (size[0] % 2 or size[1] % 2):
        return
    height, width = size[0] + size[0] % 2, size[1] + size[1] % 2
    shape = list(shape_of(config, index))
    place = 1 if at(config, "input_layout_train", index) == "NHWC" else 2
    shape[place : place + 2] = [height, width]
    fix = replaced(config, "input_shape", index, "x".join(map(str, shape)))
    what = f"input {index}: {size[0]}x{size[1]} is odd, {runtime} needs even sizes"
    severity = "" if runtime == "nv12" else "warning"  # the manual says so, the tool does not check it
    config.add("H-311", config.line(GROUP, "input_shape"), what, fix, severity)


# --------------------------------------------------------------------------- batch


def _batch(config: Config) -> None:
    words = config.words(GROUP, "input_batch")
    if not words:
        return
    line = config.line(GROUP, "input_batch")
    high = None if config.is_j6 else MOST_BATCH.get(config.march, 4096)
    if len(words) > 1:
        config.add("H-313", line, "input_batch takes one value for all inputs", f"input_batch: {words[0] or 1}")
        return
    text = words[0]
    batch = whole(text)
    if batch is None or batch < 1 or (high is not None and batch > high):
        bounds = f"1..{high}" if high else "1 and more"
        config.add("H-313", line, f"input_batch {text!r} is outside {bounds}", "input_batch: 1")
        return
    first = next((shape[0] for i in range(inputs_of(config)) if (shape := shape_of(config, i)) and shape[0] != 1), None)
    if first is not None:
        what = f"input_batch with an input_shape whose first size is {first}; the tool wants 1 there"
        config.add("H-313", line, what, "leave input_batch out")
    elif batch > 1 and inputs_of(config) > 1 and not config.is_j6:
        what = "input_batch with several inputs: the manual offers it for models with one input"
        config.add("H-313", line, what, "leave input_batch out", severity="warning")


def _separate(config: Config) -> None:
    separate = [name for name in config.words(GROUP, "separate_name") if name]
    names = config.words(GROUP, "input_name")
    line = config.line(GROUP, "separate_name")
    if separate and is_on(config, GROUP, "separate_batch"):
        what = "separate_batch and separate_name cannot be used together"
        config.add("H-602", line, what, "leave separate_name out")
    for name in separate:
        if names and name not in names:
            what = f"separate_name {name!r} is not an input; inputs are {', '.join(names)}"
            config.add(
                "H-318",
                line,
                what,
                f"separate_name: {names[0]}" if len(separate) == len(names) == 1 else f"one of {', '.join(names)}",
            )
