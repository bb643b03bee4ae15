"""Which ops a BPU takes, per march, and what a config of its toolchain asks for.

The lists follow the vendor's public operator lists (RDK X3 `supported_op_list.md` for bernoulli2 and bayes, the RDK X5
operator list for bayes-e, the J6 operator constraint list for nash) and what real toolchain logs show of tail ops.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.emulator.compiler.node_types import PLAIN, NodeSettings, NodeTypes, TypeWishes
from harness.emulator.compiler.placement import PASSIVE, OpRules
from harness.emulator.thresholds.settings import (
    DEFAULT,
    KL_BINS,
    MAX,
    METHODS,
    MIX,
    CalibrationSettings,
)
from harness.toolchains.horizon.build_config import ConfigTypes, NodeSetting, read_types

_LUT_OPS = "Sigmoid Tanh Exp Sqrt Log Reciprocal Sin Cos Pow Erf"
_X_COMMON = (
    "Add ArgMax AveragePool BatchNormalization Clip Concat Conv ConvTranspose Cos DepthToSpace Div Exp Gemm"
    " GlobalAveragePool GlobalMaxPool LSTM LeakyRelu MatMul MaxPool Mul Pad Pow Reciprocal ReduceMean Relu Resize"
    " Sigmoid Sin Slice Softplus SpaceToDepth Split Sqrt Sum Tanh Upsample"
)
_BAYES_COMMON = (
    _X_COMMON + " Abs ArgMin Ceil Elu Expand Floor Gather GatherElements GridSample HardSigmoid LayerNormalization"
    " Log Max ReduceMax ReduceSum Sub Tile TopK Atan"
)

# ReduceL2 is in no list of X5; the latencies that were published of EdgeNeXt agree only with all of it on the BPU.
# On bernoulli2 the list has Reshape and Transpose on the CPU, on nash on the BPU; in between they are passive.
_RULES: dict[str, OpRules] = {
    "bernoulli2": OpRules(
        "bernoulli2",
        "BPU",
        frozenset((_X_COMMON + " PRelu").split()),
        kernel_side=7,
        kernel_volume=32768,
        max_pool_side=64,
        average_pool_side=7,
        four_dimensions_only=True,
        constant_matmul_only=True,
        gemm_is_convolution=True,
    ),
    "bayes": OpRules("bayes", "BPU", frozenset(_BAYES_COMMON.split()), PASSIVE, tail_int32_alone=True),  # J5 FAQ
    "bayes-e": OpRules(
        "bayes-e",
        "BPU",
        frozenset((_BAYES_COMMON + " ReduceL2 PRelu Erf Round Sign Selu Softsign Tan Sinh Cosh Acos Asin").split()),
        PASSIVE,
        kernel_volume=32767,
    ),
    "nash": OpRules(
        "nash",
        "BPU",
        PASSIVE
        | frozenset(
            (
                _BAYES_COMMON + " " + _LUT_OPS + " Softmax LogSoftmax GroupNormalization InstanceNormalization"
                " ReduceL1 ReduceL2 GRU Identity Dropout PRelu Where Greater Less Equal Neg Min Round"
            ).split()
        ),
        takes_any_kernel=True,
    ),
}


def rules_of(march: str) -> OpRules:
    """The rules of a march; all of nash follow one list."""
    return _RULES["nash" if march.startswith("nash") else march]


def node_settings(path: Path) -> NodeSettings:
    """Types and places of nodes, of the yaml or the quant_config.json at `path`. Errors: InputError, ConfigError."""
    return settings_of(read_types(path))


def settings_of(config: ConfigTypes) -> NodeSettings:
    """The same of a config that was read."""
    types = {name: _types(one) for name, one in config.nodes.items() if one.unit != "CPU"}
    kinds = {kind: _types(one) for kind, one in config.kinds.items() if one.unit != "CPU"}
    every = NodeTypes(config.every, output=config.every) if config.every else PLAIN
    return NodeSettings(
        TypeWishes({name: one for name, one in types.items() if one != PLAIN}, kinds, every, config.outputs),
        tuple(name for name, one in config.nodes.items() if one.unit == "CPU"),
        tuple(name for name, one in config.nodes.items() if one.unit == "BPU"),
        _calibrating(config.calibration) if config.calibration else None,
    )


def _calibrating(keys: Mapping[str, str]) -> CalibrationSettings:
    """Calibration as the toolchain takes its keys: a percentile acts with max alone, and the searches try channels
    themselves; `load` and `skip` bring no method, so the largest value counts."""
    method = keys.get("calibration_type", MAX)
    method = method if method in METHODS else MAX
    return CalibrationSettings(
        method,
        _number(keys.get("max_percentile", ""), 1.0) if method == MAX else 1.0,
        keys.get("per_channel", "").lower() == "true" and method not in (DEFAULT, MIX),
        keys.get("asymmetric", "").lower() == "true",
        keys.get("bias_correction", "").lower() == "true",
        int(_number(keys.get("num_bin", ""), KL_BINS, low=129, high=16384)),
    )


def _number(text: str, usual: float, low: float = 0.0, high: float = 1.0) -> float:
    """A number inside its bounds; the usual one for anything else, which lint names."""
    try:
        value = float(text)
    except ValueError:
        return usual
    return value if low < value <= high else usual


def _types(setting: NodeSetting) -> NodeTypes:
    return NodeTypes(setting.features, dict(setting.inputs), setting.output)
