"""What a model file is, before it is sent: a vendor's, the emulator's, an ONNX, or nothing of the kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.platforms.emulated import EMULATOR_MAGIC, read_emulated_meta
from harness.platforms.horizon.options import chip_named
from harness.records import BoardIdentity

_FOREIGN = {
    b"PK\x03\x04": "a zip archive", b"\x7fELF": "a program", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture",
    b"\x1f\x8b": "a gzip file", b"\x80\x02": "a Python pickle", b"\x93NUMPY": "a numpy array", b"<!DO": "a web page",
    b"<htm": "a web page", b"version https://git-lfs": "a git-lfs pointer (the real file was not fetched)",
}  # fmt: skip


def check_model(path: Path, board: BoardIdentity, suffix: str, compiler: str) -> None:
    """Refuse what this board cannot run. `suffix`, `compiler`: what to say. Errors: InputError."""
    head = _head(path)
    emulated = head.startswith(EMULATOR_MAGIC)
    if emulated and board.emulated is None:
        raise InputError(
            f"{path}: built for an emulated board, but {board.name} is a real one",
            f"build the model with {compiler}",
        )
    if emulated:
        _check_emulated(path, board)
        return
    _refuse_foreign(path, head, board, compiler)
    if board.emulated is not None:
        raise InputError(
            f"{path}: {board.name} is an emulated board, which runs only models built with harness emulator build",
            f"harness emulator build MODEL.onnx --soc {board.soc} -o model{suffix}",
        )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"{path}: the model cannot be read ({error.strerror})") from None
    if not head:
        raise InputError(f"{path}: empty file", "build or copy it again")
    return head


def _refuse_foreign(path: Path, head: bytes, board: BoardIdentity, compiler: str) -> None:
    if _looks_like_onnx(path, head):
        how = f"harness emulator build {path.name} --soc {board.soc} -o model.bin" if board.emulated else compiler
        raise InputError(f"{path}: expected a compiled model for {board.name}, got an ONNX model", how)
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise InputError(f"{path}: expected a compiled model, got {what}", f"build one with {compiler}")


def _looks_like_onnx(path: Path, head: bytes) -> bool:
    """Suffix, or protobuf field 1 (ir_version 3..13) followed by a field that ONNX writers put next."""
    return path.suffix.lower() == ".onnx" or (
        len(head) > 2 and head[0] == 0x08 and 3 <= head[1] <= 13 and head[2] in (0x12, 0x1A, 0x3A, 0x42)
    )


def _check_emulated(path: Path, board: BoardIdentity) -> None:
    chip = chip_named(board.soc)
    marches = _marches(read_emulated_meta(path))
    if chip is None or not marches or marches == {chip.march}:
        return
    raise InputError(
        f"{path}: built for {', '.join(sorted(marches))}, but {board.name} ({chip.name}) needs {chip.march}",
        f"harness emulator build MODEL.onnx --soc {chip.name} -o {path.name}",
    )


def _marches(meta: dict[str, Any]) -> set[str]:
    """Marches of all models in the file; several for a packed file of mixed models."""
    models = meta.get("models")
    records = [meta, *(models if isinstance(models, list) else [])]
    return {str(r["march"]) for r in records if isinstance(r, dict) and r.get("march")}
