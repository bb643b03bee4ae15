"""Which ops Venus takes: every op that it knows, under one name. Which of them its cores help is not published, so the
list is that of accelerators of its kind."""

from __future__ import annotations

from harness.emulator.compiler.placement import PASSIVE, OpRules
from harness.emulator.socs import Soc

_OPS = (
    "Abs Add ArgMax ArgMin Atan AveragePool BatchNormalization Ceil Clip Concat Conv ConvTranspose Cos "
    "DepthToSpace Div Dropout Elu Equal Erf Exp Expand Floor GRU Gather GatherElements Gemm "
    "GlobalAveragePool GlobalMaxPool Greater GridSample GroupNormalization HardSigmoid Identity "
    "InstanceNormalization LSTM LayerNormalization LeakyRelu Less Log LogSoftmax MatMul Max MaxPool Min "
    "Mul Neg PRelu Pad Pow Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceSum Relu Resize Round "
    "Sigmoid Sin Slice Softmax Softplus SpaceToDepth Split Sqrt Sub Sum Tanh Tile TopK Upsample Where"
)


def rules_of(soc: Soc) -> OpRules:
    """The rules of a chip."""
    return OpRules(soc.march, soc.unit, frozenset(_OPS.split()), PASSIVE)
