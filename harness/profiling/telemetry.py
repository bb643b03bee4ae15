"""What a board senses of itself: temperatures, clocks, load, governors; from sysfs, and what a series of it shows.

Megahertz, degrees Celsius, percent. A figure outside any chip's range is a problem, not a figure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from harness.records import Json, SensorSample, Telemetry

SANE_C = (-50.0, 200.0)
SANE_MHZ = (1.0, 20_000.0)
LOADED_PERCENT = 50.0  # from here on an accelerator counts as working
IDLE_PERCENT = 5.0
MOST_PROBLEMS = 20  # of one look; the others are counted
SLOWER = 0.95  # clocks are reported in steps; a real step down is more than 5 %


@dataclass
class Sense:
    """One look at a board. Maps go from the board's own name of the thing to the figure."""

    t_s: float | None = None  # seconds since the run began, by the reader's clock
    phase: str = ""  # "before", "after", or what ran meanwhile ("during", "profile", ...); "" when unknown
    clock: str = ""  # the board's own time, as printed
    temperatures_c: dict[str, float] = field(default_factory=dict)
    clocks_mhz: dict[str, float] = field(default_factory=dict)
    max_clocks_mhz: dict[str, float] = field(default_factory=dict)
    load_percent: dict[str, float] = field(default_factory=dict)  # accelerator cores: 0 to 100
    governors: dict[str, str] = field(default_factory=dict)
    voltages_mv: dict[str, float] = field(default_factory=dict)
    bandwidth_mib_s: dict[str, float] = field(default_factory=dict)  # of the DDR: "DDR read", "DDR write"
    memory_mib: dict[str, float] = field(default_factory=dict)  # of the accelerator's heaps, as the board names them
    power_mw: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._untold = 0  # no field: run.json does not hold it

    def put(self, where: str, name: str, value: float | None, sane: tuple[float, float], text: str) -> None:
        """Store a figure under `where`, or say why not."""
        if value is None or not sane[0] <= value <= sane[1]:
            self.tell(f"{name[:60]}: {text.strip()[:60]!r} is not plausible")
        else:
            getattr(self, where)[name] = value

    def tell(self, problem: str) -> None:
        """Keep a problem; those beyond `MOST_PROBLEMS` are counted in a last entry."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self._untold += 1
            self.problems[MOST_PROBLEMS:] = [f"{self._untold} more"]


# --------------------------------------------------------------------------- sysfs

_CPU = re.compile(
    r"/cpu/(?:cpufreq/(policy[0-9]+)|(cpu[0-9]+)/cpufreq)/(scaling_cur_freq|cpuinfo_cur_freq|scaling_governor|(?:cpuinfo|scaling)_max_freq)$"
)
# Accelerators stand under /sys/devices/system/<driver>/<driver><core>.
_LOAD = re.compile(r"/system/([a-z]+)/(?:(\1[0-9]+)/)?ratio$")
_DEVFREQ = re.compile(r"/(?:system/[a-z]+/([a-z]+[0-9]+)/devfreq|class/devfreq)/([^/]+)/(cur_freq|max_freq|governor)$")
_ZONE = re.compile(r"/(thermal_zone[0-9]+)/(temp|type)$")
_HWMON = re.compile(r"/(hwmon[0-9]+)/(temp[0-9]+)_(input|label)$")


def read_sysfs(values: Mapping[str, str], t_s: float | None = None, phase: str = "") -> Sense:
    """Files of sysfs (path -> content) -> one Sense. Paths that are not known are left out; nothing raises."""
    sense = Sense(t_s=t_s, phase=phase)
    for path, text in sorted(values.items()):
        _cpu(sense, path, text)
        _load(sense, path, text)
        _devfreq(sense, path, text)
        _temperature(sense, path, text, values)
    return sense


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,15}", text.strip()) else None


def _cpu(sense: Sense, path: str, text: str) -> None:
    """cpufreq: kHz."""
    match = _CPU.search(path)
    if match is None:
        return
    name, key = match[1] or match[2], match[3]
    if key == "scaling_governor":
        sense.governors[name] = text.strip()
        return
    khz = _whole(text)
    where = "max_clocks_mhz" if key.endswith("max_freq") else "clocks_mhz"
    sense.put(where, name, None if khz is None else khz / 1000.0, SANE_MHZ, text)


def _load(sense: Sense, path: str, text: str) -> None:
    match = _LOAD.search(path)
    if match:
        percent = _whole(text)
        sense.put("load_percent", match[2] or match[1], None if percent is None else float(percent), (0.0, 100.0), text)


def _devfreq(sense: Sense, path: str, text: str) -> None:
    """devfreq: Hz."""
    match = _DEVFREQ.search(path)
    if match is None:
        return
    name, key = match[1] or match[2], match[3]
    if key == "governor":
        sense.governors[name] = text.strip()
        return
    hertz = _whole(text)
    where = "max_clocks_mhz" if key == "max_freq" else "clocks_mhz"
    sense.put(where, name, None if hertz is None else hertz / 1e6, SANE_MHZ, text)


def _temperature(sense: Sense, path: str, text: str, values: Mapping[str, str]) -> None:
    """Thermal zones and hwmon: thousandths of a degree, named by `type` or `label` where there is one."""
    if (match := _ZONE.search(path)) and match[2] == "temp":
        name = values.get(path.removesuffix("temp") + "type", "").strip() or match[1]
    elif (match := _HWMON.search(path)) and match[3] == "input":
        name = values.get(path.removesuffix("input") + "label", "").strip() or f"{match[1]} {match[2]}"
    else:
        return
    if name in sense.temperatures_c:
        name = f"{name} {match[1]}"
    milli = _whole(text)
    sense.put("temperatures_c", name, None if milli is None else milli / 1000.0, SANE_C, text)


# --------------------------------------------------------------------------- run.json


def senses_of_record(telemetry: Telemetry) -> tuple[Sense, ...]:
    """`run.json`'s telemetry -> Senses. A sample is a stored Sense, or has `values` by sysfs path (text) or by the
    agent's words (numbers, see `sense_of_words`); what holds for all samples is added to each."""
    senses = [_of_record(sample) for sample in telemetry.samples]
    for sense in senses:
        sense.governors = {**telemetry.governors, **sense.governors}
        sense.max_clocks_mhz = {**telemetry.max_clocks_mhz, **sense.max_clocks_mhz}
    return tuple(senses)


def sample_of(sense: Sense) -> SensorSample:
    """A Sense as it is kept."""
    kept = {one.name: getattr(sense, one.name) for one in fields(sense) if one.init}
    return SensorSample(**kept | {"problems": tuple(sense.problems)})


def _of_record(sample: SensorSample) -> Sense:
    values = sample.values
    if not values:
        return Sense(
            t_s=sample.t_s,
            phase=sample.phase,
            clock=sample.clock,
            temperatures_c=dict(sample.temperatures_c),
            clocks_mhz=dict(sample.clocks_mhz),
            max_clocks_mhz=dict(sample.max_clocks_mhz),
            load_percent=dict(sample.load_percent),
            governors=dict(sample.governors),
            voltages_mv=dict(sample.voltages_mv),
            bandwidth_mib_s=dict(sample.bandwidth_mib_s),
            memory_mib=dict(sample.memory_mib),
            power_mw=dict(sample.power_mw),
            problems=list(sample.problems),
        )
    if any(key.startswith("/") for key in values):
        return read_sysfs({key: str(value) for key, value in values.items()}, sample.t_s, sample.phase)
    return sense_of_words(values, sample.t_s, sample.phase)


# the agent's word -> (map of Sense, prefix of our name, our unit in theirs, plausible range)
_WORDS: tuple[tuple[str, str, str, float, tuple[float, float]], ...] = (
    ("temp:", "temperatures_c", "", 1.0, SANE_C),
    ("cpu_hz:", "clocks_mhz", "policy", 1e6, SANE_MHZ),
    ("npu_hz:", "clocks_mhz", "npu", 1e6, SANE_MHZ),
    ("devfreq_hz:", "clocks_mhz", "", 1e6, SANE_MHZ),
    ("npu_load:", "load_percent", "npu", 0.01, (0.0, 100.0)),
    ("memory_available_bytes", "memory_mib", "memory available", 2.0**20, (0.0, 2.0**40)),
)


def sense_of_words(values: Mapping[str, Json], t_s: float | None = None, phase: str = "") -> Sense:
    """One sample of the board's agent (`temp:cpu:0` in degrees, `cpu_hz:0`, `npu_load:0` as a share) -> a Sense."""
    sense = Sense(t_s=t_s, phase=phase)
    for key, value in values.items():
        for word, where, prefix, unit, sane in _WORDS:
            if str(key).startswith(word) and isinstance(value, int | float):
                sense.put(where, prefix + str(key)[len(word) :], value / unit, sane, str(value))
    return sense


# --------------------------------------------------------------------------- what a series shows


def hottest(senses: Iterable[Sense]) -> tuple[str, float] | None:
    """(name, degrees) of the highest temperature seen; None without any."""
    seen = [(value, name) for sense in senses for name, value in sense.temperatures_c.items()]
    return (max(seen)[1], max(seen)[0]) if seen else None


def busy_before(senses: Iterable[Sense]) -> str:
    """Load on the accelerator before the run began, as a sentence; "" when idle or unknown."""
    loads = [
        (name, value)
        for sense in senses
        if sense.phase == "before"
        for name, value in sense.load_percent.items()
        if value >= IDLE_PERCENT
    ]
    return ", ".join(f"{name} was at {value:g} % load before the run" for name, value in dict(loads).items())


def slowed(senses: Sequence[Sense]) -> tuple[str, ...]:
    """Clocks that went down while they were needed, one sentence each.

    An accelerator counts while its load is high; a CPU only under the governor `performance`, because the others
    lower an idle CPU's clock on purpose.
    """
    names = dict.fromkeys(name for sense in senses for name in sense.clocks_mhz)
    return tuple(sentence for name in names if (sentence := _slowed(name, senses)))


def _slowed(name: str, senses: Sequence[Sense]) -> str:
    is_loaded = any(core in sense.load_percent for sense in senses for core in (name, _all_cores(name)))
    needs = _is_working if is_loaded else _is_held_high
    needed = [sense for sense in senses if name in sense.clocks_mhz and needs(name, sense)]
    if not needed:
        return ""
    clocks = [sense.clocks_mhz[name] for sense in needed]
    top = max([*clocks, *(sense.max_clocks_mhz[name] for sense in needed if name in sense.max_clocks_mhz)])
    if min(clocks) >= SLOWER * top:
        return ""
    heat = hottest(needed)
    at = f", {heat[0]} at {heat[1]:g} C" if heat else ""
    return f"{name} dropped to {min(clocks):g} MHz of {top:g} MHz during the run{at}"


def _all_cores(name: str) -> str:
    """As a load of all cores together is called: the name of one without its number."""
    return name.rstrip("0123456789")


def _is_working(name: str, sense: Sense) -> bool:
    return sense.load_percent.get(name, sense.load_percent.get(_all_cores(name), 0.0)) >= LOADED_PERCENT


def _is_held_high(name: str, sense: Sense) -> bool:
    return sense.phase not in ("", "before", "after") and sense.governors.get(name) == "performance"
