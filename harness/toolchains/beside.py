"""The toolchain files that belong to a model: given by the user, or lying beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.records import Comparison, Profile
from harness.toolchains import read_any
from harness.toolchains.join import Join, join
from harness.toolchains.records import Artifact

SUFFIXES = (".log", ".json", ".csv", ".txt")
MAX_FILES = 200  # a folder with more is no build folder
MAX_BYTES = 64 * 2**20
BUILD_KINDS = frozenset(
    ("hb_mapper_log", "hb_compile_log", "hb_perf_log", "hb_model_info", "quant_info", "node_info", "advice", "hb_perf")
)
TOOL_LOGS = ("hb_mapper_makertbin", "hb_mapper_checker", "hb_compile", "hb_perf")
LOG_NAMES = re.compile(rf"^(?:{'|'.join(TOOL_LOGS)})[\w.-]*\.log$")
TAILS = ("_quant_info.json", "_node_info.csv", "_advice.json", *(f"_{tool}.log" for tool in TOOL_LOGS))


def files_beside(model: Path) -> tuple[Path, ...]:
    """Files in the model's folder that its build left: `<prefix>_quant_info.json`, and the tools' own logs.

    A log without the model's name is taken only when the folder holds one model: it does not tell whose it is.
    """
    folder = model.parent
    prefix = model.stem
    found = [path for tail in TAILS if (path := folder / f"{prefix}{tail}").is_file()]
    models = [path for path in folder.iterdir() if path.suffix in (".bin", ".hbm")] if folder.is_dir() else []
    if len(models) == 1:
        found += sorted(path for path in folder.iterdir() if LOG_NAMES.match(path.name) and path.is_file())
    return tuple(found)


def files_of(given: Iterable[Path]) -> tuple[Path, ...]:
    """Files that a user named; a folder stands for the files in it. Errors: InputError for what is not there."""
    found: list[Path] = []
    for path in given:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder", "--build takes toolchain logs, quant_info.json, ...")
        inside = [one for one in sorted(path.rglob("*")) if one.suffix in SUFFIXES] if path.is_dir() else [path]
        found += [one for one in inside[:MAX_FILES] if one.is_file()]
    return tuple(dict.fromkeys(found))


def read_build(paths: Sequence[Path]) -> tuple[Artifact, ...]:
    """The build facts in `paths`; files of other kinds are left out. The file's name is in `facts["file"]`."""
    artifacts = []
    for path in paths:
        artifact = read_any(path) if path.stat().st_size <= MAX_BYTES else None
        if artifact is not None and artifact.kind in BUILD_KINDS:
            artifacts.append(replace(artifact, facts={**artifact.facts, "file": path.name}))
    return tuple(artifacts)


def build_record(
    artifacts: Sequence[Artifact], profile: Profile | None = None, comparison: Comparison | None = None
) -> dict[str, Any]:
    """What run.json keeps of a build beside the run: files, versions, messages, and the joined rows. Plain JSON."""
    joined: Join = join(artifacts, profile, comparison)
    return {
        "files": [
            {"name": artifact.facts.get("file", ""), "kind": artifact.kind, "problems": list(artifact.problems)}
            for artifact in artifacts
        ],
        "emulated": any(artifact.facts.get("emulated", False) for artifact in artifacts),
        "march": next((artifact.march for artifact in artifacts if artifact.march), ""),
        "versions": {tool: version for artifact in artifacts for tool, version in artifact.versions.items()},
        "outputs": [asdict(output) for artifact in artifacts for output in artifact.outputs],
        "messages": [asdict(message) for artifact in artifacts for message in artifact.messages],
        **asdict(joined),
    }
