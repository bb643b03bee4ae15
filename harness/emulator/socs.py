"""What the emulator knows of each SoC: march, cores, figures for the estimate, versions and dialects of runtimes."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import AskedWrongly


@dataclass(frozen=True)
class Runtime:
    """One release of a board's runtime: the versions in its banner, and how its tool talks."""

    version: str  # of libdnn or UCP
    hbrt: str
    builder: str  # of the model builder that belongs to it
    platform: str  # BPU platform version
    dialect: str  # "hbdnn_old", "hbdnn", "ucp_old", "ucp"


@dataclass(frozen=True)
class Soc:
    """One chip as the emulator plays it. `tops` is int8, all cores together; the first runtime is the default."""

    name: str
    march: str
    family: str  # "hbdnn" or "ucp"
    cores: int
    tops: float
    bandwidth_gb_s: float
    compiler: str  # hbdk version in the toolchain's log
    horizon_nn: str  # horizon_nn version in the toolchain's log; "" for hb_compile
    runtimes: tuple[Runtime, ...]

    @property
    def builder(self) -> str:
        return self.runtimes[0].builder

    @property
    def hbrt(self) -> str:
        return self.runtimes[0].hbrt

    def runtime(self, version: str = "") -> Runtime:
        """The runtime of that version; the default one for "". Errors: AskedWrongly with the known versions."""
        for runtime in self.runtimes:
            if version in ("", runtime.version):
                return runtime
        known = ", ".join(r.version for r in self.runtimes)
        raise AskedWrongly(f"no runtime {version!r} for {self.name}", f"known: {known}")


# Versions as seen in captures of such boards.
_X3_OLD = Runtime("1.1.49", "3.13.4", "1.1.49", "1.3.2", "hbdnn_old")
_X3 = Runtime("1.9.5", "3.14.5", "1.9.3", "1.3.3", "hbdnn")
_X5 = Runtime("1.24.5", "3.15.55.0", "1.24.3", "1.3.6", "hbdnn")
_X5_2024 = Runtime("1.23.5", "3.15.47.0", "1.23.5", "1.3.6", "hbdnn")
_J5 = Runtime("1.18.6", "3.15.29.0", "1.16.2", "1.3.3", "hbdnn")  # runtime and HBRT assumed: no capture is public
_UCP_OLD = Runtime("3.0.17", "4.0.21", "3.0.17", "2.0.1", "ucp_old")
_UCP = Runtime("3.3.3", "4.1.17", "3.3.3", "2.1.2", "ucp")
_UCP_NEW = Runtime("3.13.6", "4.7.5", "3.5.16", "2.1.2", "ucp")

# Cores, TOPS and march: the vendors' board tables (RDK X3/X5/Ultra, J5, J6, S100 manuals). Bandwidth is the peak of the
# memory type on the module where the manual tells it (X3 LPDDR4 32 bit 3200, X5 LPDDR4 32 bit 4266); the others are
# assumptions in the same class.
_TABLE = (
    Soc("x3", "bernoulli2", "hbdnn", 2, 5.0, 12.8, "3.16.6", "0.9.7", (_X3_OLD, _X3)),
    Soc("x5", "bayes-e", "hbdnn", 1, 10.0, 17.0, "3.49.15", "1.1.0", (_X5, _X5_2024)),
    Soc("j5", "bayes", "hbdnn", 2, 128.0, 34.0, "3.44.7", "0.17.1", (_J5,)),
    Soc("ultra", "bayes", "hbdnn", 2, 96.0, 34.0, "3.44.7", "0.17.1", (_J5,)),
    Soc("j6e", "nash-e", "ucp", 1, 80.0, 51.0, "4.0.21", "", (_UCP_OLD, _UCP)),
    Soc("j6m", "nash-m", "ucp", 1, 128.0, 68.0, "4.1.17", "", (_UCP, _UCP_OLD)),
    Soc("j6p", "nash-p", "ucp", 4, 560.0, 137.0, "4.1.17", "", (_UCP,)),
    Soc("s600", "nash-p", "ucp", 4, 560.0, 137.0, "4.7.5", "", (_UCP_NEW,)),
    Soc("s100", "nash-e", "ucp", 1, 80.0, 68.0, "4.7.5", "", (_UCP_NEW, _UCP)),
)

SOCS: dict[str, Soc] = {soc.name: soc for soc in _TABLE}

# Ingenic's boards with Venus: versions and layouts as captures and libraries of that day show them. TOPS are the
# vendor's product pages (T40 8, T41 1.2); bandwidth is an assumption (16 bit DDR3). `hbrt` is the model's version,
# `platform` the soc-nna driver's ("" is one that is too old to tell), `compiler` the transform tool's.
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
VENUS_SOCS: dict[str, Soc] = {
    "t40": Soc("t40", "nna1", "magik", 1, 8.0, 3.2, compiler="1.0.0", horizon_nn="", runtimes=_NNA1),
    "t41": Soc("t41", "nna2", "magik", 1, 1.2, 3.2, compiler="2.0.0", horizon_nn="", runtimes=_NNA2),
}


def soc_named(name: str) -> Soc:
    """The SoC of that name. Errors: AskedWrongly with the known names."""
    known = SOCS | VENUS_SOCS
    if name not in known:
        raise AskedWrongly(f"the emulator does not know the soc {name!r}", f"known: {', '.join(known)}")
    return known[name]


def socs_of_march(march: str) -> tuple[str, ...]:
    """Names of the boards that run code of `march`."""
    return tuple(soc.name for soc in _TABLE if soc.march == march)
