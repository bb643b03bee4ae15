"""What the emulator knows of Magik and its boards."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.emulator.base import EmulatorVendor
from harness.emulator.magik import board as emulated_board
from harness.emulator.magik.socs import SOCS
from harness.errors import InputError, UserError

if TYPE_CHECKING:
    from harness.emulator.compiler.node_types import NodeSettings
    from harness.emulator.compiler.options import BuildOptions, BuildRequest
    from harness.emulator.compiler.placement import OpRules
    from harness.emulator.compiler.result import Build
    from harness.emulator.model.fault_kinds import FaultKind
    from harness.emulator.socs import Soc
    from harness.records import Board


class EmulatedMagik(EmulatorVendor):
    """Boards with emulated Venus programs."""

    boards = emulated_board.BOARDS
    socs = SOCS
    subcommands = ("release", "debug", "profile", "nmem")
    dump_folder = "MAGIK_DATA_DUMP"

    def stand_up(self, board: Board) -> AbstractContextManager[Board]:
        return emulated_board.stand_up(board)

    def serve(self, board: Board, server: str, port: int) -> AbstractContextManager[Board]:
        """Serves the emulated board through its one server. Errors: UserError for another server."""
        if server not in ("", emulated_board.SERVER):
            raise UserError(
                f"{board.name} can only be served by {emulated_board.SERVER} (no sftp-server in its root)",
                f"use --server {emulated_board.SERVER}",
            )
        assert board.emulated is not None
        return emulated_board.served(board.emulated.soc, port)

    def faults(self) -> tuple[FaultKind, ...]:
        from harness.emulator.model.fault_kinds import tool

        return (
            tool("wrong_library", "Magik: the program runs with libvenus.so, whatever it was built for."),
            tool("old_soc_nna", "Magik: the driver is too old to report its version."),
            tool("no_driver", "Magik: /dev/soc-nna is missing."),
            tool("low_nmem", "Magik: the kernel reserved less nmem than the model needs."),
            tool("stale_nmem", "Magik: the nmem file keeps the tail of an earlier, longer write."),
            tool("few_runs", "Magik: the profile program runs its net three times."),
            tool("raw_names", "Magik: dumps keep the slashes of tensor names, so they cannot be opened."),
        )

    def op_rules(self, soc: Soc) -> OpRules:
        from harness.emulator.magik.op_rules import rules_of

        return rules_of(soc)

    def node_settings(self, path: Path, soc: Soc) -> NodeSettings:
        from harness.emulator.magik.node_settings import node_settings

        return node_settings(path)

    def check_request(self, models: int, request: BuildRequest) -> None:
        """Errors: InputError for what these chips have no form of, and for more than one model."""
        if request.types or (request.scale, request.colour) != ("1", "rgb"):
            raise InputError(
                "--input-type, --scale and --colour do not apply to T40 and T41 (u8 images)",
                "--mean 0 --var 255",
            )
        if request.output_type in ("int16", "int32"):
            raise InputError(
                f"--output-type {request.output_type}: not supported on T40 and T41", "float, or quantized"
            )
        if request.times_only:
            raise InputError("--times-only: not supported on T40 and T41", "build without it")
        if models > 1:
            raise InputError(f"{models} models given: T40 and T41 files hold one", "build each separately")

    def inside(self, options: BuildOptions) -> dict[str, bytes]:
        from harness.emulator.magik.model import meta

        return meta(options.mean, options.var, options.soc.march)

    def reports(self, stem: str, build: Build, options: BuildOptions) -> dict[str, str]:
        from harness.emulator.magik.build_log import transform_log

        return {f"{stem}_magik_transform.log": transform_log(options.soc, build.model, build.distances)}

    def write_dump(self, model: Path, source: Path, folder: Path) -> list[Path]:
        from harness.emulator.magik.pc_dump import write_pc_dump

        return write_pc_dump(model, source, folder)


VENDOR = EmulatedMagik()
