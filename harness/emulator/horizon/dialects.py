"""Which dialect an emulated Horizon board speaks."""

from __future__ import annotations

from collections.abc import Callable

from harness.emulator.console import Console
from harness.emulator.horizon.dialect import Dialect
from harness.emulator.socs import Runtime, Soc


def dialect_of(soc: Soc, runtime: Runtime, console: Console) -> Dialect:
    """The dialect that this runtime of the chip speaks."""
    from harness.emulator.horizon.hbdnn import HbdnnTool, OldHbdnnTool
    from harness.emulator.horizon.ucp import OldUcpTool, UcpTool

    kinds: dict[str, Callable[[Soc, Runtime, Console], Dialect]]
    kinds = {
        "hbdnn": HbdnnTool,
        "hbdnn_old": OldHbdnnTool,
        "ucp": UcpTool,
        "ucp_old": OldUcpTool,
    }
    return kinds[runtime.dialect](soc, runtime, console)
