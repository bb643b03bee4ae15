"""What the emulator knows of Horizon."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.emulator.base import EmulatorVendor
from harness.emulator.horizon import board as played
from harness.emulator.horizon.socs import SOCS

if TYPE_CHECKING:
    from harness.emulator.compiler.options import BuildOptions
    from harness.emulator.compiler.result import Build
    from harness.records import Board


class Horizon(EmulatorVendor):
    """Boards with a played hrt_model_exec."""

    boards = played.BOARDS
    socs = SOCS

    def stand_up(self, board: Board) -> AbstractContextManager[Board]:
        return played.stand_up(board)

    def serve(self, board: Board, server: str, port: int) -> AbstractContextManager[Board]:
        return played.served(board, server or "openssh", port)

    def reports(self, stem: str, build: Build, options: BuildOptions) -> dict[str, str]:
        from harness.emulator.horizon.build_log import reports

        return reports(stem, build, options)


VENDOR = Horizon()
