"""Recognising a Sophgo board: device nodes, the vendor's programs, the name in the device tree."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.platforms.probing import BoardProbe, Guess, Lack, Seen
from harness.platforms.sophgo.chips import CHIPS, chip_of
from harness.platforms.sophgo.options import TOOLS

_BIN = "/opt/sophon/libsophon-current/bin"
PROBE = BoardProbe(
    files=("/proc/cpuinfo", "/proc/device-tree/model", "/proc/device-tree/compatible", "/etc/os-release"),
    tools=("bmrt_test", "model_runner", "model_tool", "tpu_model", "bm-smi"),
    paths=("/dev/bm-sophon0", "/dev/bm-tpu0", "/dev/cvi-tpu0", "/opt/sophon/libsophon-current/lib/libbmrt.so"),
    folders=(_BIN, "/mnt/system/usr/bin", "/mnt/system/bin"),
)
_SOC = re.compile(r"(?<![a-z0-9])(bm1684x|bm1684|bm1688|cv186[ax]h?|cv18[0-3])[0-9x]?(?![0-9])", re.IGNORECASE)


def recognise(seen: Seen) -> Guess | None:
    """None for a board that shows neither the vendor's device nor its programs."""
    nodes = [name for name in ("/dev/bm-sophon0", "/dev/bm-tpu0", "/dev/cvi-tpu0") if name in seen.paths]
    soc, why = _soc(" ".join(seen.text(name) for name in PROBE.files[:3]))
    if not nodes and "bmrt_test" not in seen.tools and not soc:
        return None
    family = chip_of(soc).family if soc else ("cv" if "/dev/cvi-tpu0" in seen.paths else "bm")
    tool = TOOLS[family]
    evidence = [f"{name} is there" for name in nodes] + [f"{tool} is there"] * (tool in seen.tools)
    return Guess(
        platform="sophgo",
        soc=soc,
        soc_evidence=why,
        evidence=", ".join(evidence) or why,
        certainty=3 if nodes else 2,
        libraries=("/opt/sophon/libsophon-current/lib",) if "libbmrt" in " ".join(seen.paths) else (),
        options={"tool": seen.tools[tool]} if tool in seen.tools else {},
        lacks=tuple(_lacks(seen, tool)),
    )


def _soc(text: str) -> tuple[str, str]:
    match = _SOC.search(text)
    if not match:
        return "", ""
    name = match[1].lower()
    soc = name if name.startswith("bm") else "cv186x" if name.startswith("cv186") else f"{name[:5]}x"
    return soc, f"the board names itself {match[0]!r}"


def _lacks(seen: Seen, tool: str) -> list[Lack]:
    lacks = []
    if tool not in seen.tools:
        lacks.append(Lack(tool, "every run", f"install the vendor's runtime ({_BIN})", needed=True))
    if "model_tool" not in seen.tools and "tpu_model" not in seen.tools:
        lacks.append(Lack("model_tool", "a model's inputs and scales", "it comes with libsophon and tpu-mlir"))
    return lacks


def heard(guess: Guess, answers: Mapping[str, str]) -> Guess:
    """Nothing is asked of the vendor's tools without a model."""
    return guess


def wrong_soc(soc: str, reported: str, cores: str) -> str:
    """Why `soc` of an inventory cannot be this board, or ""."""
    own, why = _soc(reported)
    return f"the board is a {own}: {why}" if own and soc in CHIPS and not _same(own, soc) else ""


def _same(one: str, other: str) -> bool:
    return bool(set(chip_of(one).names) & set(chip_of(other).names))
