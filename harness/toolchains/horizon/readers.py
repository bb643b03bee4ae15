"""Which Horizon / D-Robotics toolchain file is which. The order matters: narrow marks before wide ones."""

from __future__ import annotations

import re

from harness.toolchains.base import text_reader
from harness.toolchains.horizon import debug, files, log, pages, perf, tuning, verifier
from harness.toolchains.horizon.build_config import GROUPS, read_config
from harness.toolchains.horizon.build_errors import EXCEPTION, is_known_error
from harness.toolchains.horizon.messages import is_known_message
from harness.toolchains.horizon.tables import is_node_header, is_node_row
from harness.toolchains.text import Line, lines_of

QUANT_INFO = re.compile(r"\A\s*\{\s*(?:\"(?:[^\"\\]|\\.)*\"\s*:\s*\{\s*)\"(?:type|cosine_similarity|tensor|inputs)\"")
SENSITIVITY_DICT = re.compile(r"\{\s*'[^']+': \{'(?:cosine-similarity|mse|mre|sqnr|chebyshev)'")
VERIFIER = re.compile(
    r"Strict check (?:PASSED|FAILED)[ \t]*\r?$|hb_verifier starts|verifier tool version|mismatch line num: "
    r"|mismatch result num: |model output consistency compar|No output to compare|skip this tensor calculation"
    r"|\|\s*TensorName\s*\|",
    re.MULTILINE,
)
LOG = re.compile(
    r"hb_mapper version|hb_mapper (?:checker|makertbin) |Start hb_(?:mapper|perf|model_info)|The hb_compile completes"
    r"|(?:\[.*\] )?Start to Horizon NN|############# (?:memory|model deps) info|HBDK model (?:compilation|check)"
    r"|hb_model_modifier \S|log will be stored in \S*hb_model_modifier|modified model saved as"
    r"|Nodes that will be removed|#+\s*Removable node info|The quantized model output:"
    r"|Nodes that can be deleted|exception in command|deleted nodes: |Dump config:|advice: Layer"
    r"|The input\d+ of Node\(name:|bpu model don't have per-layer perf info|\*{3} ERROR-OCCUR-DURING"
    r"|yaml file parse failed|(?i:BPU march)\s*:|hb_compile version"
    r"|Start to (?:export|convert|compile)\b|Successfully (?:export|convert|compile)\b"
)


def _is_quant_info(text: str) -> bool:
    return QUANT_INFO.match(text) is not None


def _is_node_info(text: str) -> bool:
    return text.lstrip("\ufeff").lstrip().startswith("Node,NodeType,ON,")


def _is_advice(text: str) -> bool:
    head = text.lstrip()[:4000]
    return head.startswith("[") and '"tensor_names"' in head and '"backend"' in head[:4000] + text[-4000:]


def _is_perf(text: str) -> bool:
    return re.search(r"\{\s*['\"]summary['\"]\s*:\s*\{", text) is not None


def _is_sensitivity(text: str) -> bool:
    if SENSITIVITY_DICT.search(text):
        return True
    return any(debug.HEADER.match(line.strip()) for line in text.splitlines())


def _is_qat(text: str) -> bool:
    return re.search(r"^[ \t]*\|[^\n]*\b(?:Module|Weight) Name\s*\|", text, re.MULTILINE) is not None


def _is_vec_diff(text: str) -> bool:
    return text.lstrip().startswith("Left Files,")


def _is_desc(text: str) -> bool:
    return files.MODEL_DESC.search(text) is not None


def _is_config(text: str) -> bool:
    return len(set(GROUPS.findall(text))) >= 2 and "Dump config" not in text


def _is_log(text: str) -> bool:
    return any(_is_log_line(line) for line in lines_of(text))


def _is_log_line(line: Line) -> bool:
    """A line of the tool's own words, or an error of it: a record, or an exception without a log around it."""
    text = line.text
    if LOG.match(text.lstrip("+ ")) or is_node_header(text) or is_node_row(text):
        return True
    if not (line.stamped or line.level or EXCEPTION.match(text)):
        return False
    return is_known_error(text) or is_known_message(text)


READERS = (
    *pages.READERS,
    *tuning.READERS,
    text_reader("quant_info", "quant_info.json", _is_quant_info, files.read_quant_info),
    text_reader("node_info", "node_info.csv", _is_node_info, files.read_node_info),
    text_reader("advice", "advice.json", _is_advice, files.read_advice),
    text_reader("hb_perf", "hb_perf / hbm_perf estimate", _is_perf, perf.read_perf),
    text_reader("sensitivity", "sensitivity table", _is_sensitivity, debug.read_sensitivity),
    text_reader("qat_similarity", "QAT comparison table", _is_qat, debug.read_qat_table),
    text_reader("vec_diff", "vec_diff table", _is_vec_diff, debug.read_vec_diff),
    text_reader("model_desc", "[model desc] JSON", _is_desc, files.read_model_desc),
    text_reader("hb_verifier", "hb_verifier output", lambda t: VERIFIER.search(t) is not None, verifier.read_verifier),
    text_reader("build_config", "toolchain config (yaml)", _is_config, read_config),
    text_reader("hb_log", "toolchain log", _is_log, log.read_build_log),
)
