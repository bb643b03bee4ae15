"""Runs agents/reference_runner.py beside a vendor's runtime: in another interpreter or in a container.

The other side gets a folder with the request (a model, one .npy per input, a small JSON) and writes a folder with the
result, which reference_results.py reads as untrusted. It gets no shell, no network (container), no terminal and only
the variables of KEPT_VARIABLES of this process's environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from harness.assets import asset
from harness.errors import HostError, InputError
from harness.records import ReferenceRuntime
from harness.records.callbacks import ProgressCallback
from harness.reference.onnx_file import has_external_data, load_model, load_whole

Array = np.ndarray[Any, Any]

SCRIPT = "reference_runner.py"
ENGINES = ("docker", "podman")
MOUNTS = ("/harness/request", "/harness/result")  # of the two folders in a container
GUIDE = "docs/reference-vendor.md"
MAX_BYTES = 64 * 2**30  # of all tensors together
MAX_MODEL_BYTES = 2**31 - 2**20  # protobuf's limit, for a model with its weights in one file
LAST_WORDS_BYTES = 16 * 2**10  # of what the runtime printed
GRACE_S = 15.0  # after the time limit: the script ends itself if this process is gone
ENGINE_FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127  # exit codes of `docker run` itself
# A vendor's runtime may be found through these. Nothing else of the environment is passed on: it holds secrets.
KEPT_VARIABLES = frozenset(
    ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
    + ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "CONDA_PREFIX", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES")
    + ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
)
# What the engine's own client needs; the container gets none of it.
ENGINE_VARIABLES = KEPT_VARIABLES | {
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    *("CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"),
    *("XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS"),
}


@dataclass(frozen=True)
class Task:
    """What is asked of the runtime. `batches` are ONNX tensors to compute, those of one batch in one inference."""

    model: Path
    feed: Mapping[str, Array]
    names: Sequence[str]  # runtimes to try, in order
    batches: Sequence[Sequence[str]] = ()
    optimizations: str = "disabled"  # of plain onnxruntime; vendors' runtimes choose their own
    threads: int = 1


@dataclass
class Ended:
    """How the process ended: exit status (negative: a signal), and the last of what it printed."""

    status: int
    timed_out: bool
    last_words: str = ""


@dataclass(frozen=True)
class Place:
    """Where the script runs: the command in front of its own two arguments, as an argument list."""

    argv: tuple[str, ...]
    folders: tuple[str, str]  # of request and result, as the script sees them
    environment: dict[str, str]
    label: str  # for messages
    cleanup: tuple[str, ...] = field(default=())  # command that ends a container


@contextlib.contextmanager
def run_beside(runtime: ReferenceRuntime, task: Task, progress: ProgressCallback) -> Iterator[tuple[Path, str]]:
    """Run the script; gives its result folder, which is gone afterwards, and a label of where it ran.

    Errors: InputError for an interpreter or image that is not there, HostError for a crash, a signal, the time limit.
    """
    with tempfile.TemporaryDirectory(prefix="harness-reference-") as name:
        folder = Path(name)
        place = place_of(runtime, folder)
        _write_request(runtime, task, folder / "request")
        (folder / "result").mkdir()
        (folder / "result").chmod(0o777)  # a container may have a user of its own; the folder above is closed to others
        ended = _run(place, runtime.timeout_s, progress)
        _check(runtime, task, place, ended, (folder / "result" / "result.json").is_file())
        yield folder / "result", place.label


# --------------------------------------------------------------------------- where


def place_of(runtime: ReferenceRuntime, folder: Path) -> Place:
    """The command for an interpreter or an image. Errors: InputError, HostError for what is not installed."""
    if runtime.image:
        return _container(runtime, folder)
    argv = (_interpreter(runtime.python), "-B", str(folder / "request" / SCRIPT))
    environment = _environment(KEPT_VARIABLES)
    return Place(argv, (str(folder / "request"), str(folder / "result")), environment, runtime.python)


def _interpreter(python: str) -> str:
    """An absolute path; links are kept, since a virtual environment is found through its own."""
    path = Path(python)
    resolved = shutil.which(python)
    if resolved is None:
        what = "not an executable file" if path.exists() else "no such interpreter"
        raise InputError(f"{python}: {what}", "give the path of a python3 that has the vendor's runtime")
    return str(Path(resolved).absolute())


def _container(runtime: ReferenceRuntime, folder: Path) -> Place:
    if runtime.image.startswith("-"):
        raise InputError(f"{runtime.image!r}: not the name of an image", "for example --image vendor/toolchain:1.2.8")
    if set(',"\n') & set(str(folder)):
        raise HostError(f"{folder}: a comma or quote in TMPDIR cannot be mounted", "set TMPDIR to another folder")
    engine, name = _engine(runtime.engine), f"harness-reference-{secrets.token_hex(8)}"
    argv = (
        *(engine, "run", "--rm", "--interactive", "--pull", "never", "--name", name, "--network", "none"),
        *("--security-opt", "no-new-privileges", "--security-opt", "label=disable"),
        *("--mount", f"type=bind,source={folder / 'request'},target={MOUNTS[0]},readonly"),
        *("--mount", f"type=bind,source={folder / 'result'},target={MOUNTS[1]}"),
        *("--workdir", MOUNTS[1], "--entrypoint", runtime.entrypoint, runtime.image, "-B", f"{MOUNTS[0]}/{SCRIPT}"),
    )
    return Place(argv, MOUNTS, _environment(ENGINE_VARIABLES), runtime.image, (engine, "rm", "--force", name))


def _engine(name: str) -> str:
    for engine in (name,) if name else ENGINES:
        path = shutil.which(engine)
        if path is not None:
            return path
    missing = name or " nor ".join(ENGINES)
    raise HostError(f"{missing} is not installed on this PC", f"install one, or use --python PATH; {GUIDE}")


def _environment(names: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in names}


# --------------------------------------------------------------------------- the request


def _write_request(runtime: ReferenceRuntime, task: Task, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    shutil.copyfile(asset(f"agents/{SCRIPT}"), folder / SCRIPT)
    model = f"model{task.model.suffix.lower()}"
    _write_model(task.model, folder / model)
    inputs = []
    for index, (name, value) in enumerate(task.feed.items()):
        np.save(folder / f"x{index:05d}.npy", value, allow_pickle=False)
        inputs.append({"name": name, "file": f"x{index:05d}.npy"})
    request = {
        "format": 1,
        "model": model,
        "runtimes": list(task.names),
        "inputs": inputs,
        "batches": [list(batch) for batch in task.batches],
        "optimizations": task.optimizations,
        "threads": task.threads,
        "timeout_s": runtime.timeout_s + GRACE_S,
        "max_bytes": MAX_BYTES,
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="ascii")
    for path in folder.iterdir():
        path.chmod(0o644)


def _write_model(model: Path, target: Path) -> None:
    """A copy; weights that lie in files beside an ONNX are written into it."""
    if model.suffix.lower() != ".onnx" or not has_external_data(load_model(model)):
        shutil.copyfile(model, target)
        return
    whole = load_whole(model)
    if whole.ByteSize() > MAX_MODEL_BYTES:
        raise InputError(f"{model}: over 2 GiB with its weights: not supported with a vendor runtime")
    target.write_bytes(whole.SerializeToString())


# --------------------------------------------------------------------------- the process


def _run(place: Place, timeout_s: float, progress: ProgressCallback) -> Ended:
    """Run to the end, or to the time limit; whatever the process started is ended with it."""
    process = subprocess.Popen(
        [*place.argv, *place.folders],
        stdin=subprocess.PIPE,  # the script ends when this process does: its stdin ends then
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=place.environment,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    tail = bytearray()
    readers = [
        threading.Thread(target=_read_progress, args=(process.stdout, progress), daemon=True),
        threading.Thread(target=_read_tail, args=(process.stderr, tail), daemon=True),
    ]
    for reader in readers:
        reader.start()
    timed_out = False
    try:
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        status, timed_out = -signal.SIGKILL, True
    finally:
        _end(process, place, timed_out)
    process.stdin.close()
    for reader in readers:
        reader.join(5.0)
    return Ended(status, timed_out, bytes(tail).decode("utf-8", "replace"))


def _end(process: subprocess.Popen[bytes], place: Place, timed_out: bool) -> None:
    """Also after Ctrl-C: the process group, and the container, which outlives its client."""
    unfinished = timed_out or process.poll() is None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if unfinished and place.cleanup:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(place.cleanup, env=place.environment, capture_output=True, timeout=60, check=False)


def _read_progress(stream: IO[bytes], progress: ProgressCallback) -> None:
    while line := stream.readline(200):
        words = line.split()
        if len(words) == 3 and words[0] == b"progress" and all(word.isdigit() for word in words[1:]):
            progress("reference", min(int(words[1][:9]), int(words[2][:9])), int(words[2][:9]))


def _read_tail(stream: IO[bytes], tail: bytearray) -> None:
    while piece := stream.read(4096):
        tail += piece
        del tail[:-LAST_WORDS_BYTES]


# --------------------------------------------------------------------------- how it ended


def _check(runtime: ReferenceRuntime, task: Task, place: Place, ended: Ended, has_result: bool) -> None:
    """Errors: HostError or InputError for a run that left no result."""
    if ended.timed_out:
        raise HostError(
            f"{place.label}: {task.model.name} timed out after {runtime.timeout_s:g} s",
            "allow more: --timeout SECONDS (harness reference); a compiled model on a simulator takes longest",
        )
    if has_result and ended.status in (0, 1):
        return
    if place.cleanup:
        _check_engine(runtime, place, ended)
    raise HostError(f"{place.label}: {how_ended(ended.status)}{_last_line(ended)}", _hint_of(ended.status))


def _check_engine(runtime: ReferenceRuntime, place: Place, ended: Ended) -> None:
    engine = Path(place.argv[0]).name
    if ended.status == ENGINE_FAILED:
        hint = f"check `{engine} images`; --engine chooses between {' and '.join(ENGINES)}"
        raise HostError(f"{engine} cannot run {runtime.image}{_last_line(ended, 1)}", hint)
    if ended.status in (NOT_EXECUTABLE, NOT_FOUND):
        hint = "give the image's Python: --entrypoint /path/python3"
        raise HostError(f"{runtime.image}: cannot start {runtime.entrypoint!r}{_last_line(ended, 1)}", hint)


def how_ended(status: int) -> str:
    """`the runtime was ended by SIGSEGV`, or its exit status; containers give signals as 128 + number."""
    number = -status if status < 0 else status - 128
    if number > 0 and number in signal.valid_signals():
        return f"the runtime was killed by {signal.Signals(number).name}, without a result"
    return f"no result (exit status {status})"


def _hint_of(status: int) -> str:
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "usually out of memory: check the kernel log (dmesg), close other programs or add swap"
    return f"run the runtime by itself: {GUIDE}"


def _last_line(ended: Ended, count: int = 3) -> str:
    lines = [line.strip() for line in ended.last_words.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Run '", "See '"))] or lines  # an engine's own advice
    return f": {' | '.join(line[:200] for line in lines[-count:])}" if lines else ""
