"""What the emulator knows of each SoC: march, cores, versions in the banners, figures for the estimate."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import AskedWrongly


@dataclass(frozen=True)
class Soc:
    """One chip as the emulator plays it. `tops` is int8, all cores together."""

    name: str
    march: str
    family: str  # "hbdnn" or "ucp"
    cores: int
    tops: float
    bandwidth_gb_s: float
    runtime: str  # version of libdnn or UCP in the banner
    hbrt: str
    builder: str
    platform: str  # BPU platform version in the banner
    compiler: str  # hbdk version in the toolchain's log
    style: str  # output dialect: "x3_old", "x5", "ucp_old", "ucp_new"


# Cores, TOPS and march: the vendors' board tables (RDK X3/X5/Ultra, J5, J6, S100 manuals). Versions: as seen in
# captures of such boards. Bandwidth is the peak of the memory type on the module where the manual tells it
# (X3 LPDDR4 32 bit 3200, X5 LPDDR4 32 bit 4266, S100/J6 LPDDR5); the others are assumptions in the same class.
_TABLE = (
    Soc("x3", "bernoulli2", "hbdnn", 2, 5.0, 12.8, "1.9.5", "3.14.22.0", "1.1.49", "1.3.2", "3.37.2", "x3_old"),
    Soc("x5", "bayes-e", "hbdnn", 1, 10.0, 17.0, "1.24.5", "3.15.55.0", "1.24.3", "1.3.6", "3.49.15", "x5"),
    Soc("j5", "bayes", "hbdnn", 2, 128.0, 34.0, "1.18.6", "3.15.29.0", "1.18.2", "1.3.3", "3.46.4", "x5"),
    Soc("ultra", "bayes", "hbdnn", 2, 96.0, 34.0, "1.17.3", "3.15.26.0", "1.17.1", "1.3.3", "3.45.3", "x5"),
    Soc("j6e", "nash-e", "ucp", 1, 80.0, 51.0, "3.0.17", "4.0.21", "2.0.13", "2.1.2", "4.0.21", "ucp_old"),
    Soc("j6m", "nash-m", "ucp", 1, 128.0, 68.0, "3.3.3", "4.1.17", "3.3.3", "2.1.2", "4.1.17", "ucp_new"),
    Soc("s100", "nash-e", "ucp", 1, 80.0, 68.0, "3.7.3", "4.5.8", "3.7.2", "2.1.2", "4.5.8", "ucp_new"),
)

SOCS: dict[str, Soc] = {soc.name: soc for soc in _TABLE}


def soc_named(name: str) -> Soc:
    """The SoC of that name. Errors: AskedWrongly with the known names."""
    if name not in SOCS:
        raise AskedWrongly(f"the emulator does not know the soc {name!r}", f"known: {', '.join(SOCS)}")
    return SOCS[name]


def socs_of_march(march: str) -> tuple[str, ...]:
    """Names of the boards that run code of `march`."""
    return tuple(soc.name for soc in _TABLE if soc.march == march)
