"""One op of a bundle on a board: its model, compiled where this PC can, fed as it was in the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness import platforms
from harness.emulator.build import build
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.rooms import room_of_board, soc_named
from harness.errors import InputError
from harness.handover.reproduction import OpFolder
from harness.records import Board, Case

MODEL = "op.onnx"


def compiled(folder: Path, board: Board, models: Sequence[Path], place: int) -> Path:
    """The model that a board runs: one that was given, the ONNX itself, or what the emulated compiler makes of it.

    Errors: InputError where none can be had.
    """
    if not (folder / MODEL).is_file():
        raise InputError(f"{folder}: holds no op that runs, only what both sides gave", "compare it without --board")
    if models:
        if place >= len(models):
            raise InputError(f"--model: given {len(models)} times, the bundle has more ops", "give one for each op")
        return models[place].absolute()
    if _takes_it(board, folder / MODEL):
        return (folder / MODEL).absolute()
    if board.emulated is None or board.emulated.soc in room_of_board(board.identity).own_socs:
        raise InputError(
            f"{board.name}: needs {folder / MODEL} compiled by the vendor's toolchain",
            "compile it, then add --model FILE",
        )
    made = build([folder / MODEL], BuildOptions(soc_named(board.emulated.soc)), (folder / "op.bin").absolute())
    return made.output


def _takes_it(board: Board, model: Path) -> bool:
    """Whether the board's runtime runs an ONNX as it is."""
    try:
        platforms.load(board.identity.platform).check_model(model, board.identity)
    except InputError:
        return False
    return True


def case_of_op(folder: Path, one: OpFolder, model: Path, timeout_s: float, wait_s: float) -> Case:
    """The op as a case: fed with the arrays of the bundle, judged by its own ONNX."""
    return Case(
        name=f"op-{folder.name}",
        model=model,
        inputs=tuple((name, (folder / file).absolute()) for name, file in one.inputs.items()),
        reference=str((folder / MODEL).absolute()),
        policy=one.policy,
        modes=("release", "debug") if model.suffix != ".onnx" else (),
        timeout_s=timeout_s,
        wait_s=wait_s,
    )
