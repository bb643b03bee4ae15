"""What the emulator knows of Horizon."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.emulator.base import EmulatorVendor
from harness.emulator.horizon import board as emulated_board
from harness.emulator.horizon.socs import SOCS

if TYPE_CHECKING:
    from harness.emulator.compiler.node_types import NodeSettings
    from harness.emulator.compiler.options import BuildOptions
    from harness.emulator.compiler.placement import OpRules
    from harness.emulator.compiler.result import Build
    from harness.emulator.model.fault_kinds import FaultKind
    from harness.emulator.socs import Soc
    from harness.records import Board


class Horizon(EmulatorVendor):
    """Boards with an emulated hrt_model_exec."""

    boards = emulated_board.BOARDS
    socs = SOCS
    original_files = ("original_float_model.onnx",)
    calibrated_files = ("calibrated_model.onnx",)
    subcommands = ("model_info", "infer", "perf")

    def stand_up(self, board: Board) -> AbstractContextManager[Board]:
        return emulated_board.stand_up(board)

    def serve(self, board: Board, server: str, port: int) -> AbstractContextManager[Board]:
        return emulated_board.served(board, server or "openssh", port)

    def faults(self) -> tuple[FaultKind, ...]:
        from harness.emulator.model.fault_kinds import tool

        return (
            tool("silent_failure", "The tool prints a failure and exits with 0."),
            tool("noise", "Colour codes and driver errors of a board without its key chip, then a normal run."),
        )

    def takes_type(self, soc: Soc, kind: str, place: int, dtype: str) -> bool:
        from harness.platforms.horizon.op_lists import takes_type

        return takes_type(soc.march, kind, place, dtype)

    def node_settings(self, path: Path, soc: Soc) -> NodeSettings:
        from harness.emulator.horizon.op_rules import node_settings

        return node_settings(path)

    def op_rules(self, soc: Soc) -> OpRules:
        from harness.emulator.horizon.op_rules import rules_of

        return rules_of(soc.march)

    def reports(self, stem: str, build: Build, options: BuildOptions) -> dict[str, str]:
        from harness.emulator.horizon.build_log import reports

        return reports(stem, build, options)


VENDOR = Horizon()
