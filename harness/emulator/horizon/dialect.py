"""What differs between the tools that are all called `hrt_model_exec`: flags, texts, file names, profiler files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.emulator.cost.timing import Timeline
from harness.emulator.horizon.gflags import CommandLine, Value
from harness.emulator.model.compiled import BoardTensor, CompiledModel
from harness.emulator.socs import Soc

SUBCOMMANDS = ("model_info", "infer", "perf")
DASHES = "-" * 69


class ToolFailure(Exception):
    """Ends the tool with an error line of its own."""


@dataclass(frozen=True)
class OutputForm:
    """How one model output is written."""

    format: str  # "bin", "txt", "npy"
    dequantize: bool = False
    valid_only: bool = False


@dataclass(frozen=True)
class RunFacts:
    """What a profile's first block tells of the run."""

    model_name: str
    core_id: str
    threads: int


class Dialect(Protocol):
    """One generation of the tool, talking through one console."""

    flags: Mapping[str, Value]
    max_threads: int

    def version(self) -> str:
        """Of the runtime, as the banner and the files name it."""

    def usage(self) -> str:
        """The text of --help."""

    def greet(self, argv: Sequence[str]) -> None:
        """What is printed before any model is looked at."""

    def libraries(self, perf_without_input: bool) -> None:
        """What the libraries print when they start."""

    def builder(self, version: str) -> None:
        """Print the version of the builder that made the model."""

    def loaded(self, load_ms: float, names: Sequence[str]) -> None:
        """Print that the file was loaded, and the names of its models."""

    def info(self, models: Sequence[CompiledModel], wanted: str) -> Iterator[str]:
        """Lines of model_info, of the `wanted` model or of all."""

    def handles(self) -> None:
        """Print that the model's handles were taken."""

    def read_inputs(self, lengths: Sequence[int]) -> None:
        """Print that input files of those bytes were read."""

    def frame(self, index: int, infer_ms: float) -> None:
        """Print what one frame of an infer run took."""

    def dumped(self, path: str) -> None:
        """Print that a dump was written."""

    def finish(self) -> None:
        """Print the end of an infer run."""

    def cores(self, line: CommandLine, compiled_for: int) -> int:
        """How many inferences run side by side, of a model that was compiled for so many cores.

        Errors: ToolFailure for a core that the chip lacks, or cores that do not fit the model.
        """

    def seconds(self, line: CommandLine) -> int:
        """Length of a timed perf run; 0: by frames."""

    def warms_up(self, line: CommandLine) -> bool:
        """Whether a frame is run before the statistics begin."""

    def input_name(self, index: int, name: str) -> str:
        """File name of an input dump, without suffix."""

    def output_name(self, index: int, name: str) -> str:
        """File name of an output dump, without suffix."""

    def output_form(self, line: CommandLine, tensor: BoardTensor) -> OutputForm:
        """How an output is written. Errors: ToolFailure for flags that it cannot follow."""

    def progress(self, frames: int, part_ms: Any, fps: float) -> None:
        """Print statistics of a part of a perf run; `part_ms` is a 1-D array of latencies."""

    def summary(self, line: Timeline, threads: int) -> None:
        """Print the end of a perf run."""

    def profile_files(self, line: Timeline, facts: RunFacts) -> dict[str, str]:
        """What --profile_path leaves: text by file name."""


def flag_rows(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """`--name   [kind]: text` lines of a usage text."""
    return [f"--{name:<28}{'[' + kind + ']':<10}: {text}" for name, kind, text in rows]


def dims(values: Sequence[int], trailing: bool) -> str:
    """`(1,3,224,224,)` of libdnn and older UCP, `(1,3,224,224)` of newer UCP."""
    return "(" + ",".join(map(str, values)) + ("," if trailing else "") + ")"


def one_core_of(line: CommandLine, soc: Soc) -> int:
    """`core_id` as one number: 0 is any core."""
    core = line.number("core_id")
    if not 0 <= core <= soc.cores:
        raise ToolFailure(f"core_id [{core}] is invalid, this board has {soc.cores} bpu core(s)")
    return 1 if core else soc.cores
