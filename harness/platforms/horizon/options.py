"""Options of the Horizon tools: ranges per chip, forms of values. Nothing is clamped: out of range is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import InputError
from harness.records import Job

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


@dataclass(frozen=True)
class Chip:
    """One SoC: what its BPU runs and how many cores it has (board tables of the vendors' manuals)."""

    name: str
    march: str
    cores: int | None  # None: the sources disagree or do not tell


CHIPS: dict[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip("x3", "bernoulli2", 2),
        Chip("j3", "bernoulli2", 2),
        Chip("x5", "bayes-e", 1),
        Chip("j5", "bayes", 2),
        Chip("ultra", "bayes", 2),
        Chip("j6e", "nash-e", 1),
        Chip("j6m", "nash-m", 1),
        Chip("j6p", "nash-p", 4),
        Chip("j6h", "nash-h", None),  # 3 in the table of marches, 1 to 4 in the yaml reference
        Chip("j6b", "nash-b", 1),
        Chip("s100", "nash-e", 1),
        Chip("s100p", "nash-m", 1),
        Chip("s600", "nash-p", 4),
    )
}


def chip_named(soc: str) -> Chip | None:
    """The chip of a board record: `X5`, `rdk-x5` and `x5` are one."""
    word = re.sub(r"^(rdk|horizon)[-_ ]?", "", soc.strip().lower())
    return CHIPS.get(word)


def merged(job: Job) -> dict[str, object]:
    """The job's fields under the platform's own options (`--option` wins)."""
    base = {
        "core": job.core,
        "threads": job.threads,
        "frames": job.frames,
        "time": job.time_s,
        "model_name": job.model_name,
    }
    return base | {key: value for key, value in job.options.items() if value not in ("", None)}


def integer(options: Mapping[str, object], name: str, low: int, high: int | None, why: str = "") -> int:
    """An integer option. Errors: InputError with the range."""
    text = str(options[name]).strip()
    limit = f"{low} to {high}" if high is not None else f"{low} or more"
    if not re.fullmatch(r"-?[0-9]{1,12}", text) or int(text) < low or (high is not None and int(text) > high):
        raise InputError(f"option {name}={text}: takes {limit}{why}", f"--option {name}={low}")
    return int(text)


def boolean(options: Mapping[str, object], name: str) -> str:
    """A gflags boolean as the tool takes it, `true` or `false`. Errors: InputError for any other word."""
    text = str(options[name]).strip().lower()
    if text not in (*_TRUE, *_FALSE):
        raise InputError(f"option {name}={options[name]}: takes true or false")
    return "true" if text in _TRUE else "false"


def word(options: Mapping[str, object], name: str, pattern: str, takes: str) -> str:
    """A text option of a known form. Errors: InputError with the form."""
    text = str(options[name]).strip()
    if not re.fullmatch(pattern, text):
        raise InputError(f"option {name}={text!r}: takes {takes}")
    return text


def core(options: Mapping[str, object], chip: Chip | None, several: bool) -> str:
    """`core_id`: 0 is any core, k is core k-1; UCP takes a comma list. Errors: InputError beyond the chip's cores."""
    text = str(options["core"]).strip()
    if text == "any":
        return "0"
    form = r"[0-9]{1,2}(,[0-9]{1,2})*" if several else r"[0-9]{1,2}"
    takes = "0 (any core) or a core number from 1" + (", or a list like 1,2" if several else "")
    word(options, "core", form, takes)
    cores = chip.cores if chip else None
    highest = max(int(item) for item in text.split(","))
    if cores is not None and highest > cores:
        has = "one BPU core" if cores == 1 else f"{cores} BPU cores"
        raise InputError(
            f"option core={text}: {chip.name if chip else ''} has {has}",
            f"give 0 (any core) or {'1' if cores == 1 else f'1 to {cores}'}",
        )
    if len(set(text.split(","))) < len(text.split(",")):
        raise InputError(f"option core={text}: duplicate core")
    if "," in text and "0" in text.split(","):
        raise InputError(f"option core={text}: 0 means any core and cannot be combined")
    return text


SWEPT_THREADS = ("1", "2", "4", "8")  # the manuals' latency run has 1 thread, their throughput run 8
L2_MB, L2_CORES = 24, 4  # of chips with four cores: 24:0:0:0 for one core, 6:6:6:6 for four (vendor's board notes)


def swept_cores(chip: Chip | None, several: bool) -> tuple[str, ...]:
    """Any core, the first one, and for models of several cores masks of the first two, of the first four, ..."""
    cores = (chip.cores if chip else None) or 1
    if cores == 1:
        return ("0",)
    masks = [",".join(str(core) for core in range(1, n + 1)) for n in (2, 4, 8) if n <= cores]
    return ("0", "1", *(masks if several else ()))


def l2_preset(chip: Chip | None, core_mask: str) -> str:
    """L2 memory in MB per core, shared evenly by the cores of a mask; "" where the chip has no such choice."""
    chosen = [int(core) for core in core_mask.split(",")] if re.fullmatch(r"[0-9]+(,[0-9]+)*", core_mask) else []
    if chip is None or chip.cores != L2_CORES or not chosen or 0 in chosen or max(chosen) > L2_CORES:
        return ""
    return ":".join(str(L2_MB // len(chosen) if core in chosen else 0) for core in range(1, L2_CORES + 1))


ROI = r"-?[0-9]+(,-?[0-9]+){3}(;-?[0-9]+(,-?[0-9]+){3})*"


def roi(options: Mapping[str, object]) -> str:
    """`l,t,r,b;l,t,r,b`, inclusive pixels, one group per resizer input in the model's order.

    Errors: InputError for another form, and for a region that is empty or starts below 0.
    """
    text = word(options, "roi", ROI, "left,top,right,bottom with ';' between inputs, for example 2,4,123,125")
    for group in text.split(";"):
        left, top, right, bottom = (int(v) for v in group.split(","))
        if min(left, top) < 0 or right <= left or bottom <= top:
            raise InputError(f"option roi={text}: {group} is empty or starts below 0")
    return text


def file_list(paths: tuple[str, ...], option: str) -> str:
    """Comma list of the tool. Errors: InputError for a path that holds a comma, which the tool cannot take."""
    for path in paths:
        if "," in path:
            raise InputError(
                f"{path!r}: the board's tool cannot handle commas in file names", f"rename the file ({option})"
            )
    return ",".join(paths)
