"""The rules of `harness lint`: stable ids, severities, titles, and where each tool's documents say so.

H-1xx schema, H-2xx placement and node types, H-3xx inputs, H-4xx calibration, H-5xx compiler, H-6xx J6/S100 only,
H-7xx quant_config, H-8xx the model beside the config. X3/J5/X5 is hb_mapper, J6/S100 is hb_compile.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.lint.findings import LintRule

YAML11 = "YAML 1.1, as PyYAML resolves it"
ONNX = "the model file itself"
FOLDER = "the folder of the config"
FILES = "the calibration files themselves"
HMCT = "J6 OE 3.9.0, HMCT quantization configuration"
J6_DUAL = "J6 article on dual int16 input for MatMul and Conv (OE 3.2.0)"
J6_TAIL = "J6 article on high-precision output of linear layers"
# By chip: the manual of its yaml, and its operator list.
MANUALS = {
    "bernoulli2": "RDK X3 toolchain manual, PTQ process (yaml parameters)",
    "bayes": "RDK X3 toolchain manual, PTQ process (yaml parameters, columns of RDK Ultra)",
    "bayes-e": "OpenExplorer X5 1.2.8 manual, PTQ yaml",
    "": "toolchain manuals of X3 and X5, PTQ yaml",
}
OP_LISTS = {
    "bernoulli2": "RDK X3 toolchain manual, supported operator list",
    "bayes": "RDK X3 toolchain manual, supported operator list (columns of RDK Ultra)",
    "bayes-e": "RDK X5 supported operator list",
    "nash": "J6 operator constraint list",
    "": "supported operator lists of X3 and X5",
}
CHECK = "hb_mapper 1.24, its own check of the yaml"
FAQ = "RDK X3 toolchain manual, FAQ (error messages)"
J5_FAQ = "J5 toolchain manual 1.1.77, FAQ 6.6.1"
YAML_J6 = "J6 OE 3.9.0, hb_compile yaml reference"
ERRORS_J6 = "J6 OE 3.9.0, hb_compile error messages"

MANUAL, OPS = "MANUAL", "OPS"  # stand for the manual or the list of the chip


@dataclass(frozen=True)
class Sources:
    """Where a rule comes from, by tool: a text, or MANUAL or OPS for the document of the chip."""

    hb_mapper: str = MANUAL
    hb_compile: str = YAML_J6

    def of(self, tool: str, march: str) -> str:
        """The source as a finding cites it for this tool and chip."""
        word = self.hb_compile if tool == "hb_compile" else self.hb_mapper
        key = "nash" if tool == "hb_compile" else march
        if word == MANUAL:
            return MANUALS.get(key, MANUALS[""])
        return OP_LISTS.get(key, OP_LISTS[""]) if word == OPS else word

    def every(self) -> str:
        """Both in one line, as the list of rules shows them."""
        one, other = self.of("hb_mapper", ""), self.of("hb_compile", "")
        return one if one == other else "; ".join(part for part in (one, other) if part)


_BOTH = Sources()
_X_CHECK = Sources(CHECK)
_X_ONLY = Sources(MANUAL, "")
_OPS = Sources(OPS, OPS)
_QUANT = Sources("", HMCT)
_J6 = Sources("", YAML_J6)
_YAML = Sources(YAML11, YAML11)
_MODEL = Sources(ONNX, ONNX)

_TABLE = (
    ("H-101", "error", "unknown parameter group", _X_CHECK),
    ("H-102", "error", "unknown or misplaced key", _X_CHECK),
    ("H-103", "error", "parameter group is missing", _BOTH),
    ("H-104", "error", "value is not one of the allowed ones", _BOTH),
    ("H-105", "error", "value is of the wrong type or out of range", _X_CHECK),
    ("H-106", "error", "required key is missing or empty", _BOTH),
    ("H-107", "error", "march is spelled wrong or unknown", _BOTH),
    ("H-108", "warning", "key is deprecated or has no effect", _X_CHECK),
    ("H-109", "warning", "duplicate key; the last one is used", _YAML),
    ("H-110", "error", "not exactly one model file", _BOTH),
    ("H-111", "note", "output files get the default name", _X_ONLY),
    ("H-112", "warning", "command line with a wrong subcommand", Sources(MANUAL, MANUAL)),
    ("H-113", "note", "model is built for dumps, not for timing", _BOTH),
    ("H-114", "note", "files that the config names are not here and were not checked", Sources(FOLDER, FOLDER)),
    ("H-115", "error", "model file has the wrong suffix", Sources(CHECK, ERRORS_J6)),
    ("H-116", "error", "custom_op is incomplete", Sources(CHECK, ERRORS_J6)),
    ("H-117", "warning", "a template: values are still to be filled in", _BOTH),
    ("H-201", "error", "node_info is not for this march", _X_ONLY),
    ("H-202", "error", "unknown key of a node in node_info", _BOTH),
    ("H-203", "error", "unquoted ON is a boolean in yaml", _YAML),
    ("H-204", "error", "data type of a node is not int8 or int16", _BOTH),
    ("H-205", "error", "ON is neither BPU nor CPU", _BOTH),
    ("H-206", "warning", "data types of a CPU node have no effect", _BOTH),
    ("H-207", "note", "int16 is not listed for this op on this march", _OPS),
    ("H-208", "error", "int16 is not supported on this march", _OPS),
    ("H-209", "warning", "op is forced onto the BPU but not supported there", _OPS),
    ("H-210", "warning", "run_on_bpu does not work for this op", Sources(FAQ, "")),
    ("H-211", "warning", "node is set in two places; node_info wins", _BOTH),
    ("H-212", "error", "node is in both run_on_cpu and run_on_bpu", _BOTH),
    ("H-213", "note", "tail output loses its high precision", Sources(J5_FAQ, "")),
    ("H-214", "error", "node in node_info has no name or no type", Sources(CHECK, ERRORS_J6)),
    ("H-301", "error", "input_type_train is not compatible with input_type_rt", _BOTH),
    ("H-302", "warning", "input_layout_rt has no effect for nv12", _X_ONLY),
    ("H-303", "error", "yuv444 with NCHW is not supported on X3", _X_ONLY),
    ("H-304", "error", "bt601_video is for nv12 only", _BOTH),
    ("H-305", "error", "featuremap has no preprocessing", Sources(CHECK, ERRORS_J6)),
    ("H-306", "error", "norm_type needs a value that is missing", _X_ONLY),
    ("H-307", "warning", "mean_value or scale_value is not used by norm_type", _X_ONLY),
    ("H-308", "warning", "scale_value or std_value looks like the other one", _BOTH),
    ("H-309", "warning", "mean_value looks like a mean of 0..1 data", _BOTH),
    ("H-310", "error", "input_shape cannot be read", _BOTH),
    ("H-311", "error", "nv12 needs even height and width", Sources(CHECK, ERRORS_J6)),
    ("H-312", "error", "lists of inputs have different lengths", _BOTH),
    ("H-313", "error", "input_batch does not fit", _BOTH),
    ("H-314", "error", "number of mean, scale or std values is neither 1 nor the channels", _BOTH),
    ("H-315", "error", "input of this type needs four dimensions", Sources(CHECK, ERRORS_J6)),
    ("H-316", "error", "channels do not fit the layout and type", Sources(CHECK, ERRORS_J6)),
    ("H-317", "error", "input name stands twice", Sources(CHECK, ERRORS_J6)),
    ("H-318", "error", "separate_name is not an input", Sources("", ERRORS_J6)),
    ("H-319", "warning", "input_layout_rt is missing", Sources(CHECK, "")),
    ("H-401", "warning", "max_percentile has no effect without calibration_type max", _BOTH),
    ("H-402", "warning", "per_channel has no effect with this calibration_type", _BOTH),
    ("H-403", "error", "calibration data is missing", _X_ONLY),
    ("H-404", "warning", "cal_data_dir has no effect with this calibration_type", _BOTH),
    ("H-405", "note", "cal_data_type and the folder's suffix differ; cal_data_type wins", _X_ONLY),
    ("H-406", "warning", "calibration data of a featuremap is read as uint8", _X_ONLY),
    ("H-407", "error", "unknown optimization", _BOTH),
    ("H-408", "error", "optimization is not for this march", _BOTH),
    ("H-409", "error", "calibration folder is missing, empty, or a file has the wrong size, shape or type", _BOTH),
    ("H-410", "warning", "too few calibration samples", _BOTH),
    ("H-411", "warning", "values of the calibration data look wrong", Sources(FILES, FILES)),
    ("H-412", "warning", "max_percentile cuts off most of the data", _BOTH),
    ("H-501", "warning", "optimize_level is not the fastest", _BOTH),
    ("H-502", "error", "core_num is not for this march", _BOTH),
    ("H-503", "error", "input_source is not compatible with the input", _BOTH),
    ("H-504", "error", "resizer input is too large or dumped", _X_ONLY),
    ("H-505", "warning", "balance_factor is for compile_mode balance", _X_CHECK),
    ("H-506", "error", "compile_mode balance needs a balance_factor", Sources(CHECK, ERRORS_J6)),
    ("H-601", "warning", "key has no effect in hb_compile", _J6),
    ("H-602", "error", "two keys cannot be used together", Sources("", ERRORS_J6)),
    ("H-603", "warning", "no calibration data: the tool skips calibration", _J6),
    ("H-604", "warning", "calibration_type is deprecated", _J6),
    ("H-605", "error", "max_l2m_size is not for this march", _J6),
    ("H-606", "error", "cache needs a path", Sources("", ERRORS_J6)),
    ("H-607", "warning", "cache_path switches the cache on", _J6),
    ("H-701", "error", "quant_config cannot be read", _QUANT),
    ("H-702", "error", "unknown key in quant_config", _QUANT),
    ("H-703", "error", "unknown data type in quant_config", _QUANT),
    ("H-704", "error", "dual-int16 and int16-ec are for Conv, ConvTranspose, MatMul and Gemm", _QUANT),
    ("H-705", "warning", "ec has no effect here", Sources("", J6_DUAL)),
    ("H-706", "note", "two wide inputs need OE 3.2.0 and give no int32 output", Sources("", J6_DUAL)),
    ("H-707", "warning", "ON in node_config is poorly documented", _QUANT),
    ("H-708", "note", "tail output loses its high precision", Sources("", J6_TAIL)),
    ("H-709", "error", "wrong value in quant_config", _QUANT),
    ("H-801", "error", "input is not one of the model's", _MODEL),
    ("H-802", "error", "shape does not fit the model", _MODEL),
    ("H-803", "error", "model has open dimensions and no input_shape", Sources(CHECK, ERRORS_J6)),
    ("H-804", "error", "node is not in the model", _MODEL),
    ("H-805", "error", "model cannot be converted", Sources(FAQ, ERRORS_J6)),
    ("H-806", "note", "nodes will run on the CPU", _OPS),
    ("H-807", "warning", "forced onto the BPU, which does not take it", _OPS),
)  # fmt: skip

SOURCES: dict[str, Sources] = {name: sources for name, _, _, sources in _TABLE}
RULES: dict[str, LintRule] = {
    name: LintRule(name, severity, title, sources.every()) for name, severity, title, sources in _TABLE
}
