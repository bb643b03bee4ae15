"""What quantization itself loses, whatever the board computes: float model against quantized model on the PC."""

from __future__ import annotations

from dataclasses import replace

from harness.diagnosis.rules import Findings, RunView, finding
from harness.records import QuantizationLoss

_RULES = {"channels": "Q-101", "swallowed": "Q-102", "saturated": "Q-103", "coarse": "Q-104", "noise": "Q-104"}
_MASK = "clip the mask: a constant of {near:.0f} masks as well as {constant:.0f}; or run this op in int16 or float"
ON_NOISE = "on seeded noise: give a real --input to judge it"


def losses(view: RunView) -> Findings:
    """Q-101 to Q-105: one for each loss; on seeded noise no more than a note."""
    check = view.checks.quantization
    is_noise = any(fed.generated for fed in view.run.case.inputs)
    for loss in check.losses if check else ():
        rule = _RULES.get(loss.kind, "Q-104") if loss.is_harmful else "Q-105"
        op = f"{loss.op or loss.tensor}{f' ({loss.op_kind})' if loss.op_kind else ''}"
        harmed = f"; output {', '.join(loss.outputs)} depends on it" if loss.outputs else ""
        evidence = f"{op}, tensor {loss.tensor}: {loss.detail}{harmed}"
        made = finding(rule, evidence, subject=loss.op or loss.tensor, advice=_advice(loss))
        yield replace(made, severity="note", evidence=f"{evidence}; {ON_NOISE}") if is_noise else made


def _advice(loss: QuantizationLoss) -> str:
    if loss.constant is None:
        return ""
    return _MASK.format(constant=loss.constant, near=NEAR_MASK)


NEAR_MASK = -50.0  # exp(-50) is 2e-22: nothing is left of it behind a Softmax

CHECKS = (losses,)
