"""How the road of one case goes through the packages: `python scripts/road.py MODEL --board emu-x5 --reference ONNX`.

Runs `harness run` with these arguments and looks at every call on the main thread. A move is a pair of functions of
two top-level packages, one of which calls the other (or is called back by it); a climb is a move from a lower row of
docs/architecture.md to a higher one. Frames of other libraries between the two are passed over.
"""

from __future__ import annotations

import ast
import inspect
import os
import sys
from pathlib import Path
from types import CodeType, FrameType

ROOT = Path(os.environ.get("ROAD_TREE") or Path(__file__).resolve().parents[1])
PACKAGE = str(ROOT / "harness") + os.sep
NOUNS = {"Board", "BoardIdentity", "Endpoint", "PowerSupply", "CommandEnvironment", "BoardLimits"}
INNER = {"<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>"}  # of the function around them
Function = tuple[str, str]  # room, name


def levels() -> dict[str, int]:
    """Row of every package, lowest first, as the tree's own test has them."""
    file = next(path for path in (ROOT / "tests").rglob("test_layers.py"))
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEVELS":
            return {room: level for level, rooms in enumerate(ast.literal_eval(node.value)) for room in rooms}
    raise SystemExit(f"{file}: no LEVELS")


class Road:
    """What was called from where."""

    def __init__(self) -> None:
        self.moves: set[tuple[Function, Function]] = set()
        self.whole: set[tuple[Function, Function]] = set()  # a whole Board goes along
        self.parts: set[tuple[Function, Function]] = set()  # a part of it does, or all of it
        self._functions: dict[CodeType, Function | None] = {}

    def look(self, frame: FrameType, event: str, _: object) -> None:
        """For sys.setprofile."""
        callee = self._function(frame.f_code) if event == "call" else None
        if callee is None:
            return
        caller = self._caller(frame.f_back)
        if caller is not None and caller[0] != callee[0] and callee[0] != "records":  # the nouns are no stop
            move = (caller, callee)
            self.moves.add(move)
            nouns = {type(frame.f_locals.get(name)).__name__ for name in _arguments(frame.f_code)} & NOUNS
            if nouns:
                self.parts.add(move)
            if "Board" in nouns:
                self.whole.add(move)

    def _caller(self, frame: FrameType | None) -> Function | None:
        while frame is not None:
            if frame.f_code.co_name == "<module>":  # what an import does is no part of the road
                return None
            if function := self._function(frame.f_code):
                return function
            frame = frame.f_back
        return None

    def _function(self, code: CodeType) -> Function | None:
        if code not in self._functions:
            is_function = bool(code.co_flags & inspect.CO_OPTIMIZED) and code.co_name not in INNER  # no body of a class
            inside = code.co_filename.startswith(PACKAGE) and is_function
            room = Path(code.co_filename[len(PACKAGE) :]).parts[:1]
            self._functions[code] = (room[0].removesuffix(".py"), code.co_name) if inside else None
        return self._functions[code]


def _arguments(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _figures(name: str, moves: set[tuple[Function, Function]], level: dict[str, int]) -> str:
    climbs = {move for move in moves if level.get(move[1][0], 0) > level.get(move[0][0], 0)}
    rooms = {(a[0], b[0]) for a, b in moves}
    up = {(a[0], b[0]) for a, b in climbs}
    return f"{name:<22}{len(moves):>6}{len(climbs):>8}{len(rooms):>8}{len(up):>8}"


def main() -> None:
    """Print the figures of one run."""
    sys.path.insert(0, str(ROOT))
    from harness.cli import cli

    road, level = Road(), levels()
    try:
        sys.setprofile(road.look)
        cli(["run", *sys.argv[1:]], prog_name="harness", standalone_mode=False)
    except SystemExit as ended:  # the road of a run that diverges counts as well, but it is said
        print(f"exit code {ended.code}", file=sys.stderr)
    finally:
        sys.setprofile(None)
    print(f"{'':<22}{'moves':>6}{'climbs':>8}{'pairs':>8}{'up':>8}")
    for name, moves in (("any call", road.moves), ("a whole Board", road.whole), ("a Board or part", road.parts)):
        print(_figures(name, moves, level))
    if os.environ.get("ROAD_SHOW"):
        for (room, caller), (other, callee) in sorted(road.parts):
            arrow = "^" if level.get(other, 0) > level.get(room, 0) else " "
            print(f"{arrow} {room}.{caller} -> {other}.{callee}")


if __name__ == "__main__":
    main()
