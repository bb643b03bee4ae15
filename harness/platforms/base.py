"""The contract of a platform: pure functions over text and folders. No network, no board, no printing.

Units are settled here: microseconds, bytes, logical layouts. Readers go by labels and tokens, never by line
positions; what they could not read they list in `problems`, they never guess and never raise on bad text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import InputError
from harness.profiling.telemetry import Sense
from harness.records import (
    BoardIdentity,
    BuiltPixels,
    Dump,
    Failure,
    Gap,
    InputFacts,
    Invocation,
    Job,
    Latency,
    ModelInfo,
    OpTime,
    TensorSpec,
)


class Platform(ABC):
    """One runtime family's dialect.

    What is abstract must be written, with `name`, `modes` and `units`. Everything else has a default that is true for
    a tool that tells nothing of it, so a new platform grows method by method.
    """

    name: str
    modes: tuple[str, ...]  # in running order, for example ("release", "debug", "profile")
    units: tuple[str, ...]  # ("BPU", "CPU")
    tools: tuple[str, ...] = ()  # programs that must be found on the board, for example ("hrt_model_exec",)
    status_command: tuple[str, ...] = ()  # prints temperatures, clocks and loads, see read_status
    tool_hint: str = ""  # what to do when a tool is not found; "{board}" stands for the board's name
    sampled_mode: str = "release"  # the mode that leaves a network's outputs, which every sample runs in
    runs_onnxruntime: bool = False  # whether its values may be those of ONNX Runtime's own kernels
    takes_wheels: bool = False  # whether `harness boards prepare` puts Python wheels there for it
    options: Mapping[str, str] = {}  # name -> help of the platform's own options (`--option name=value`)

    def __init__(self) -> None:
        missing = [name for name in ("name", "modes", "units") if not hasattr(self, name)]
        if missing:
            raise TypeError(f"{type(self).__name__} has no {', '.join(missing)}: see platforms/base.py")

    # ---- before the run

    def check_model(self, path: Path, board: BoardIdentity) -> None:  # noqa: B027 (nothing to refuse is a good default)
        """Refuse a file that this board cannot run, before anything is sent. Errors: InputError."""

    def files(self, board: BoardIdentity, job: Job) -> tuple[Path, ...]:
        """Host files besides model and inputs that the run needs on the board (a runner, libraries)."""
        return ()

    def beside(self, model: Path, soc: str, *, is_emulated: bool) -> tuple[Path, ...]:
        """Host files that lie beside the model and that its run on such a board needs too; `Job.support` ends with
        them."""
        return ()

    @abstractmethod
    def invocation(self, board: BoardIdentity, job: Job) -> Invocation:
        """The command line of `job.mode`, mode "info" included. Errors: InputError for an option out of range."""

    def sweep_axes(self, board: BoardIdentity) -> Mapping[str, tuple[str, ...]]:
        """What `harness sweep` varies here where nothing is named: values by "threads", "core" or an option's name.

        Empty: the tool takes none of them.
        """
        return {}

    def core_presets(self, board: BoardIdentity, core: str) -> tuple[Mapping[str, str], ...]:
        """Sets of further options that a choice of cores is to be tried with; one empty set: none is needed."""
        return ({},)

    def monitors(self, board: BoardIdentity) -> tuple[tuple[str, ...], ...]:
        """Command lines of the board's own monitors, which run until they are stopped; one runs beside each profile.

        The program of each is looked for on the board; what is not there is not started.
        """
        return ()

    # ---- reading

    @abstractmethod
    def read_model_info(self, text: str) -> ModelInfo:
        """What mode "info" printed of the model; what it does not tell stays empty."""

    def read_versions(self, text: str) -> dict[str, str]:
        """Versions in a tool's own banner: keys `runtime`, `hbrt`, `builder`, `platform`, ... as found."""
        return {}

    def read_latency(self, folder: Path, log: str) -> Latency | None:
        """End-to-end latency of a profile or release run; None when the run does not tell it."""
        return None

    def read_ops(self, folder: Path, log: str) -> tuple[OpTime, ...]:
        """Times of single ops, in the order of their execution; empty when the run tells none."""
        return ()

    def read_memory(self, folder: Path) -> dict[str, int] | None:
        """Bytes that a mode tells about memory, by name (`peak_bytes`, `total_bytes`, ...); None when it tells none."""
        return None

    def read_notes(self, mode: str, folder: Path, log: str) -> tuple[str, ...]:
        """What a reader of the run should know of a mode that worked, in sentences; mostly nothing."""
        return ()

    def read_status(self, text: str) -> tuple[Sense, ...]:
        """Every look at the board's sensors that `status_command` printed, in order; never raises."""
        return ()

    def read_monitor(self, program: str, text: str) -> tuple[Sense, ...]:
        """Samples that a monitor printed, `t_s` since its first one; never raises."""
        return ()

    def read_outputs(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        """Model outputs that a release (or debug) run left, with their specs."""
        return ()

    def read_dumps(self, folder: Path, log: str, info: ModelInfo) -> tuple[Dump, ...]:
        """Per-layer dumps of a debug run."""
        return ()

    def gaps(self, dumps: Sequence[Dump]) -> tuple[Gap, ...] | None:
        """Layers that are missing by the tool's own numbers; None where these dumps carry none."""
        return None

    def is_float_side(self, folder: Path) -> bool:
        """Whether a folder of layers is what the toolchain calls its float reference, and lays down as that."""
        return False

    def storages(self, spec: TensorSpec, unit: str) -> tuple[TensorSpec, ...]:
        """Ways in which a tensor of the reference's `spec` may lie in a dump of this platform, likeliest first.

        The first whose size is the file's size is taken; none: the layer is `not_compared`.
        """
        return (spec,)

    @abstractmethod
    def read_failure(self, mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
        """Judge by exit code AND text AND files; None means that the mode worked."""

    # ---- inputs

    @abstractmethod
    def read_input_facts(self, info: ModelInfo) -> tuple[InputFacts, ...]:
        """What the tool takes for each input, in the model's order."""

    def pack_inputs(self, info: ModelInfo, files: Sequence[tuple[str, Path]], folder: Path) -> tuple[Path, ...]:
        """What the tool is given for the inputs (tensor, raw file), in the model's order; a file of another form is
        written into `folder`. Errors: InputError."""
        return tuple(path for _, path in files)

    def reference_inputs(self, reference: Path) -> dict[str, str] | None:
        """md5 by name of the inputs that a PC's dump folder holds; None where this platform's PC tool keeps none."""
        return None

    def input_files(self, reference: Path) -> tuple[Dump, ...]:
        """The inputs that a PC's dump folder holds, with how they lie; none where the PC's tool keeps none."""
        return ()

    def reference_feed(self, info: ModelInfo, spec: TensorSpec, board_input: bytes) -> bytes:
        """The bytes a PC reference takes for one board input (`spec` is the reference model's input).

        For example NV12 to the YUV444 that the quantized ONNX takes. Errors: InputError when no rule is known.
        """
        raise InputError(
            f"platform {self.name} cannot convert the board input to the reference's input {spec.name!r}",
            "create the reference first (harness reference --input), and give its folder with --reference",
        )

    def reference_feeds(
        self,
        info: ModelInfo,
        wanted: Sequence[TensorSpec],
        given: Mapping[str, bytes],
        pixels: Mapping[str, BuiltPixels],
    ) -> dict[str, bytes]:
        """`reference_feed` of every input of a PC's model, `given` being by the board's inputs, in their order.

        A platform whose build does something with pixels (`pixels`, by input) says here what each stage takes.
        Errors: InputError when no rule is known, or another number of inputs is wanted.
        """
        if len(wanted) != len(given):
            raise InputError(f"expected {len(given)} inputs as in the board's model, got {len(wanted)}: wrong ONNX")
        order = list(given)
        names = [spec.name if spec.name in given else order[place] for place, spec in enumerate(wanted)]
        return {
            spec.name: self.reference_feed(_of_input(info, name), spec, given[name])
            for spec, name in zip(wanted, names, strict=True)
        }


def _of_input(info: ModelInfo, name: str) -> ModelInfo:
    """The model as if it had that input alone, where it has it."""
    own = tuple(spec for spec in info.inputs if spec.name == name)
    return replace(info, inputs=own or info.inputs)


@dataclass(frozen=True)
class PlatformVendor:
    """What a vendor's room of this wing holds, in words alone: an inventory is read without loading a platform."""

    modules: Mapping[str, str]  # by the name of the platform whose PLATFORM it has; of the room, or of any package
    probe: str = ""  # the module that recognises its boards, see probing.py; "" for none
    socs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by platform; none: any will do
    board_words: tuple[str, ...] = ()  # makers and families that people write before a SoC's name
    soc_ending: str = ""  # a pattern of what the maker adds to a SoC's name, for memory or package
