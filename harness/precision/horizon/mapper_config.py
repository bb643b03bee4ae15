"""hb_mapper's yaml with a node_info (X5, J5, Ultra), or run_on_cpu (X3, which has no node_info)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from harness.precision.base import FLOAT, ConfigTarget, TypeChange, WrittenConfig
from harness.precision.horizon.calibrations import mapper_lines


def mapper_config(target: ConfigTarget, changes: Sequence[TypeChange]) -> WrittenConfig:
    """The whole yaml: input and calibration as harness measured with them, every changed node with its reason."""
    name = f"{target.model.stem}_{target.soc.name}.yaml"
    text = "\n".join((*_model(target, changes), *_inputs(target), *_calibration(target, changes), *_COMPILER)) + "\n"
    return WrittenConfig({name: text}, f"hb_mapper makertbin --config {name} --model-type onnx")


_COMPILER = ("compiler_parameters:", "  compile_mode: latency", "  optimize_level: O3")


def _model(target: ConfigTarget, changes: Sequence[TypeChange]) -> Iterator[str]:
    yield "# Written by harness tune; computed on a PC with the emulated compiler, not measured on a board."
    yield "model_parameters:"
    yield from (f"  # edited: {edit}" for edit in target.model_edits)
    yield f"  onnx_model: {json.dumps(str(target.model))}"
    yield f"  march: {target.soc.march}"
    yield f"  output_model_file_prefix: {target.model.stem}"
    yield "  working_dir: model_output"
    if (changes or target.on_accelerator) and target.soc.march != "bernoulli2":
        yield "  node_info:"
        for change in changes:
            yield from _node(change)
        for name in target.on_accelerator:
            yield from (f"    {json.dumps(name)}:", "      'ON': BPU")


def _node(change: TypeChange) -> Iterator[str]:
    yield f"    # {change.why}"
    yield f"    {json.dumps(change.op)}:"
    if change.option == FLOAT:
        yield "      'ON': CPU"
    else:
        yield "      InputType: int16"
        yield "      OutputType: int16"


def _inputs(target: ConfigTarget) -> Iterator[str]:
    several = len(target.inputs)
    yield "input_parameters:"
    yield f"  input_name: {json.dumps(';'.join(name for name, _ in target.inputs))}"
    yield f"  input_type_train: {';'.join(['featuremap'] * several)}"
    yield f"  input_type_rt: {';'.join(['featuremap'] * several)}"
    yield f"  input_layout_train: {';'.join(['NCHW'] * several)}"
    yield f"  input_layout_rt: {';'.join(['NCHW'] * several)}"
    yield f"  input_shape: {';'.join('x'.join(map(str, shape)) for _, shape in target.inputs)}"
    yield f"  norm_type: {';'.join(['no_preprocess'] * several)}"


def _calibration(target: ConfigTarget, changes: Sequence[TypeChange]) -> Iterator[str]:
    yield "calibration_parameters:"
    yield f"  cal_data_dir: {json.dumps(sample_folders(target))}"
    yield f"  cal_data_type: {';'.join(['float32'] * len(target.inputs))}"
    yield "  # the ranges that harness measured with"
    yield from mapper_lines(target.calibrating)
    if target.on_accelerator and target.soc.march == "bernoulli2":
        yield f"  run_on_bpu: {json.dumps(';'.join(target.on_accelerator))}"
    on_cpu = [change for change in changes if change.option == FLOAT]
    if on_cpu and target.soc.march == "bernoulli2":
        yield from (f"  # {change.op}: {change.why}" for change in on_cpu)
        yield f"  run_on_cpu: {json.dumps(';'.join(change.op for change in on_cpu))}"


def sample_folders(target: ConfigTarget) -> str:
    """The folder of each input."""
    if len(target.inputs) == 1:
        return str(target.calibration)
    return ";".join(str(target.calibration / name) for name, _ in target.inputs)
