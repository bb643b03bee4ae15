"""A batch of samples as one job of the board: its inputs in one archive, the tool started once for each, one log.

The tools of these boards take one frame a start. A job for each would cost several questions over the link; a batch
costs the same few whether it has one sample or fifty.
"""

from __future__ import annotations

import io
import re
import secrets
import shlex
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.files.safe import new_file
from harness.records import Invocation, Job
from harness.review.case_reference import Fed

INPUTS = "in"  # of a batch's folder on the board
RUN_ONE = """one() {
  name=$1; shift
  mkdir "$name" && cd "$name" || exit 71
  read -r from _ </proc/uptime
  printf '\\n%s begin %s\\n' "$mark" "$name"
  ( eval "$variables"; exec "$@" ) </dev/null 2>&1
  code=$?
  read -r to _ </proc/uptime
  printf '\\n%s end %s %s %s %s\\n' "$mark" "$name" "$code" "$from" "$to"
  cd ..
}
"""


@dataclass(frozen=True)
class PreparedSample:
    """One sample with its input files on this PC, as the tool takes them, and as the model is fed."""

    stem: str
    name: str  # of its folder on the board
    given: tuple[Path, ...]  # for the board's tool
    names: tuple[str, ...]  # of these, as the user's files are called
    fed: tuple[Fed, ...]  # for a reference

    def places(self, folder: str) -> tuple[str, ...]:
        """Where the files lie on the board."""
        return tuple(f"{folder}/{INPUTS}/{self.name}/{place}{_suffix(path)}" for place, path in enumerate(self.given))


def _suffix(path: Path) -> str:
    """Kept where tools read a format, or a shape, from the name."""
    return f"_{path.name}" if re.fullmatch(r"[\w.-]{1,120}", path.name, re.ASCII) else path.suffix


@dataclass(frozen=True)
class Batch:
    """Samples that one job runs in one mode."""

    mode: str
    samples: tuple[PreparedSample, ...]
    archive: Path
    mark: str = field(default_factory=lambda: f"harness-{secrets.token_hex(8)}")  # no tool prints it by chance


def pack(samples: Sequence[PreparedSample], archive: Path) -> int:
    """All input files in one tar, without dates and owners: the same samples are the same bytes. Gives its size."""
    with (
        new_file(archive, archive.parent) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for sample in samples:
            for path, place in zip(sample.given, sample.places(""), strict=True):
                entry = tarfile.TarInfo(place.removeprefix(f"/{INPUTS}/"))
                entry.size = path.stat().st_size
                with path.open("rb") as content:
                    tar.addfile(entry, content)
    return archive.stat().st_size


def script(batch: Batch, archive: str, jobs: Mapping[str, Invocation]) -> str:
    """The job's program for any POSIX sh: unpack, then each sample in a folder of its own.

    `jobs` has the platform's command for each sample's name; its variables are set for that command alone.
    """
    lines = [f"mark={shlex.quote(batch.mark)}", RUN_ONE, f"mkdir {INPUTS} || exit 71"]
    lines.append(f"tar -xf {shlex.quote(archive)} -C {INPUTS} || exit 71")
    for sample in batch.samples:
        invocation = jobs[sample.name]
        variables = "; ".join(f"export {name}={shlex.quote(text)}" for name, text in invocation.environment.items())
        lines.append(f"variables={shlex.quote(variables or ':')}")
        lines.append(shlex.join(["one", sample.name, *invocation.argv]))
    return "\n".join([*lines, ""])


def job_of_sample(job: Job, folder: str, sample: PreparedSample) -> Job:
    """The platform's job for one sample of a batch in `folder`."""
    return replace(
        job,
        folder=f"{folder}/{sample.name}",
        inputs=sample.places(folder),
        input_names=sample.names,
        input_tensors=tuple(one.tensor for one in sample.fed),
    )


@dataclass(frozen=True)
class SampleEnding:
    """How the tool ended for one sample. `code` is None where it was not reached, or did not end."""

    began: bool = False
    code: int | None = None
    seconds: float | None = None
    log: str = ""


def read_log(text: str, batch: Batch) -> dict[str, SampleEnding]:
    """What the job's log says of each sample, by name; of a mark that is printed twice the first counts."""
    endings: dict[str, SampleEnding] = {}
    name, lines = "", io.StringIO()
    begin = re.compile(rf"{re.escape(batch.mark)} begin (\S+)")
    end = re.compile(rf"{re.escape(batch.mark)} end (\S+) (\d{{1,3}}) (\d{{1,12}}\.\d+) (\d{{1,12}}\.\d+)")
    for line in text.split("\n"):
        if started := begin.fullmatch(line):
            name, lines = started[1], io.StringIO()
            endings.setdefault(name, SampleEnding(began=True))
        elif (ended := end.fullmatch(line)) and ended[1] == name:
            log = lines.getvalue().removesuffix("\n")
            if endings[name].code is None:
                endings[name] = SampleEnding(True, int(ended[2]), float(ended[4]) - float(ended[3]), log)
            name = ""
        elif name:
            lines.write(line + "\n")
    if name and name in endings:
        endings[name] = SampleEnding(began=True, log=lines.getvalue())
    return endings
