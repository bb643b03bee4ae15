"""Checks of model_parameters: march, model file, names of what is written; and of custom_op."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

from harness.lint.horizon.config import MODEL_FILES, Config, dumps_layers
from harness.lint.horizon.ops import MARCHES_J6, MARCHES_X
from harness.lint.horizon.schema import CUSTOM, MODEL

SUFFIXES = {"onnx_model": ".onnx", "caffe_model": ".caffemodel", "prototxt": ".prototxt"}


def check(config: Config) -> None:
    """The march, exactly one model file of the right kind, and the names that files get."""
    if config.group(MODEL) is not None:
        _march(config)
        if not config.is_template:
            _model(config)
        _prefix(config)
        if dumps_layers(config):
            config.add(
                "H-113",
                config.line(MODEL, "layer_out_dump"),
                "layer_out_dump adds an output after every convolution: do not use this build's latency",
                "layer_out_dump: False",
            )
    if config.group(CUSTOM) is not None:
        _custom_op(config)


def _march(config: Config) -> None:
    march, line = config.march, config.line(MODEL, "march")
    allowed = MARCHES_J6 if config.is_j6 else MARCHES_X
    if not march and not config.is_template:
        config.add("H-106", line, "model_parameters.march is missing", f"one of {', '.join(allowed)}")
    elif march and march not in allowed:
        near = get_close_matches(march.lower().replace("_", "-"), (*MARCHES_X, *MARCHES_J6), n=1)
        tool = "hb_compile" if march in MARCHES_J6 else "hb_mapper" if march in MARCHES_X else ""
        what = f"march {march!r} is for {tool}, not for {config.tool}" if tool else f"no march {march!r}"
        is_clear = bool(near) and not tool and near[0] in allowed
        config.add("H-107", line, what, f"march: {near[0]}" if is_clear else f"one of {', '.join(allowed)}")


def _model(config: Config) -> None:
    onnx, caffe, proto = (config.text(MODEL, key) for key in MODEL_FILES)
    line = config.line(MODEL, "caffe_model" if caffe else "onnx_model")
    if onnx and (caffe or proto):
        _both(config, line)
    elif not onnx and bool(caffe) != bool(proto):
        missing = "prototxt" if caffe else "caffe_model"
        fix = f"{missing}: model{SUFFIXES[missing]}"
        config.add("H-110", line, f"a Caffe model needs caffe_model and prototxt; {missing} is missing", fix)
    elif not onnx and not caffe:
        config.add("H-110", line, "no model file is given", "onnx_model: model.onnx")
    for key, suffix in SUFFIXES.items():
        path = config.text(MODEL, key)
        if path and not path.endswith(suffix):
            stem = path.rsplit("/", 1)[-1].rpartition(".")[0] or "model"
            fix = f"{key}: {path.removesuffix(path.rsplit('/', 1)[-1])}{stem}{suffix}"
            config.add("H-115", config.line(MODEL, key), f"{key} {path!r}: the tool takes {suffix} files only", fix)


def _both(config: Config, line: int) -> None:
    """hb_compile refuses two models; hb_mapper follows its option --model-type and ignores the other."""
    if config.is_j6:
        config.add("H-110", line, "both onnx_model and caffe_model are given", "leave caffe_model and prototxt out")
    elif config.text(MODEL, "caffe_model"):
        config.add(
            "H-110",
            line,
            "both onnx_model and caffe_model are given: --model-type decides, and the other is ignored",
            "leave caffe_model and prototxt out",
            severity="warning",
        )


def _prefix(config: Config) -> None:
    name = "output_model_file_prefix"
    node = config.raw(MODEL, name)
    if node is None:
        if not config.is_j6 and not config.is_template:
            config.add("H-111", config.line(MODEL), f"{name} is missing: files are named model_*", f"{name}: my_model")
        return
    if node.kind != "scalar" or not node.empty or config.is_template:
        return
    if config.is_j6 or node.value is None:
        config.add("H-106", node.line, f"{name} is empty: the tool rejects it", f"{name}: model")
    else:
        config.add("H-111", node.line, f"{name} is empty: names of files begin with _", f"{name}: my_model")


def _custom_op(config: Config) -> None:
    """Without a method nothing is registered; hb_mapper refuses such a group."""
    node = config.group(CUSTOM)
    if node is None or not node.items:
        return
    line = config.line(CUSTOM)
    if not config.text(CUSTOM, "custom_op_method"):
        config.add("H-116", line, "custom_op has no custom_op_method", "custom_op_method: register")
    files = config.words(CUSTOM, "op_register_files")
    for name in files:
        if not name.endswith(".py"):
            at = config.line(CUSTOM, "op_register_files")
            config.add("H-116", at, f"op_register_files: {name!r} is no Python file", _python_files(files))
    if not files and config.text(CUSTOM, "custom_op_method"):
        config.add(
            "H-116",
            line,
            "custom_op registers no file: op_register_files is missing",
            "op_register_files: my_op.py",
            severity="warning",
        )


def _python_files(files: Sequence[str]) -> str:
    """Each file with the suffix of Python, where that makes no two the same."""
    right = [one if one.endswith(".py") else f"{PurePosixPath(one or 'my_op').with_suffix('')}.py" for one in files]
    is_clear = len(set(right)) == len(right)
    return f"op_register_files: {';'.join(right)}" if is_clear else "name the Python files that register the ops"
