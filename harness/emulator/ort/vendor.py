"""What the emulator knows of boards with ONNX Runtime: they take ONNX as it is, so nothing is built for them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.emulator.base import EmulatorVendor
from harness.emulator.ort import arm64

if TYPE_CHECKING:
    from harness.records import Board


class Arm64(EmulatorVendor):
    """The board that runs a real ONNX Runtime under user-mode emulation."""

    boards = (arm64.BOARD,)
    takes_faults = False

    def stand_up(self, board: Board) -> AbstractContextManager[Board]:
        return arm64.stand_up(board)

    def serve(self, board: Board, server: str, port: int) -> AbstractContextManager[Board]:
        assert board.emulated is not None
        emulated = replace(board.emulated, server=server or "openssh")
        return arm64.stand_up(replace(board, identity=replace(board.identity, emulated=emulated)), port=port)


VENDOR = Arm64()
