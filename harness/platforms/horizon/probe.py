"""Recognising a Horizon or D-Robotics board: its SoC's name, image version, BPU cores, tools and libraries.

Facts and their sources: docs/boards/. Names in /sys/class/socinfo and /proc/device-tree/model are free text; a name
that is not in the table leaves the SoC open, it is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from harness.platforms.horizon.options import CHIPS
from harness.platforms.probing import BoardProbe, Guess, Lack, Seen, folders_of

TOOL = "hrt_model_exec"
CORE_NUMBER = "/sys/devices/system/bpu/core_num"
NAME_FILES = ("/sys/class/socinfo/soc_name", "/proc/device-tree/model", "/sys/class/socinfo/som_name")
PROBE = BoardProbe(
    files=("/etc/version", *NAME_FILES, "/sys/class/socinfo/board_id", CORE_NUMBER),
    tools=(TOOL, "hrut_somstatus", "hrt_ucp_monitor", "rdkos_info", "python3"),
    paths=(
        "/sys/devices/system/bpu/bpu[0-9]*",
        *(f"{folder}/{name}" for folder in ("/usr/hobot/lib", "/opt/horizon/lib", "/usr/lib", "/usr/lib/hbbpu")
          for name in ("libdnn.so*", "libhbucp.so*", "libhbrt*.so*")),
    ),
    folders=("/usr/hobot/bin", "/opt/horizon/bin", "/usr/sbin", "/sbin", "/bin"),
)  # fmt: skip
_NAMES = re.compile(
    r"(?<![A-Za-z0-9])(?:RDK|Hobot|Horizon|Journey|Sunrise)?[ _-]*"
    r"(J6[EMPHB]|S100P|S100|S600|XJ3|X3|J3|X5|J5|Ultra)(?:[UM]|PI|MD|SDB)?(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_VENDOR = re.compile(r"\b(?:RDK|Hobot|Horizon|D-?Robotics|Journey|Sunrise)\b", re.IGNORECASE)
_UCP = ("j6", "s100", "s600")


def soc_in(text: str) -> str:
    """The SoC that a board's own text names; "" where it names none of the table."""
    match = _NAMES.search(text)
    name = match[1].lower().replace("xj3", "x3") if match else ""
    return name if name in CHIPS else ""


def recognise(seen: Seen) -> Guess | None:
    """What this family's files and tools say; None where there are none."""
    bpus = seen.named("bpu")
    named = [(name, seen.text(name)) for name in NAME_FILES]
    named_socs = [(soc_in(text), f"{name} says {text!r}") for name, text in named if soc_in(text)]
    is_vendor = any(_VENDOR.search(text) for name, text in named if name.endswith("model"))
    is_named = bool(named_socs) and (is_vendor or named_socs[0][1].startswith("/sys/class/socinfo"))
    if not (bpus or is_named or TOOL in seen.tools):
        return None
    soc, why = named_socs[0] if named_socs else ("", "")
    has_ucp = bool(seen.named("libhbucp"))
    is_ucp = soc.startswith(_UCP) if soc else has_ucp
    evidence = [f"{TOOL} at {seen.tools[TOOL]}"] if TOOL in seen.tools else []
    if bpus or not evidence:
        evidence.append(f"{len(bpus)} BPU under /sys/devices/system/bpu" if bpus else why)
    return Guess(
        platform="ucp" if is_ucp else "hbdnn",
        soc=soc,
        soc_evidence=why,
        evidence=", ".join(evidence),
        certainty=3 if is_named or bpus else 2,
        facts=_facts(seen, len(bpus)),
        ask={"runtime": (seen.tools[TOOL], "--version")} if TOOL in seen.tools else {},
        tools=folders_of([seen.tools[name] for name in (TOOL,) if name in seen.tools]),
        libraries=folders_of(seen.named("libdnn")[:1] or seen.named("libhbucp")[:1]),
        lacks=tuple(_lacks(seen, is_ucp)),
    )


def _facts(seen: Seen, bpus: int) -> dict[str, str]:
    facts = {
        "image": seen.text("/etc/version"),
        "soc name": seen.text(*NAME_FILES),
        "board id": seen.text("/sys/class/socinfo/board_id"),
        "BPU cores": seen.text(CORE_NUMBER) or (str(bpus) if bpus else ""),
    }
    return {key: value[:120] for key, value in facts.items() if value}


def _lacks(seen: Seen, is_ucp: bool) -> list[Lack]:
    package = "package hobot-dnn of the image (apt install hobot-dnn)"
    source = "RDK S: package hobot-dnn; J6: samples/ucp_tutorial/tools/hrt_model_exec of the OpenExplorer package"
    where = source if is_ucp else package
    lacks = [] if TOOL in seen.tools else [Lack(TOOL, "every run", where, needed=True)]
    if not (seen.named("libdnn") or seen.named("libhbucp")):
        lacks.append(Lack("libdnn.so", f"{TOOL}; if it is elsewhere, set `libraries:`", where))
    status = "hrt_ucp_monitor" if is_ucp else "hrut_somstatus"
    if status not in seen.tools and "hrut_somstatus" not in seen.tools:
        lacks.append(Lack(status, "temperatures and clocks in the report", "the vendor's image"))
    if "python3" not in seen.tools:
        lacks.append(
            Lack("python3", "hashing padded dumps on the board (downloaded without it)", "apt install python3")
        )
    return lacks


def heard(guess: Guess, answers: Mapping[str, str]) -> Guess:
    """The tool's version into the evidence; one that is there and does not start is a lack."""
    version = re.search(r"[0-9]+\.[0-9]+\.[0-9]+[\w.-]*", answers.get("runtime", ""))
    if "runtime" not in answers:
        return guess
    if version is None:
        runtime = " ".join(answers["runtime"].split())[:120] or "nothing"
        lack = Lack(f"a working {TOOL} (output: {runtime})", "every run", "its libraries: `libraries:`", needed=True)
        return replace(guess, lacks=(lack, *guess.lacks))
    return replace(guess, evidence=guess.evidence.replace(TOOL, f"{TOOL} {version[0]}", 1))


def wrong_soc(soc: str, reported: str, cores: str) -> str:
    """Why `soc` of an inventory cannot be this board, or "". `reported`: the board's text; `cores`: its BPU cores."""
    own = soc_in(reported)
    mine = soc_in(soc) or soc.lower()
    if own and mine and own != mine and {own, mine} != {"x3", "j3"}:
        return f"the board reports {own}: {reported!r}"
    # Where a name agrees, it decides: an S600 may have cores switched off, and sources differ on those of J6.
    chip = None if own or mine.startswith(_UCP) else CHIPS.get(mine)
    if chip and chip.cores and cores.isascii() and cores.isdigit() and 0 < int(cores) != chip.cores:
        return f"the board has {cores} BPU cores, {chip.name} has {chip.cores}"
    return ""
