"""For every rule of `harness lint`: one config that breaks it and a near one that does not."""

from __future__ import annotations

X5 = """\
model_parameters:
  onnx_model: net.onnx
  march: bayes-e
  output_model_file_prefix: net
  working_dir: out
input_parameters:
  input_name: image
  input_type_train: rgb
  input_type_rt: nv12
  input_layout_train: NCHW
  norm_type: data_mean_and_scale
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712 0.01751 0.01743
  input_shape: 1x3x224x224
calibration_parameters:
  cal_data_dir: ./calibration_data
  cal_data_type: float32
  calibration_type: default
compiler_parameters:
  compile_mode: latency
  optimize_level: O3
  core_num: 1
"""
X3 = X5.replace("bayes-e", "bernoulli2")
FEATURE = (
    X5.replace("input_type_train: rgb", "input_type_train: featuremap")
    .replace("input_type_rt: nv12", "input_type_rt: featuremap")
    .replace("  norm_type: data_mean_and_scale", "  input_layout_rt: NCHW\n  norm_type: no_preprocess")
    .replace("  mean_value: 123.675 116.28 103.53\n  scale_value: 0.01712 0.01751 0.01743\n", "")
)
J6 = """\
model_parameters:
  onnx_model: net.onnx
  march: nash-e
  output_model_file_prefix: net
input_parameters:
  input_name: image
  input_type_train: rgb
  input_type_rt: nv12
  input_layout_train: NCHW
  mean_value: 123.675 116.28 103.53
  std_value: 58.4 57.1 57.4
  input_shape: 1x3x224x224
calibration_parameters:
  cal_data_dir: ./calibration_data
  calibration_type: kl
compiler_parameters:
  compile_mode: latency
  optimize_level: O2
"""


def swap(base: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in base, old
        base = base.replace(old, new)
    return base


def model(base: str, more: str) -> str:
    """`more` lines put into model_parameters."""
    return base.replace("model_parameters:\n", f"model_parameters:\n{more}\n", 1)


def node(text: str, base: str = X5) -> str:
    """A node_info with one node, `text` in flow style."""
    return model(base, f"  node_info:\n    {text}")


def calibration(more: str, base: str = X5) -> str:
    return base.replace("calibration_parameters:\n", f"calibration_parameters:\n{more}\n", 1)


def compiler(more: str, base: str = X5) -> str:
    return base + more + "\n"


def quant(text: str) -> str:
    return calibration(f"  quant_config: {text}", J6)


KL = ("calibration_type: default", "calibration_type: kl")
TWO_INPUTS = swap(
    FEATURE,
    ("input_name: image", "input_name: a;b"),
    ("input_type_train: featuremap", "input_type_train: featuremap;featuremap"),
    ("input_type_rt: featuremap", "input_type_rt: featuremap;featuremap"),
    ("layout_train: NCHW", "layout_train: NCHW;NCHW"),
    ("layout_rt: NCHW", "layout_rt: NCHW;NCHW"),
    ("no_preprocess", "no_preprocess;no_preprocess"),
    ("1x3x224x224", "1x3x224x224;1x16"),
    ("./calibration_data", "./a;./b"),
    ("float32", "float32;float32"),
)

NETWORK, OPEN = ("net.onnx", "FOLDER/net.onnx"), ("net.onnx", "FOLDER/open.onnx")
CUSTOM_OP = "custom_op:\n  custom_op_method: register\n  op_register_files: a.py\n"
TEMPLATE = swap(
    X5,
    ("net.onnx", "''"),
    ("input_name: image", "input_name: ''"),
    ("1x3x224x224", "''"),
    ("./calibration_data", "''"),
)

# rule -> (breaks it, does not). FOLDER stands for a calibration folder that the test fills (see test_lint_rules.py).
EXAMPLES: dict[str, tuple[str, str]] = {
    "H-101": (X5 + "node_info:\n  /a/Conv: {'ON': 'CPU'}\n", node("/a/Conv: {'ON': 'CPU'}")),
    "H-102": (model(X5, "  optimize_level: O3"), compiler("  debug: True")),
    "H-103": (X5.split("input_parameters")[0] + "calibration" + X5.split("calibration", 1)[1], X5),
    "H-104": (swap(X5, ("default", "entropy")), swap(X5, ("default", "mix"))),
    "H-105": (compiler("  max_time_per_fc: 5"), compiler("  max_time_per_fc: 0")),
    "H-106": (swap(X5, ("  input_type_train: rgb\n", "")), X5),
    "H-107": (swap(X5, ("bayes-e", "bayes_e")), swap(X5, ("bayes-e", "bayes"))),
    "H-108": (model(X5, "  log_level: debug"), X5),
    "H-109": (compiler("  optimize_level: O2"), X5),
    "H-110": (model(J6, "  caffe_model: a.caffemodel\n  prototxt: a.prototxt"), J6),
    "H-111": (swap(X5, ("  output_model_file_prefix: net\n", "")), X5),
    "H-112": ("# hb_mapper --config x.yaml\n" + X5, "# hb_mapper makertbin --config x.yaml --model-type onnx\n" + X5),
    "H-113": (model(X5, "  layer_out_dump: True"), model(X5, "  layer_out_dump: False")),
    "H-114": (swap(X5, ("net.onnx", "elsewhere.onnx")), swap(X5, NETWORK, ("./calibration_data", "FOLDER/good"))),
    "H-115": (swap(X5, ("net.onnx", "net.pt")), X5),
    "H-116": (X5 + "custom_op:\n  op_register_files: a.py\n", X5 + CUSTOM_OP),
    "H-117": (TEMPLATE, X5),
    "H-201": (node("/a/Conv: {'ON': 'CPU'}", X3), node("/a/Conv: {'ON': 'CPU'}")),
    "H-202": (node("/a/Conv: {'ON': 'CPU', 'Type': 'int16'}"), node("/a/Relu: {'InputType0': 'int16'}")),
    "H-203": (node("/a/Conv: {ON: 'CPU'}"), node("/a/Conv: {'ON': 'CPU'}")),
    "H-204": (node("/a/Relu: {'InputType': 'float32'}"), node("/a/Relu: {'InputType': 'int16'}")),
    "H-205": (node("/a/Conv: {'ON': 'GPU'}"), node("/a/Conv: {'ON': 'BPU'}")),
    "H-206": (
        node("/a/Relu: {'ON': 'CPU', 'OutputType': 'int8'}"),
        node("/a/Relu: {'ON': 'BPU', 'OutputType': 'int8'}"),
    ),
    "H-207": (node("/a/MatMul: {'InputType': 'int16'}"), node("/a/Sigmoid: {'InputType': 'int16'}")),
    "H-208": (model(X3, "  set_node_data_type: Conv_1:int16"), model(X3, "  set_node_data_type: Conv_1:int8")),
    "H-209": (node("/a/ScatterND: {'ON': 'BPU'}"), node("/a/Softmax: {'ON': 'BPU'}")),
    "H-210": (calibration("  run_on_bpu: /a/Conv"), calibration("  run_on_bpu: /a/Softmax")),
    "H-211": (
        calibration("  run_on_cpu: /a/Conv", node("/a/Conv: {'ON': 'CPU'}")),
        calibration("  run_on_cpu: /b/Conv", node("/a/Conv: {'ON': 'CPU'}")),
    ),
    "H-212": (
        calibration("  run_on_cpu: /a/Softmax\n  run_on_bpu: /a/Softmax"),
        calibration("  run_on_cpu: /a/Conv\n  run_on_bpu: /a/Softmax"),
    ),
    "H-213": (calibration("  run_on_bpu: /a/Relu"), calibration("  run_on_bpu: /a/MaxPool")),
    "H-214": (model(X5, "  node_info: Conv_0"), model(X5, "  node_info: Conv_0:int8")),
    "H-301": (swap(X5, ("input_type_rt: nv12", "input_type_rt: gray")), X5),
    "H-302": (
        swap(X5, ("  input_layout_train", "  input_layout_rt: NHWC\n  input_layout_train")),
        swap(X5, ("nv12", "rgb\n  input_layout_rt: NHWC")),
    ),
    "H-303": (
        swap(X3, ("nv12", "yuv444\n  input_layout_rt: NCHW")),
        swap(X5, ("nv12", "yuv444\n  input_layout_rt: NCHW")),
    ),
    "H-304": (
        swap(X5, ("nv12", "rgb\n  input_space_and_range: bt601_video")),
        swap(X5, ("nv12", "nv12\n  input_space_and_range: bt601_video")),
    ),
    "H-305": (swap(FEATURE, ("no_preprocess", "data_mean")), FEATURE),
    "H-306": (swap(X5, ("  mean_value: 123.675 116.28 103.53\n", "")), X5),
    "H-307": (swap(X5, ("data_mean_and_scale", "data_mean")), X5),
    "H-308": (swap(X5, ("0.01712 0.01751 0.01743", "58.4 57.1 57.4")), X5),
    "H-309": (swap(X5, ("123.675 116.28 103.53", "0.485 0.456 0.406")), swap(X5, ("123.675 116.28 103.53", "128"))),
    "H-310": (swap(X5, ("1x3x224x224", "'1,3,224,224'")), X5),
    "H-311": (swap(X5, ("1x3x224x224", "1x3x225x224")), swap(X5, ("1x3x224x224", "1x3x226x224"))),
    "H-312": (swap(X5, ("input_type_train: rgb", "input_type_train: rgb;gray")), TWO_INPUTS),
    "H-313": (
        swap(X5, ("input_name: image", "input_name: image\n  input_batch: 5000")),
        swap(X5, ("input_name: image", "input_name: image\n  input_batch: 8")),
    ),
    "H-314": (swap(X5, ("0.01712 0.01751 0.01743", "0.01 0.01")), swap(X5, ("0.01712 0.01751 0.01743", "0.01"))),
    "H-315": (swap(X5, ("1x3x224x224", "3x224x224")), swap(FEATURE, ("1x3x224x224", "3x224x224"))),
    "H-316": (swap(X5, ("1x3x224x224", "1x224x224x3")), swap(X5, ("1x3x224x224", "1x224x224x3"), ("NCHW", "NHWC"))),
    "H-317": (swap(TWO_INPUTS, ("a;b", "a;a")), TWO_INPUTS),
    "H-318": (
        swap(J6, ("input_name: image", "input_name: image\n  separate_name: other")),
        swap(J6, ("input_name: image", "input_name: image\n  separate_name: image")),
    ),
    "H-319": (swap(FEATURE, ("  input_layout_rt: NCHW\n", "")), FEATURE),
    "H-401": (
        swap(calibration("  max_percentile: 0.999"), KL),
        swap(calibration("  max_percentile: 0.999"), ("default", "max")),
    ),
    "H-402": (calibration("  per_channel: True"), swap(calibration("  per_channel: True"), KL)),
    "H-403": (swap(X5, ("  cal_data_dir: ./calibration_data\n", "")), swap(X5, ("default", "kl"))),
    "H-404": (swap(X5, ("default", "load")), X5),
    "H-405": (
        swap(X5, ("./calibration_data", "./data_f32"), ("float32", "uint8")),
        swap(X5, ("./calibration_data", "./data_f32")),
    ),
    "H-406": (
        swap(FEATURE, ("  cal_data_type: float32\n", "")),
        swap(FEATURE, ("  cal_data_type: float32\n", ""), ("calibration_data", "calibration_data_f32")),
    ),
    "H-407": (
        calibration("  optimization: set_softmax_input_int8"),
        calibration("  optimization: set_Softmax_input_int8,set_Softmax_output_int8"),
    ),
    "H-408": (
        calibration("  optimization: set_model_output_int16", X3),
        calibration("  optimization: set_model_output_int16"),
    ),
    "H-409": (swap(X5, ("./calibration_data", "FOLDER/short")), swap(X5, ("./calibration_data", "FOLDER/good"))),
    "H-410": (swap(X5, ("./calibration_data", "FOLDER/few")), swap(X5, ("./calibration_data", "FOLDER/good"))),
    "H-411": (
        swap(X5, ("./calibration_data", "FOLDER/constant")),
        swap(X5, ("./calibration_data", "FOLDER/good")),
    ),
    "H-412": (
        swap(calibration("  max_percentile: 0.1"), ("default", "max")),
        swap(calibration("  max_percentile: 0.9"), ("default", "max")),
    ),
    "H-501": (swap(X5, ("optimize_level: O3", "optimize_level: O1")), J6),
    "H-502": (swap(X5, ("core_num: 1", "core_num: 2")), swap(X3, ("core_num: 1", "core_num: 2"))),
    "H-503": (compiler("  input_source: {image: ddr}"), compiler("  input_source: {image: pyramid}")),
    "H-504": (
        compiler("  input_source: {image: resizer}"),
        swap(compiler("  input_source: {image: resizer}"), ("224x224", "128x128")),
    ),
    "H-505": (
        compiler("  balance_factor: 50"),
        swap(compiler("  balance_factor: 50"), ("compile_mode: latency", "compile_mode: balance")),
    ),
    "H-506": (
        swap(X5, ("compile_mode: latency", "compile_mode: balance")),
        swap(X5, ("compile_mode: latency", "compile_mode: balance\n  balance_factor: 50")),
    ),
    "H-601": (calibration("  cal_data_type: float32", J6), J6),
    "H-602": (
        swap(J6, ("std_value: 58.4 57.1 57.4", "std_value: 58.4 57.1 57.4\n  scale_value: 0.017")),
        swap(J6, ("std_value: 58.4 57.1 57.4", "scale_value: 0.017")),
    ),
    "H-603": (swap(J6, ("  cal_data_dir: ./calibration_data\n", "")), J6),
    "H-604": (swap(J6, ("calibration_type: kl", "calibration_type: mix")), J6),
    "H-605": (
        compiler("  max_l2m_size: 1000", J6),
        swap(compiler("  max_l2m_size: 1000", J6), ("nash-e", "nash-p")),
    ),
    "H-606": (compiler("  cache_mode: enable", J6), compiler("  cache_mode: enable\n  cache_path: ./cache", J6)),
    "H-607": (
        compiler("  cache_path: ./cache", J6),
        compiler("  cache_path: ./cache\n  cache_mode: enable", J6),
    ),
    "H-701": (quant("[int16]"), quant("{model_config: {all_node_type: int16}}")),
    "H-702": (quant("{layer_config: {}}"), quant("{op_config: {Conv: {qtype: int16}}}")),
    "H-703": (quant("{model_config: {all_node_type: int32}}"), quant("{model_config: {all_node_type: float16}}")),
    "H-704": (quant("{op_config: {Softmax: {qtype: int16-ec}}}"), quant("{op_config: {MatMul: {qtype: int16-ec}}}")),
    "H-705": (
        quant("{node_config: {Conv_1: {input0: ec}}}"),
        quant("{node_config: {Conv_1: {input1: ec}, Resize_2: {input0: ec}}}"),
    ),
    "H-706": (
        quant("{node_config: {MatMul_2: {input0: int16, input1: int16}}}"),
        quant("{node_config: {MatMul_2: {input0: int16, input1: int8}}}"),
    ),
    "H-707": (quant("{node_config: {Conv_1: {'ON': int16}}}"), quant("{node_config: {Conv_1: {qtype: int16}}}")),
    "H-708": (quant("{model_config: {model_output_type: int8}}"), quant("{model_config: {all_node_type: int8}}")),
    "H-709": (
        quant("{model_config: {activation: {per_channel: 'yes'}}}"),
        quant("{model_config: {activation: {per_channel: [true, false]}}}"),
    ),
    "H-801": (swap(X5, NETWORK, ("name: image", "name: picture")), swap(X5, NETWORK)),
    "H-802": (swap(X5, NETWORK, ("1x3x224x224", "1x3x256x256")), swap(X5, NETWORK)),
    "H-803": (swap(X5, OPEN, ("  input_shape: 1x3x224x224\n", "")), swap(X5, OPEN)),
    "H-804": (swap(node("/a/Cnov: {'ON': 'CPU'}"), NETWORK), swap(node("/a/Conv: {'ON': 'CPU'}"), NETWORK)),
    "H-805": (swap(X5, ("net.onnx", "FOLDER/broken.onnx")), swap(X5, NETWORK)),
    "H-806": (swap(X5, NETWORK), swap(X5, ("net.onnx", "FOLDER/plain.onnx"))),
    "H-807": (swap(node("/a/ScatterND: {'ON': 'BPU'}"), NETWORK), swap(node("/a/Conv: {'ON': 'BPU'}"), NETWORK)),
}
