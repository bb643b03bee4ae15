"""Findings on the other model of a packed file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.records import ComparedReference, Comparison
from tests.records.kit import find
from tests.support.diagnosis_kit import compared, layer


def packed(source: str, inputs: list[str], word: str = "diverges") -> Comparison:
    comparison = compared(layer(0, "differs"), first="t0", word=word)
    fed: dict[str, Any] = {"inputs": [{"name": name} for name in inputs]}
    return replace(comparison, reference=ComparedReference("onnx", source, fed))


def evidence_of(models: list[str], comparison: Comparison) -> list[str]:
    info = {"model_info": {"name": "det", "models_in_file": models, "inputs": [{"name": "img"}]}}
    return [finding.evidence for finding in find(info, None, comparison) if finding.rule == "C-108"]


@pytest.mark.parametrize(
    ("source", "inputs", "evidence"),
    [
        ("reid_quantized_model.onnx", ["crop"], "its input is img, the reference's crop"),
        ("pack_reid_quantized_model.onnx", ["img"], "the reference is pack_reid_quantized_model.onnx"),
        ("refs/reid", [], "the reference is refs/reid"),
    ],
)
def test_the_reference_of_the_other_model_of_a_packed_file(source: str, inputs: list[str], evidence: str) -> None:
    (sentence,) = evidence_of(["det", "reid"], packed(source, inputs))
    assert sentence == f"the file holds det, reid, and det ran; {evidence}"


@pytest.mark.parametrize(
    ("models", "comparison"),
    [
        (["det"], packed("reid.onnx", ["crop"])),
        (["det", "reid"], packed("det_quantized_model.onnx", ["img"])),
        (["det", "reid"], packed("model.onnx", ["img"])),
        (["det", "reid"], packed("reid.onnx", ["crop"], word="consistent")),
    ],
)
def test_nothing_is_asked_where_nothing_tells(models: list[str], comparison: Comparison) -> None:
    assert evidence_of(models, comparison) == []
