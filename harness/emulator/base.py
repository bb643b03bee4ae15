"""What the emulator wants of a vendor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import InputError, UserError

if TYPE_CHECKING:  # a list of boards is read without loading a compiler
    from harness.emulator.compiler.node_types import NodeSettings
    from harness.emulator.compiler.options import BuildOptions, BuildRequest
    from harness.emulator.compiler.placement import OpRules
    from harness.emulator.compiler.result import Build
    from harness.emulator.model.fault_kinds import FaultKind
    from harness.emulator.socs import Soc
    from harness.records import Board
    from harness.records.callbacks import LogCallback


class EmulatorVendor(ABC):
    """The emulated boards of one vendor's room, and how models for them are built.

    A room that emulates boards for models of another making (plain ONNX for example) has no `socs`, and needs none of
    what a build asks for.
    """

    boards: tuple[Board, ...]
    socs: Mapping[str, Soc] = {}  # chips that models can be built for, by name
    own_socs: tuple[str, ...] = ()  # chips that the vendor's own compiler builds for, see build_own
    takes_faults: bool = True  # whether its tools are emulated, so that a fault can be planted in them
    subcommands: tuple[str, ...] = ()  # as what its tools are run, for a fault of one of them
    original_files: tuple[str, ...] = ()  # endings of ONNX that a build leaves: the float model as it came
    calibrated_files: tuple[str, ...] = ()  # and the one between calibrating and quantizing
    dump_folder: str = ""  # as the PC's tool calls the folder of its layers; "" where none is emulated

    # ---- boards

    @abstractmethod
    def stand_up(self, board: Board) -> AbstractContextManager[Board]:
        """The board, reachable for as long as the context lasts, and how. Errors: HostError, UserError."""

    @abstractmethod
    def serve(self, board: Board, server: str, port: int) -> AbstractContextManager[Board]:
        """The board behind a real ssh server on loopback; `server` "" is the one that fits the board.

        Errors: UserError for a server that it cannot have, HostError where this PC lacks what the board needs.
        """

    def faults(self) -> tuple[FaultKind, ...]:
        """Faults that only the tools of these boards can have."""
        return ()

    def check_own_faults(self, text: str, model: Path) -> None:
        """Faults of boards that run the vendor's own files (`own_socs`), tried on this PC. Errors: UserError."""
        raise UserError(f"fault {text!r}: not supported by this board's tools", "see: harness emulator faults")

    def prepare(self, python: str, tell: LogCallback) -> dict[str, str]:
        """Set up on this PC what these boards run on, once; gives facts for people. `python` "" is looked for.

        Errors: UserError where nothing has to be set up, HostError with what is missing.
        """
        raise UserError("this emulated board needs no preparing")

    # ---- builds

    def build_own(
        self, models: Sequence[Path], request: BuildRequest, output: Path | None, tell: LogCallback
    ) -> tuple[Path, ...]:
        """Build for one of `own_socs` with the vendor's own compiler; every file, the compiled model first.

        Errors: InputError, HostError. NotImplementedError of a room that has `own_socs` and does not build.
        """
        raise NotImplementedError(f"{type(self).__name__} has own_socs and no build_own: see emulator/base.py")

    def op_rules(self, soc: Soc) -> OpRules:
        """Which ops its accelerator takes. Errors: NotImplementedError of a room that has `socs` and does not tell."""
        raise NotImplementedError(f"{type(self).__name__} has socs and tells no op_rules: see emulator/base.py")

    def takes_type(self, soc: Soc, kind: str, place: int, dtype: str) -> bool:
        """Whether an op type may have that input (-1: its output) in a type wider than int8."""
        return True

    def node_settings(self, path: Path, soc: Soc) -> NodeSettings:
        """What a config of the vendor's toolchain sets for single nodes. Errors: InputError, ConfigError."""
        raise InputError(f"{path}: no config is read for {soc.name}", "give --on-cpu and --int16 instead")

    def check_request(self, models: int, request: BuildRequest) -> None:
        """Refuse options that have no effect, or none that is known. Errors: InputError."""
        if request.var != "255":
            raise InputError(f"--var does not apply to {request.soc}", "use --scale")

    def inside(self, options: BuildOptions) -> dict[str, bytes]:
        """Files that a compiled model of this vendor holds besides its graphs."""
        return {}

    def reports(self, stem: str, build: Build, options: BuildOptions) -> dict[str, str]:
        """What the toolchain would say of the build, by the name of the file beside the model."""
        return {}

    def write_dump(self, model: Path, source: Path, folder: Path) -> list[Path]:
        """The layers that the PC computes of a model on one input, as the vendor's tool writes them.

        Errors: InputError.
        """
        raise InputError(
            f"{model}: no PC tool for its layer dumps is emulated",
            "compute them from the ONNX beside the model: harness reference",
        )
