"""What each key of a config takes, one table per tool: which keys a group has, their types, words, bounds and defaults.

hb_mapper: its own check (1.24) and the manuals of X3 and X5. hb_compile: the yaml reference of OE 3.9.0 (hb_compile
3.5.16) and its JSON schema. What depends on more than one key is in the checks of the groups.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("model_parameters", "input_parameters", "calibration_parameters", "compiler_parameters")
MODEL, INPUT, CALIBRATION, COMPILER = GROUPS
CUSTOM = "custom_op"


@dataclass(frozen=True)
class Key:
    """What one key takes.

    `takes`: "text", "bool", "whole" (a whole number), "number", "map". A number where "text" stands is turned into text
    by the tool unless `strict`. `choices` are words, per input where `per_input`; `low`/`high` bound a number, `also`
    lists numbers outside of them. `default` is written as a fix; "" where the tool takes none, so that the key is left
    out. `empty`: '' is as good as no key. `null`: so is no value at all.
    """

    takes: tuple[str, ...] = ("text",)
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    also: tuple[float, ...] = ()
    default: str = ""
    per_input: bool = False
    strict: bool = False
    quoted: bool = False  # a number in quotes is turned into one by the tool
    empty: bool = True
    null: bool = False
    separator: str = ";"


Table = dict[str, dict[str, Key]]

IMAGE_TYPES = ("rgb", "bgr", "yuv444", "gray", "featuremap")
CLOSED_TYPES = ("yuv444_128", "yuv_bt601_full", "yuv_bt601_video")  # known to the tools, not in their manuals
REMOVABLE = ("Quantize", "Transpose", "Dequantize", "Cast", "Reshape", "Softmax")
NORMS = ("no_preprocess", "data_mean", "data_scale", "data_mean_and_scale")
OLD_NORMS = ("mean_file", "mean_file_and_scale")  # still accepted
MOST_L2M_BYTES = 25_165_824  # 24 MiB

_TEXT, _STRICT = Key(), Key(strict=True)
_BOOL = Key(("bool",), empty=False)
_ANY = Key(("text", "bool", "whole", "number", "map"), null=True)


def _words(*choices: str, default: str = "", per_input: bool = False, empty: bool = False, strict: bool = False) -> Key:
    return Key(choices=choices, default=default, per_input=per_input, empty=empty, strict=strict)


def _per_input(*choices: str, strict: bool = False) -> Key:
    return Key(choices=choices, per_input=True, strict=strict)


def _whole(low: float | None = None, high: float | None = None, default: str = "", also: tuple[float, ...] = ()) -> Key:
    return Key(("whole",), low=low, high=high, default=default, also=also, empty=False)


def _bool(default: str) -> Key:
    return Key(("bool",), default=default, empty=False)


_INPUTS = {
    "input_name": _per_input(),
    "input_layout_train": _per_input("NCHW", "NHWC"),
    "input_layout_rt": _per_input("NCHW", "NHWC"),
    "input_space_and_range": _per_input("regular", "bt601_video"),
    "mean_value": Key(per_input=True, null=True),
    "scale_value": Key(per_input=True, null=True),
    "input_shape": _per_input(),
    "input_batch": _TEXT,
}
_CUSTOM_OP = {
    "custom_op_method": _words("register", default="register"),
    "op_register_files": _TEXT,
    "custom_op_dir": _TEXT,
}

HB_MAPPER: Table = {
    MODEL: {
        "onnx_model": _STRICT,
        "caffe_model": _STRICT,
        "prototxt": _STRICT,
        "march": _STRICT,
        "output_model_file_prefix": _STRICT,
        "working_dir": _STRICT,
        "layer_out_dump": _bool("False"),
        "output_nodes": _STRICT,
        "remove_node_name": _STRICT,
        "remove_node_type": _words(*REMOVABLE, "DequantizeFilter", empty=True, strict=True),
        "set_node_data_type": Key(("text", "map"), strict=True),
        "debug_mode": _words("dump_calibration_data", empty=True, strict=True),
        "node_info": Key(("text", "map"), strict=True),
        "log_level": _STRICT,
    },
    INPUT: {
        **_INPUTS,
        "input_type_train": _per_input(*IMAGE_TYPES, *CLOSED_TYPES, strict=True),
        "input_type_rt": _per_input(*IMAGE_TYPES, "nv12", *CLOSED_TYPES, strict=True),
        "input_layout_train": _per_input("NCHW", "NHWC", strict=True),
        "norm_type": _per_input(*NORMS, *OLD_NORMS),
    },
    CALIBRATION: {
        "calibration_type": _words("default", "mix", "kl", "max", "load", "skip", default="default", strict=True),
        "max_percentile": Key(("number",), low=0.0, high=1.0, quoted=True, empty=False),
        "per_channel": _bool("False"),
        "cal_data_dir": Key(per_input=True, strict=True, empty=False, default="./calibration_data"),
        "cal_data_type": _per_input("float32", "uint8", "int32", "int16", "int8", strict=True),
        "preprocess_on": _bool("False"),
        "run_on_cpu": _TEXT,
        "run_on_bpu": _TEXT,
        "optimization": _STRICT,
        "enable_int16": _BOOL,
    },
    COMPILER: {
        "compile_mode": _words("latency", "bandwidth", "balance", default="latency", strict=True),
        "balance_factor": _whole(0, 100, "50"),
        "optimize_level": _words("O0", "O1", "O2", "O3", default="O3", strict=True),
        "debug": _bool("True"),
        "core_num": _whole(1, 2, "1"),
        "input_source": Key(("map",), default="{}", empty=False),
        "max_time_per_fc": _whole(1000, 4_294_967_295, "0", also=(0,)),
        "jobs": _whole(),
        "ability_entry": _STRICT,
        "advice": _whole(0),
    },
    CUSTOM: {key: Key(field.takes, field.choices, strict=True, default=field.default, empty=field.empty)
             for key, field in _CUSTOM_OP.items()},
}  # fmt: skip

HB_COMPILE: Table = {
    MODEL: {
        "onnx_model": _TEXT,
        "caffe_model": _TEXT,
        "prototxt": _TEXT,
        "march": _TEXT,
        "output_model_file_prefix": _TEXT,
        "working_dir": _TEXT,
        "layer_out_dump": _bool("false"),
        "output_nodes": _TEXT,
        "remove_node_name": _TEXT,
        "remove_node_type": _words(*REMOVABLE, empty=True),
        "set_node_data_type": _ANY,
        "debug_mode": _words("dump_calibration_data", empty=True),
        "node_info": Key(("text", "map")),
        "log_level": _whole(),
        "enable_vpu": _bool("true"),
        "enable_spu": _bool("true"),
    },
    INPUT: {
        **_INPUTS,
        "input_layout_rt": _TEXT,
        "norm_type": _TEXT,
        "input_type_train": _per_input(*IMAGE_TYPES, *CLOSED_TYPES),
        "input_type_rt": _per_input(*IMAGE_TYPES, "nv12", *CLOSED_TYPES),
        "std_value": Key(per_input=True, null=True),
        "separate_batch": _bool("false"),
        "separate_name": _TEXT,
    },
    CALIBRATION: {
        "calibration_type": _words("kl", "max", "skip", "mix", "default", default="kl", empty=True),
        "max_percentile": Key(("number",), low=0.0, high=1.0, empty=False, null=True),
        "per_channel": _bool("false"),
        "cal_data_dir": Key(per_input=True, empty=False, default="./calibration_data"),
        "cal_data_type": _per_input("float32", "uint8"),
        "preprocess_on": _ANY,
        "run_on_cpu": _TEXT,
        "run_on_bpu": _TEXT,
        "optimization": _TEXT,
        "quant_config": Key(("text", "map"), null=True),
    },
    COMPILER: {
        "compile_mode": _words("latency", "bandwidth", "balance", default="latency"),
        "balance_factor": _whole(0, 100, "50"),
        "optimize_level": _words("O0", "O1", "O2", default="O2"),
        "debug": _bool("true"),
        "core_num": _whole(1, 4, "1"),
        "input_source": Key(("map",), default="{}", empty=False),
        "max_time_per_fc": _whole(1000, 10_000_000, "0", also=(0,)),
        "jobs": _whole(0, None, "16"),
        "max_l2m_size": Key(
            ("whole",), choices=("none", "None"), low=0, high=MOST_L2M_BYTES, default="0", empty=False, null=True,
            quoted=True,
        ),
        "cache_mode": _words("disable", "enable", "force_overwrite", default="disable"),
        "cache_path": _TEXT,
        "hbdk3_compatible_mode": _ANY,
        "ability_entry": _TEXT,
        "advice": Key(("number",), low=0, default="0", empty=False),
        "extra_params": Key(("map",), default="{}", empty=False),
    },
    CUSTOM: _CUSTOM_OP,
}  # fmt: skip

# Groups that take keys of any name: hb_compile hands the others on to its calibrator.
OPEN_GROUPS = {"hb_compile": (CALIBRATION,), "hb_mapper": ()}
# What the tools do with a group that is not there.
FILLED_IN = {"hb_compile": (CALIBRATION, COMPILER, CUSTOM), "hb_mapper": (CALIBRATION, COMPILER, CUSTOM)}
DEFAULT_LEVEL = {"hb_compile": "O2", "hb_mapper": "O0"}
BEST_LEVEL = {"hb_compile": "O2", "hb_mapper": "O3"}

# Keys that stand in a file and do nothing, with what to know instead.
NO_EFFECT_J6 = {
    "set_node_data_type": "leave it out: calibration_parameters.quant_config sets node types",
    "log_level": "leave it out",
    "input_layout_rt": "leave it out: the compiled model keeps the layout of the float model",
    "norm_type": "leave it out: it follows from mean_value, scale_value and std_value",
    "cal_data_type": "leave it out: the .npy files tell their type",
    "preprocess_on": "leave it out: give data that is ready",
    "hbdk3_compatible_mode": "leave it out",
}
CHECKED_ALL_THE_SAME = ("log_level", "cal_data_type")  # of those: the tool looks at their values before it drops them
DEPRECATED_X = {
    "log_level": "leave it out",
    "preprocess_on": "leave it out and give data that is ready (newer versions drop it)",
    "set_node_data_type": "leave it out: model_parameters.node_info does the same",
}
# Trained on -> what the board may give instead; the same type is always right.
TYPE_PAIRS = {
    "rgb": ("nv12", "bgr", "yuv444", "yuv444_128"),
    "bgr": ("nv12", "rgb", "yuv444", "yuv444_128"),
    "yuv444": ("nv12", "yuv444_128"),
}
SOURCES_OF_TYPE = {
    "nv12": ("pyramid", "resizer"),
    "yuv_bt601_full": ("pyramid", "resizer"),
    "gray": ("pyramid", "ddr", "resizer"),
    "rgb": ("ddr",),
    "bgr": ("ddr",),
    "yuv444": ("ddr",),
    "yuv444_128": ("ddr",),
    "featuremap": ("ddr",),
}
# Calibration types that people bring along, and whose they are.
WORDS_OF_OTHERS = {"histogram": "QAT", "percentile": "QAT", "entropy": "other toolchains", "load": "hb_mapper"}
SOURCES = ("pyramid", "ddr", "resizer")
