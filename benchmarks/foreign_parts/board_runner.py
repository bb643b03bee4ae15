"""Runs a network in one public runtime and leaves its tensors as files. Runs in the environment of those runtimes.

Reads jobs from stdin, one JSON object a line, and answers each with one line: `{"tensors": [...], "error": ""}`.
A job: `runtime`, `model` (ONNX whose outputs are the tensors wanted), `feeds` (name to .npy), `names` (to dump),
`outputs` (name and shape of the network's own), `options` of the runtime, `folder` and `form` of the dump: "npz",
"npy" or "bin" (`tofile`). Needs numpy and the runtime, nothing else.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Values = dict[str, Any]
UNSAFE = re.compile(r"[^\w.-]")
Job = Mapping[str, Any]


def run_onnxruntime(job: Job, feeds: Values) -> Values:
    """ONNX Runtime; `optimizations` as its enumeration says them without ORT_."""
    ort = importlib.import_module("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    level = "ORT_" + job["options"].get("optimizations", "ENABLE_ALL")
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    session = ort.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    outputs = [o.name for o in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, feeds), strict=True))


def run_openvino(job: Job, feeds: Values) -> Values:
    """OpenVINO on the CPU; its own compression of weights (`f16_weights`), precision hint, no low precision
    transformations (`transforms` false), where the job asks."""
    openvino = importlib.import_module("openvino")
    core = openvino.Core()
    model = core.read_model(job["model"])
    if job["options"].get("f16_weights"):
        path = job["folder"] + "_ir/model.xml"
        openvino.save_model(model, path, compress_to_fp16=True)
        model = core.read_model(path)
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": job["options"].get("precision", "f32")}
    if job["options"].get("transforms") is False:
        settings["LP_TRANSFORMS_MODE"] = False
    compiled = core.compile_model(model, "CPU", settings)
    result = compiled(dict(feeds))
    return {name: np.array(result[port]) for port in compiled.outputs for name in port.get_names()}


def run_ncnn(job: Job, feeds: Values) -> Values:
    """ncnn, converted by pnnx; outputs only, as it renumbers the others. `bf16`, `f16`: stored as such."""
    ncnn = importlib.import_module("ncnn")
    base = _converted_by_pnnx(job, feeds)
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_bf16_storage = bool(job["options"].get("bf16"))
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_fp16_packed = bool(job["options"].get("f16"))
    if net.load_param(f"{base}.ncnn.param") or net.load_model(f"{base}.ncnn.bin"):
        raise RuntimeError("ncnn cannot load what pnnx wrote")
    extractor = net.create_extractor()
    for i, value in enumerate(feeds.values()):
        extractor.input(f"in{i}", ncnn.Mat(value[0]).clone())
    values = {}
    for i, (name, shape) in enumerate(job["outputs"]):
        code, made = extractor.extract(f"out{i}")
        if code:
            raise RuntimeError(f"ncnn gives no out{i}: {code}")
        values[name] = np.array(made).reshape(shape)
    return values


def _converted_by_pnnx(job: Job, feeds: Values) -> Path:
    base = Path(job["folder"] + "_ncnn") / "model"
    base.parent.mkdir(parents=True, exist_ok=True)
    base.with_suffix(".onnx").write_bytes(Path(job["model"]).read_bytes())
    shapes = ",".join(f"[{','.join(map(str, value.shape))}]f32" for value in feeds.values())
    spec = importlib.util.find_spec("pnnx")
    if spec is None or spec.origin is None:
        raise RuntimeError("pnnx is not installed")
    command = [str(Path(spec.origin).parent / "pnnx"), f"{base}.onnx", f"inputshape={shapes}", "fp16=0"]
    process = subprocess.run(command, capture_output=True, text=True, cwd=base.parent)
    if not Path(f"{base}.ncnn.param").exists():
        raise RuntimeError(f"pnnx: {(process.stderr or process.stdout).strip()[-200:]}")
    return base


def run_mnn(job: Job, feeds: Values) -> Values:
    """MNN, converted by its own tool; outputs only, as it renames what it fuses."""
    target = Path(job["folder"] + "_mnn") / "model.mnn"
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not its script mnnconvert, which installs a package into any Python on PATH and sends what it did to its vendor.
    convert = "import sys, MNN, _tools; _tools.mnnconvert(sys.argv)"
    command = [sys.executable, "-c", convert, "-f", "ONNX", "--modelFile", job["model"]]
    command += ["--MNNModel", str(target), "--bizCode", "harness"]
    command += ["--fp16"] if job["options"].get("f16_weights") else []
    process = subprocess.run(command, capture_output=True, text=True)
    if not target.exists():
        raise RuntimeError(f"mnnconvert: {process.stdout.strip()[-200:]}")
    mnn = importlib.import_module("MNN")
    names = [name for name, _ in job["outputs"]]
    settings = {"backend": 0, "numThread": 1, "precision": job["options"].get("precision", "high")}
    runtime = mnn.nn.create_runtime_manager((settings,))
    net = mnn.nn.load_module_from_file(str(target), list(feeds), names, runtime_manager=runtime)
    made = net.forward([mnn.expr.const(v.copy(), list(v.shape), mnn.expr.NCHW) for v in feeds.values()])
    plain = [np.array(mnn.expr.convert(value, mnn.expr.NCHW).read()) for value in made]
    return {name: value.reshape(shape) for (name, shape), value in zip(job["outputs"], plain, strict=True)}


RUNTIMES = {"onnxruntime": run_onnxruntime, "openvino": run_openvino, "ncnn": run_ncnn, "mnn": run_mnn}


def dump(values: Values, folder: Path, form: str) -> None:
    """Leave `values` as a user would: one .npz, a folder of .npy, or raw bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    if form == "npz":
        np.savez(folder / "board.npz", **values)
        return
    for name, value in values.items():
        path = folder / (UNSAFE.sub("_", name) + f".{form}")
        if form == "npy":
            np.save(path, value)
        else:
            np.ascontiguousarray(value).tofile(path)


def _patched(value: Any, how: str) -> Any:
    """The tensor as the wrong file holds it."""
    return np.moveaxis(value, 1, -1).copy().reshape(value.shape) if how == "channels_last" else value


def perform(job: Job) -> list[str]:
    feeds = {name: np.load(path) for name, path in job["feeds"].items()}
    run = RUNTIMES[job["runtime"]]
    values = {**feeds, **run(job, feeds)}
    for patch in job.get("patches", ()):
        before = {name: np.load(path) for name, path in job["feeds_before"].items()}
        source = run(job, before) if patch["how"] == "frame_before" else values
        values[patch["tensor"]] = _patched(source[patch.get("of", patch["tensor"])], patch["how"])
    wanted = {name: values[name] for name in job["names"] if name in values}
    dump(wanted, Path(job["folder"]), job["form"])
    return sorted(wanted)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints is no answer
    for line in sys.stdin:
        answer = {"tensors": [], "error": ""}
        try:
            answer["tensors"] = perform(json.loads(line))
        except Exception as error:
            answer["error"] = f"{type(error).__name__}: {str(error).strip()[:300]}"
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
