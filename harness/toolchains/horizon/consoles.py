"""Consoles of board tools for `harness inspect`: model_info, infer, perf, load banners, hrut_somstatus.

Nothing that the platforms' readers know is left out: one row per tensor, one row per perf run, every warning and error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from harness.platforms.horizon import model_info, perf, somstatus, status
from harness.platforms.horizon.failures import known_failures
from harness.platforms.horizon.text import read_versions, read_warnings
from harness.records import Failure, Latency, Message, ModelInfo, TensorSpec
from harness.toolchains.base import text_reader
from harness.toolchains.horizon.files import MODEL_DESC, read_model_desc
from harness.toolchains.records import Artifact
from harness.toolchains.text import ANSI, counts_of, number_of

CONSOLE = re.compile(
    r"^[ \t]*(?:\[model name\]: |Running condition:|Perf result:|input\[0\]:|Infer time: |Load model to DDR cost "
    r"|Frame count:\s*[0-9]+,\s*Thread Average:|\[BPU_PLAT\]|\[HBRT\] set log level|\[DNN\]:? (?:Runtime version|[0-9])"
    r"|\[UCP\]: UCP version)"
    r"|Inconsistency between the hbrt library version"
    r"|^[ \t]*(?:\x1b\[[0-9;]*m)*\[E\]\s*\[(?:DNN|UCP|HBRT|Plan|BPU|HPL)\b"
    r"|^[ \t]*\[HBRT ERROR\]|^[ \t]*int?put\[[^\n]{1,30}\], name=\S+, type=\S+, shape=\(",
    re.MULTILINE,
)
# As libdnn's Python examples list tensors; "intput" is theirs.
LISTED = re.compile(
    r"^[ \t]*(?P<side>int?put|output)\[(?P<index>[^\n]{1,30}?)\]+, name=(?P<name>\S+), type=(?P<dtype>\w+), "
    r"shape=\((?P<shape>[\d, ]*)\)[ \t]*\r?$",
    re.MULTILINE,
)
STATUS = re.compile(
    r"^[ \t]*(?:-e[ \t]+)?(?:=+[0-9]+=+[ \t]*\r?$|temperature-+>|bpu status information-+>)", re.MULTILINE
)
COMMAND = re.compile(r"^.*\bhrt_model_exec\s+(?P<what>[a-z_]+)\b(?P<flags>.*)$")
LOADED = re.compile(r"(?:Load model to DDR cost |Load [\w-]+ Quantize model time = )([0-9]+(?:\.[0-9]+)?) ?ms\b")
ENDS_A_RUN = re.compile(r"^\s*Frame\s+rate\s+is:")
ERROR = re.compile(r"^\s*(?:\x1b\[[0-9;]*m)*\s*(?:\[E\]|E[0-9]{4} |\[HBRT ERROR\]|Error:)")
OF_THESE_TOOLS = re.compile(
    r"hrt_model_exec|\[E\]|model's march is|L2 ?(?:M|memory)\b|HBRT|hbDNN|hbUCP|HB_UCP|alignedByteSize"
    r"|Incompatible Platform"
)
MOST_MESSAGES = 200
MOST_OF_A_CONSOLE = 100_000  # characters that are searched for a failure to recognise a console by


def _read_console(text: str) -> Artifact:
    plain = ANSI.sub("", text)
    facts: dict[str, object] = {}
    problems: list[str] = []
    models = _models(plain)
    if models:
        facts |= _model_facts(models)
        problems += [problem for info in models for problem in info.problems]
    listed = _listed(plain, problems)
    facts |= {key: rows for key, rows in listed.items() if rows and key not in facts}
    loaded = [number for ms in LOADED.findall(plain) if (number := number_of(ms)) is not None]
    if loaded:
        facts["load_ms"] = loaded[0] if len(loaded) == 1 else loaded
    facts |= _times(plain, problems)
    build = read_model_desc(plain) if MODEL_DESC.search(plain) else None
    return Artifact(
        "board_console",
        "console of a board's tool",
        {**(build.versions if build else {}), **read_versions(plain)},
        march=build.march if build else "",
        settings=build.settings if build else {},
        inputs=build.inputs if build else (),
        facts=facts,
        messages=tuple(_messages(plain)),
        problems=tuple(dict.fromkeys((*problems, *(build.problems if build else ())))),
    )


# --------------------------------------------------------------------------- models


def _models(text: str) -> list[ModelInfo]:
    """Every model of a model_info console: a packed file holds several."""
    if "[model name]: " not in text and "input[0]:" not in text:
        return []
    first = model_info.read_model_info(text)
    others = dict.fromkeys(re.findall(r"^[ \t]*\[model name\]:[ \t]*(\S.*?)[ \t\r]*$", text, re.MULTILINE))
    more = [model_info.read_model_info(text, name) for name in others if name != first.name]
    return [first, *more]


def _model_facts(models: Sequence[ModelInfo]) -> dict[str, object]:
    several = len(models) > 1
    inputs = [row for info in models for row in _inputs(info, several)]
    outputs = [_tensor(spec, info.name if several else "") for info in models for spec in info.outputs]
    return {
        "model": [info.name for info in models] if several else models[0].name,
        "inputs": inputs,
        "outputs": outputs,
    }


def _inputs(info: ModelInfo, several: bool) -> Iterator[dict[str, object]]:
    for index, spec in enumerate(info.inputs):
        row = _tensor(spec, info.name if several else "")
        for key, values in (("source", info.input_sources), ("type", info.input_types)):
            if index < len(values) and values[index]:
                row[key] = values[index]
        yield row


def _tensor(spec: TensorSpec, model: str) -> dict[str, object]:
    """All that the tool states of a tensor; what it does not state is left out."""
    quantization = spec.quantization
    stated: dict[str, object] = {
        "model": model,
        "name": spec.name,
        "dtype": spec.dtype,
        "shape": list(spec.shape),
        "layout": spec.layout,
        "aligned_shape": list(spec.aligned_shape),
        "stride_bytes": list(spec.stride_bytes),
        "aligned_bytes": spec.aligned_bytes,
        "scales": list(quantization.scales) if quantization else [],
        "zero_points": list(quantization.zero_points) if quantization else [],
        "axis": quantization.axis if quantization else None,
    }
    always = ("name", "dtype", "shape", "layout")
    return {key: value for key, value in stated.items() if key in always or value not in ("", None, [])}


def _listed(text: str, problems: list[str]) -> dict[str, list[dict[str, object]]]:
    """Tensors that a Python program of the runtime lists, in its order."""
    rows: dict[str, list[dict[str, object]]] = {"inputs": [], "outputs": []}
    for match in LISTED.finditer(text):
        shape = counts_of(match["shape"])
        if shape is None:
            problems.append(f"{match['name'][:60]}: shape cannot be read: {match['shape'][:40]!r}")
            continue
        side = "outputs" if match["side"] == "output" else "inputs"
        rows[side].append(
            {"name": match["name"], "dtype": match["dtype"], "shape": list(shape), "index": match["index"]}
        )
    return rows


# --------------------------------------------------------------------------- times


def _times(text: str, problems: list[str]) -> dict[str, object]:
    facts: dict[str, object] = {}
    runs = [(part, perf.read_perf(part)) for part in _runs(text)]
    latencies = [(latency, part) for part, read in runs if (latency := perf.latency_of(read, part)) is not None]
    if latencies:
        facts["perf"] = [_perf_row(latency) for latency, _ in latencies]
        problems += [problem for latency, _ in latencies for problem in latency.problems]
    unfinished = [read for _, read in runs if not read.has_summary and "progress_frames" in read.values]
    if unfinished:
        facts["unfinished_perf"] = [_progress_row(read) for read in unfinished]
        problems.append(f"{len(unfinished)} perf runs without a summary: still running, killed or cut")
    elif not latencies and ("Perf result:" in text or "Running condition:" in text):
        problems.append("no complete perf summary found")
    infer = perf.read_infer(text)
    if infer is not None:
        facts["infer"] = _perf_row(infer)
    return facts


def _runs(text: str) -> list[str]:
    """The parts of a console that hold one perf run each: a loop over threads prints one after the other."""
    parts: list[list[str]] = [[]]
    ended = False
    for line in text.splitlines(keepends=True):
        command = COMMAND.match(line)
        repeated = "Running condition:" in line and any("Running condition:" in earlier for earlier in parts[-1])
        if command or repeated or (ended and ("Frame count:" in line or "Running condition:" in line)):
            parts.append([])
            ended = False
        parts[-1].append(line)
        ended = ended or ENDS_A_RUN.match(line) is not None
    return ["".join(part) for part in parts]


def _perf_row(latency: Latency) -> dict[str, object]:
    stated = {
        "threads": latency.threads,
        "core": latency.core,
        "frames": latency.frames,
        "latency_us": latency.mean_us,
        "min_us": latency.min_us,
        "max_us": latency.max_us,
        "run_us": latency.total_us,
        "fps": latency.fps,
        "note": "; ".join(latency.notes),
    }
    return {key: value for key, value in stated.items() if value not in ("", None)}


def _progress_row(read: perf.PerfText) -> dict[str, object]:
    stated = {
        "threads": read.integer("threads"),
        "frames": read.integer("progress_frames"),
        "latency_us": read.us("progress_mean_ms"),
        "min_us": read.us("min_ms"),
        "max_us": read.us("max_ms"),
    }
    return {key: value for key, value in stated.items() if value is not None}


# --------------------------------------------------------------------------- messages


def _messages(text: str) -> Iterator[Message]:
    """Warnings, then the tool's own error lines, each once, with the meaning of a status code in it."""
    numbered = list(enumerate(text.splitlines(), 1))
    for warning in read_warnings(text):
        yield Message("warning", warning, "", next((n for n, line in numbered if line.strip() == warning), 0))
    lines: dict[str, int] = {}
    for number, line in numbered:
        if ERROR.match(line) and len(lines) < MOST_MESSAGES:
            lines.setdefault(line.strip()[:400], number)
    known = {failure.evidence: failure for failure in known_failures(text)}
    for line in known:
        lines.setdefault(line, next((n for n, other in numbered if other.strip()[:400] == line), 0))
    for line, number in lines.items():
        yield Message("error", line, _meaning(line, known), number)


def _meaning(line: str, known: Mapping[str, Failure]) -> str:
    """What the platform knows of an error line: its cause and what to do, else its status code."""
    code, failure = status.status_in(line), known.get(line)
    parts = [status.explain_code(code)] if code is not None else []
    parts += [failure.message, failure.hint] if failure is not None else []
    return "; ".join(part for part in parts if part)


# --------------------------------------------------------------------------- hrut_somstatus


def _read_status(text: str) -> Artifact:
    """One row per snapshot and part: temperatures, clocks, load, voltages."""
    senses = somstatus.read_somstatus(text)
    rows: list[dict[str, object]] = []
    problems: list[str] = []
    for index, sense in enumerate(senses, 1):
        values = asdict(sense)
        problems += [f"snapshot {index}: {problem}" for problem in values.pop("problems", ())]
        rows += [
            {"snapshot": index, "sensor": sensor, "figure": figure, "value": value}
            for figure, by_name in values.items()
            if isinstance(by_name, dict)
            for sensor, value in by_name.items()
        ]
    facts: dict[str, object] = {"snapshots": len(senses), "sensors": rows}
    return Artifact("somstatus", "hrut_somstatus of a board", facts=facts, problems=tuple(problems))


def _is_console(text: str) -> bool:
    if CONSOLE.search(text) is not None:
        return True
    start = text[:MOST_OF_A_CONSOLE]  # "No space left on device" alone may be anybody's
    return OF_THESE_TOOLS.search(start) is not None and bool(known_failures(start))


def _has_settings_and_tensors(text: str) -> bool:
    return MODEL_DESC.search(text) is not None and "input[0]:" in text


# A model_info console of J6 also holds the build's settings, which are all that the toolchain's own reader takes.
FIRST = (text_reader("board_console", "console of a board's tool", _has_settings_and_tensors, _read_console),)
READERS = (
    text_reader("board_console", "console of a board's tool", _is_console, _read_console),
    text_reader("somstatus", "hrut_somstatus of a board", lambda t: STATUS.search(t) is not None, _read_status),
)
