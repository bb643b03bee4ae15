"""Recognising an Ingenic board: its CPU, the accelerator's device nodes, Venus' programs and libraries, memory."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.platforms.magik.options import GENERATIONS, MODES
from harness.platforms.magik.text import read_reserved
from harness.platforms.probing import BoardProbe, Guess, Lack, Seen, folders_of

NODE = "/dev/soc-nna"
_PLACES = ("/usr/bin", "/usr/sbin", "/system/bin", "/tmp", "/mnt", "/root")
_LIBRARIES = ("/usr/lib", "/lib", "/system/lib", "/usr/local/lib", "/mnt/lib", "/tmp/lib")
PROBE = BoardProbe(
    files=("/proc/cpuinfo", "/proc/cmdline", "/etc/os-release", "/proc/device-tree/model"),
    paths=(
        NODE,
        "/dev/nna_lock",
        *(f"{place}/venus*" for place in _PLACES),
        *(f"{place}/lib{name}*.so*" for place in _LIBRARIES for name in ("venus", "aip", "drivers")),
    ),
)
_SOC = re.compile(r"(?<![A-Za-z0-9])(T40|T41|T02|X2500|A1)(?:[A-Z]{1,3})?(?![A-Za-z0-9])", re.IGNORECASE)
_MACHINES = {"isvp_shark": "t40", "isvp_marmot": "t41"}  # names of the vendor's kernels


def recognise(seen: Seen) -> Guess | None:
    """None for a board that shows neither the vendor's CPU nor its accelerator."""
    cpu = seen.text("/proc/cpuinfo")
    is_vendor = "ingenic" in cpu.lower() or "xburst" in cpu.lower()
    programs = [place for name, place in seen.paths.items() if "/venus" in name]
    has_node = NODE in seen.paths
    if not (is_vendor or has_node or seen.named("libvenus")):
        return None
    soc, why = _soc(cpu, seen.text("/proc/device-tree/model"))
    pattern = _pattern(programs)
    evidence = [text for text, yes in ((f"{NODE} is there", has_node), ("an Ingenic CPU", is_vendor)) if yes]
    return Guess(
        platform="magik",
        soc=soc,
        soc_evidence=why,
        evidence=", ".join(evidence) or "libvenus is there",
        certainty=3,
        facts=_facts(seen),
        libraries=folders_of(seen.named("libvenus")[:1]),
        options=_options(pattern, programs),
        work="/tmp/harness",  # the root of these boards is read-only or has a few MB; /tmp is their RAM
        lacks=tuple(_lacks(seen, has_node, pattern)),
    )


def _soc(cpu: str, model: str) -> tuple[str, str]:
    machine = next((name for name in _MACHINES if name in cpu.lower()), "")
    if machine:
        return _MACHINES[machine], f"/proc/cpuinfo names the machine {machine}"
    match = _SOC.search(model) or _SOC.search(cpu)
    soc = match[1].lower() if match else ""
    return (soc, f"the board names itself {match[0]!r}") if match and soc in GENERATIONS else ("", "")


def _pattern(programs: list[str]) -> str:
    """`/usr/bin/venus_sample_{mode}`, where the programs of several modes are named alike; else ""."""
    stems = {program[: -len(mode)] for program in programs for mode in MODES if program.endswith(f"_{mode}")}
    return f"{next(iter(stems))}{{mode}}" if len(stems) == 1 else ""


def _options(pattern: str, programs: list[str]) -> dict[str, str]:
    info = pattern.replace("{mode}", "info")
    own = {"board_program": pattern} if pattern else {}
    return own | ({"info_program": info} if info in programs else {})


def _facts(seen: Seen) -> dict[str, str]:
    reserved = read_reserved(seen.text("/proc/cmdline"))
    facts = {key.removesuffix("_bytes"): f"{size // 2**20} MB" for key, size in reserved.items()}
    return facts | ({"accelerator lock": "/dev/nna_lock"} if "/dev/nna_lock" in seen.paths else {})


def _lacks(seen: Seen, has_node: bool, pattern: str) -> list[Lack]:
    lacks = []
    if not has_node:
        lacks.append(
            Lack(NODE, "every Venus program", "insmod soc-nna.ko as root; it is in the board's SDK", needed=True)
        )
    if not pattern:
        lacks.append(
            Lack("Venus programs", "runs; they are built on the PC and pushed", "--option program=build/venus_{mode}")
        )
    if not seen.named("libvenus"):
        where = "InferenceKit of magik-toolkit; --option libraries=DIR of harness run pushes them"
        lacks.append(Lack("libvenus*.so", "programs that are linked against it", where))
    return lacks


def heard(guess: Guess, answers: Mapping[str, str]) -> Guess:
    """Venus tells its version only while it runs a model."""
    return guess


def wrong_soc(soc: str, reported: str, cores: str) -> str:
    """Why `soc` of an inventory cannot be this board, or ""."""
    own, why = _soc(reported, "")
    mine = _SOC.search(soc)
    return f"the board is a {own}: {why}" if own and mine and mine[1].lower() != own else ""
