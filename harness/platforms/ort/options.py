"""Options of platform ort, from the board's entry in hosts.yaml and from `--option`, as the runner's flags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from harness.errors import InputError
from harness.platforms.options import merged_options, seconds_of
from harness.records import BoardIdentity, Job

OPTIONS: Mapping[str, str] = {
    "optimizations": "onnxruntime's graph optimizations: disabled, basic, extended or all (default all)",
    "provider": "execution providers, first choice first: CPU, XNNPACK, CUDA, TensorRT, QNN ... (default CPU)",
    "provider_option": "options of the first provider: key=value,key=value",
    "config": "session config entries: session.qdqisint8allowed=1,...",
    "dump": "tensors of a debug run: layers (default), all, or names separated by commas",
    "dump_mb": "MB of tensors in memory at a time in a debug run (default 256)",
    "warmup": "inferences before timing starts (default 3)",
    "profile_frames": "inferences under onnxruntime's profiler, at most (default 20)",
    "python": "the Python on the board (default python3)",
}
LEVELS = ("disabled", "basic", "extended", "all")
OLD_LEVELS = {"disable": "disabled"}  # an earlier spelling, still taken
DEFAULTS: Mapping[str, object] = {
    "optimizations": "all",
    "provider": "CPU",
    "provider_option": "",
    "config": "",
    "dump": "layers",
    "dump_mb": 256,
    "warmup": 3,
    "profile_frames": 20,
    "python": "python3",
}
RUNNER_NAME = "ort_runner.pyz"


def merged(board: BoardIdentity, job: Job) -> dict[str, object]:
    """Defaults under the board's options under the job's. Errors: ConfigError for an unknown key of the board."""
    values = merged_options("ort", OPTIONS, DEFAULTS, board, job)
    return values | {"threads": job.threads, "frames": job.frames, "time": job.time_s}


def runner(job: Job) -> str:
    """Path of the pushed runner on the board."""
    return job.support[0] if job.support else str(PurePosixPath(job.folder) / RUNNER_NAME)


def site(job: Job) -> str:
    """The folder on the board that `harness boards prepare` fills with numpy and onnxruntime."""
    work = (job.work or "harness-work").rstrip("/")
    if work.startswith("/"):
        return f"{work}/site"
    head, separator, _ = runner(job).partition(f"/{work}/")
    return f"{head}/{work}/site" if separator else f"~/{work}/site"


def flags(mode: str, values: Mapping[str, object]) -> list[str]:
    """The runner's flags of that mode. Errors: InputError for a value out of range."""
    level = OLD_LEVELS.get(str(values["optimizations"]), str(values["optimizations"]))
    if level not in LEVELS:
        raise InputError(f"option optimizations={level}: one of {', '.join(LEVELS)}")
    made = ["--optimizations", level, "--provider", _provider(values)]
    made += ["--threads", str(_integer(values, "threads", 1, 1024))]
    made += [part for pair in _pairs(values, "provider_option") for part in ("--provider-option", pair)]
    made += [part for pair in _pairs(values, "config") for part in ("--config", pair)]
    return made + _mode_flags(mode, values)


def _mode_flags(mode: str, values: Mapping[str, object]) -> list[str]:
    if mode == "debug":
        limit = _integer(values, "dump_mb", 1, 1_000_000) * 2**20
        return ["--dump", str(values["dump"]), "--dump-bytes", str(limit)]
    warmup = ["--warmup", str(_integer(values, "warmup", 0, 1_000_000))]
    if mode != "profile":
        return warmup if mode == "memory" else []
    made = ["--frames", str(_integer(values, "frames", 1, 100_000_000)), "--time", f"{seconds_of(values):g}"]
    return [*warmup, *made, "--profile-frames", str(_integer(values, "profile_frames", 1, 100_000))]


def _provider(values: Mapping[str, object]) -> str:
    text = str(values["provider"])
    if not re.fullmatch(r"[A-Za-z0-9]+(,[A-Za-z0-9]+)*", text):
        raise InputError(f"option provider={text}: expected names separated by commas", "--option provider=XNNPACK,CPU")
    return text


def _integer(values: Mapping[str, object], name: str, low: int, high: int) -> int:
    text = str(values[name]).strip()
    if not re.fullmatch(r"\d{1,12}", text) or not low <= int(text) <= high:
        raise InputError(f"option {name}={text}: takes {low} to {high}", f"--option {name}={low}")
    return int(text)


def _pairs(values: Mapping[str, object], name: str) -> list[str]:
    """key=value pairs of a comma list, or of a mapping in hosts.yaml."""
    given = values[name]
    rows = [f"{key}={value}" for key, value in given.items()] if isinstance(given, Mapping) else str(given).split(",")
    rows = [row.strip() for row in rows if row.strip()]
    for row in rows:
        if not re.fullmatch(r"[\w.\-]+=.*", row):
            raise InputError(f"option {name}: {row!r} is not key=value", f"--option {name}=key=value")
    return rows
