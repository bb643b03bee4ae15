"""What a build does with the pixels of an input, from hb_mapper's and hb_compile's log or the yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.records import BuiltPixels
from harness.toolchains.records import Artifact

PICTURES = ("nv12", "yuv444", "yuv420sp_bt601_video", "yuv420sp", "rgb", "bgr", "gray")
NONE = ("", "none")


def is_preprocess(kind: str, name: str) -> bool:
    """Whether a node is the toolchain's own preprocessing of an input."""
    return name.startswith("HZ_PREPROCESS_FOR_") or kind in ("HzPreprocess", "HzSQuantizedPreprocess")


def pixels_of_build(artifact: Artifact) -> dict[str, BuiltPixels]:
    """By input name. The node computes `(data - mean) * scale`; a std is 1/scale (model_convert documentation)."""
    blocks = [*artifact.inputs, *_of_config(artifact.settings.get("input_parameters", {}))]
    made = {block.get("input_name", block.get("name", "")): _pixels(block) for block in reversed(blocks)}
    return {name: pixels for name, pixels in made.items() if pixels is not None}


def _of_config(settings: Mapping[str, str]) -> list[dict[str, str]]:
    """A yaml's settings hold the inputs one behind the other, with `;` between them."""
    names = settings.get("input_name", "").split(";")
    columns = {key: value.split(";") for key, value in settings.items()}
    return [
        {key: values[place].strip() for key, values in columns.items() if place < len(values)}
        for place, name in enumerate(names)
        if name.strip()
    ]


def _pixels(block: Mapping[str, str]) -> BuiltPixels | None:
    """None for a block that tells of no picture, or holds a value that is no number."""
    trained = block.get("input_type_train", "").strip().lower()
    if block.get("input_type_rt", "").strip().lower() not in PICTURES or trained not in (
        "rgb",
        "bgr",
        "yuv444",
        "gray",
    ):
        return None
    mean, scale, std = (_numbers(block.get(key, "")) for key in ("mean_value", "scale_value", "std_value"))
    if mean is None or scale is None or std is None or 0.0 in std:
        return None
    return BuiltPixels(trained, mean or (0.0,), scale or tuple(1 / one for one in std) or (1.0,))


def _numbers(text: str) -> tuple[float, ...] | None:
    """`123.675 116.28 103.53` or `0.0,0.0,0.0,`; () where there are none, None where a word is no number."""
    words = [word for word in re.split(r"[\s,;\[\]]+", text) if word]
    if not words or text.strip().lower() in NONE:
        return ()
    try:
        return tuple(float(word) for word in words)
    except ValueError:
        return None
