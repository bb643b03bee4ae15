"""Faults of the tool itself: it dies, hangs, lies, or leaves half of its files."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.emulator.console import stamp
from harness.emulator.model.faults import ENVIRONMENT, kind_named, parse_faults

if TYPE_CHECKING:
    from harness.emulator.horizon.call import Call

_KEROS = (
    "ioctl read error",
    "[keros_i2c_read] i2c read failed",
    "keros_i2c_read failed",
    "\033[31m[E][DNN][keros_util.cpp:98](1725962192572) keros_authentication failed \033[0m",
)


def before_loading(call: Call) -> None:
    """Faults that need no model: resolved from the environment by their kinds alone."""
    text = os.environ.get(ENVIRONMENT, "")
    tool = [part for part in text.split(";") if (kind := kind_named(_kind(part))) and kind.where == "tool"]
    call.faults = parse_faults(";".join(tool))
    if call.has("garbage"):
        _garbage()
    if call.has("hang"):
        _hang(call)
    if call.has("noise"):
        for line in _KEROS:
            call.console.out(line)


def _kind(part: str) -> str:
    return part.strip().partition("@")[0].partition(":")[0]


def before_work(call: Call) -> None:
    """Faults that come when the model is loaded."""
    if call.has("wrong_version"):
        _warn_of_version(call)
    if call.has("wrong_march"):
        refuse_march(call)
    if call.has("silent_failure"):
        call.console.error(
            "[E][DNN][funccall_handle.cpp:141][Schedule] hb_bpu_core_set_fc_prio failed! error code: -2 "
        )
        call.console.out("hbDNNWaitTaskDone failed")
        raise SystemExit(0)
    if call.has("crash"):
        _crash()


def _warn_of_version(call: Call) -> None:
    """The vendor's warning; its missing bracket is the original's."""
    head = f"[W][DNN]bpu_model_info.cpp:491][Version]({stamp()}) Model: {call.models[0].name}. "
    versions = f"the hbrt library version {call.runtime.hbrt} and the model build version 3.99.1.0"
    call.console.out(
        f"{head}Inconsistency between {versions} detected, in order to ensure correct model results, "
        "it is recommended to use compilation tools and the BPU SDK from the same OpenExplorer package."
    )


def refuse_march(call: Call) -> None:
    """The vendor's words for a model that was built for another chip; ends the tool with 1."""
    call.console.error(f"[BPU_PLAT]Make sure inst Suport ({call.soc.name.upper()}) Platform!!")
    call.console.error("[BPU_PLAT]Incompatible Platform!!")
    call.console.error("[BPU_PLAT]FC Parse error!")
    raise SystemExit(1)


def _garbage() -> None:
    os.write(1, np.random.default_rng(0).integers(0, 256, 4096, np.uint8).tobytes())
    raise SystemExit(0)


def _hang(call: Call) -> None:
    call.dialect.libraries(False)
    while True:
        time.sleep(3600.0)


def _crash() -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)


def full_disk(call: Call, path: Path) -> None:
    """Before a result file is written. Errors: OSError (ENOSPC)."""
    if call.has("no_space"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def spoil(call: Call, written: Sequence[Path]) -> None:
    """Afterwards: results that vanish or are cut short."""
    if call.has("missing_file"):
        for path in written:
            path.unlink()
    elif call.has("truncated_dump") and written:
        os.truncate(written[-1], written[-1].stat().st_size // 2)
