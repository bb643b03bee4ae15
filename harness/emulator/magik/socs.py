"""Ingenic's chips with Venus: versions and layouts as captures and libraries of that day show them.

TOPS are the vendor's product pages (T40 8, T41 1.2); bandwidth is an assumption (16 bit DDR3). `hbrt` of a runtime is
the model's version, `platform` the soc-nna driver's ("" is one that is too old to tell); `compiler` of a chip is the
transform tool's.
"""

from __future__ import annotations

from harness.emulator.socs import Runtime, Soc

_NNA1 = tuple(
    Runtime(version, model, "1.0.0", driver, dialect)
    for version, model, driver, dialect in (
        ("0.9.6.2.ALPHA", "0.9.6", "20220525", "0.9.6"),
        ("0.9.3", "0.9.3", "20220525", "0.9.3"),
        ("0.9.0", "", "", "0.9.0"),
        ("0.8.9", "", "", "0.8"),
    )
)
_NNA2 = (
    Runtime("0.0.6", "0.0.6", "2.0.0", "20230310", "0.9.6"),
    Runtime("0.0.3", "0.0.3", "1.0.0", "20220525", "0.9.3"),
)


def _soc(name: str, march: str, tops: float, compiler: str, runtimes: tuple[Runtime, ...]) -> Soc:
    return Soc(
        name, march, "magik", 1, tops, 3.2, compiler, runtimes, "NNA", takes_pictures=True, is_unsigned=True,
        tells_units=False,
    )  # fmt: skip


SOCS: dict[str, Soc] = {
    "t40": _soc("t40", "nna1", 8.0, "1.0.0", _NNA1),
    "t41": _soc("t41", "nna2", 1.2, "2.0.0", _NNA2),
}
DEFAULT = SOCS["t40"]  # of a program that lies on no board
