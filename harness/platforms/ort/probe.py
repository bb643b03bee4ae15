"""Recognising a plain Linux board with Python: what runs ONNX Runtime, and what does not yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.platforms.probing import BoardProbe, Guess, Lack, Seen

# Tools of accelerators that this version does not speak to: named where they are seen, never used.
OTHERS = ("bmrt_test", "rknn_benchmark", "ax_run_model", "vpm_run", "trtexec")
PROBE = BoardProbe(files=("/proc/device-tree/model",), tools=("python3", *OTHERS))
VERSIONS = (
    "import sys;print('Python','.'.join(map(str,sys.version_info[:3])))\n"
    "for n in ('numpy','onnxruntime'):\n"
    " try:\n"
    "  import os;os.environ['ORT_DISABLE_TELEMETRY']='1';m=__import__(n);print(n,m.__version__)\n"
    " except Exception as e:print(n,'is missing')\n"
)


def recognise(seen: Seen) -> Guess | None:
    """Any board on which a shell answered: with Python at best."""
    python = seen.tools.get("python3", "")
    others = [name for name in OTHERS if name in seen.tools]
    lacks = [] if python else [Lack("python3", "every run", "the board's package manager", needed=True)]
    facts = {"model": seen.text("/proc/device-tree/model")[:120]} if seen.text("/proc/device-tree/model") else {}
    if others:
        facts["tools of other accelerators"] = f"{', '.join(others)} (not supported by harness)"
    return Guess(
        platform="ort",
        soc="",
        soc_evidence="",
        evidence=f"python3 at {python}" if python else "a shell answered; nothing else detected",
        certainty=1 if python else 0,
        facts=facts,
        ask={"python": (python, "-c", VERSIONS)} if python else {},
        lacks=tuple(lacks),
    )


def heard(guess: Guess, answers: Mapping[str, str]) -> Guess:
    """Versions into the evidence; what cannot be imported is a lack, with the command that brings it."""
    answer = answers.get("python", "")
    lacks = list(guess.lacks)
    if (guess.ask and "onnxruntime is missing" in answer) or "numpy is missing" in answer:
        how = "harness boards prepare NAME --wheels DIR (no network on the board is needed)"
        lacks.append(Lack("numpy and onnxruntime", "every run", how, needed=True))
    evidence = ", ".join(line for line in answer.split("\n")[:3] if line) or guess.evidence
    return replace(guess, evidence=evidence, lacks=tuple(lacks))


def wrong_soc(soc: str, reported: str, cores: str) -> str:
    """Any name will do for a board that only runs Python."""
    return ""
