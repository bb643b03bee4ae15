"""`harness pack`: a package that checks a board with no PC: the model of a good run, its inputs, and what they give.

The vendor's tool is called as it was in the run. Outputs of integers are held by md5; where they are padded, by the
bytes that mean something; floats by the relative L2 that the policy allows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness import platforms
from harness.assets import asset
from harness.consistency.compare import fault_search
from harness.consistency.policy import Subject, load_policy
from harness.consistency.reading.layouts import TensorError, storage
from harness.consistency.reading.pairs import Pair
from harness.consistency.verdicts import GOOD_WORDS
from harness.errors import InputError
from harness.files.digests import md5_of_file
from harness.handover.contents import located
from harness.handover.reproduction import sides_of_run
from harness.names import safe_name
from harness.records import BoardIdentity, Dump, Job, ModeOfRun, Run
from harness.review.judge import RunReader

MODE = "release"
FLOATS = ("f16", "bf16", "f32", "f64")
MOST_RANGES = 1_000_000  # stretches of valid bytes of one output
SCRIPT = "check.sh"
_IN_CACHE = r"/cache/([0-9a-f]{32})[\w.]*"  # of the board's work folder: files by their md5


@dataclass(frozen=True)
class PackedOutput:
    """One output and how it is held: "whole" (md5), "valid" (its valid bytes), "float" (relative L2)."""

    kind: str
    name: str
    file: str
    size_bytes: int
    dtype: str
    allowed: float | None = None
    md5: str = ""


@dataclass(frozen=True)
class CheckPackage:
    """What `harness pack` writes."""

    files: Mapping[str, Path | bytes]
    outputs: tuple[PackedOutput, ...]
    command: tuple[str, ...]


def make_package(folder: Path, run: Run) -> CheckPackage:
    """The package of a good run. Errors: InputError for any other run, or where a file of it is gone."""
    mode = _refuse_not_good(folder, run)
    files, command = _command(folder, run, mode)
    outputs = tuple(_outputs(folder, run, files))
    _one_line(folder, [one.file for one in outputs])
    if not outputs:
        raise InputError(f"{folder}: {MODE} left no output that was compared", "run it again with --mode release")
    texts = {
        "command.txt": "".join(f"{word}\n" for word in _one_line(folder, command)),
        "environment.txt": "".join(_environment(run, mode)),
        "outputs.txt": "".join(map(_line, outputs)),
        "README.txt": _readme(run, outputs),
    }
    plain: dict[str, Path | bytes] = {name: text.encode() for name, text in texts.items()}
    # The lists too: one that lost its last line would check fewer outputs and pass.
    listed = {**plain, **files}
    sums = "".join(f"{_md5(source)}\t{name}\n" for name, source in listed.items())
    end = f"{len(listed)}\tfiles\n"
    return CheckPackage(
        {SCRIPT: asset(f"agents/{SCRIPT}"), "files.md5": (sums + end).encode(), **listed}, outputs, command
    )


def _one_line(folder: Path, words: Sequence[str]) -> Sequence[str]:
    """The same words. Errors: InputError where one would break the lists that the script reads line by line."""
    bad = next((word for word in words if re.search(r"[\t\r\n\0]", word)), None)
    if bad is not None:
        raise InputError(f"{folder}: {bad!r} cannot stand in a list of lines", "rename it, run again, pack that run")
    return words


def _refuse_not_good(folder: Path, run: Run) -> ModeOfRun:
    """The mode that a package repeats. Errors: InputError for a run that proves no board right."""
    word = run.verdict.word if run.verdict is not None else "not judged"
    mode = run.mode(MODE)
    if run.state != "complete" or run.damage or run.comparison is None or word not in GOOD_WORDS:
        raise InputError(f"{folder}: a package is made of a good run only, this one is: {word}", "give another run")
    if mode is None or mode.failure is not None or not mode.command:
        raise InputError(f"{folder}: mode {MODE} did not run", f"run it with --mode {MODE}")
    return mode


# --------------------------------------------------------------------------- the command


def _command(folder: Path, run: Run, mode: ModeOfRun) -> tuple[dict[str, Path | bytes], tuple[str, ...]]:
    """Files by their name in the package, and the command with marks in the place of the board's folders."""
    work = str(run.board.facts.get("work", ""))
    names: dict[str, str] = {}
    known = dict(_known(folder, run))
    files: dict[str, Path | bytes] = {}

    def marked(match: re.Match[str]) -> str:
        md5 = match[1]
        if md5 not in known:
            raise InputError(f"{folder}: a file of its command is gone (md5 {md5})", "run it again, then pack that run")
        path, name = known[md5]
        if md5 not in names:
            names[md5] = f"files/{len(names)}_{safe_name(name)}{'' if Path(name).suffix else Path(match[0]).suffix}"
            files[names[md5]] = path
        return f"@PACK@/{names[md5]}"

    words = [re.sub(re.escape(work) + _IN_CACHE, marked, word) for word in mode.command]
    return files, tuple(word.replace(work, "@WORK@") if work else word for word in words)


def _known(folder: Path, run: Run) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Path and name by md5 of every file that a command may name: the platform's own, the model, the inputs."""
    platform = platforms.load(run.board.platform)
    identity = BoardIdentity(run.board.name, run.board.platform, run.board.soc)
    for path in platform.files(identity, Job(MODE, "", "")):
        yield md5_of_file(path), (path, path.name)
    for file in run.case.files:
        if (place := located(run, file)) is not None:
            yield file.md5, (place, file.name)
    for fed in run.case.inputs:
        path = folder / fed.file
        if fed.file and path.is_file() and md5_of_file(path) == fed.md5:
            yield fed.md5, (path, Path(fed.file).name)


def _environment(run: Run, mode: ModeOfRun) -> Iterator[str]:
    yield f"work\t{run.board.facts.get('work', '')}\n"
    for name, value in mode.environment.items():
        value = value.replace("\n", " ")
        if name in ("HARNESS_PATH", "HARNESS_LIBRARIES"):
            yield f"{'path' if name == 'HARNESS_PATH' else 'libraries'}\t{value}\n"
        elif not name.startswith("HARNESS_"):
            yield f"set\t{name}={value}\n"


# --------------------------------------------------------------------------- the outputs


def _outputs(folder: Path, run: Run, files: dict[str, Path | bytes]) -> Iterator[PackedOutput]:
    """Every output of the run; what a board's output is compared with is added to `files`."""
    sides = sides_of_run(folder, run)
    if sides.policy.gone:  # its limits are those that the board will be held to
        raise InputError(f"{folder}: {sides.policy.gone}", "put it back, or run again with the policy of today")
    policy, platform = load_policy(sides.policy.source), platforms.load(run.board.platform)
    dumps = RunReader(platform, folder, {mode.mode: mode for mode in run.modes}).outputs(MODE)
    search = fault_search(sides.reference, dumps, sides.settings)
    for name, row in search.rows.matches.items():
        if row.dump is None:
            continue
        try:
            pair = search.rows.pair(name)
        except TensorError as error:
            raise InputError(f"{folder}: output {name}: {error}", "run it again") from None
        op = (
            next((layer.op_kind for layer in run.comparison.layers if layer.name == name), "") if run.comparison else ""
        )
        subject = Subject(op, pair.dtype, "float", row.dump.unit, run.board.platform)
        allowed = policy.limits(subject).relative_l2 or 0.0
        yield _output(name, row.dump, pair, allowed, files)


def _output(name: str, dump: Dump, pair: Pair, allowed: float, files: dict[str, Path | bytes]) -> PackedOutput:
    plain, file = safe_name(name), dump.path.name
    size_bytes, spec = dump.path.stat().st_size, pair.stored
    valid = _valid_bytes(pair) if dump.path.suffix != ".npy" else None
    if valid is None and spec.dtype not in FLOATS:
        return PackedOutput("whole", plain, file, size_bytes, spec.dtype, md5=md5_of_file(dump.path))
    files[f"expected/{file}"] = dump.path
    if valid is None:
        return PackedOutput("float", plain, file, size_bytes, spec.dtype, allowed)
    files[f"expected/{file}.valid"] = "".join(f"{start} {count}\n" for start, count in valid).encode()
    return PackedOutput("valid", plain, file, size_bytes, spec.dtype)


def _valid_bytes(pair: Pair) -> list[tuple[int, int]] | None:
    """Start and length of every stretch of bytes that mean something; None where all do.

    Errors: InputError for a storage that is scattered too much.
    """
    where = storage(pair.stored)
    if where.bits * int(np.prod(where.shape, dtype=object)) == where.size_bytes * 8:
        return None
    mask = np.zeros(where.size_bytes, np.bool_)
    if where.bits >= 8 and where.shape and 0 not in where.shape:
        width = where.bits // 8
        places = np.zeros(where.shape, np.int64)
        for axis, step in enumerate(where.strides_bits):
            shape = [1] * len(where.shape)
            shape[axis] = -1
            places = places + (np.arange(where.shape[axis]) * (step // 8)).reshape(shape)
        for byte in range(width):
            mask[places.reshape(-1) + byte] = True
    else:
        mask[:] = True
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    if len(edges) > 2 * MOST_RANGES:
        raise InputError(f"{pair.stored.name}: padded in more than {MOST_RANGES} places", "dump it unpadded")
    return [(int(start), int(end - start)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


# --------------------------------------------------------------------------- texts


def _line(one: PackedOutput) -> str:
    allowed = "-" if one.allowed is None else f"{one.allowed:.9g}"
    return "\t".join((one.kind, one.name, one.file, str(one.size_bytes), one.dtype, allowed, one.md5 or "-")) + "\n"


def _md5(source: Path | bytes) -> str:
    return hashlib.md5(source, usedforsecurity=False).hexdigest() if isinstance(source, bytes) else md5_of_file(source)


def _readme(run: Run, outputs: tuple[PackedOutput, ...]) -> str:
    model = run.case.model
    how = {"whole": "equal, by md5", "valid": "equal, without its padding", "float": "relative L2 of at most"}
    return "\n".join(
        (
            f"Checks a board ({run.board.soc}, {run.board.platform}) with no PC, made by harness of {run.id}.",
            f"Model {model.name if model else ''}, md5 {model.md5 if model else ''}.",
            *(["Made on an emulated board: no silicon was measured."] if run.board.emulated else []),
            "",
            f"On the board: sh {SCRIPT}",
            "Ends with 0: pass; 1: an output differs; 3: it could not be run.",
            "",
            *(f"{o.name}: {how[o.kind]}{f' {o.allowed:.3g}' if o.allowed is not None else ''}" for o in outputs),
            "",
        )
    )
