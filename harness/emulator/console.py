"""What the played tool prints: banner, glog lines, steps. Texts as in captures of libdnn 1.23 and 1.24."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime

from harness.emulator.socs import Soc

DASHES = "-" * 69


class Console:
    """stdout for the tool's own text, stderr for glog and error lines, as glog does by default."""

    def __init__(self, soc: Soc) -> None:
        self.soc = soc
        self._pid = os.getpid()

    def out(self, text: str = "") -> None:
        print(text, flush=True)

    def error(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def glog(self, place: str, text: str, level: str = "I") -> None:
        """`I0903 08:45:22.591094 626414 main.cpp:233] text`."""
        stamp = datetime.now().strftime("%m%d %H:%M:%S.%f")
        self.error(f"{level}{stamp} {self._pid} {place}] {text}")

    def argv(self, argv: list[str]) -> None:
        self.out(" ".join(argv))
        self.error(f'I0000 00:00:00.000000 {self._pid} vlog_is_on.cc:197] RAW: Set VLOG level for "*" to 3')

    def libraries(self) -> None:
        """The lines that the libraries print when the first model is loaded. soc info tells the emulator."""
        soc = self.soc
        self.out(f"[BPU_PLAT]BPU Platform Version({soc.platform})! soc info({soc.name}-emulated)")
        self.out(f"[HBRT] set log level as 0. version = {soc.hbrt}")
        self.out(f"[DNN] Runtime version = {soc.runtime}_({'.'.join(soc.hbrt.split('.')[:3])} HBRT)")

    def builder(self, version: str) -> None:
        self.out(f"[A][DNN][packed_model.cpp:247][Model]({stamp()}) [HorizonRT] The model builder version = {version}")

    def version_warning(self, model: str) -> None:
        """The vendor's warning when runtime and model builder do not fit; its missing bracket is the original's."""
        own = self.soc.hbrt
        head = f"[W][DNN]bpu_model_info.cpp:491][Version]({stamp()}) Model: {model}. "
        text = f"Inconsistency between the hbrt library version {own} and the model build version 3.99.1.0 detected"
        self.out(f"{head}{text}, in order to ensure correct model results, it is recommended to use compilation tools")


def stamp() -> str:
    """`2025-07-24,22:00:31.501.776`: milliseconds and microseconds are not padded in the original."""
    now = datetime.fromtimestamp(time.time())
    return f"{now:%Y-%m-%d,%H:%M:%S}.{now.microsecond // 1000}.{now.microsecond % 1000}"


def general(value: float) -> str:
    """A number as C++ streams print it: six significant digits."""
    return f"{value:.6g}"
