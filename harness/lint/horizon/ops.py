"""What the linter knows of ops per march, from the vendors' public operator lists.

X3 and Ultra: supported_op_list.md of the RDK X3 manual. X5: the X5 columns of the RDK manual's list. J6/S100: the
operator constraint list. An op type is guessed from a node's name, so findings built on it are warnings.
"""

from __future__ import annotations

import re

from harness.platforms.horizon.op_lists import CPU_ONLY, DUAL_INT16, EC_INPUTS

__all__ = ["DUAL_INT16", "EC_INPUTS", "INT16_NOT_STATED", "KINDS", "MARCHES_J6", "MARCHES_X", "RUN_ON_BPU", "kind_of"]


def _ops(words: str) -> frozenset[str]:
    return frozenset(words.split())


MARCHES_X = ("bernoulli2", "bayes", "bayes-e")
MARCHES_J6 = (
    "nash-b-lite",
    "nash-b",
    "nash-b-plus",
    "nash-e",
    "nash-m",
    "nash-h",
    "nash-p",
    "nash-starry-p",
)

# Ops whose row in the list says nothing of int16 (PTQ), or says no; the tool prints a line and goes on with int8.
# On bayes-e Conv and GlobalAveragePool are left out: the vendor's own model zoo builds them with int16.
INT16_NOT_STATED = {
    "bayes": _ops(
        "AveragePool Conv ConvTranspose DepthToSpace Div Gather Gemm GlobalAveragePool GlobalMaxPool "
        "GridSample LSTM MatMul Resize SpaceToDepth Sum Upsample"
    ),
    "bayes-e": _ops("AveragePool ConvTranspose Div Gather Gemm GridSample LSTM MatMul PRelu Resize"),
}
# RDK X3 FAQ: run_on_bpu works for trailing Relu, Softmax and pooling, and for CPU ops followed by Transpose.
RUN_ON_BPU = _ops(
    "Relu Softmax MaxPool AveragePool GlobalAveragePool GlobalMaxPool Pool Transpose Reshape Equal Greater Less Min"
    " Sigmoid LeakyRelu Clip Concat Mul Add"
)
KINDS = frozenset().union(*CPU_ONLY.values(), *INT16_NOT_STATED.values(), RUN_ON_BPU, DUAL_INT16, EC_INPUTS) | _ops(
    "Softmax LayerNormalization Split Slice Sub Div Pow Sqrt Exp Log Tanh Erf ReduceMean ReduceMax ReduceSum Pad"
    " BatchNormalization HardSwish ConvInteger"
)
_LAST = re.compile(r"(?:^|[/.:])(?P<word>[A-Za-z]+)(?:_\d+)?$")


def kind_of(node: str) -> str:
    """Op type by the usual names (`/head/MatMul`, `Conv_3`, `/a/Softmax_1`); "" when the name does not tell."""
    match = _LAST.search(node.strip())
    return match["word"] if match and match["word"] in KINDS else ""
