"""Which ops of a march no BPU takes, and which take more than int8, from the vendor's public operator lists.

X3 and Ultra: supported_op_list.md of the RDK X3 manual. X5: the X5 columns of the RDK manual's list. J6 (nash): its
operator constraint list, as far as it was read.
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

# Ops whose row states int16 in post-training quantization. Silence in a row is no statement: such an op is left out,
# but for two of bayes-e that the vendor's own model zoo builds with int16 (Conv, GlobalAveragePool).
INT16 = {
    "bernoulli2": _ops(""),
    "bayes": _ops(
        "Abs Add ArgMax ArgMin Atan Ceil Clip Concat Cos Elu Equal Exp Expand Flatten Floor GatherElements Greater"
        " HardSigmoid LeakyRelu Less Log Max MaxPool Min Mul Pad Pow Reciprocal ReduceMax ReduceMean ReduceSum Reshape"
        " Sigmoid Sin Slice Softmax Softplus Split Sqrt Squeeze Sub Tanh Tile TopK Transpose Unsqueeze"
    ),
    "bayes-e": _ops(
        "Abs Add Ceil Clip Cos Elu Exp Expand Floor GatherElements HardSigmoid LeakyRelu Log Max MaxPool Mul Sub Pow"
        " Reciprocal ReduceMax ReduceMean ReduceSum Sin Slice Split Sqrt Tanh Tile Acos Asin Atan Erf Round Sign Selu"
        " Softsign Tan Sinh Cosh Sigmoid Concat Pad DepthToSpace SpaceToDepth ArgMax ArgMin TopK Reshape Transpose"
        " Flatten Squeeze Unsqueeze Softmax Equal Greater Less Min Conv GlobalAveragePool"
    ),
    "nash": _ops(
        "Sigmoid Exp Erf Tanh Sqrt Log Reciprocal Sin Cos Pow Conv ConvTranspose Gemm MatMul Resize GridSample"
        " LayerNormalization GroupNormalization InstanceNormalization Softmax LogSoftmax ReduceL1 ReduceL2 Div LSTM GRU"
        " Add ArgMax Flatten Squeeze Unsqueeze Reshape Transpose Concat Mul"
    ),
}
SOURCES = {
    "bernoulli2": "RDK X3 supported_op_list.md: no int16 in post-training quantization",
    "bayes": "RDK X3 supported_op_list.md, columns of RDK Ultra",
    "bayes-e": "RDK X5 operator list; Conv and GlobalAveragePool: rdk_model_zoo builds them with int16",
    "nash": "J6 operator constraint list; both inputs int16 and ec: article on dual int16, OE 3.2.0",
}
# Article on dual int16, OE 3.2.0: both inputs; and where error compensation works. Elsewhere neither has an effect.
DUAL_INT16 = _ops("Conv ConvTranspose MatMul Gemm")
EC_INPUTS = {
    "Conv": _ops("input1"),
    "ConvTranspose": _ops("input1"),
    "MatMul": _ops("input0 input1"),
    "GridSample": _ops("input0"),
    "Resize": _ops("input0"),
}
DUAL_SINCE = "OE 3.2.0 (hbdk4-compiler 4.3.3); an output of such a node cannot be int32"


def list_of(march: str) -> str:
    """The key of INT16 that a march follows."""
    return "nash" if march.startswith("nash") else march


def takes_int16(march: str, kind: str) -> bool:
    """Whether an op of that ONNX type may read and write int16 feature maps on the march."""
    return kind in INT16.get(list_of(march), frozenset())


def takes_type(march: str, kind: str, place: int, dtype: str) -> bool:
    """Whether the input at `place` of such an op may be of the type: int16 or ec, constants too."""
    if dtype == "ec":
        return list_of(march) == "nash" and f"input{place}" in EC_INPUTS.get(kind, frozenset())
    is_weight = place == 1 and kind in ("Conv", "ConvTranspose", "Gemm")
    if is_weight:
        return list_of(march) == "nash" and kind in DUAL_INT16
    return takes_int16(march, kind)
