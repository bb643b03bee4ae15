"""Why a run of the ONNX Runtime runner gave nothing, by exit code, text and files together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatch

from harness.platforms.ort.text import lines_of
from harness.records import Failure

PREPARE = "harness boards prepare NAME --wheels DIR"
# kind of the runner's `error: kind: text` -> (kind of the failure, sentence, what to do next)
RUNNER_ERRORS = {
    "old_python": ("missing_tool", "the board's Python is too old", "set a newer one: options: {python: PATH}"),
    "no_numpy": ("missing_tool", "there is no numpy for the board's Python", PREPARE),
    "no_onnxruntime": ("missing_tool", "there is no onnxruntime for the board's Python", PREPARE),
    "unknown_provider": ("bad_option", "the board's onnxruntime lacks the provider", "leave out --option provider"),
    "provider_failed": ("provider", "the provider did not start", "its driver or libraries are missing on the board"),
    "missing_model": ("missing_file", "the model is not on the board", "run it again"),
    "bad_model": ("bad_model", "onnxruntime cannot load the model", "see onnx.checker.check_model on the PC"),
    "unsupported_op": (
        "bad_model",
        "the board's onnxruntime lacks an operator",
        "check that it is not older than on the PC",
    ),
    "missing_input": ("missing_file", "an input is missing", "give one --input for each model input"),
    "too_many_inputs": ("bad_option", "more inputs than the model has", "see harness inspect MODEL"),
    "input_size": ("bad_input", "an input has the wrong size", "make it with harness convert"),
    "input_type": ("bad_input", "an input has a type that cannot be read from a file", ""),
    "unknown_tensor": ("bad_option", "a tensor to dump does not exist", "--option dump=layers"),
    "dump_failed": ("bad_model", "no tensor of the model can be dumped", "--option dump=layers"),
    "run_failed": ("crash", "onnxruntime failed during inference", ""),
    "memory": ("memory", "the board is out of memory", "--option dump_mb=16, or a smaller model"),
    "no_space": ("no_space", "the board's disk is full", "harness boards check NAME"),
    "bad_option": ("bad_option", "the runner refused an option", ""),
    "bad_trace": ("garbage", "onnxruntime's profile cannot be read", ""),
    "files": ("crash", "a file on the board could not be used", ""),
}
SIGNALS = {4: "illegal instruction", 6: "abort", 7: "bus error", 8: "arithmetic error", 11: "segmentation fault"}
KILLED, ILLEGAL = 9, 4
_ERROR = re.compile(r"^error: ([a-z_]+): (.*)$", re.MULTILINE)
_NO_PYTHON = re.compile(r"^.*\bpython\S*: (?:command |)not found.*$|^.*python\S*: No such file.*$", re.MULTILINE)
_NO_MEMORY = re.compile(r"^.*(?:MemoryError|std::bad_alloc|Cannot allocate memory).*$", re.MULTILINE)
_NO_SPACE = re.compile(r"^.*No space left on device.*$", re.MULTILINE)


def judge(code: int | None, log: str, present: Sequence[str], expected: Sequence[str]) -> Failure | None:
    """None means that the mode worked: exit code 0, a result line, and every expected file."""
    errors = _ERROR.findall(log)
    if errors:
        return _runner_failure(*errors[-1])
    if code == 127 or (code and _NO_PYTHON.search(log)):
        evidence = _first(_NO_PYTHON, log)
        return Failure("missing_tool", "no python3 on the board", "install it, or options: {python: PATH}", evidence)
    if code != 0:
        return _crash(code, log)
    if not lines_of(log).get("result"):
        return Failure("garbage", "the runner succeeded but printed no result line", "", _last_line(log))
    missing = [pattern for pattern in expected if not any(fnmatch(name, pattern) for name in present)]
    if missing:
        return Failure(
            "no_result",
            f"the runner left no {missing[0]}",
            "check the board's free space: harness boards check",
            _last_line(log),
        )
    return None


def _runner_failure(kind: str, text: str) -> Failure:
    entry = RUNNER_ERRORS.get(kind, ("crash", f"the runner failed ({kind})", ""))
    return Failure(entry[0], f"{entry[1]}: {text[:500]}", entry[2], f"error: {kind}: {text[:1000]}")


def _crash(code: int | None, log: str) -> Failure:
    signal = _signal(code)
    if signal == KILLED or _NO_MEMORY.search(log):
        evidence = _first(_NO_MEMORY, log) or f"exit code {code}"
        message = "the runner was killed on the board, probably out of memory"
        return Failure("memory", message, "--option dump_mb=16, or a smaller model; see dmesg on the board", evidence)
    if _NO_SPACE.search(log):
        return Failure("no_space", "the board's disk is full", "harness boards check NAME", _first(_NO_SPACE, log))
    if signal == ILLEGAL:
        hint = "this onnxruntime is built for a newer CPU: use another wheel"
        return Failure("crash", "the runner crashed: illegal instruction", hint, _last_line(log))
    name = SIGNALS.get(signal, f"signal {signal}") if signal else f"exit code {code}"
    return Failure("crash", f"the runner crashed: {name}", "see log.txt of the run", _last_line(log))


def _signal(code: int | None) -> int:
    """Signal number of an exit code as the agent (-9) or a shell (137) tells it; 0 for none."""
    if code is None:
        return 0
    return -code if code < 0 else (code - 128 if 128 < code < 160 else 0)


def _first(pattern: re.Pattern[str], log: str) -> str:
    match = pattern.search(log)
    return match.group(0).strip()[:500] if match else ""


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""
