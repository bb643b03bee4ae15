"""Text of Ingenic's Venus programs, made plain: versions, times, boxes, nmem, the kernel command line.

Captures are stdout and stderr merged, with colours, from a serial line often with an echoed command. Every figure is
taken only from a line whose whole form is known (the decimals that the program's format prints, the unit behind the
number), so that a cut or mixed line gives no number rather than a wrong one. Facts: docs/boards/magik.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.platforms.text import plain

OLD_SOC_NNA = "The version number is not obtained. Please upgrade the soc-nna!"

_SOC_NNA = re.compile(r"^The soc-nna version is ([0-9a-f]{8})(?: drivers_version is .*)?\s*$")
_DRIVERS = re.compile(r"^DRIVERS-version (\S+)\s*$")
_VENUS = re.compile(
    r"INFO\(magik\): venus version:([0-9]+(?:\.[0-9]+)+(?:\.[A-Z]+)?)\(([0-9a-f]{8})_([0-9a-f]{7,40})\)"
    r"\s+built:(\d{8}-\d{4})\(([^()]*)\)"
)
_MODEL = re.compile(r"INFO\(magik\): model version:([0-9]+(?:\.[0-9]+)+)\.([A-Za-z0-9]+)_([0-9a-f]{7,40})\s*$")
_MISMATCH = re.compile(r"A mismatch occurs: model version is ([\w.]+), venus version: ?([\w.]+)")
_TIME = re.compile(r"^(.*?)\s*time_ms:([0-9]+\.[0-9]{6})ms\s*$")
_BOX = re.compile(r"^box:\s+(-?[0-9]+) (-?[0-9]+) (-?[0-9]+) (-?[0-9]+) ([0-9]\.[0-9]{2})\s*$")
_CYCLE = re.compile(r"^Timing cycle = ([0-9]{1,9})$")


@dataclass(frozen=True)
class Box:
    """One box as the vendor's sample prints it: pixels of the original image, score 0..1."""

    left: int
    top: int
    right: int
    bottom: int
    score: float


def lines(text: str) -> tuple[str, ...]:
    """Whole lines without colours; a last line that no newline ends is left out unless it is closed by itself."""
    text_lines = plain(text)
    if not text_lines.cut or not text_lines.lines:
        return text_lines.lines
    closed = text_lines.lines[-1].endswith((")", "ms", "####"))
    return text_lines.lines if closed else text_lines.lines[:-1]


def read_versions(text: str) -> dict[str, str]:
    """Keys as found: soc_nna, drivers, runtime (venus), runtime_commit, built, toolchain, nna, model, model_nna,
    model_commit. The first line that tells a key decides it."""
    versions: dict[str, str] = {}
    for line in lines(text):
        for key, value in _line_versions(line).items():
            versions.setdefault(key, value)
    return versions


def _line_versions(line: str) -> dict[str, str]:
    if match := _SOC_NNA.search(line):
        return {"soc_nna": match[1]}
    if match := _DRIVERS.search(line):
        return {"drivers": match[1]}
    if match := _VENUS.search(line):
        built = {"runtime": match[1], "runtime_commit": match[3], "built": match[4], "toolchain": match[5]}
        return built | _generation(match[5])
    if match := _MODEL.search(line):
        return {"model": match[1], "model_nna": match[2], "model_commit": match[3]}
    return {}


def _generation(toolchain: str) -> dict[str, str]:
    """`mips@NNA1` names the accelerator; `mips@aie` of 0.9.0 does not."""
    match = re.search(r"mips@(NNA[0-9])$", toolchain)
    return {"nna": match[1]} if match else {}


def skew(text: str) -> tuple[str, ...]:
    """Sentences on versions that do not belong together; empty when nothing is known to be wrong."""
    versions = read_versions(text)
    problems = []
    if match := _MISMATCH.search(plain(text).joined):
        problems.append(f"version skew: venus itself refuses: the model is of {match[1]}, the library {match[2]}")
    model, runtime = versions.get("model", ""), versions.get("runtime", "")
    if not problems and model and runtime and model.split(".")[:3] != runtime.split(".")[:3]:
        problems.append(f"version skew: the board's venus is {runtime}, the model was made for {model}")
    board, made = versions.get("nna", ""), versions.get("model_nna", "")
    if board and made.startswith("NNA") and board != made:
        problems.append(f"version skew: the library is for {board}, the model for {made}")
    if OLD_SOC_NNA in plain(text).joined:
        problems.append("version skew: the soc-nna driver is too old to tell its version; venus asks to upgrade it")
    return tuple(problems)


def read_times_us(text: str) -> dict[str, float]:
    """What the program timed itself, by its own words (`test_net run`, `post net`), in microseconds.

    `test_net run` is the time of all runs together. A label that is printed twice with other figures is left out.
    """
    times: dict[str, float] = {}
    doubled = set()
    for line in lines(text):
        match = _TIME.match(line)
        if not match or not match[1].strip():
            continue
        label, value = match[1].strip(), float(match[2]) * 1000.0
        if times.setdefault(label, value) != value:
            doubled.add(label)
    return {label: value for label, value in times.items() if label not in doubled}


def read_boxes(text: str) -> tuple[Box, ...]:
    """The sample's `box:` lines in their order."""
    matches = (_BOX.match(line) for line in lines(text))
    return tuple(Box(int(m[1]), int(m[2]), int(m[3]), int(m[4]), float(m[5])) for m in matches if m)


def read_cycles(text: str) -> int | None:
    """`Timing cycle = N` of the profiler: all runs, warm-ups included. None where it is missing or contradictory."""
    cycles = {int(m[1]) for m in (_CYCLE.match(line) for line in lines(text)) if m}
    return cycles.pop() if len(cycles) == 1 else None


# --------------------------------------------------------------------------- nmem

_NMEM = re.compile(r"^nmem (total|used|free|reference peak|used peak|current used)\s+= ([0-9]{1,9})K\s*$")
_NMEM_SHARE = re.compile(r"^#### (?:(peak|real) )?%([0-9]+\.[0-9]{2}) ####\s*$")
_KEYS = {
    "total": "total_bytes",
    "used": "used_bytes",
    "free": "free_bytes",
    "reference peak": "reference_peak_bytes",
    "used peak": "peak_bytes",
    "current used": "current_bytes",
}


@dataclass(frozen=True)
class Nmem:
    """/tmp/nmem_memory.txt: bytes by key, `form` "old" (4 lines) or "new" (7 lines), what could not be read."""

    form: str
    values: dict[str, int]
    shares: dict[str, float]  # percent: "used" of the old form, "peak" and "real" of the new one
    problems: tuple[str, ...] = ()

    @property
    def peak_bytes(self) -> int | None:
        """The most that was in use at once; the old form's `used` is that, rounded up by venus."""
        return self.values.get("peak_bytes", self.values.get("used_bytes"))


def read_nmem(text: str) -> Nmem | None:
    """The file's content, or a capture that holds it. None where no line of it is there.

    The newer library overwrites from the start and never truncates: bytes of a longer earlier write stay at the end.
    They are reported as such and never read. Each key counts once, by its first line.
    """
    values: dict[str, int] = {}
    shares: dict[str, float] = {}
    problems: list[str] = []
    for line in plain(text).lines:
        if match := _NMEM.match(line):
            _keep(values, _KEYS[match[1]], int(match[2]) * 1024, problems)
        elif match := _NMEM_SHARE.match(line):
            _keep(shares, match[1] or "used", float(match[2]), problems)
        elif line.startswith(("nmem", "#")):
            problems.append(f"stale or truncated: {line[:60]!r}: leftover bytes of an earlier, longer write")
    if not values:
        return None
    form = "new" if values.keys() & {"reference_peak_bytes", "peak_bytes", "current_bytes"} else "old"
    missing = _missing(form, values)
    return Nmem(form, values, shares, (*problems, *missing, *_impossible(values)))


def _keep(values: dict[str, int] | dict[str, float], key: str, value: float, problems: list[str]) -> None:
    if values.setdefault(key, value) != value:  # type: ignore[arg-type]
        problems.append(f"{key} appears twice with different values; the first is used")


def _missing(form: str, values: dict[str, int]) -> tuple[str, ...]:
    wanted = {
        "old": ("total_bytes", "used_bytes", "free_bytes"),
        "new": ("total_bytes", "reference_peak_bytes", "peak_bytes", "current_bytes", "free_bytes"),
    }[form]
    return tuple(f"no line for {key}" for key in wanted if key not in values)


def _impossible(values: dict[str, int]) -> tuple[str, ...]:
    total = values.get("total_bytes")
    over = [key for key, value in values.items() if total is not None and value > total]
    problems = [f"{key} is larger than the total" for key in over]
    parts = [values.get(key) for key in ("used_bytes", "free_bytes")]
    if total is not None and None not in parts and sum(part or 0 for part in parts) != total:
        problems.append("used and free do not add up to the total: the lines are of two writes, or damaged")
    return tuple(problems)


# --------------------------------------------------------------------------- kernel command line

_NMEM_ARGUMENT = re.compile(r"(?<!\S)(mem|rmem|nmem)=([0-9]{1,9})([MmKk])@(0x)?([0-9a-fA-F]{1,8})(?!\S)")


def read_reserved(command_line: str) -> dict[str, int]:
    """`nmem=16M@7000000` of the kernel's command line: nmem_bytes, rmem_bytes, mem_bytes as far as known."""
    reserved: dict[str, int] = {}
    for match in _NMEM_ARGUMENT.finditer(command_line):
        scale = 2**20 if match[3] in "Mm" else 2**10
        reserved.setdefault(f"{match[1]}_bytes", int(match[2]) * scale)
    return reserved
