"""Schemas of both tools: which keys exist in which group, and what their values may be.

Sources: RDK X3 manual (PTQ yaml), OpenExplorer X5 1.2.8 manual, hb_mapper 1.24's own check; J6 hb_compile yaml schema.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("model_parameters", "input_parameters", "calibration_parameters", "compiler_parameters")


@dataclass(frozen=True)
class Field:
    """What one key takes. `choices` are words (per input where `per_input`), `low`/`high` bound a number."""

    kind: str = "text"  # "text", "bool", "number", "words", "map", "any"
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    per_input: bool = False  # a `;` list with one value per input
    also: tuple[float, ...] = ()  # numbers allowed outside low..high


_TEXT = Field()
_BOOL = Field("bool")
_IMAGE_TYPES = ("rgb", "bgr", "yuv444", "gray", "featuremap")
_REMOVABLE = ("Quantize", "Transpose", "Dequantize", "Cast", "Reshape", "Softmax")
_LAYOUTS = ("NCHW", "NHWC")


def _words(*choices: str, per_input: bool = False) -> Field:
    return Field("words", choices, per_input=per_input)


_INPUTS = {
    "input_name": Field(per_input=True),
    "input_type_train": _words(*_IMAGE_TYPES, per_input=True),
    "input_type_rt": _words(*_IMAGE_TYPES, "nv12", per_input=True),
    "input_layout_train": _words(*_LAYOUTS, per_input=True),
    "input_layout_rt": _words(*_LAYOUTS, per_input=True),
    "input_space_and_range": _words("regular", "bt601_video", per_input=True),
    "norm_type": _words("no_preprocess", "data_mean", "data_scale", "data_mean_and_scale", per_input=True),
    "mean_value": Field("any", per_input=True),
    "scale_value": Field("any", per_input=True),
    "input_shape": Field("any", per_input=True),
    "input_batch": Field("any"),
}
_MODEL = {
    "onnx_model": _TEXT,
    "caffe_model": _TEXT,
    "prototxt": _TEXT,
    "march": _TEXT,
    "output_model_file_prefix": _TEXT,
    "working_dir": _TEXT,
    "layer_out_dump": _BOOL,
    "output_nodes": Field("any"),
    "remove_node_name": Field("any"),
    "remove_node_type": _words(*_REMOVABLE),
    "set_node_data_type": Field("any"),
    "debug_mode": _words("dump_calibration_data"),
    "node_info": Field("any"),
    "log_level": _TEXT,
}

HB_MAPPER: dict[str, dict[str, Field]] = {
    "model_parameters": _MODEL,
    "input_parameters": {
        **_INPUTS,
        # The _128 and bt601 words are accepted by the tool though the manual does not list them.
        "input_type_rt": _words(
            *_IMAGE_TYPES, "nv12", "yuv444_128", "yuv_bt601_full", "yuv_bt601_video", per_input=True
        ),
    },
    "calibration_parameters": {
        "calibration_type": _words("default", "mix", "kl", "max", "load", "skip"),
        "max_percentile": Field("number", low=0.0, high=1.0),
        "per_channel": _BOOL,
        "cal_data_dir": Field(per_input=True),
        "cal_data_type": _words("float32", "uint8", "int32", "int16", "int8", per_input=True),
        "preprocess_on": _BOOL,
        "run_on_cpu": Field("any"),
        "run_on_bpu": Field("any"),
        "optimization": Field("any"),
        "enable_int16": _BOOL,
    },
    "compiler_parameters": {
        "compile_mode": _words("latency", "bandwidth", "balance"),
        "balance_factor": Field("number", low=0, high=100),
        "optimize_level": _words("O0", "O1", "O2", "O3"),
        "debug": _BOOL,
        "core_num": Field("number", low=1, high=2),
        "input_source": Field("map"),
        "max_time_per_fc": Field("number", low=1000, high=4294967295, also=(0,)),
        "jobs": Field("number", low=1, high=1024),
        "ability_entry": Field("any"),
        "advice": Field("any"),
    },
    "custom_op": {
        "custom_op_method": _words("register"),
        "op_register_files": _TEXT,
        "custom_op_dir": _TEXT,
    },
}

HB_COMPILE: dict[str, dict[str, Field]] = {
    "model_parameters": {**_MODEL, "enable_vpu": _BOOL, "enable_spu": _BOOL},
    "input_parameters": {
        **_INPUTS,
        "std_value": Field("any", per_input=True),
        "separate_batch": _BOOL,
        "separate_name": Field("any"),
    },
    "calibration_parameters": {
        "calibration_type": _words("default", "mix", "kl", "max", "skip"),
        "max_percentile": Field("number", low=0.5, high=1.0),
        "per_channel": _BOOL,
        "cal_data_dir": Field(per_input=True),
        "cal_data_type": Field("any"),
        "preprocess_on": Field("any"),
        "run_on_cpu": Field("any"),
        "run_on_bpu": Field("any"),
        "optimization": Field("any"),
        "quant_config": Field("any"),
    },
    "compiler_parameters": {
        "compile_mode": _words("latency", "bandwidth", "balance"),
        "balance_factor": Field("number", low=0, high=100),
        "optimize_level": _words("O0", "O1", "O2"),
        "debug": _BOOL,
        "core_num": Field("number", low=1, high=4),
        "input_source": Field("map"),
        "max_time_per_fc": Field("number", low=1000, high=10_000_000, also=(0,)),
        "jobs": Field("number", low=1, high=1024),
        "max_l2m_size": Field("number", low=0, high=25_165_824),
        "cache_mode": _words("disable", "enable", "force_overwrite"),
        "cache_path": _TEXT,
        "hbdk3_compatible_mode": Field("any"),
        "ability_entry": Field("any"),
        "advice": Field("any"),
        "extra_params": Field("any"),
    },
    "custom_op": {
        "custom_op_method": _words("register"),
        "op_register_files": _TEXT,
        "custom_op_dir": _TEXT,
    },
}

# Keys that stand in a file and do nothing, with what to know instead.
NO_EFFECT_J6 = {
    "set_node_data_type": "write calibration_parameters.quant_config",
    "log_level": "leave it out",
    "input_layout_rt": "leave it out: the compiled model keeps the layout of the float model",
    "norm_type": "leave it out: it follows from mean_value, scale_value and std_value",
    "cal_data_type": "leave it out: the .npy files tell their type",
    "preprocess_on": "leave it out: give data that is ready",
    "hbdk3_compatible_mode": "leave it out",
}
DEPRECATED_X = {
    "log_level": "leave it out",
    "preprocess_on": "leave it out and give data that is ready (newer versions drop it)",
    "set_node_data_type": "write model_parameters.node_info",
}
# train -> rt pairs of the RDK X3 manual's table; all else is refused.
TYPE_PAIRS = {
    "yuv444": ("nv12", "yuv444"),
    "rgb": ("nv12", "yuv444", "rgb", "bgr"),
    "bgr": ("nv12", "yuv444", "rgb", "bgr"),
    "gray": ("gray",),
    "featuremap": ("featuremap",),
}
SOURCES_OF_TYPE = {
    "nv12": ("pyramid", "resizer"),
    "gray": ("ddr", "pyramid", "resizer"),
    "rgb": ("ddr",),
    "bgr": ("ddr",),
    "yuv444": ("ddr",),
    "featuremap": ("ddr",),
}
