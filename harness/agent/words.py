"""The agent's language: escaped `key=value` lines, and what they mean. Pure; whatever a board says, no crash."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.errors import AgentError, BoardError, HarnessError, UserError
from harness.transports.base import printable

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@%+,=~^ -")
_ESCAPE = re.compile(rb"\\0([0-3][0-7]{2})")
END = b"end=1\n"


@dataclass(frozen=True)
class BoardFacts:
    """What a board says of itself. None and "" mean: it did not say."""

    agent: str
    work: str  # absolute path of the work folder
    arch: str
    kernel: str
    hostname: str
    libc: str
    os: str
    image: str  # /etc/version of the vendor's image
    soc_name: str  # as the board names its SoC or itself
    npu_cores: str  # of the accelerator, where the kernel tells them
    cpu: str
    cpu_features: tuple[str, ...]
    cpu_count: int | None
    memory_bytes: int | None
    boot: str  # boot id: changes with every boot
    uptime_s: float | None
    clock_offset_s: float | None  # the board's clock minus this PC's; may be years
    free_bytes: int | None  # of the work folder's file system
    total_bytes: int | None
    tools: dict[str, str] = field(default_factory=dict)  # name -> path on the board, "" when absent
    sysfs: str = ""  # of a played board that has sensors of its own; "" is the kernel's


@dataclass(frozen=True)
class FileFacts:
    """One file of the board, as its agent tells it."""

    size_bytes: int
    md5: str  # "" when the board could not read the file


@dataclass(frozen=True)
class Put:
    """A file in the board's cache. `sent_bytes` really crossed the link: 0 when it was there."""

    name: str  # on this PC
    md5: str
    size_bytes: int
    path: str  # absolute, on the board
    sent_bytes: int
    damaged: bool = False  # a copy lay there whose bytes were not these, and was replaced


@dataclass(frozen=True)
class RunState:
    """`state`: running, done, timeout, stopped, log_limit, rebooted or lost."""

    state: str
    exit_code: int | None
    duration_s: float
    log_bytes: int
    boot: str

    @property
    def timed_out(self) -> bool:
        """Whether its time limit ended it."""
        return self.state == "timeout"


@dataclass(frozen=True)
class LeaseFacts:
    """Who holds a board. Ages are counted from the board's time since boot."""

    held: bool
    holder: str = ""
    age_s: float = 0.0
    left_s: float = 0.0
    number: int = 0  # of the last lease; rises for ever


@dataclass(frozen=True)
class Cleaned:
    """What cleaning a board's work folder did."""

    runs: int  # deleted, with their files
    going_on: tuple[str, ...] = ()  # tokens of runs that were left alone
    free_bytes: int | None = None


@dataclass(frozen=True)
class SensorReading:
    """One look at the sensors, `at_s` after the board's boot.

    Keys: `temp:<zone>` in degrees Celsius, `cpu_hz:<policy>`, `devfreq_hz:<name>`, `npu_hz:<core>`,
    `npu_load:<core>` (0..1), `load1`, `memory_available_bytes`.
    """

    at_s: float
    values: dict[str, float]


@dataclass(frozen=True)
class Clocks:
    """What the board's clocks are allowed, by clock: `policy0` of the CPU, `npu0` of the accelerator."""

    governors: dict[str, str]
    max_clocks_mhz: dict[str, float]


@dataclass(frozen=True)
class Answer:
    """The lines of one answer, as bytes: a hostile board may send millions, and only what is asked for is read."""

    rest: bytes
    whole: bool

    @property
    def error(self) -> str:
        """The agent's word of what went wrong; "" where nothing did."""
        return self.find("error")

    def find(self, key: str) -> str:
        """The first value of a key, "" without one."""
        return next(self._values(key), "")

    def all(self, key: str) -> list[str]:
        """Every value of a key."""
        return list(self._values(key))

    def _values(self, key: str) -> Iterator[str]:
        for match in re.finditer(rb"^%s=(.*)$" % key.encode(), self.rest, re.MULTILINE):
            yield unescape(match[1])

    def text(self, key: str) -> str:
        """A value that must be there. Errors: AgentError."""
        values = self.all(key)
        if len(values) != 1:
            raise AgentError(f"the agent's answer has {len(values)} values of {key!r}, expected one")
        return values[0]

    def number(self, key: str) -> int | None:
        """A whole number; None where the answer has none under that key."""
        return whole_number(self.find(key))


def escape(text: str) -> str:
    """Text as the agent reads it: bytes that are not plain as \\0ooo. Errors: UserError for NUL."""
    if "\0" in text:
        raise UserError(f"NUL character in an argument for the board: {text!r}")
    return "".join(chr(byte) if byte in _PLAIN else f"\\0{byte:03o}" for byte in os.fsencode(text))


def unescape(text: bytes) -> str:
    """A name as the agent writes it, `\\0NNN` (octal) for each byte that is not plain, back to what it is."""
    return os.fsdecode(_ESCAPE.sub(lambda m: bytes([int(m[1], 8)]), text))


def whole_number(text: str) -> int | None:
    """A whole number of at most 18 digits; None for anything else."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def bounded(pieces: Iterable[bytes], limit_bytes: int) -> bytes:
    """All pieces in one, or those up to the first that goes beyond the limit."""
    out = bytearray()
    for piece in pieces:
        out += piece
        if len(out) > limit_bytes:
            break
    return bytes(out)


def read_answer(out: bytes) -> Answer:
    """Read an answer. One that is cut short, or is no answer at all, has `whole` False."""
    return Answer(out.removesuffix(END), out.endswith(END))


REBOOTED = "rebooted"  # the word of a refusal
REBOOTED_HINT = "check its power supply and its kernel log"

_HINTS = {
    "cannot_write": ("the board cannot write {detail}", "set another `work:` folder in hosts.yaml, or free space"),
    "no_space": (
        "no space on the board: {detail}",
        "free space: harness boards clean NAME, or set another `work:` folder",
    ),
    "busy": ("{detail}", "wait for it, or take a lease: harness boards lease NAME --minutes N"),
    "leased": ("the board is leased: {detail}", "wait for it with --wait SECONDS, or ask the holder"),
    "rebooted": ("the board rebooted during the run", REBOOTED_HINT),
    "stale_lease": ("the lease has ended: {detail}", "take a new one: harness boards lease NAME --minutes N"),
    "folder_exists": (
        "{detail} already exists on the board and is not of this run",
        "delete old runs: harness boards clean NAME",
    ),
    "no_such_folder": (
        "no folder {detail} on the board",
        "the board may have been rebooted or cleaned; start a new run",
    ),
    "no_such_run": ("no run {detail} on the board", "the board may have been rebooted or cleaned; start a new run"),
    "lacking": ("missing on the board: {detail}", "install the program; busybox has all that are needed"),
}


class Refused(BoardError):
    """The agent refused; `word` says why, `detail` is its own text."""

    def __init__(self, message: str, hint: str, word: str, detail: str) -> None:
        super().__init__(message, hint)
        self.word, self.detail = word, detail


def lacking(where: str, programs: str) -> Refused:
    """The error for a board without programs that the agent needs."""
    message, hint = _HINTS["lacking"]
    return Refused(f"{where}: {message.replace('{detail}', printable(programs))}", hint, "lacking", programs)


def rebooted(message: str) -> Refused:
    """The error for a board that is in another boot than before."""
    return Refused(message, REBOOTED_HINT, REBOOTED, "")


def boot_id(text: str) -> str:
    """What a board says of its boot, as far as it can be held against what it says later; else ""."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) and text != "unknown" else ""


def refusal(where: str, verb: str, answer: Answer) -> HarnessError:
    """The error for a refusal: BoardError for what the board lacks, AgentError for what makes no sense."""
    word, detail = answer.error, answer.find("detail")
    if word in ("usage", "unknown_verb", "incomplete"):
        return AgentError(f"{where}: the agent did not understand {verb!r}: {printable(detail)}")
    message, hint = _HINTS.get(word, (f"the board refused {verb!r}: {printable(word)} {{detail}}", ""))
    return Refused(f"{where}: {message.replace('{detail}', printable(detail))}", hint, word, detail)


MAX_PATH = 4096  # Linux knows no longer one
_WORDS = ("arch", "kernel", "hostname", "libc", "os", "cpu", "boot", "image", "soc_name", "npu_cores")


def read_facts(answer: Answer, now_s: float, tools: Sequence[str] = ()) -> BoardFacts:
    """The answer to `hello`; of the programs in it only those that were asked for. Errors: AgentError."""
    clock, uptime, memory = answer.number("clock_s"), answer.number("uptime_cs"), answer.find("memory_kb").split()
    memory_kb = whole_number(memory[0]) if memory else None
    return BoardFacts(
        agent=answer.find("agent"),
        work=answer.text("work"),
        **{key: printable(answer.find(key).strip()) for key in _WORDS},
        cpu_features=tuple(printable(answer.find("cpu_features"), 4000).split()),
        cpu_count=answer.number("cpu_count"),
        memory_bytes=memory_kb * 1024 if memory_kb is not None else None,
        uptime_s=uptime / 100 if uptime is not None else None,
        clock_offset_s=round(clock - now_s, 1) if clock is not None else None,
        free_bytes=answer.number("free_bytes"),
        total_bytes=answer.number("total_bytes"),
        tools=_tools(answer, tools),
        sysfs=printable(answer.find("sysfs").strip()),
    )


def _tools(answer: Answer, names: Sequence[str]) -> dict[str, str]:
    by_name = dict(text.split("\t", 1) for text in answer.all("tool") if "\t" in text)
    paths = {name: by_name.get(name, "") for name in names}
    return {name: path if len(path) <= MAX_PATH else "" for name, path in paths.items()}


def read_lease(answer: Answer) -> LeaseFacts:
    """The answer of `lease`: who has the board, for how long (seconds), and the lease's number."""
    number = answer.number("top") or 0
    if answer.find("live") != "1":
        return LeaseFacts(False, number=number)
    age, left_cs = answer.number("age_cs") or 0, answer.number("left_cs") or 0
    return LeaseFacts(True, printable(answer.find("holder")), age / 100, left_cs / 100, number)


def read_cleaned(answer: Answer) -> Cleaned:
    """The answer of `clean`: how many things went, which runs still go on, and the bytes that are free now."""
    going_on = tuple(printable(token, 64) for token in answer.all("going_on"))
    return Cleaned(answer.number("cleaned") or 0, going_on, answer.number("free_bytes"))


_STATES = ("running", "done", "timeout", "stopped", "log_limit", "rebooted", "lost")


def read_state(answer: Answer) -> RunState:
    """Errors: AgentError for a state that does not exist."""
    state = answer.text("state")
    if state not in _STATES:
        raise AgentError(f"the agent reported an unknown state {printable(state)!r}")
    return RunState(
        state=state,
        exit_code=answer.number("code") if state not in ("running", "rebooted", "lost") else None,
        duration_s=(answer.number("elapsed_cs") or 0) / 100,
        log_bytes=answer.number("log_bytes") or 0,
        boot=printable(answer.find("boot")),
    )


# (prefix of the agent's key, prefix of ours, factor)
_UNITS = (
    ("temp:", "temp:", 1e-3),
    ("cpu_khz:", "cpu_hz:", 1e3),
    ("devfreq_hz:", "devfreq_hz:", 1.0),
    ("npu_hz:", "npu_hz:", 1.0),
    ("npu_load:", "npu_load:", 1e-2),
    ("load1", "load1", 1.0),
    ("memory_available_kb", "memory_available_bytes", 1024.0),
)


def read_clocks(answer: Answer) -> Clocks:
    """Governors and highest frequencies; lines that are not `name value` are left out."""
    governors = dict(pair for line in answer.all("governor") if len(pair := line.split(" ", 1)) == 2)
    highest = {}
    for key, per_mhz in (("max_khz", 1e3), ("max_hz", 1e6)):
        for line in answer.all(key):
            name, _, number = line.partition(" ")
            if number.isascii() and number.isdigit() and len(number) < 16:
                highest[name] = int(number) / per_mhz
    return Clocks(governors, highest)


MAX_SENSORS = 500  # of one sample; boards have a few dozen


def read_samples(text: bytes) -> list[SensorReading]:
    """Samples of `sense`; words that are not `key=number` and half samples are left out."""
    samples = []
    for line in text.decode("ascii", "replace").splitlines():
        fields = line.split(None, MAX_SENSORS)[:MAX_SENSORS]
        words = dict(word.split("=", 1) for word in fields if re.fullmatch(r"[^=]{1,80}=-?[0-9.]{1,18}", word))
        at = whole_number(words.pop("cs", ""))
        if at is not None and words.get("whole") == "1":
            samples.append(SensorReading(at / 100, _in_our_units(words)))
    return samples


def _in_our_units(words: dict[str, str]) -> dict[str, float]:
    values = {}
    for key, text in words.items():
        for theirs, ours, factor in _UNITS:
            if key.startswith(theirs) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
                values[ours + key[len(theirs) :]] = round(float(text) * factor, 6)
                break
    return values
