"""Failures of the Horizon tools in plain sentences.

Their exit codes are not documented and failures with exit code 0 are known (S600), so a mode is judged by exit code,
text and left files together. The order of `_TEXTS` matters: the cause stands above its consequences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

from harness.platforms.failure_texts import FailureText, failure_text, line_at
from harness.platforms.horizon.status import explain_code, kind_of_code, status_in
from harness.platforms.text import plain
from harness.records import Failure

_OTHER_MARCH = "build the model for this board's march, or run it on the board it was built for"
# A limit that is set or printed is none that was exceeded: but for the status by its name, the line has to be an
# error's, or to say that it happened.
_TIMEOUT = (
    r"\bHB_\w*TASK_TIMEOUT\b(?![\"']?\s*[=:]\s*\d)"
    r"|^(?=.*(?:\[(?:E|F|ERROR|FATAL)\]|^[EF]\d{4} |[Ee]rror|[Ff]ail|[Ff]atal|[Ee]xceeded|[Ee]xpired|[Aa]bort"
    r"|[Tt]imed out|[Tt]ime-?out(?: after| reached| occurred|[!. ]*$))).*[Tt]ask(?: \S+)? [Tt]ime(?:d |-)?out"
)
_TEXTS = (
    failure_text(
        r"The model's march is ([\w-]+), please run on ([^!\n]+?) board!",
        "wrong_march",
        r"the model is compiled for \1 (\2 boards); not for this board",
        _OTHER_MARCH,
    ),
    failure_text(
        r"Make sure inst Suport \((\w+)\) Platform",
        "wrong_march",
        r"the BPU refused the model: this board is an \1, the model's instructions are for another BPU",
        _OTHER_MARCH,
    ),
    failure_text(
        r"Incompatible Platform!!", "wrong_march", "the model's instructions are for another BPU", _OTHER_MARCH
    ),
    failure_text(
        r"Can not open ([^\n]{1,400}?), file not exists or no read permission",
        "missing_file",
        r"the tool cannot open \1 on the board",
        "check the path and the permissions of the board's user",
    ),
    failure_text(
        r"L2 memory not enough",
        "memory",
        "the model needs L2 memory that is not assigned to its cores",
        "assign it: --option l2=6:6:6:6 (MB per core)",
    ),
    failure_text(
        r"L2M size mismatch",
        "memory",
        "the L2 memory per core does not match the model's cores",
        "give as many values as cores, 24 MB in all: --option l2=6:6:6:6, or l2=24:0:0:0 for one core",
    ),
    failure_text(
        r"Input bytes must equal alignedByteSize",
        "bad_input",
        "the input file does not have the aligned size that the program wants",
        "harness inspect on the model_info console shows the aligned bytes of each input",
    ),
    failure_text(
        _TIMEOUT,
        "timeout",
        "a task on the accelerator exceeded its time limit",
        "check whether another program uses the accelerator; raise --option task_timeout_ms=N",
    ),
    failure_text(
        r"^Error: Open failed!",
        "board_state",
        "the monitor could not open its device: another monitor has it",
        "end the other hrt_ucp_monitor or hrut_ddr: they exclude each other",
    ),
    failure_text(
        r"It's not compatible with linked hbrt library ([0-9.]+)",
        "version_skew",
        r"the model cannot be loaded by the board's HBRT \1",
        "rebuild the model with the toolchain of the board's release, or update the board's runtime",
    ),
    failure_text(
        r"[Oo]ut of memory|OUT_OF_MEMORY|Cannot allocate memory"
        r"|std::bad_alloc|Get BPU temporary memspace failed|hbSysAlloc\w* failed",
        "memory",
        "the board is out of memory for this run",
        "close other programs on the board, give the BPU more ION memory, or use a smaller model",
    ),
    failure_text(
        r"iova addr not equal for different core|Hbm corrupted|load hbm failed",
        "board_state",
        "the board failed to load the model; known on S600 after many runs, with a good model file",
        "reboot the board (cold) and run again",
    ),
    failure_text(
        r"unknown command line flag '([^'\n]*)'",
        "usage",
        r"the board's hrt_model_exec does not know the flag --\1",
        "the board's runtime is too old for this option: remove the option",
    ),
    failure_text(
        r'"?model_name"? must be specified',
        "usage",
        "the file has several models and none was chosen",
        "choose one with --model-name; see harness inspect MODEL",
    ),
    failure_text(
        r"error while loading shared libraries: ([^:\s]+)",
        "missing_library",
        r"the tool does not start: \1 is not found on the board",
        "add its folder to `libraries:` of the board in hosts.yaml",
    ),
    failure_text(
        r"hrt_model_exec: (?:command )?not found|/hrt_model_exec:? not found|exec: hrt_model_exec: not found",
        "missing_tool",
        "hrt_model_exec is not on the board's PATH",
        "add its folder to `tools:` of the board in hosts.yaml (often /usr/hobot/bin or /usr/sbin)",
    ),
    failure_text(
        r"No space left on device",
        "no_space",
        "the board's disk is full",
        "free space in the board's work folder, or set another `work:` in hosts.yaml",
    ),
    failure_text(
        r"(hbDNN\w+|hbUCP\w+|hb_bpu_core_set_fc_prio) failed",
        "task_failed",
        r"\1 failed on the board",
        "see the log above this line; check whether another program uses the BPU",
    ),
    failure_text(
        r"\[HBRT ERROR\] *(\w+)",
        "task_failed",
        r"the BPU runtime failed: \1",
        "see the log above this line",
    ),
)

_SIGNALS = {
    4: "an illegal instruction", 6: "an abort", 7: "a bus error", 8: "a floating point exception",
    11: "a segmentation fault",
}  # fmt: skip
# Lines that the tool prints when it works; a log without any of them is not this tool's.
_KNOWN = re.compile(
    r"\[BPU_PLAT\]|\[HBRT\]|\[DNN\]|\[UCP\]|hrt_model_exec|Load model to DDR|This model file has|Infer time:"
    r"|Frame count|\[HorizonRT\]|Running condition:"
)
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]+")
_ERROR_LINE = re.compile(r"\[E\]|error|failed|fatal", re.IGNORECASE)
EVIDENCE_LINES = 5000  # an error is looked for in that many last lines; no known tool prints so many after one
# Known to be harmless: the security chip of old X3 boards (captured run that goes on and is right).
_HARMLESS = re.compile(r"keros|ioctl (?:read|write) error", re.IGNORECASE)
_BELOW_WARNING = re.compile(r"^\s*(?:\[[^\]\n]*\]\s*)*?\[(?:[IDV]|INFO|DEBUG|VERBOSE)\]|^[ID]\d{4} ")

FILES = {
    "release": ("model_infer_output_*",),
    "debug": ("model_infer_output_*", "layer-*"),
    "profile": ("profiler.log",),
}
_SAYS = {"info": "output[", "profile": "Perf result:"}


def judge(
    mode: str,
    code: int | None,
    log: str,
    present: Sequence[str],
    files: Mapping[str, tuple[str, ...]] = FILES,
) -> Failure | None:
    """None means that the mode worked. `present` are the names in the mode's folder, `files` what must be there."""
    lines = plain(log).lines
    return _by_text(lines, failed=code != 0) or _by_code(code, lines) or _by_result(mode, lines, present, files)


def known_failures(log: str) -> tuple[Failure, ...]:
    """Every failure that a log's own words name, each kind once, without knowing how the tool ended."""
    text = "\n".join(plain(log).lines)
    failures: dict[str, Failure] = {}
    for rule in _TEXTS:
        if (match := _first(rule, text)) is not None:
            failures.setdefault(rule.kind, rule.failure(match))
    return tuple(failures.values())


def _first(rule: FailureText, text: str) -> re.Match[str] | None:
    """The first match of a rule on a line that may tell of a failure: none known as harmless, none of level info."""
    for match in rule.pattern.finditer(text):
        line = line_at(text, match.start())
        if not _HARMLESS.search(line) and not _BELOW_WARNING.match(line):
            return match
    return None


def _by_text(lines: Sequence[str], failed: bool) -> Failure | None:
    text = "\n".join(lines)
    for rule in _TEXTS:
        if (match := _first(rule, text)) is not None:
            return _with_code(rule.failure(match), lines)
    return _by_status(lines) if failed else None


def _with_code(failure: Failure, lines: Sequence[str]) -> Failure:
    """Append the vendor's status code where a line tells one."""
    code = _status(lines)
    if code is None or failure.kind == "missing_file":
        return failure
    return Failure(failure.kind, f"{failure.message} ({explain_code(code)})", failure.hint, failure.evidence)


def _status(lines: Sequence[str]) -> int | None:
    return next((code for line in lines if _ERROR_LINE.search(line) and (code := status_in(line)) is not None), None)


def _by_status(lines: Sequence[str]) -> Failure | None:
    code = _status(lines)
    if code is None:
        return None
    line = next(x for x in lines if str(code) in x)
    return Failure(kind_of_code(code), explain_code(code), "see the log", line.strip()[:400])


def _by_code(code: int | None, lines: Sequence[str]) -> Failure | None:
    if code == 0:
        return None
    evidence = _last_error(lines)
    if code is None:
        return Failure(
            "timeout",
            "the tool exceeded its time limit and was stopped",
            "raise `limits: timeout_s:` of the board, or check whether the BPU hangs",
            evidence,
        )
    if code in (126, 127):
        return Failure(
            "missing_tool",
            f"hrt_model_exec cannot be started on the board (exit code {code})",
            "add its folder to `tools:` of the board in hosts.yaml",
            evidence,
        )
    return _by_signal(code, evidence)


def _by_signal(code: int, evidence: str) -> Failure:
    signal = -code if code < 0 else code - 128
    if signal in _SIGNALS:
        return Failure(
            "crash",
            f"the tool crashed on the board: {_SIGNALS[signal]} (exit code {code})",
            "give real inputs (random ones crash models that use inputs as indices), or report it to the vendor",
            evidence,
        )
    if signal in (9, 15):
        return Failure(
            "killed",
            f"the tool was killed on the board (signal {signal}): out of memory, time limit, or by another user",
            "see `dmesg` on the board",
            evidence,
        )
    return Failure("failed", f"the tool failed with exit code {code}", "see the log of this mode", evidence)


def _last_error(lines: Sequence[str]) -> str:
    """The last line that speaks of an error, else the last one with words in it."""
    fallback = ""
    for line in reversed(lines[-EVIDENCE_LINES:]):
        if not re.search(r"\w", line) or _HARMLESS.search(line):
            continue
        if _ERROR_LINE.search(line):
            return line.strip()[:400]
        fallback = fallback or line.strip()[:400]
    return fallback


def _is_garbage(lines: Sequence[str]) -> bool:
    """Not one line of the tool's own, or more than a tenth of it is no text."""
    text = "\n".join(lines)
    odd = sum(len(run) for run in _NO_TEXT.findall(text))
    return odd * 10 > len(text) or _KNOWN.search(text) is None


def _by_result(
    mode: str, lines: Sequence[str], present: Sequence[str], files: Mapping[str, tuple[str, ...]]
) -> Failure | None:
    """Exit code 0 and no fatal text: is the result there?"""
    pattern = _SAYS.get(mode)
    lacks_text = pattern is not None and not any(pattern in line for line in lines)
    lacks_files = [p for p in files.get(mode, ()) if not any(fnmatch(name, p) for name in present)]
    if not lacks_text and not lacks_files:
        return None
    if _is_garbage(lines):
        return Failure(
            "garbage",
            "the output is not that of hrt_model_exec, or was lost",
            "try `hrt_model_exec --version` on the board",
            _last_error(lines),
        )
    if lacks_text:
        what = f"{pattern!r}" if mode == "profile" else "any output tensor"
        return Failure("no_result", f"the tool succeeded but did not print {what}", "see the log", _last_error(lines))
    return Failure(
        "no_result",
        f"the tool succeeded but left no {lacks_files[0]}",
        "see the log of this mode",
        _last_error(lines),
    )
