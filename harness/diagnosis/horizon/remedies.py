"""What Horizon's toolchains offer about symptoms A to D, as steps. Source: the toolchain's FAQ and yaml references."""

from __future__ import annotations

from harness.diagnosis.rules import RunView
from harness.records import CheckStep

_NODES = "node_info (hb_mapper) or quant_config (hb_compile)"
STEPS = (
    ("A", "input_type_train, mean_value and scale_value of the yaml as in training", "harness lint config.yaml"),
    ("A", "calibration data as the network is fed: cal_data_dir, cal_data_type", "harness lint config.yaml"),
    ("B", f"int16 for the layer that falls, by {_NODES}", "harness lint config.yaml"),
    ("B", "another calibration_type: default tries max, percentile and kl; then mix", "harness lint config.yaml"),
    ("C", f"int16 for the last layers, or int32 outputs, by {_NODES}", "harness lint config.yaml"),
    ("C", "layers of unlike ranges in one output: split the outputs", "harness lint config.yaml"),
    ("D", "order and layout of inputs, quantized ONNX against compiled model", "harness inspect MODEL"),
)


def remedies(view: RunView, letter: str) -> tuple[CheckStep, ...]:
    """The steps of the symptom are to be done, the others do not apply."""
    if view.run.board.platform not in ("hbdnn", "ucp"):
        return ()
    return tuple(
        CheckStep(name, "to_do", "", command, sign)
        if sign == letter
        else CheckStep(name, "not_applicable", f"symptom {sign} does not show", symptom=sign)
        for sign, name, command in STEPS
    )
