"""How a program of an emulated board is started: a module of the emulator under this Python."""

from __future__ import annotations

import sys

# Python 3.10 has no -P; this does the same: the first entry of the module path is the working folder.
_RUN = "import sys; del sys.path[0]; import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"


def module_words(module: str, version: tuple[int, int] = sys.version_info[:2]) -> list[str]:
    """argv of `harness.emulator.MODULE`, without the working folder, where board files lie, on its module path."""
    whole = f"harness.emulator.{module}"
    if version < (3, 11):
        return [sys.executable, "-c", _RUN.format(module=whole)]
    return [sys.executable, "-P", "-m", whole]
