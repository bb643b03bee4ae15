"""Text of the Horizon / D-Robotics board tools, made plain: lines, lists, versions, warnings.

Captures are stdout and stderr merged, so every reader of these tools goes by labels. A last line that was cut off
(no newline, no closing bracket or unit) is never trusted with a number: `Text.cut` tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.platforms.text import Text, plain

# --------------------------------------------------------------------------- versions

_V = r"([0-9]+(?:\.[0-9]+)+)"
# (pattern, keys of its groups). Where each line was seen: docs/boards/x5.md, docs/boards/s100.md.
_VERSIONS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"\[BPU_PLAT\]\s*BPU Platform Version\(" + _V + r"\)!"), ("platform",)),
    (re.compile(r"\[HBRT\] set log level as -?[0-9]+\. version = " + _V + r"(?![0-9.])"), ("hbrt",)),
    (re.compile(r"\[DNN\] Runtime version = " + _V + r"_\(" + _V + r" HBRT\)"), ("runtime", "hbrt")),
    (re.compile(r"\[DNN\]: " + _V + r"_\(" + _V + r" HBRT\)"), ("runtime", "hbrt")),
    (re.compile(r"\[HorizonRT\] The model builder version = " + _V + r"(?![0-9.])"), ("builder",)),
    (re.compile(r"\[UCP\]: UCP version = " + _V + r"(?![0-9.])"), ("ucp",)),
    (re.compile(r"^[ \t]*ucp_version[:,][ \t]*" + _V + r"[ \t]*\r?$", re.MULTILINE), ("ucp",)),
    (re.compile(r'"BUILDER_VERSION": "' + _V + '"'), ("builder",)),
    (re.compile(r'"HBDK_VERSION": "' + _V + '"'), ("hbdk",)),
    (re.compile(r"soc info\((\w+)\)"), ("soc",)),
    (re.compile(r"BPU type is HB_PLATFORM_TYPE_([\w/]+)!"), ("soc",)),
    (re.compile(r'"MARCH": "([\w-]+)"'), ("march",)),
)
_BPULIB = re.compile(r"BPULib ver(?:is|si)on\(([0-9]+), ([0-9]+), ([0-9]+)\)")


def read_versions(text: str) -> dict[str, str]:
    """Versions from the tools' banners; the first line that tells a key decides it. Keys: see `_VERSIONS`."""
    joined = _whole(plain(text))
    versions: dict[str, str] = {}
    for pattern, keys in _VERSIONS:
        match = pattern.search(joined)
        for key, value in zip(keys, match.groups() if match else (), strict=False):
            versions.setdefault(key, value)
    if match := _BPULIB.search(joined):
        versions["bpulib"] = ".".join(match.groups())
    if skew := version_skew(joined):
        versions["model_hbrt"] = skew.model  # the HBRT that the model was built for, printed only where it differs
    return versions


def _whole(text: Text) -> str:
    """The lines whose end is known, joined."""
    return "\n".join(line for line, whole in text.numbered() if whole or line.endswith((")", "!", '"', "}")))


# --------------------------------------------------------------------------- warnings

_SKEW = re.compile(r"Inconsistency between the hbrt library version (\S+) and the model build version (\S+) detected")
_WARNING = re.compile(r"\[W\]\s*\[?\w+\]")


@dataclass(frozen=True)
class Skew:
    """The runtime on the board and the compiler that made the model are of different versions."""

    hbrt: str
    model: str


def version_skew(text: str) -> Skew | None:
    """The two versions of the runtime that a log says do not fit; None where it says nothing of it."""
    match = _SKEW.search(text)
    return Skew(match[1], match[2]) if match else None


def skew_sentence(text: str) -> str:
    """The version warning of a run that goes on, as a sentence; "" when there is none."""
    skew = version_skew(text)
    if skew is None:
        return ""
    return f"version skew: the board's HBRT is {skew.hbrt}, the model was built for {skew.model}"


def read_warnings(text: str) -> tuple[str, ...]:
    """Version skew as a sentence, then the tool's own warning lines, each once, at most 50 (the rest is counted)."""
    skew = skew_sentence(text)
    lines = dict.fromkeys(line.strip() for line in plain(text).lines if _WARNING.search(line) or _SKEW.search(line))
    kept = list(lines)[:50]
    more = len(lines) - len(kept)
    return (*([skew] if skew else []), *kept, *([f"and {more} more warning lines"] if more else []))
