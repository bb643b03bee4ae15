"""A run folder -> profile, comparison, findings and the run's verdict. Needs no board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import platforms, store
from harness.consistency import temporal
from harness.consistency.compare import Settings, compare
from harness.consistency.policy import load_policy
from harness.diagnosis import find
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD, HarnessError, InputError
from harness.platforms.base import Platform
from harness.profiling import profile
from harness.records import Board, Case, Comparison, Dump, ModelInfo, Profile, TensorSpec, Verdict
from harness.reference import open_reference

Tell = Callable[[str, int, int], None]


def check_before(case: Case) -> Case:
    """Refuse what cannot be judged, before a board is touched. Errors: InputError, ConfigError."""
    if case.reference and not Path(case.reference).exists():
        raise InputError(f"{case.reference}: no such reference", "give a folder, an .npz or an ONNX on this PC")
    if case.mapping and not Path(case.mapping).is_file():
        raise InputError(f"{case.mapping}: no such mapping file")
    load_policy(case.policy)
    return case


def judge(folder: Path, board: Board, case: Case, tell: Tell) -> dict[str, Any]:
    """Read what a run left, judge it and write it into its run.json; returns the run."""
    run = store.load_run(folder)
    platform = platforms.load(board.platform)
    modes = {mode["mode"]: mode for mode in run["modes"]}
    info = platform.read_model_info(_log(folder, "info"))
    tell("reading times", 0, -1)
    times = _profile(platform, folder, modes)
    tell("comparing", 0, -1)
    comparison = _comparison(platform, folder, modes, info, case, run) if case.reference else None
    comparison = _with_repeats(platform, folder, modes, info, comparison)
    run |= {"profile": store.to_json(times), "comparison": store.to_json(comparison)}
    run["findings"] = store.to_json(find(run, times, comparison))
    run["verdict"] = store.to_json(verdict(run["modes"], comparison))
    store.save_run(folder, run)
    return run


def _log(folder: Path, mode: str) -> str:
    path = folder / mode / "log.txt"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _worked(modes: Mapping[str, Any], name: str) -> bool:
    return name in modes and not modes[name]["failure"]


def _profile(platform: Platform, folder: Path, modes: Mapping[str, Any]) -> Profile | None:
    """Times of the profile mode; a release run alone still tells its latency."""
    for name in ("profile", "release"):
        if _worked(modes, name):
            log = _log(folder, name)
            latency = platform.read_latency(folder / name, log)
            if latency is not None:
                return profile(latency, platform.read_ops(folder / name, log), folder=folder / name)
    return None


# --------------------------------------------------------------------------- comparison


def _comparison(
    platform: Platform, folder: Path, modes: Mapping[str, Any], info: ModelInfo, case: Case, run: dict[str, Any]
) -> Comparison | None:
    dumps = _dumps(platform, folder, modes, info)
    if dumps is None:
        return None
    feeds = _feeds(platform, folder, info, case, run)
    reference = open_reference(Path(case.reference), feeds=feeds, scratch=folder / "reference")
    run["case"]["reference"] = {"name": Path(case.reference).name, **store.to_json(reference.provenance)}
    settings = Settings(
        storages=platform.storages,
        policy=load_policy(case.policy),
        mapping=Path(case.mapping) if case.mapping else None,
        platform=platform.name,
    )
    return compare(reference, dumps, settings)


def _dumps(platform: Platform, folder: Path, modes: Mapping[str, Any], info: ModelInfo) -> tuple[Dump, ...] | None:
    """Layers of the debug run and its outputs; of the release run the outputs only. None: nothing worked."""
    for name in ("debug", "release"):
        if _worked(modes, name):
            log = _log(folder, name)
            outputs = platform.read_outputs(folder / name, log, info)
            layers = platform.read_dumps(folder / name, log, info) if name == "debug" else ()
            known = {dump.name for dump in outputs}
            return (*(dump for dump in layers if dump.name not in known), *outputs)
    return None


def _feeds(
    platform: Platform, folder: Path, info: ModelInfo, case: Case, run: dict[str, Any]
) -> Callable[[Sequence[TensorSpec]], dict[str, bytes]]:
    """What an ONNX reference is fed with: the board's own input bytes, put into the form that the PC model takes."""
    files = _input_files(folder, case, run)

    def feeds(wanted: Sequence[TensorSpec]) -> dict[str, bytes]:
        if len(wanted) != len(files):
            raise InputError(
                f"{case.reference}: takes {len(wanted)} inputs, the board's model {len(files)}",
                "the reference is not the ONNX of this model",
            )
        fed = {}
        for position, spec in enumerate(wanted):
            tensor, path = next(((t, p) for t, p in files if t == spec.name), files[position])
            narrowed = replace(info, inputs=tuple(s for s in info.inputs if s.name == tensor) or info.inputs)
            fed[spec.name] = platform.reference_feed(narrowed, spec, path.read_bytes())
        return fed

    return feeds


def _input_files(folder: Path, case: Case, run: dict[str, Any]) -> list[tuple[str, Path]]:
    """(tensor, file) in the model's order; generated inputs lie in the run folder."""
    given = {path.name: path for _, path in case.inputs}
    return [
        (item["tensor"], folder / "inputs" / item["name"] if item["generated"] else given[item["name"]])
        for item in run["case"]["inputs"]
    ]


# --------------------------------------------------------------------------- repeats and observers


def _output_hashes(platform: Platform, folder: Path, name: str, info: ModelInfo) -> dict[str, str]:
    outputs = platform.read_outputs(folder / name, _log(folder, name), info)
    return temporal.hashes(outputs)


def _with_repeats(
    platform: Platform, folder: Path, modes: Mapping[str, Any], info: ModelInfo, comparison: Comparison | None
) -> Comparison | None:
    """Do release and debug give the same outputs, and do repeats give the same bytes?"""
    if comparison is None:
        return None
    extras: dict[str, Any] = {}
    by_mode = {
        name: _output_hashes(platform, folder, name, info) for name in ("release", "debug") if _worked(modes, name)
    }
    if len(by_mode) > 1:
        extras["observer"] = temporal.observer(by_mode)
    repeats = [name for name in modes if name.split("-")[0] in ("release", "debug") and _worked(modes, name)]
    if any("-" in name for name in repeats):
        extras["determinism"] = {
            kind: temporal.determinism(
                [
                    temporal.hashes(_all_dumps(platform, folder, name, info))
                    for name in repeats
                    if name.split("-")[0] == kind
                ]
            )
            for kind in ("release", "debug")
            if any(name.split("-")[0] == kind for name in repeats)
        }
    return replace(comparison, extras=comparison.extras | extras)


def _all_dumps(platform: Platform, folder: Path, name: str, info: ModelInfo) -> tuple[Dump, ...]:
    log = _log(folder, name)
    layers = platform.read_dumps(folder / name, log, info) if name.startswith("debug") else ()
    return (*layers, *platform.read_outputs(folder / name, log, info))


# --------------------------------------------------------------------------- the word


def verdict(modes: Sequence[Mapping[str, Any]], comparison: Comparison | None) -> Verdict:
    """One word for the run. A mode that failed can never be good; nothing compared is never consistent."""
    failed = [mode for mode in modes if mode["failure"]]
    if comparison is not None and comparison.verdict.exit_code == MEASURED_BAD:
        return comparison.verdict
    if failed:
        first = failed[0]
        return Verdict("not_measured", f"{first['mode']}: {first['failure']['message']}", COULD_NOT_MEASURE)
    if comparison is None:
        return Verdict("not_compared", "measured; no reference was given, so nothing was compared", GOOD)
    return comparison.verdict


__all__ = ["HarnessError", "check_before", "judge", "verdict"]
