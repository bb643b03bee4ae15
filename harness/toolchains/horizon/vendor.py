"""What reading knows of Horizon."""

from __future__ import annotations

import re

from harness.toolchains.base import ModelRuntimes, ToolchainVendor
from harness.toolchains.horizon import board_files, consoles, monitors, readers
from harness.toolchains.horizon.pixels import is_preprocess, pixels_of_build

VENDOR = ToolchainVendor(
    readers.READERS,
    (*consoles.FIRST, *board_files.READERS, *monitors.READERS),
    consoles.READERS,  # asked last: they may hold a toolchain's words
    beside=(
        "hb_mapper_checker.log",
        "hb_mapper_makertbin.log",
        "hb_compile.log",
        "quant_info.json",
        "node_info.csv",
        "advice.json",
        "perf.json",
        "analysis_summary.json",
        "hb_verifier.log",
    ),
    same_units={"JIT": "BPU"},  # compiled while it is loaded, run on the same unit
    model_suffixes={
        ".bin": "X3/J5/X5 model, or raw tensor bytes",
        ".hbm": "J6/S100/S600 model",
        ".bc": "J6/S100 intermediate model (hbdk4)",
    },
    build_facts={
        "march": re.compile(rb"\b(bernoulli2|bayes-e|bayes|nash-[a-z]{1,2}(?:-[a-z]+)?)\b"),
        "hb_mapper": re.compile(rb"hb_mapper[ _]version\W{1,8}(\d[\w.]{2,15})"),
        "hbdk": re.compile(rb"(?:hbdk_version|HBDK_VERSION)\W{1,8}(\d[\w.]{2,15})"),
        "builder": re.compile(rb"BUILDER_VERSION\W{1,8}(\d[\w.]{2,15})"),
    },
    # `*_quantized_model.onnx` holds Hz ops: HB_ONNXRuntime (X3, J5, X5) runs them, HBRuntime runs .onnx, .bc and .hbm
    # of J6 and S100.
    runtimes=ModelRuntimes(
        names=("HB_ONNXRuntime", "HBRuntime"),
        packages=("horizon_tc_ui", "hbdk4"),
        has_op=lambda domain, kind: domain.startswith("horizon") or kind.startswith("Hz"),
        compiled={".bc": ("HBRuntime",), ".hbm": ("HBRuntime",)},
    ),
    stages=(
        ("float", "original_float_model.onnx"),
        ("optimized", "optimized_float_model.onnx"),
        ("calibrated", "calibrated_model.onnx"),
        ("ptq", "ptq_model.onnx"),
        ("compiled", "quantized_model.bc"),
        ("quantized", "quantized_model.onnx"),
    ),
    pixels=pixels_of_build,
    is_preprocess=is_preprocess,
)
