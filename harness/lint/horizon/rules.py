"""The rules of `harness lint`: stable ids, severities, titles and sources. The checks are in the `lint_*` files.

H-1xx schema, H-2xx placement and node types, H-3xx inputs, H-4xx calibration, H-5xx compiler, H-6xx J6/S100 only,
H-7xx quant_config. X3/J5/X5 is hb_mapper, J6/S100 is hb_compile.
"""

from __future__ import annotations

from harness.lint.findings import LintRule

X3_MANUAL = "RDK X3 toolchain manual, PTQ process (yaml parameters)"
X3_FAQ = "RDK X3 toolchain manual, FAQ (error messages)"
X3_OPS = "RDK X3 toolchain manual, supported operator list"
X5_OPS = "RDK X5 supported operator list"
X5_MANUAL = "OpenExplorer X5 1.2.8 manual, PTQ yaml"
X_SCHEMA = "schema check of hb_mapper 1.24"
J5_FAQ = "J5 toolchain manual 1.1.77, FAQ 6.6.1"
J6_YAML = "OpenExplorer J6 hb_compile yaml schema"
J6_QUANT = "S100 OE 3.5.0 manual, hb_compile quant_config"
J6_DUAL = "J6 article on dual int16 input for MatMul and Conv (OE 3.2.0)"
J6_TAIL = "J6 article on high-precision output of linear layers"
YAML11 = "YAML 1.1, as PyYAML resolves it"


_TABLE = (
    LintRule("H-101", "error", "unknown parameter group", X_SCHEMA),
    LintRule("H-102", "error", "unknown or misplaced key", X_SCHEMA),
    LintRule("H-103", "error", "parameter group is missing", X3_MANUAL),
    LintRule("H-104", "error", "value is not one of the allowed ones", X3_MANUAL),
    LintRule("H-105", "error", "value is of the wrong type or out of range", X3_MANUAL),
    LintRule("H-106", "error", "required key is missing or empty", X3_MANUAL),
    LintRule("H-107", "error", "march is spelled wrong or unknown", X3_MANUAL),
    LintRule("H-108", "warning", "key is deprecated or has no effect", X_SCHEMA),
    LintRule("H-109", "warning", "duplicate key; the last one is used", YAML11),
    LintRule("H-110", "error", "not exactly one model file", X3_MANUAL),
    LintRule("H-111", "warning", "output files get the default name", X_SCHEMA),
    LintRule("H-112", "warning", "command line with a wrong subcommand", X3_MANUAL),
    LintRule("H-113", "note", "model is built for dumps, not for timing", X3_MANUAL),
    LintRule("H-201", "error", "node_info is not for this march", X3_MANUAL),
    LintRule("H-202", "error", "unknown key of a node in node_info", X3_MANUAL),
    LintRule("H-203", "error", "unquoted ON is a boolean in yaml", YAML11),
    LintRule("H-204", "error", "data type of a node is not int8 or int16", X3_MANUAL),
    LintRule("H-205", "error", "ON is neither BPU nor CPU", X3_MANUAL),
    LintRule("H-206", "warning", "data types of a CPU node have no effect", X3_MANUAL),
    LintRule("H-207", "note", "int16 is not listed for this op on this march", X5_OPS),
    LintRule("H-208", "error", "int16 is not supported on this march", X3_OPS),
    LintRule("H-209", "warning", "op is forced onto the BPU but not supported there", X3_OPS),
    LintRule("H-210", "warning", "run_on_bpu does not work for this op", X3_FAQ),
    LintRule("H-211", "warning", "node is set in two places; node_info wins", X3_MANUAL),
    LintRule("H-212", "error", "node is in both run_on_cpu and run_on_bpu", X3_MANUAL),
    LintRule("H-213", "note", "tail output loses its high precision", J5_FAQ),
    LintRule("H-301", "error", "input_type_train is not compatible with input_type_rt", X3_MANUAL),
    LintRule("H-302", "warning", "input_layout_rt has no effect for nv12", X3_MANUAL),
    LintRule("H-303", "error", "yuv444 with NCHW is not supported on X3", X3_MANUAL),
    LintRule("H-304", "error", "bt601_video is for nv12 only", X3_MANUAL),
    LintRule("H-305", "error", "featuremap has no preprocessing", X_SCHEMA),
    LintRule("H-306", "error", "norm_type needs a value that is missing", X3_MANUAL),
    LintRule("H-307", "warning", "mean_value or scale_value is not used by norm_type", X3_MANUAL),
    LintRule("H-308", "warning", "scale_value looks like a standard deviation", X3_MANUAL),
    LintRule("H-309", "warning", "mean_value looks like a mean of 0..1 data", X3_MANUAL),
    LintRule("H-310", "error", "input_shape cannot be read", X3_MANUAL),
    LintRule("H-311", "error", "nv12 and yuv444 need even height and width", X3_MANUAL),
    LintRule("H-312", "error", "lists of inputs have different lengths", X3_MANUAL),
    LintRule("H-313", "error", "input_batch does not fit", X3_MANUAL),
    LintRule("H-314", "error", "number of mean or scale values is neither 1 nor the channels", X3_MANUAL),
    LintRule("H-401", "warning", "max_percentile has no effect without calibration_type max", X3_MANUAL),
    LintRule("H-402", "warning", "per_channel has no effect with this calibration_type", X3_MANUAL),
    LintRule("H-403", "error", "calibration data is missing", X3_MANUAL),
    LintRule("H-404", "warning", "cal_data_dir has no effect with this calibration_type", X3_MANUAL),
    LintRule("H-405", "note", "cal_data_type and the folder's suffix differ; cal_data_type wins", X3_MANUAL),
    LintRule("H-406", "warning", "calibration data of a featuremap is read as uint8", X3_MANUAL),
    LintRule("H-407", "error", "unknown optimization", X5_MANUAL),
    LintRule("H-408", "error", "optimization is not for this march", X5_MANUAL),
    LintRule("H-409", "error", "calibration folder is empty or a file has the wrong size", X3_MANUAL),
    LintRule("H-410", "warning", "too few calibration samples", X3_MANUAL),
    LintRule("H-501", "warning", "optimize_level is not the fastest", X3_MANUAL),
    LintRule("H-502", "error", "core_num is not for this march", X3_MANUAL),
    LintRule("H-503", "error", "input_source is not compatible with the input", X3_MANUAL),
    LintRule("H-504", "error", "resizer input is too large or dumped", X5_MANUAL),
    LintRule("H-505", "warning", "balance_factor is for compile_mode balance", X_SCHEMA),
    LintRule("H-601", "warning", "key has no effect in hb_compile", J6_YAML),
    LintRule("H-602", "error", "two keys cannot be used together", J6_YAML),
    LintRule("H-603", "warning", "no calibration data: the tool skips calibration", J6_YAML),
    LintRule("H-604", "warning", "calibration_type mix is deprecated", J6_YAML),
    LintRule("H-605", "error", "max_l2m_size is not for this march", J6_YAML),
    LintRule("H-606", "error", "cache needs a path", J6_YAML),
    LintRule("H-701", "error", "quant_config cannot be read", J6_QUANT),
    LintRule("H-702", "error", "unknown key in quant_config", J6_QUANT),
    LintRule("H-703", "error", "unknown data type in quant_config", J6_QUANT),
    LintRule("H-704", "error", "dual-int16 and int16-ec are for Conv, ConvTranspose, MatMul and Gemm", J6_QUANT),
    LintRule("H-705", "warning", "ec has no effect here", J6_DUAL),
    LintRule("H-706", "note", "both inputs int16 need OE 3.2.0 and give no int32 output", J6_DUAL),
    LintRule("H-707", "warning", "ON in node_config is poorly documented", J6_QUANT),
    LintRule("H-708", "note", "tail output loses its high precision", J6_TAIL),
)

RULES: dict[str, LintRule] = {rule.id: rule for rule in _TABLE}
