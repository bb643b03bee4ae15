"""What lines of hb_mapper and hb_compile logs really mean.

A log file carries no level word, so only the text tells. Meanings are from the vendor's own list of error
messages (X3/Ultra toolchain FAQ), the J5 FAQ, and from real logs; where vendor and logs say less than a reader
may think, the meaning says so. Order matters: the first pattern that matches wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.records import Message
from harness.toolchains.horizon.build_errors import EXCEPTION, explain
from harness.toolchains.text import Line


@dataclass(frozen=True)
class Meaning:
    """What a known message of the toolchain means, and how much it matters."""

    pattern: re.Pattern[str]  # a group `subject` names what it is about
    severity: str
    meaning: str


def _m(pattern: str, severity: str, meaning: str) -> Meaning:
    return Meaning(re.compile(pattern), severity, meaning)


SEEN_BEFORE = "; harness lint checks this before the build ({})"
MEANINGS = (
    _m(
        r"The (?P<input>input\d+) of Node\(name:(?P<subject>[^,]+), type:[^)]+\) does not support data type: \w+",
        "note",
        "this one input of this node is not offered in that type on this march; the tool goes on with another. "
        "It is printed also where nobody asked for int16 (the search tries types), so it proves neither a setting "
        "nor a loss: look at the node's row and cosine",
    ),
    _m(
        r"Reset batch_size=1 and execute forward again",
        "note",
        "calibration continues one sample at a time; the result is the same",
    ),
    _m(
        r"\[E:onnxruntime.*Non-zero status code returned while running (?:Reshape|Resize) node",
        "note",
        "batched calibration does not fit this model; the tool retries one by one; the result is the same",
    ),
    _m(
        r"The calibration dir name suffix is not the same as the value",
        "note",
        "only a note: cal_data_type wins over the folder's suffix",
    ),
    _m(
        r"There are \d+ nodes designated to run on the (?P<subject>bpu|cpu)",
        "note",
        "placement was set by hand (run_on_*, node_info)",
    ),
    _m(r"The input of all (?P<subject>\w+) nodes are set to", "note", "set by calibration_parameters.optimization"),
    _m(
        r"^advice: Layer \"(?P<subject>[^\"]+)\" becomes slow",
        "note",
        "compiler advice on shape alignment or channels; times are the compiler's estimate",
    ),
    _m(
        r"Can not find the scale for node (?P<subject>\S+)",
        "note",
        "a layout node carries no scale of its own; harmless",
    ),
    _m(
        r"Layer (?P<subject>\S+)\s+.*expects? data shape range",
        "warning",
        "the op is over a limit of the BPU and falls back to the CPU",
    ),
    _m(
        r"Tensor (?P<subject>\S+) expects be \d+ dimensions, but \d+ provided",
        "warning",
        "the op is over a limit of the BPU and falls back to the CPU",
    ),
    _m(
        r"Layer (?P<subject>\S+) will be executed on CPU",
        "warning",
        "a dimension is over the BPU's limit; runs on the CPU",
    ),
    _m(
        r"got unexpected (?:input|output|sumin)[\w/]* threshold on conv (?P<subject>[^\s!]+)",
        "warning",
        "wrong preprocessing of the calibration data, or extreme weights",
    ),
    _m(r"Unsupported op (?P<subject>\S+)", "warning", "not a BPU op; runs on the CPU"),
    _m(
        r"HorizonRT not support these cpu operators: (?P<subject>.+)",
        "error",
        "the board's runtime has no CPU kernel for this op: replace it or write a custom op",
    ),
    _m(r"There is no node can execute on BPU", "error", "the model needs at least one Conv that the BPU takes"),
    _m(r"No guantifiable nodes were found", "error", "the model has no output node the tool can quantize to"),
    _m(r"tool limits for max output num is 32", "error", "at most 32 outputs"),
    _m(
        r"opset version of the (?:onnx )?model is \w+",
        "error",
        "export again with opset_version 10 or 11 (X3, J5, X5)" + SEEN_BEFORE.format("H-805"),
    ),
    _m(
        r"hbdk-cc compile hbir model failed with returncode",
        "error",
        "the compiler failed; see its output before this line",
    ),
    _m(
        r"load cal data for input (?P<subject>\S+) error",
        "error",
        "calibration data of this input cannot be read: size and type" + SEEN_BEFORE.format("H-409"),
    ),
    _m(
        r"cannot reshape array of size",
        "error",
        "calibration data does not have input_shape: size, type or preprocessing" + SEEN_BEFORE.format("H-409"),
    ),
    _m(
        r"nodes: ?\[(?P<subject>[^\]]+)\] are specified as domain: ?\S+ which are not supported by official onnx",
        "error",
        "an op that is not of ONNX: replace it when exporting, or register it as a custom op (custom_op_method)",
    ),
    _m(
        r"input shape \[.*\] has length: ?\S+\s+ERROR list index out of range|^list index out of range$",
        "error",
        "an input that has not four dimensions: export it with four, for example 1x1xHxW (harness lint: H-315)",
    ),
    _m(
        r"NOT_IMPLEMENTED ?: ?[Cc]ould not find an? implementation for the node(?: of)? (?P<subject>\S+)",
        "error",
        "the toolchain has no kernel of this op in this opset: export again with opset_version 10 or 11 (X3, J5, X5)",
    ),
    _m(
        r"INVALID_GRAPH ?:.*No Op registered for (?P<subject>Hz\w+)",
        "error",
        "a quantized ONNX holds the vendor's ops: only the vendor's own runtime runs it",
    ),
    _m(
        r"cudaErrorNoKernelImageForDevice",
        "error",
        "the GPU is not one of this image's: start the toolchain's CPU image, or its GPU image with the NVIDIA runtime",
    ),
    _m(
        r"hbm model input feature names must be equal to graph node input names",
        "error",
        "model and runtime are of releases that do not belong together: update both",
    ),
    _m(
        r"op_name: ?(?P<subject>\S+) invalid attr key (?P<key>\S+)",
        "error",
        "the board's runtime does not support this attribute of the op: replace the op or change the attribute",
    ),
    _m(
        r"data type of ndarray do(?:es)? not match specified type",
        "error",
        "the board's runtime does not take this data type as input of a CPU op: cast before it, or leave the op out",
    ),
    _m(
        r"hbSysMem memSize should >= tensor aligned shape size",
        "error",
        "the program allocated less than the input needs: use alignedByteSize of the tensor's properties",
    ),
    _m(
        r"^(?:core dump|core dumped|Segmentation fault|Aborted)(?: \(core dumped\))?$",
        "error",
        "the tool crashed in the phase that began last; a model that was exported with names for only some of its "
        "inputs and outputs does this in parsing",
    ),
    _m(r"There is an error in pass: ?(?P<subject>\S*)", "error", "a graph pass of the tool failed"),
    _m(
        r"Inferred shape and existing shape differ",
        "error",
        "the ONNX carries wrong shapes, or a pass of the tool broke them",
    ),
    _m(
        r"which has dimensions of 0\. Please specify input-shape",
        "error",
        "dynamic input: give --input-shape or input_shape" + SEEN_BEFORE.format("H-803"),
    ),
    _m(r"only support 4 dim input", "error", "this op takes four dimensions only"),
    _m(r"Not support this attribute/mode", "error", "this attribute of the op is not supported"),
    _m(
        r"wrong input name: '(?P<subject>[^']+)', available: ",
        "error",
        "input_name is not an input of the model" + SEEN_BEFORE.format("H-801"),
    ),
    _m(r"check_input_names failed", "error", "input_name is not an input of the model" + SEEN_BEFORE.format("H-801")),
    _m(
        r"^Key '(?P<subject>\w+)' error:",
        "error",
        "the yaml breaks the schema in this group" + SEEN_BEFORE.format("H-102 to H-106"),
    ),
    _m(
        r"^(?:Missing keys?|Wrong keys?): ?(?P<subject>.+)",
        "error",
        "the yaml breaks the schema" + SEEN_BEFORE.format("H-102 to H-106"),
    ),
    _m(r"yaml file parse failed", "error", "the yaml breaks the schema; see harness lint"),
    _m(r"ERROR-OCCUR-DURING \{?(?P<subject>[\w.]+)\}?", "error", "the stage named here failed"),
    _m(r"exception in command: (?P<subject>\w+)", "error", "the command ended with an error"),
    _m(r"is a packed model, it can not be packed again", "error", "hb_pack takes single models only"),
    _m(r"pack model is not supported", "error", "hb_model_verifier takes single models only"),
    _m(
        r"bpu model don't have per-layer perf info",
        "warning",
        "no layer times: build with compiler_parameters.debug: True",
    ),
    _m(r"if you need per-layer perf info please enable", "note", "build with compiler_parameters.debug: True"),
    _m(
        r"parameter '?(?P<subject>\w+)'? has been deprecated(?!, do not use)", "note", "the key no longer has an effect"
    ),
    _m(
        r"The input_type_train is featuremap, the (?P<subject>\w+) will not take effect",
        "note",
        "layout has no effect for a feature map",
    ),
    _m(r"The input node (?P<subject>\S+?)'s input_source is not be specified", "note", "the default source is used"),
    _m(
        r"calibration dataset has not been specified, the calibration method is modified to skip",
        "warning",
        "no calibration ran: cosines and thresholds are meaningless",
    ),
)

# Success and failure words, old misspelling included.
SUCCESS = re.compile(
    r"Convert to runtime bin file suc+ess?fully|Successfully compile the hbm model|The hb_compile completes running"
    r"|End model checking|model output consistency comparison was successful"
    r"|get perf info succeeded|HBDK model compilation SUCCESS|HBDK model check PASS"
)


def is_known_message(text: str) -> bool:
    """Whether a text is an error of these tools by the list above; the words of a table or a setting are none."""
    return any(one.severity == "error" and one.pattern.search(text) for one in MEANINGS)


def read_messages(lines: Iterable[Line]) -> tuple[Message, ...]:
    """Lines with a known meaning, and lines whose level word says WARNING or ERROR; same text once, counted."""
    messages: dict[tuple[str, str], Message] = {}
    for line in lines:
        message = _message(line)
        if message is None:
            continue
        key = (message.severity, message.text)
        earlier = messages.get(key)
        messages[key] = replace(earlier, count=earlier.count + 1) if earlier else message
    return tuple(messages.values())


def _message(line: Line) -> Message | None:
    for meaning in MEANINGS:
        match = meaning.pattern.search(line.text)
        if match is not None:
            subject = match.groupdict().get("subject") or ""
            return Message(meaning.severity, line.text.strip(), meaning.meaning, line.number, subject.strip())
    marked = {"WARNING": "warning", "ERROR": "error", "CRITICAL": "error"}.get(line.level, "")
    known = explain(line.text.strip()) if line.level or line.stamped or EXCEPTION.match(line.text) else None
    if known is not None:
        return Message(known.severity, line.text.strip(), known.advice, line.number, known.subject)
    return Message(marked, line.text.strip(), "", line.number) if marked else None
