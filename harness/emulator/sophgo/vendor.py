"""What the emulator knows of Sophgo's boards: built for by the vendor's compiler, played by its simulator."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.emulator.base import EmulatorVendor
from harness.emulator.sophgo import board as emulated_board

if TYPE_CHECKING:
    from harness.emulator.compiler.options import BuildRequest
    from harness.emulator.model.fault_kinds import FaultKind
    from harness.records import Board
    from harness.records.callbacks import LogCallback


class EmulatedSophgo(EmulatorVendor):
    """Boards whose numbers are the vendor's own."""

    boards = emulated_board.BOARDS
    own_socs = tuple(emulated_board.SOCS)

    def stand_up(self, board: Board) -> AbstractContextManager[Board]:
        return emulated_board.stand_up(board)

    def serve(self, board: Board, server: str, port: int) -> AbstractContextManager[Board]:
        return emulated_board.stand_up(board, server or "openssh", port)

    def faults(self) -> tuple[FaultKind, ...]:
        from harness.emulator.sophgo.faults import KINDS

        return KINDS

    def check_own_faults(self, text: str, model: Path) -> None:
        """The faulty model is made here, once. Errors: UserError for a fault that these boards cannot have."""
        from harness.emulator.sophgo.rebuilt import check

        check(text, model)

    def prepare(self, python: str, tell: LogCallback) -> dict[str, str]:
        from harness.emulator.sophgo import environment
        from harness.emulator.sophgo.packages import VERSION

        place = environment.prepare(python, tell)
        return {"simulator": f"tpu-mlir {VERSION}", "folder": str(place)}

    def build_own(
        self, models: Sequence[Path], request: BuildRequest, output: Path | None, tell: LogCallback
    ) -> tuple[Path, ...]:
        from harness.emulator.sophgo.compiler import build

        return build(models, request, output, tell)


VENDOR = EmulatedSophgo()
