"""hb_compile's yaml with its quant_config, the same as a file of its own, and lines for the QAT plugin (J6, S100)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from harness.precision.base import FLOAT, ConfigTarget, TypeChange, WrittenConfig
from harness.precision.horizon.calibrations import compile_settings
from harness.precision.horizon.mapper_config import sample_folders

_SETTINGS = {
    FLOAT: {"qtype": "float32"},
    "int16": {"qtype": "int16"},
    "dual-int16": {"input0": "int16", "input1": "int16"},
    "int16-ec": {"input0": "int16", "input1": "ec"},
}
_QAT_KINDS = {"Conv": "conv", "ConvTranspose": "conv", "Gemm": "linear"}


def compile_config(target: ConfigTarget, changes: Sequence[TypeChange]) -> WrittenConfig:
    """The yaml, with a comment a node; quant_config.json, which takes none; and qconfig lines."""
    stem = f"{target.model.stem}_{target.soc.name}"
    whole = {"model_config": dict(_model_config(target, changes)), "node_config": dict(map(_entry, changes))}
    files = {
        f"{stem}.yaml": "\n".join(_yaml(target, changes)) + "\n",
        f"{stem}_quant_config.json": json.dumps(whole, indent=2) + "\n",
        f"{stem}_qconfig.py": "\n".join(_qat(changes)) + "\n",
    }
    return WrittenConfig(files, f"hb_compile --config {stem}.yaml")


def _entry(change: TypeChange) -> tuple[str, dict[str, str]]:
    return change.op, _SETTINGS[change.option]


def widens(target: ConfigTarget, changes: Sequence[TypeChange]) -> bool:
    """Whether an output of the model has to leave in int16: an op that makes one is changed."""
    return any(change.option != FLOAT and change.op in target.outputs_of for change in changes)


def _model_config(target: ConfigTarget, changes: Sequence[TypeChange]) -> Iterator[tuple[str, object]]:
    yield "all_node_type", "int8"
    if widens(target, changes):
        yield "model_output_type", "int16"
    yield from compile_settings(target.calibrating)


def _yaml(target: ConfigTarget, changes: Sequence[TypeChange]) -> Iterator[str]:
    several = len(target.inputs)
    yield "# Written by harness tune; computed on a PC with the emulated compiler, not measured on a board."
    yield "model_parameters:"
    yield from (f"  # edited: {edit}" for edit in target.model_edits)
    yield f"  onnx_model: {json.dumps(str(target.model))}"
    yield f"  march: {target.soc.march}"
    yield f"  output_model_file_prefix: {target.model.stem}"
    yield "  working_dir: model_output"
    yield "input_parameters:"
    yield f"  input_name: {json.dumps(';'.join(name for name, _ in target.inputs))}"
    yield f"  input_type_train: {';'.join(['featuremap'] * several)}"
    yield f"  input_type_rt: {';'.join(['featuremap'] * several)}"
    yield f"  input_shape: {';'.join('x'.join(map(str, shape)) for _, shape in target.inputs)}"
    yield "calibration_parameters:"
    yield f"  cal_data_dir: {json.dumps(sample_folders(target))}"
    yield "  # the ranges that harness measured with"
    yield f"  calibration_type: {target.calibrating.method}"
    yield from _quant_config(target, changes)
    yield from ("compiler_parameters:", "  compile_mode: latency", "  optimize_level: O2")


def _quant_config(target: ConfigTarget, changes: Sequence[TypeChange]) -> Iterator[str]:
    yield "  quant_config:"
    yield "    model_config:"
    for key, value in _model_config(target, changes):
        yield f"      {key}: {value if isinstance(value, str) else json.dumps(value)}"
    if changes:
        yield "    node_config:"
    for change in changes:
        yield f"      # {change.why}"
        yield f"      {json.dumps(change.op)}: {json.dumps(_SETTINGS[change.option])}"


def _qat(changes: Sequence[TypeChange]) -> Iterator[str]:
    """Names of modules follow ONNX names where the exporter wrote them; which they are, only their author knows."""
    yield "# Lines for the QAT plugin, OE 3.2.0 and newer. Written by harness tune; check the names of the modules."
    yield "from horizon_plugin_pytorch.dtype import qint8, qint16"
    yield "from horizon_plugin_pytorch.quantization import get_qconfig"
    yield "from horizon_plugin_pytorch.quantization.fx.graph_optimizers import FallbackStrategyVersion"
    yield "from horizon_plugin_pytorch.quantization.fx.graph_optimizers import QconfigCanonicalizer"
    yield "from horizon_plugin_pytorch.quantization.qconfig import MSEObserver"
    yield "from horizon_plugin_pytorch.quantization.qconfig_template import ModuleNameQconfigSetter"
    yield ""
    yield "QconfigCanonicalizer.set_fallback_strategy_version(FallbackStrategyVersion.V2)  # for both inputs in int16"
    yield "w8a16 = get_qconfig(observer=MSEObserver, in_dtype=qint16, out_dtype=qint16)"
    yield "w16a16 = get_qconfig(observer=MSEObserver, in_dtype=qint16, weight_dtype=qint16, out_dtype=qint8)"
    yield "setter = ModuleNameQconfigSetter({"
    for change in changes:
        yield f"    # {change.why}"
        if change.option == FLOAT:
            yield f"    # {module_of(change.op)}: keep it in float, outside of the quantized part"
        elif change.option == "int16" or change.kind not in _QAT_KINDS:
            yield f"    {json.dumps(module_of(change.op))}: w8a16,"
        else:
            yield f"    {json.dumps(module_of(change.op))}: w16a16,"
    yield "})"


def module_of(op: str) -> str:
    """`/backbone/conv/Conv` -> `backbone.conv`: how the exporter of PyTorch names nodes after modules."""
    parts = [part for part in op.split("/") if part]
    return ".".join(parts[:-1] if len(parts) > 1 else parts)
