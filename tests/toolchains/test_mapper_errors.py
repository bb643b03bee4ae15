"""Failed builds of hb_mapper (X3, J5, X5): what each error of the vendor's list means, and the phase."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.toolchains import read_any
from harness.toolchains.horizon.log import read_build_log
from tests.support.toolchain_samples import record, sample, x5_log

FORMS = {
    "log file": record("{}", "hb_mapper_makertbin.py"),
    "console": "2026-01-02 03:04:05,678 ERROR {}",
    "level alone": "ERROR {}",
}
TEXTS = {  # in the forms of the tool, with our own names and numbers -> words of the advice
    "The shape of model input:a is [0, 3, 64, 64] which has dimensions of 0. Please specify input-shape parameter.": (
        "input_shape", "H-803"),
    "HorizonRT not support these cpu operators: NonZero": ("kernel", "custom op"),
    "nodes:['Acme'] are specified as domain:ai.acme, which are not supported by official onnx. Please check": (
        "custom op", "custom_op_method"),
    "There is an error in pass: fold_bias. Error message:x": ("pass",),
    "model conversion faild: Inferred shape and existing shape differ in dimension 1: (7) vs (8)": ("shapes",),
    "hbdk-cc compile hbir model failed with returncode -11": ("compiler",),
    "Einsum  only support 4 dim input": ("four dimensions",),
    "There is no node can execute on BPU in this model, please make sure": ("Conv",),
    "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : could not find a implementation for the node of a:Gelu(20)": ("opset",),
    "The opset version of the onnx model is 19, only model with opset_version 10/11 is supported": ("10 or 11",),
    "tool limits for max output num is 32": ("32",),
    "load cal data for input images error": ("size and type", "H-409"),
    "cannot reshape array of size 12288 into shape (3,65,64)": ("input_shape", "H-409"),
    "Status Message :CUDA error cudaErrorNoKernelImageForDevice:no kernel image is available": ("GPU",),
    "[ONNXRuntimeError] : 10 : INVALID_GRAPH : invalid model. Error No Op registered for HzLut": ("vendor's ops",),
    "wrong input name: 'image', available: ['images']": ("input_name", "H-801"),
    "(bpu_model_info.cpp:12): HR:ERROR: hbm model input feature names must be equal to graph node input names": (
        "releases",),
    "(validate_util.cpp:9): tensor hbSysMem memSize should >= tensor aligned shape size!": ("alignedByteSize",),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", TEXTS)
def test_every_error_says_what_to_change(text: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "build.log").write_text(FORMS[form].format(text) + "\n")
    artifact = read_any(tmp_path / "build.log")
    assert artifact is not None and artifact.finished is False
    message = next(one for one in artifact.messages if one.severity == "error")
    assert all(word in f"{message.meaning} {message.text}" for word in TEXTS[text]) and message.meaning


@pytest.mark.parametrize(
    ("started", "ended", "phase"),
    [
        (("Start to Horizon NN Model Convert.", "Start to parse the onnx model."), (), "parse"),
        (("Start to Horizon NN Model Convert.", "Start to calibrate the model."), ("End to calibrate the model.",),
         "convert (all of hb_mapper)"),
        (("Start to quantize the model.", "Start to compile the model with march bayes-e."), (), "compile"),
    ],
)  # fmt: skip
def test_the_phase_that_began_last_is_the_one_that_failed(
    started: tuple[str, ...], ended: tuple[str, ...], phase: str
) -> None:
    text = "\n".join(record(f"[Mon Jan  5 03:04:05 2026] {line}") for line in (*started, *ended))
    assert read_build_log(f"{text}\ncore dump\n").facts["failed_phase"] == phase
    unfinished = read_build_log(f"{text}\n")
    assert unfinished.finished is None and unfinished.facts["unfinished_phase"] == phase


def test_what_came_last_in_an_appended_log_decides() -> None:
    error = record("load cal data for input images error") + "\n"
    assert read_build_log(x5_log() + error).finished is False
    assert read_build_log(error + x5_log()).finished is True


def test_the_vendors_own_list_is_understood() -> None:
    path = sample("x3_doc_faq_error_messages.md")
    artifact = read_any(path)
    assert artifact is not None
    unknown = [one.text for one in artifact.messages if one.severity == "error" and not one.meaning]
    assert len(unknown) <= 2, unknown
