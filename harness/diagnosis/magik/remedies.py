"""What Ingenic's guide does about symptoms A to D, as steps. Source: post-quantization guide 1.0.1, 8.2."""

from __future__ import annotations

from harness.diagnosis.rules import RunView
from harness.records import CheckStep

_TRANSFORM = "./magik-transform-tools --post_training_quantization true --ptq_config_path ptq_config.json ..."
_FLOAT = "run the float network on ./result/path/input_uint8.bin; compare with result/path/float_model"
_BOARD = "feed ./result/path/input_uint8.bin to the board; compare every layer with result/path/ptq_model"
STEPS = (
    ("A", "format, mean and variance of the json as in training", "harness lint ptq_config.json --command run.sh"),
    ("B", "feature_quantize_bits or weight_quantize_bits 10, 12 or 14", _TRANSFORM),
    ("B", "skip_node_quant: the layer that falls stays in float", _TRANSFORM),
    ("B", _FLOAT, "harness compare FLOAT.onnx result/path/float_model --input INPUT.npy"),
    ("C", "weight_fake_quant and feature_fake_quant: which side loses?", _TRANSFORM),
    ("C", "bias_corr with corr_dir and vali_dir", _TRANSFORM),
    ("C", "feature_quantize_bits 12, weight_quantize_bits 10", _TRANSFORM),
    ("D", _FLOAT, "harness compare FLOAT.onnx result/path/float_model --input INPUT.npy"),
    ("D", _BOARD, "harness run --board BOARD MODEL --input input_uint8.bin --reference result/path/ptq_model"),
)


def remedies(view: RunView, letter: str) -> tuple[CheckStep, ...]:
    """The guide's steps: those of the symptom are to be done, the others do not apply."""
    if view.run.board.platform != "magik":
        return ()
    return tuple(
        CheckStep(name, "to_do", "", command, sign)
        if sign == letter
        else CheckStep(name, "not_applicable", f"symptom {sign} does not show", symptom=sign)
        for sign, name, command in STEPS
    )
