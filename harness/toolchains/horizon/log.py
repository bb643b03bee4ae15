"""Reader of hb_mapper (checker, makertbin), hb_compile, hb_perf and hb_model_info text, by label.

Three generations of hb_mapper (2021, 2024, 1.x) and hb_compile of J6/S100 use the same blocks with other words;
one reader takes all. A log file may hold several builds (the tools append): the last one that has a node table is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from harness.records import Message
from harness.toolchains.horizon.messages import SUCCESS, read_messages
from harness.toolchains.horizon.placed import placed_on_cpu
from harness.toolchains.horizon.tables import is_node_row, read_node_table, read_output_table
from harness.toolchains.records import Artifact, SegmentEstimate
from harness.toolchains.text import Line, count_of, counts_of, lines_of, number_of, unique

START = re.compile(r"^Start (?:hb_mapper|hb_perf|hb_model_info)\.\.\.\.")
VERSION = re.compile(
    r"^(?P<tool>hb[ _]mapper|hbdk runtime|hbdk|horizon_nn|HorizonNN|HBDK|hb_perf|hb_model_info"
    r"|hmct|HMCT|hb_compile|verifier tool)"
    r" ?(?:version)?\s*(?:version)?\s*:?\s+(?P<version>\d[\w.]*)$"
)
VERSION_WORDS = {
    "hb mapper": "hb_mapper",
    "hb_mapper": "hb_mapper",
    "HBDK": "hbdk",
    "HorizonNN": "horizon_nn",
    "hbdk runtime": "hbdk_runtime",
    "HMCT": "hmct",
    "verifier tool": "hb_verifier",
}
MARCH = re.compile(
    r"(?:^(?i:BPU march)\s*: ?|with march |^march: ?|compilation architecture: )"
    r"(?P<march>bernoulli2|bayes-e|bayes|nash(?:-[a-z]+)+)\b"
)
COMPILE = re.compile(r"Compile submodel: (?P<name>\S+)")
ESTIMATE = re.compile(
    r"FPS=(?P<fps>[\d.]+), latency = (?P<us>[\d.]+) us(?:, DDR = (?P<ddr>\d+) bytes)?\s+\(see (?P<page>\S+)\.html\)"
)
CONSUMED = re.compile(r"consumed time (?P<s>\d+(?:\.\d+)?)$")
GROUP = re.compile(r"^[#\- ]{4,}\s*(?P<name>[a-z_ ]+?)[ _]?(?P<info>info)?\s*[#\- ]{4,}$")
INPUT_BLOCK = re.compile(r"^-+\s*input info : (?P<name>.+?)\s*(?P<end>end)?\s*-+$")
SETTING = re.compile(r"^-{0,2}(?P<key>[A-Za-z_][\w&\- ]*?)\s*(?::\s*)?:\s?(?P<value>.*)$")
MEMORY = re.compile(
    r"^(?P<key>(?:input|output|static|dynamic|intermediate|temporary) memory|min memory requirement)\s*: (?P<n>\d+)$"
)
OUTPUT_COUNT = re.compile(r"ONNX model output num : (?P<n>\d+)$")
CHOSEN = re.compile(r"^Select (?P<method>.+?) method\.")
CALIBRATION_RUN = re.compile(r"^Run calibration model with (?P<method>.+?) method\.")
SAMPLES = re.compile(r"^(?:There are |number of calibration data samples: |num of calibration data: )(?P<n>\d+)\b")
CALIBRATION_MD5 = re.compile(
    r"(?P<what>First calibration picture|Provided calibration data) md5:\s*(?P<md5>[0-9a-f]{32})$"
)
CALIBRATION_INPUT = re.compile(r"Processing calibration set data for input\[(?P<name>[^\]]+)\]")
ORIGINAL_SHAPE = re.compile(r"^input '(?P<name>.+)' : original model shape: \[(?P<shape>[\d, ]*)\]")
DELETABLE = re.compile(r"^Nodes that can be deleted: (?P<names>\[.*\])$")
REMOVED = re.compile(r"^Node '(?P<name>[^']+)' is removed$")
DELETED = re.compile(r"^deleted nodes?: (?P<name>\S+)$")
REMOVABLE = re.compile(r"^#+\s*Removable node info\s*#+$")
REMOVABLE_ROW = re.compile(r"^(?P<name>\S+)\s{2,}(?P<kind>Quantize|Dequantize|Transpose|Cast|Reshape|Softmax)\s*$")
SAVED = re.compile(r"modified model saved as (?P<name>\S+)$")
TYPES = re.compile(r"^model (?P<way>input|output) types\s*: \[(?P<types>.*)\]")

PHASE = re.compile(
    r"^(?:\[[^\]]{1,60}\]\s*)?(?P<word>Start to|End to|Successfully|Succeed to)\s+"
    r"(?P<phase>export|convert|compile|build|check|prepare|parse|optimi[sz]e|calibrate|quantize"
    r"|Horizon NN Model Convert)\w*\b"
)
STAGE = re.compile(r"ERROR-OCCUR-DURING \{?(?P<stage>[\w.]+)\}?")

WHOLE_CONVERSION = "convert (all of hb_mapper)"
GROUP_WORDS = {"dependency": "model_deps", "model parameters": "model_parameters"}
MAX_SETTING = 4000  # characters of one line of settings
EMULATED = "written by harness's emulator"  # in logs that `harness emulator build` writes
TITLES = {
    "hb_mapper_log": "hb_mapper log",
    "hb_compile_log": "hb_compile log",
    "hb_perf_log": "hb_perf log",
    "hb_model_info": "hb_model_info output",
    "hb_modifier_log": "hb_model_modifier log",
    "hmct_log": "HMCT log",
    "hb_log": "toolchain console output",
}


def read_build_log(text: str) -> Artifact:
    """One toolchain log. Never raises; what could not be read is in `problems`."""
    everything = list(lines_of(text))
    lines, problems = _last_build(everything)
    nodes, node_problems = read_node_table(lines)
    outputs, output_problems = read_output_table(lines)
    settings, inputs = _settings(lines)
    config, config_problems = _config(lines)
    kind = _kind(lines)
    if config:
        settings = {**settings, **{f"config.{group}": values for group, values in config.items()}}
    facts = _facts(lines)
    messages = (*read_messages(lines), *placed_on_cpu(settings, lines))
    finished = _finished(lines, messages)
    phase = "" if finished else _failed_phase(lines)
    if phase:
        facts["unfinished_phase" if finished is None else "failed_phase"] = phase
    return Artifact(
        kind=kind,
        title=TITLES[kind] + (" of an emulated toolchain" if facts.get("emulated") else ""),
        versions=_versions(lines),
        march=_march(lines),
        finished=finished,
        settings=settings,
        inputs=inputs,
        nodes=nodes,
        outputs=outputs,
        estimates=_estimates(lines),
        messages=messages,
        facts=facts,
        problems=unique(
            (
                *problems,
                *node_problems,
                *output_problems,
                *config_problems,
                *_cut(lines),
                *_unread(lines),
                *_missing(kind, lines),
            )
        ),
    )


def _missing(kind: str, lines: Sequence[Line]) -> tuple[str, ...]:
    """What a whole log of this kind would hold and this text does not: excerpts say so themselves."""
    if kind != "hb_mapper_log":
        return ()
    text = "\n".join(line.text for line in lines)
    parts = (
        ("hb_mapper version", "no version lines"),
        ("node information:", "no node table title"),
        ("FPS=", "no compile-time estimate"),
    )
    missing = [words for mark, words in parts if mark not in text]
    if not SUCCESS.search(text):
        missing.append("no success line: failed, truncated or an excerpt")
    return (f"not in this text: {'; '.join(missing)}",) if missing else ()


def _cut(lines: Sequence[Line]) -> tuple[str, ...]:
    if (
        lines
        and not lines[-1].whole
        and SETTING.match(lines[-1].text[:MAX_SETTING])
        and not is_node_row(lines[-1].text)
    ):
        return (f"line {lines[-1].number}: the file ends inside this line; its value is not used",)
    return ()


def _unread(lines: Sequence[Line]) -> tuple[str, ...]:
    """Estimate lines with a figure that is no number: what could be read of them is shown."""
    estimates = ((line, match) for line in lines if (match := ESTIMATE.search(line.text)))
    wrong = [line for line, match in estimates if None in (number_of(match["fps"]), number_of(match["us"]))]
    return tuple(f"line {line.number}: not a number in {line.text.strip()[:60]!r}" for line in wrong)


def _last_build(lines: list[Line]) -> tuple[list[Line], list[str]]:
    starts = [index for index, line in enumerate(lines) if START.match(line.text)]
    ends = [*starts[1:], len(lines)]
    pieces = [lines[begin:end] for begin, end in zip(starts, ends, strict=False)]
    full = [piece for piece in pieces if any(is_node_row(line.text) for line in piece)]
    if len(full) < 2:
        return lines, []
    return full[-1], [f"the file holds {len(full)} builds; the last one is used"]


def _kind(lines: Sequence[Line]) -> str:
    text = "\n".join(line.text for line in lines)
    for mark, kind in (
        ("hb_compile", "hb_compile_log"),
        ("memory info ####", "hb_compile_log"),
        ("Start to export model", "hb_compile_log"),
        ("params_parser.py", "hb_compile_log"),
        ("Start hb_model_info", "hb_model_info"),
        ("hb_model_modifier", "hb_modifier_log"),
        ("Start hb_perf", "hb_perf_log"),
        ("hb_mapper", "hb_mapper_log"),
        ("Horizon NN", "hb_mapper_log"),
        ("node information:", "hb_mapper_log"),
    ):
        if mark in text:
            return kind
    if any(is_node_row(line.text) for line in lines):
        return "hb_mapper_log"
    return "hmct_log" if "The quantized model output" in text else "hb_log"


def _versions(lines: Sequence[Line]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for line in lines:
        match = VERSION.match(line.text) if line.whole else None
        if match:
            tool = match["tool"]
            versions[VERSION_WORDS.get(tool, tool)] = match["version"]
    return versions


def _march(lines: Sequence[Line]) -> str:
    for line in lines:
        match = MARCH.search(line.text) if line.whole else None
        if match:
            return match["march"]
    return ""


def _finished(lines: Sequence[Line], messages: Sequence[Message]) -> bool | None:
    """What came last decides: tools append to their logs, and a build may fail after an earlier one succeeded."""
    succeeded = max((line.number for line in lines if SUCCESS.search(line.text)), default=0)
    failed = max((message.line for message in messages if message.severity == "error"), default=0)
    return None if succeeded == failed == 0 else succeeded >= failed


def _failed_phase(lines: Sequence[Line]) -> str:
    """The last phase that began and did not end, or the stage that the tool names; "" where every phase did.

    hb_mapper's conversion holds its other phases; it is named where none of these is open.
    """
    started: list[str] = []
    for line in lines:
        if match := PHASE.match(line.text):
            phase = WHOLE_CONVERSION if match["phase"].startswith("Horizon") else match["phase"]
            started = [one for one in started if one != phase]
            started += [phase] if match["word"] == "Start to" else []
        if stage := STAGE.search(line.text):
            return stage["stage"]
    return started[-1] if started else ""


def _estimates(lines: Sequence[Line]) -> tuple[SegmentEstimate, ...]:
    """`Compile submodel`, `consumed time` and `FPS=` lines belong together; the page's name is the segment's."""
    seconds: float | None = None
    by_subgraph: dict[str, SegmentEstimate] = {}
    for line in lines:
        if COMPILE.search(line.text):
            seconds = None
        consumed = CONSUMED.search(line.text) if line.whole else None
        if consumed:
            seconds = number_of(consumed["s"])
        match = ESTIMATE.search(line.text)
        if match is None:
            continue
        name = match["page"].rsplit("/", 1)[-1]
        ddr = count_of(match["ddr"] or "")
        by_subgraph[name] = SegmentEstimate(name, number_of(match["fps"]), number_of(match["us"]), ddr, seconds)
        seconds = None
    return tuple(by_subgraph.values())


def _settings(lines: Sequence[Line]) -> tuple[dict[str, dict[str, str]], tuple[dict[str, str], ...]]:
    """The `##### model_parameters info #####` blocks and, in them, one block per input in the model's order."""
    groups: dict[str, dict[str, str]] = {}
    inputs: list[dict[str, str]] = []
    group = ""
    current: dict[str, str] | None = None
    for line in lines:
        text = line.text.strip()
        block = INPUT_BLOCK.match(text)
        heading = GROUP.match(text)
        if block:
            current = None if block["end"] else {"name": block["name"]}
            if current is not None and current["name"] not in [one["name"] for one in inputs]:
                inputs.append(current)
        elif heading and heading["info"]:
            group, current = GROUP_WORDS.get(heading["name"].strip(), heading["name"].strip().replace(" ", "_")), None
        elif text and not set(text) - set("#-*= "):
            current = None
        else:
            _take_setting(
                line, text, current if current is not None else groups.setdefault(group, {}) if group else None
            )
    return {name: values for name, values in groups.items() if values}, tuple(inputs)


def _take_setting(line: Line, text: str, target: dict[str, str] | None) -> None:
    match = SETTING.match(text) if line.whole and target is not None and len(text) <= MAX_SETTING else None
    if match and target is not None and not is_node_row(text) and len(match["key"]) <= 30:
        target.setdefault(match["key"].strip().lstrip("-"), match["value"].strip())


def _config(lines: Sequence[Line]) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """The `Dump config:` block: the yaml that the user gave, sorted by the tool."""
    for index, line in enumerate(lines):
        if line.text.strip() == "Dump config:":
            body = [lines[index + 1].text] if index + 1 < len(lines) else []
            for following in lines[index + 2 :]:
                if following.stamped:
                    break
                body.append(following.text)
            return _parse_config("\n".join(body))
    return {}, ()


def _parse_config(text: str) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    try:
        loaded: Any = yaml.load(text, Loader=yaml.BaseLoader)  # strings only
    except (yaml.YAMLError, ValueError, RecursionError):
        loaded = None
    if not isinstance(loaded, dict):
        return {}, ("the Dump config block cannot be read as yaml",)
    groups = {str(group): values for group, values in loaded.items() if isinstance(values, dict)}
    return {group: {str(k): _plain(v) for k, v in values.items()} for group, values in groups.items()}, ()


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _facts(lines: Sequence[Line]) -> dict[str, object]:
    facts: dict[str, object] = {"emulated": True} if any(EMULATED in line.text for line in lines) else {}
    memory: dict[str, int] = {}
    deleted: list[str] = []
    shapes: dict[str, list[int]] = {}
    for line in lines:
        if not line.whole:
            continue
        for pattern, key in ((OUTPUT_COUNT, "output_count"), (SAMPLES, "calibration_samples")):
            match = pattern.search(line.text)
            if match and (count := count_of(match["n"])) is not None:
                facts[key] = count
        if (matched := MEMORY.match(line.text)) and (count := count_of(matched["n"])) is not None:
            memory[matched["key"]] = count
        if matched := DELETED.match(line.text) or REMOVED.match(line.text):
            deleted.append(matched["name"])
        if matched := DELETABLE.match(line.text):
            facts["deletable_nodes"] = re.findall(r"'([^']+)'", matched["names"])
        if (matched := ORIGINAL_SHAPE.match(line.text)) and (sizes := counts_of(matched["shape"])) is not None:
            shapes[matched["name"]] = list(sizes)
    parts = {"memory_bytes": memory, "deleted_nodes": list(unique(deleted)), "original_shapes": shapes}
    facts.update({key: value for key, value in parts.items() if value})
    facts.update(_calibration(lines))
    facts.update(_types(lines))
    facts.update(_modifier(lines))
    return facts


def _modifier(lines: Sequence[Line]) -> dict[str, object]:
    """What hb_model_modifier may remove, and the file that it wrote."""
    facts: dict[str, object] = {}
    if any(REMOVABLE.match(line.text.strip()) for line in lines):
        rows = [match["name"] for line in lines if (match := REMOVABLE_ROW.match(line.text))]
        facts["removable_nodes"] = rows
    saved = [match["name"] for line in lines if line.whole and (match := SAVED.search(line.text))]
    return {**facts, **({"saved_as": saved[-1]} if saved else {})}


def _calibration(lines: Sequence[Line]) -> dict[str, object]:
    facts: dict[str, object] = {}
    hashes: dict[str, str] = {}
    name = ""
    for line in lines:
        if not line.whole:
            continue
        if match := CALIBRATION_INPUT.search(line.text):
            name = match["name"]
        if match := CALIBRATION_MD5.search(line.text):
            hashes[name if match["what"].startswith("First") else "all"] = match["md5"]
        if match := CHOSEN.match(line.text):
            facts["calibration_chosen"] = match["method"]
        if match := CALIBRATION_RUN.match(line.text):
            facts["calibration_run"] = match["method"]
    return {**facts, **({"calibration_md5": hashes} if hashes else {})}


def _types(lines: Sequence[Line]) -> dict[str, object]:
    facts: dict[str, object] = {}
    for line in lines:
        match = TYPES.match(line.text)
        if match:
            facts[f"{match['way']}_types"] = re.findall(r"DataTy?p?e\.(\w+)", match["types"])
    return facts
