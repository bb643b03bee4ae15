"""Ops that no BPU of a march takes, from the vendor's public operator lists.

X3 and Ultra: supported_op_list.md of the RDK X3 manual. X5: the X5 columns of the RDK manual's list.
"""

from __future__ import annotations


def _ops(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Ops that the list gives to the CPU with no way onto the BPU.
CPU_ONLY = {
    "bernoulli2": _ops(
        "Abs Acos Acosh And ArgMin Asin Asinh Atan Atanh BitShift Cast Ceil Celu Compress "
        "ConcatFromSequence ConvInteger Cosh CumSum DequantizeLinear Det DynamicQuantizeLinear Einsum Elu "
        "Equal Erf Expand EyeLike Floor GRU Gather GatherElements GatherND GlobalLpPool Greater "
        "GreaterOrEqual GridSample HardSigmoid Hardmax Identity If InstanceNormalization IsInf IsNaN LRN "
        "LayerNormalization Less LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMulInteger Max "
        "MaxRoiPool Mean MeanVarianceNormalization Min Mod Multinomial Neg NonZero Not OneHot Or "
        "QLinearConv QLinearMatMul QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform "
        "RandomUniformLike Range ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMin "
        "ReduceProd ReduceSum ReduceSumSquare ReverseSequence RoiAlign Round Scan Scatter ScatterElements "
        "ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert "
        "SequenceLength Shrink Sign Sinh Softsign SplitToSequence StringNormalizer Sub Tan "
        "TfIdfVectorizer ThresholdedRelu Tile TopK Unique Where Xor"
    ),
    "bayes": _ops(
        "Acos Acosh And Asin Asinh Atanh BitShift Cast Celu Compress ConcatFromSequence ConvInteger Cosh "
        "CumSum DequantizeLinear Det DynamicQuantizeLinear Einsum Erf EyeLike GRU GatherND GlobalLpPool "
        "Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LogSoftmax Loop LpNormalization LpPool "
        "MatMulInteger MaxRoiPool Mean MeanVarianceNormalization Mod Multinomial Neg Not OneHot Or PRelu "
        "QLinearConv QLinearMatMul QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform "
        "RandomUniformLike Range ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMin ReduceProd "
        "ReduceSumSquare ReverseSequence RoiAlign Round Scan Scatter ScatterElements ScatterND Selu "
        "SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shrink "
        "Sign Sinh Softsign SplitToSequence StringNormalizer Tan TfIdfVectorizer ThresholdedRelu Unique "
        "Where Xor"
    ),
    "bayes-e": _ops(
        "Cast CumSum GRU GatherND InstanceNormalization LogSoftmax Neg Not ScatterElements ScatterND Where"
    ),
}
