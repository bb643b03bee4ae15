"""Mutations of good configs, by rule: what the tool refuses, and beside it the nearest thing that it takes.

Written from the vendors' pages and schemas, not from harness's tables: the two are held against each other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

M, I, C, P, O = ("model_parameters", "input_parameters", "calibration_parameters", "compiler_parameters", "custom_op")  # noqa: E741
Values = dict[str, dict[str, Any]]


class Gone:
    """Stands for a key that is taken out."""


GONE = Gone()

J6: Values = {
    M: {"onnx_model": "net.onnx", "march": "nash-p", "working_dir": "./out", "output_model_file_prefix": "net"},
    I: {
        "input_name": "image",
        "input_type_rt": "nv12",
        "input_type_train": "bgr",
        "input_layout_train": "NCHW",
        "input_shape": "1x3x224x224",
        "mean_value": "123.675,116.28,103.53",
        "std_value": "58.395,57.12,57.375",
    },
    C: {"cal_data_dir": "./cal", "calibration_type": "kl"},
    P: {"compile_mode": "latency", "optimize_level": "O2", "core_num": 1, "jobs": 16},
}
J6_MAP: Values = {
    M: J6[M],
    I: {
        "input_name": "feature",
        "input_type_rt": "featuremap",
        "input_type_train": "featuremap",
        "input_shape": "1x8x4",
    },
    C: J6[C],
    P: J6[P],
}
J6_TWO: Values = {
    M: J6[M],
    I: {
        "input_name": "image;aux",
        "input_type_rt": "nv12;featuremap",
        "input_type_train": "bgr;featuremap",
        "input_layout_train": "NCHW;NCHW",
        "input_shape": "1x3x224x224;1x128",
    },
    C: {"cal_data_dir": "./a;./b", "calibration_type": "max"},
    P: {**J6[P], "input_source": {"image": "pyramid", "aux": "ddr"}},
}
X5: Values = {
    M: {"onnx_model": "net.onnx", "march": "bayes-e", "working_dir": "./out", "output_model_file_prefix": "net"},
    I: {
        "input_name": "image",
        "input_type_rt": "nv12",
        "input_type_train": "rgb",
        "input_layout_train": "NCHW",
        "input_shape": "1x3x224x224",
        "norm_type": "data_mean_and_scale",
        "mean_value": "123.675 116.28 103.53",
        "scale_value": "0.0171 0.0175 0.0174",
    },
    C: {"cal_data_dir": "./cal", "cal_data_type": "float32", "calibration_type": "default"},
    P: {"compile_mode": "latency", "optimize_level": "O3", "core_num": 1, "input_source": {"image": "pyramid"}},
}
X5_MAP: Values = {
    M: X5[M],
    I: {
        "input_name": "feature",
        "input_type_rt": "featuremap",
        "input_type_train": "featuremap",
        "input_layout_rt": "NCHW",
        "input_layout_train": "NCHW",
        "input_shape": "1x8x4",
        "norm_type": "no_preprocess",
    },
    C: X5[C],
    P: {"compile_mode": "latency", "optimize_level": "O3"},
}
X5_TWO: Values = {
    M: X5[M],
    I: {
        "input_name": "image;aux",
        "input_type_rt": "nv12;featuremap",
        "input_type_train": "rgb;featuremap",
        "input_layout_rt": "NHWC;NCHW",
        "input_layout_train": "NCHW;NCHW",
        "input_shape": "1x3x224x224;1x128",
        "norm_type": "data_scale;no_preprocess",
        "scale_value": "0.0039;None",
    },
    C: {"cal_data_dir": "./a;./b", "cal_data_type": "float32;float32", "calibration_type": "kl"},
    P: {"compile_mode": "latency", "optimize_level": "O3"},
}
X3: Values = {**X5, M: {**X5[M], "march": "bernoulli2"}}
BASES = {"j6": J6, "j6-map": J6_MAP, "j6-two": J6_TWO, "x5": X5, "x5-map": X5_MAP, "x5-two": X5_TWO, "x3": X3}


@dataclass(frozen=True)
class Mutation:
    """One change of a base. `refused`: the tool refuses it; else it takes it, with a warning or without."""

    base: str
    change: Mapping[tuple[str, str], Any]  # (group, key) -> value; key "" is the group itself
    refused: bool

    @property
    def name(self) -> str:
        """Base, what is changed and to what."""
        parts = [f"{group}.{key}={'GONE' if value is GONE else value!r}" for (group, key), value in self.change.items()]
        return f"{self.base}: {', '.join(parts)} -> {'refused' if self.refused else 'taken'}"

    def config(self) -> Values:
        """The base with the change."""
        values: Any = copy.deepcopy(BASES[self.base])
        for (group, key), value in self.change.items():
            if not key:
                values.pop(group, None) if value is GONE else values.__setitem__(group, value)
            elif value is GONE:
                values[group].pop(key, None)
            else:
                values.setdefault(group, {})[key] = value
        return values


def pair(
    base: str, group: str, key: str, refused: Sequence[Any] = (), taken: Sequence[Any] = (), **more: Any
) -> Iterator[Mutation]:
    """Values of one key that the tool refuses and takes; `more` are other keys to set beside it, `group__key=value`."""
    beside = {tuple(name.split("__")): value for name, value in more.items()}
    for values, is_refused in ((refused, True), (taken, False)):
        for value in values:
            yield Mutation(base, {**beside, (group, key): value}, is_refused)  # type: ignore[dict-item]


def every() -> list[Mutation]:
    """All of them."""
    return [*both(), *j6(), *x_series()]


def both() -> Iterator[Mutation]:
    """What hb_mapper and hb_compile agree on."""
    for base in ("j6", "x5"):
        yield from pair(
            base, M, "onnx_model", ["net.pt", "net.hbm", "net.onnx.bak", "", GONE, None], ["./a b/net.onnx"]
        )
        yield from pair(base, M, "march", ["", GONE, None, "bayes_e", "nash", "NASH-E", "x5", "j6e", 5, "bayes-f"])
        yield from pair(
            base,
            M,
            "remove_node_type",
            ["Conv", "Quantize,Dequantize", "quantize", "Relu;Cast"],
            ["Quantize", "Quantize;Transpose;Dequantize;Cast;Reshape;Softmax", "Quantize; Dequantize;", ""],
        )
        yield from pair(
            base,
            M,
            "node_info",
            [
                "Conv_0",
                "a:int16:b",
                "a:int16;:int8",
                "a:",
                ["a"],
                {"a": "int16"},
                {"a": {"Type": "int8"}},
                {"a": {"ON": "cpu"}},
                {"a": {"ON": "GPU"}},
                {"a": {True: "CPU"}},
                {"a": {"InputTypeX": "int8"}},
                {"a": {"OutputType": "float32"}},
                {"a": {"InputType0": "int4"}},
            ],
            [
                "a:int16",
                "a:int8;b:int16",
                {"a": {"ON": "BPU", "InputType0": "int16", "OutputType": "int8"}},
                {"a": {"ON": "CPU"}},
                {"a": {"InputType": "int16"}},
                {"a": {"InputType12": "int8"}},
            ],
        )
        yield from pair(base, M, "debug_mode", ["dump", "dump_data"], ["dump_calibration_data", ""])
        yield from pair(base, M, "layer_out_dump", ["true", "yes", 2, "False", None, []], [True, False])
        yield from pair(base, M, "no_such_key", [1, "a", {}])
        yield from pair(base, I, "core_num", [1])
        yield from pair(base, M, "calibration_type", ["kl"])
        yield from pair(
            base,
            I,
            "input_type_rt",
            ["", GONE, None, "nv21", "NV12", "rgbp", ["nv12"], {}, "nv12;nv12", "yuv_bt601_full", "gray", "featuremap"],
            ["nv12"],
        )
        yield from pair(
            base,
            I,
            "input_type_train",
            ["", GONE, None, "RGB", "nv12", "yuv", ["rgb"], "featuremap", "gray", "rgb;rgb"],
            ["rgb", "bgr", "yuv444"],
        )
        yield from pair(base, I, "input_layout_train", ["", GONE, None, "nchw", "NCWH", "CHW", "NCHW;NCHW", ["NCHW"]])
        yield from pair(base, I, "input_layout_train", ["NHWC"], ["NCHW"])
        yield from pair(base, I, "input_layout_train", [], ["NHWC"], **{f"{I}__input_shape": "1x224x224x3"})
        yield from pair(
            base,
            I,
            "input_space_and_range",
            ["full", "bt601", "regular;regular", "BT601_video"],
            ["regular", "bt601_video", ""],
        )
        for kind in ("rgb", "bgr", "yuv444"):
            beside = {f"{I}__input_type_rt": kind, f"{I}__input_type_train": kind, f"{I}__input_layout_rt": "NHWC"}
            beside |= {f"{P}__input_source": {"image": "ddr"}}
            yield from pair(base, I, "input_space_and_range", ["bt601_video"], ["regular"], **beside)
            yield from pair(
                base,
                I,
                "input_shape",
                ["1x4x224x224", "1x1x224x224", "3x224x224"],
                ["1x3x225x224", "1x3x224x224"],
                **beside,
            )
        gray = {f"{I}__input_type_rt": "gray", f"{I}__input_type_train": "gray", f"{I}__input_layout_rt": "NCHW"}
        gray |= {f"{I}__mean_value": GONE, f"{I}__scale_value": GONE, f"{I}__std_value": GONE, f"{I}__norm_type": GONE}
        yield from pair(base, I, "input_shape", ["1x3x28x28", "1x28x28x1"], ["1x1x28x28", "1x1x27x27"], **gray)
        yield from pair(
            base,
            I,
            "input_shape",
            [
                "1,3,224,224",
                "1x3x224",
                "3x224x224",
                "1x3x225x224",
                "1x3x224x225",
                "1x224x224x3",
                "1x4x224x224",
                "1x3xHxW",
                "1*3*224*224",
                "[1,3,224,224]",
                "1x3x224x224;1x3x224x224",
                ["1x3x224x224"],
                "1x3x224x",
            ],
            ["1X3X224X224", "1x3x224x226", "1x3x640x480", "1x3x224x224;"],
        )
        yield from pair(base, I, "input_batch", ["0", "-1", "a", "8;8", 0, 1.5, [8], "1x"], [1, 8, "8", "128"])
        yield from pair(base, I, "input_batch", [8, 1], [], **{f"{I}__input_shape": "8x3x224x224"})
        yield from pair(
            base,
            I,
            "mean_value",
            ["a b c", "1 2", "1;2;3", "1,2,3,4", ["1", "2", "3"], {}],
            ["1 2 3", "1,2,3", "128", 128, 128.5, "1, 2, 3"],
        )
        yield from pair(
            base,
            C,
            "calibration_type",
            ["histogram", "KL", "entropy", "kl;kl", ["kl"], 1, "percentile"],
            ["kl", "max", "skip", "mix", "default"],
        )
        yield from pair(base, C, "cal_data_dir", ["", None, ["./cal"], "./a;./b", {}], ["./cal", "./cal;", "/abs/cal"])
        yield from pair(
            base,
            C,
            "max_percentile",
            [1.5, -0.1, "a", [0.9], {}, 2],
            [0.9999, 0.5, 1.0, 0.4, 1],
            **{f"{C}__calibration_type": "max"},
        )
        yield from pair(base, C, "per_channel", ["true", "yes", 2, None, "True", []], [True, False])
        yield from pair(
            base,
            C,
            "optimization",
            ["set_output_int8", "fast", "run-fast", ["run_fast"]],
            ["set_model_output_int8", "set_model_output_int16", "run_fast", "set_all_nodes_int16"],
        )
        yield from pair(
            base, P, "compile_mode", ["speed", "Latency", "", None, ["latency"], 0], ["latency", "bandwidth"]
        )
        yield from pair(base, P, "compile_mode", ["balance"], [], **{f"{P}__balance_factor": GONE})
        yield from pair(
            base,
            P,
            "balance_factor",
            [-1, 101, 50.5, "a", "50", None, [50]],
            [0, 1, 50, 100],
            **{f"{P}__compile_mode": "balance"},
        )
        yield from pair(base, P, "balance_factor", [], [0, 50])
        yield from pair(base, P, "optimize_level", ["O4", "o2", "2", 2, "", None, "Os", ["O2"]], ["O0", "O1", "O2"])
        yield from pair(base, P, "core_num", [0, -1, 1.5, "1", "two", None, [1], 5, {}], [1])
        yield from pair(
            base, P, "max_time_per_fc", [1, 999, -1, "1000", 1000.5, None, 1e12, "a", [0]], [0, 1000, 1001, 10000000]
        )
        yield from pair(base, P, "jobs", ["8", 8.5, None, "many", [8], {}], [0, 1, 8, 64, 2048])
        yield from pair(base, P, "debug", ["true", "False", 2, None, "on "], [True, False])
        yield from pair(
            base,
            P,
            "input_source",
            ["ddr", ["ddr"], {"image": "ddr"}, {"image": "camera"}, {"image": None}, ""],
            [{"image": "pyramid"}, {}],
        )
        yield from pair(base, P, "advice", ["a", -1, [1]], [0, 1, 5])
        yield from pair(base, P, "no_such_key", [1])
        yield from pair(
            base,
            O,
            "",
            [
                None,
                [],
                "text",
                {"custom_op_method": "load", "op_register_files": "a.py"},
                {"op_register_files": "a.py"},
                {"custom_op_method": "register", "op_register_files": "a.so"},
                {"custom_op_method": "register", "file": "a.py"},
            ],
            [{"custom_op_method": "register", "op_register_files": "a.py;b.py", "custom_op_dir": "ops"}, {}],
        )
        yield from pair(base, "extra_parameters", "", [{"a": 1}])
        for group in (M, I):
            yield Mutation(base, {(group, ""): GONE}, True)
        for group in (M, I, C, P):
            yield Mutation(base, {(group, ""): None}, True)
            yield Mutation(base, {(group, ""): "text"}, True)
    for base in ("j6-two", "x5-two"):
        yield from pair(
            base,
            I,
            "input_name",
            ["image;image", "image", "image;", "image;;aux", GONE, ["image", "aux"][:1]],
            ["image;aux", "image; aux;"],
        )
        for key in ("input_type_rt", "input_type_train", "input_layout_train", "input_shape"):
            first = BASES[base][I][key].split(";")[0]
            yield from pair(base, I, key, [first, f"{first};{first};{first}"])
        yield from pair(base, C, "cal_data_dir", ["./a", "./a;./b;./c"], ["./a;./b"])
        yield from pair(
            base,
            P,
            "input_source",
            [{"image": "ddr"}, {"aux": "pyramid"}, {"aux": "resizer"}],
            [{"image": "pyramid", "aux": "ddr"}, {"image": "pyramid"}],
        )


def j6() -> Iterator[Mutation]:
    """What hb_compile alone has, or judges in its own way."""
    marches = ("nash-b-lite", "nash-b", "nash-b-plus", "nash-e", "nash-m", "nash-h", "nash-p", "nash-starry-p")
    yield from pair("j6", M, "march", ["bayes-e", "bernoulli2"], marches)
    for march in marches:
        many = march in ("nash-h", "nash-p", "nash-starry-p")
        beside = {f"{M}__march": march}
        yield from pair("j6", P, "core_num", [5] if many else [2, 4], [1, 2, 4] if many else [1], **beside)
        size = 1_048_576
        yield from pair("j6", P, "max_l2m_size", [-1] if many else [size], [0, size] if many else [0], **beside)
    yield from pair("j6", P, "max_l2m_size", [25_165_825, "big", 1.5, [0], {}], [25_165_824, "none", "None", None, 0])
    yield from pair("j6", M, "output_model_file_prefix", ["", ["a"], {}], [GONE, "a", "a b"])
    yield from pair("j6", M, "caffe_model", ["a.caffemodel"])
    caffe = {f"{M}__onnx_model": GONE}
    yield from pair(
        "j6", M, "caffe_model", ["a.caffe", "", GONE], ["a.caffemodel"], **caffe, **{f"{M}__prototxt": "a.prototxt"}
    )
    yield from pair(
        "j6", M, "prototxt", ["a.txt", "", GONE], ["a.prototxt"], **caffe, **{f"{M}__caffe_model": "a.caffemodel"}
    )
    for key in ("enable_vpu", "enable_spu"):
        yield from pair("j6", M, key, ["true", 1, 0, "no", None, []], [True, False])
    yield from pair("j6", M, "log_level", ["debug"], [1])
    yield from pair("j6", M, "remove_node_type", ["DequantizeFilter"])
    for key in ("norm_type", "input_layout_rt"):
        yield from pair("j6", I, key, [], ["data_mean", "NHWC", "whatever"])
    yield from pair("j6", I, "separate_batch", ["true", "yes"], [True, False])
    yield from pair("j6", I, "separate_name", ["other", "image;other"], ["image"])
    yield from pair("j6", I, "separate_name", ["image"], [], **{f"{I}__separate_batch": True})
    yield from pair("j6", I, "scale_value", ["0.017"], [])
    no_std = {f"{I}__std_value": GONE}
    yield from pair(
        "j6", I, "scale_value", ["a", "1 2", "0.1;0.1", ["0.1"]], ["0.017", "0.1,0.1,0.1", 0.0039], **no_std
    )
    yield from pair(
        "j6",
        I,
        "std_value",
        ["0 57 57", "a b c", "58 57", "58;57;57", ["58"], "0"],
        ["58 57 57", "58,57,57", "57.1", 57],
    )
    for key in ("mean_value", "scale_value", "std_value"):
        yield from pair("j6-map", I, key, ["1", "1 2 3", 0.5, "0"], ["None", ""])
        yield from pair("j6-two", I, key, ["1;1", "1"], ["1 2 3;None", "50;None"])
    yield from pair("j6-map", I, "input_shape", [], ["1x3x225x225", "8", "1x1x1x1x1", "1x2x3"])
    yield from pair("j6-map", I, "input_layout_train", ["NCHWD"], ["NCHW", GONE])
    yield from pair("j6-two", I, "input_batch", ["8;8"], ["8", 8])
    yield from pair(
        "j6",
        I,
        "input_type_rt",
        ["yuv_bt601_video"],
        ["rgb", "bgr", "yuv444", "yuv444_128"],
        **{f"{P}__input_source": {}},
    )
    yield from pair("j6", I, "input_type_train", ["nv12", "yuv444_128"], [])
    yield from pair("j6", C, "", [], [GONE])
    yield from pair("j6", P, "", [], [GONE, {}])
    yield from pair(
        "j6", C, "cal_data_dir", [], [GONE], **{f"{C}__optimization": "run_fast", f"{C}__calibration_type": GONE}
    )
    yield from pair("j6", C, "cal_data_dir", [], [GONE])
    yield from pair("j6", C, "calibration_type", ["load"], ["", GONE])
    yield from pair("j6", C, "any_other_key", [], [1, "a", [1], {"a": 1}])
    yield from pair("j6", C, "cal_data_type", ["int8", "float"], ["float32", "uint8"])
    yield from pair("j6", C, "preprocess_on", [], [True, False])
    yield from pair("j6", C, "max_percentile", ["0.9"], [None], **{f"{C}__calibration_type": "max"})
    yield from pair("j6", P, "optimize_level", ["O3"], [GONE])
    yield from pair("j6", P, "max_time_per_fc", [10_000_001], [10_000_000])
    yield from pair("j6", P, "cache_mode", ["on", "Enable", "", "readonly", True], ["disable"])
    yield from pair("j6", P, "cache_mode", ["enable", "force_overwrite"], [])
    yield from pair(
        "j6", P, "cache_mode", [], ["enable", "force_overwrite", "disable"], **{f"{P}__cache_path": "./cache"}
    )
    yield from pair("j6", P, "extra_params", ["text", ["a"], 1], [{"a": 1}, {}])
    yield from pair("j6", P, "jobs", [-1], [])
    yield from pair("j6", P, "advice", [], [0.5])
    yield from pair("j6", P, "input_source", [], [{"image": "resizer"}], **{f"{I}__input_shape": "1x3x1080x1920"})
    yield from quant_configs()


def quant_configs() -> Iterator[Mutation]:
    """quant_config, written into the yaml."""
    types = ("int4", "int8", "int16", "float16", "float32", "mxint16", "mxint8", "mxfp8", "mxfp4", "mxint4", "nvfp4")
    model = [{"all_node_type": one} for one in types]
    model += [{"activation": {"calibration_type": "max"}}, {"activation": {"calibration_type": ["max", "kl"]}}]
    model += [{"activation": {"per_channel": [True, False], "asymmetric": True}}, {"model_output_type": "int16"}]
    model += [{"activation": {"num_bin": [1024, 2048], "max_num_bin": 16384, "max_percentile": [0.99995, 1.0]}}]
    model += [{"weight": {"bias_correction": {"num_sample": 1, "metric": one}}} for one in ("mse", "cosine-similarity")]
    wrong = [{"all_node_type": one} for one in ("int32", "fp16", "INT8", "mxint3", "bf16", 8, None)]
    wrong += [{"activation": {"calibration_type": one}} for one in ("histogram", "KL", ["max", "entropy"], [])]
    wrong += [
        {"activation": {key: one}} for key in ("per_channel", "asymmetric") for one in ("yes", 1, "true", [True, 0])
    ]
    wrong += [{"activation": {"num_bin": 128}}, {"activation": {"max_num_bin": 257}}, {"activation": "kl"}]
    wrong += [{"activation": {"max_percentile": one}} for one in (0.4, 1.1, "0.9")]
    wrong += [{"activation": {"calib_type": "kl"}}, {"all_nodes_type": "int8"}, {"weight": "mse"}]
    wrong += [{"weight": {"bias_correction": {"num_sample": one}}} for one in (0, -1, 1.5, "1", True)]
    wrong += [{"weight": {"bias_correction": {"metric": one}}} for one in ("cosine", "MSE", 1)]
    wrong += [{"weight": {"bias_correction": {"metrics": "mse"}}}, {"weight": {"bias_correction": "mse"}}]
    yield from pair(
        "j6", C, "quant_config", [{"model_config": one} for one in wrong], [{"model_config": one} for one in model]
    )
    yield from pair(
        "j6",
        C,
        "quant_config",
        [
            ["a"],
            {"nodes": {}},
            {"op_config": {"Conv": "int16"}},
            {"op_config": {"Conv": {"type": "int16"}}},
            {"model_config": []},
            {"node_config": {"Conv_1": {"input": "int16"}}},
            {"node_config": {"Conv_1": {"qtype": "int17"}}},
            {"op_config": {"Softmax": {"qtype": "dual-int16"}}},
            {"op_config": {"Add": {"qtype": "int16-ec"}}},
            {"node_config": {"a": {"qtype": "ec16"}}},
            {"subgraph_config": {"s": {"qtype": "int3", "inputs": ["a"], "outputs": ["b"]}}},
        ],
        [
            {},
            None,
            "quant.json",
            {"op_config": {"Conv": {"qtype": "dual-int16"}}},
            {"node_config": {"MatMul_2": {"input0": "ec"}}},
            {"op_config": {"Softmax": {"qtype": "int16"}}},
            {"node_config": {"Add_1": {"input0": "int16", "input1": "int16"}}},
            {"subgraph_config": {"s": {"qtype": "int16", "inputs": ["a"], "outputs": ["b"]}}},
        ],
    )


def x_series() -> Iterator[Mutation]:
    """What hb_mapper alone has, or judges in its own way."""
    yield from pair("x5", M, "march", ["nash-e"], ["bayes-e", "bayes", "bernoulli2"])
    yield from pair("x5", M, "output_model_file_prefix", [5, None, ["a"]], [GONE, "", "a"])
    yield from pair("x5", M, "working_dir", [5, None, True], [GONE, "./out"])
    yield from pair("x5", M, "caffe_model", [], ["a.caffemodel"])
    caffe = {f"{M}__onnx_model": GONE}
    yield from pair(
        "x5", M, "caffe_model", ["a.onnx", "", GONE], ["a.caffemodel"], **caffe, **{f"{M}__prototxt": "a.prototxt"}
    )
    yield from pair(
        "x5", M, "prototxt", ["a.txt", "", GONE], ["a.prototxt"], **caffe, **{f"{M}__caffe_model": "a.caffemodel"}
    )
    yield from pair("x5", M, "remove_node_type", [], ["DequantizeFilter"])
    yield from pair("x5", M, "node_info", [], [{}, {"a": {}}])
    yield from pair("x5", M, "set_node_data_type", ["Conv_0", "a:int4"], ["Conv_0:int16"])
    yield from pair("x5", M, "log_level", [1], ["debug"])
    yield from pair("x5", M, "enable_vpu", [True])
    yield from pair("x5", I, "std_value", ["1 2 3"])
    yield from pair(
        "x5",
        I,
        "norm_type",
        ["mean", "data_std", None, "no_preprocess;no_preprocess"],
        [GONE, "no_preprocess", "data_scale"],
    )
    yield from pair("x5", I, "mean_value", [GONE, "", "None"], [])
    yield from pair("x5", I, "scale_value", [GONE, "", "a"], ["0.01"])
    yield from pair(
        "x5-map",
        I,
        "norm_type",
        ["data_mean", "data_scale", "data_mean_and_scale"],
        ["no_preprocess", GONE],
        **{f"{I}__mean_value": "1", f"{I}__scale_value": "1"},
    )
    yield from pair("x5", I, "input_batch", [4097], [4096])
    yield from pair("x3", I, "input_batch", [129], [128])
    yield from pair("x5-map", I, "input_layout_train", ["", GONE], ["NHWC"])
    yield from pair(
        "x5", I, "input_space_and_range", ["bt601_video"], ["regular"], **{f"{I}__input_type_train": "yuv444"}
    )
    for march, refused in (("x3", ["NCHW"]), ("x5", [])):
        kinds = {f"{I}__input_type_rt": "yuv444", f"{P}__input_source": {}}
        yield from pair(
            march,
            I,
            "input_layout_rt",
            [*refused, "nhwc", "NHWC;NHWC"],
            ["NHWC", *(["NCHW"] if march == "x5" else [])],
            **kinds,
        )
    yield from pair("x5", C, "", [GONE, {}], [])
    yield from pair("x5", P, "", [], [GONE, {}])
    yield from pair("x5", C, "cal_data_dir", [GONE], [])
    yield from pair("x5", C, "cal_data_dir", [], [GONE], **{f"{C}__calibration_type": "skip"})
    yield from pair(
        "x5",
        C,
        "cal_data_type",
        ["float", "f32", "float32;uint8", ["float32"], 32],
        ["uint8", "int8", "int16", "int32", GONE],
    )
    yield from pair("x5", C, "max_percentile", [], ["0.9"], **{f"{C}__calibration_type": "max"})
    yield from pair("x5", C, "calibration_type", ["", None], ["load", GONE])
    yield from pair("x5", C, "quant_config", [{}, "a.json"])
    yield from pair("x5", C, "no_such_key", [1])
    yield from pair("x5", C, "preprocess_on", ["true", 1], [True, False])
    yield from pair("x5", P, "optimize_level", [], ["O3", GONE])
    yield from pair("x5", P, "core_num", [2, 3], [1])
    yield from pair("x3", P, "core_num", [3], [1, 2])
    yield from pair("x5", P, "max_time_per_fc", [4_294_967_296], [4_294_967_295])
    yield from pair("x5", P, "advice", [0.5], [])
    yield from pair("x5", P, "max_l2m_size", [0])
    yield from pair("x5", P, "cache_mode", ["disable"])
    yield from pair("x5", P, "input_source", [{"other": "pyramid"}], [])
    yield from pair("x5", P, "input_source", [{"image": "resizer"}], [])
    yield from pair("x5", P, "input_source", [], [{"image": "resizer"}], **{f"{I}__input_shape": "1x3x128x128"})
    yield from pair("x3", C, "optimization", ["set_model_output_int16"], ["set_model_output_int8"])
    yield from pair("x3", M, "node_info", ["a:int16", {"a": {"ON": "CPU"}}])
