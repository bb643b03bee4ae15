"""Failures of Venus programs in plain sentences.

Exit codes mean nothing there: usage errors, `venus init failed.` and a profile with too few runs all end in exit(0). A
mode is judged by the lines it printed and the files it left. The order of `_TEXTS` matters: the cause stands above its
consequences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatch

from harness.platforms.failure_texts import failure_text
from harness.platforms.magik.profile import read_profile
from harness.platforms.magik.text import read_versions
from harness.platforms.text import plain
from harness.records import Failure

EXPECTED: dict[str, tuple[str, ...]] = {"debug": ("*_out.bin",), "nmem": ("nmem_memory.txt",)}
LONGEST_NAME_BYTES = 255  # of a file, on Linux
MORE_NMEM = "raise nmem= in the kernel's arguments (the boot loader's bootargs), or use a smaller model"

# Texts: strings of libvenus and libdrivers, the loaders of uClibc and glibc, busybox ash.
_TEXTS = (
    failure_text(
        r"can't load library '([^'\n]+)'|error while loading shared libraries: ([^:\n]+):",
        "missing_library",
        r"the loader could not find \1\2",
        "set the library folder: --option libraries=DIR, or `libraries:` of the board in hosts.yaml",
    ),
    failure_text(
        r"(?:Exec format error|syntax error: unexpected|: not found$|applet not found|cannot execute)",
        "wrong_march",
        "the board cannot run this program: wrong CPU or C library, or missing file",
        "build with the MIPS toolchain of the board's SDK and its libtype (uclibc or glibc)",
    ),
    failure_text(
        r"A mismatch occurs: model version is ([\w.]+), venus version: ?([\w.]+)",
        "version_skew",
        r"Magik library (venus) \2 rejects the model, which is of version \1",
        "convert the model with the toolkit of the library's release, or update the libraries",
    ),
    failure_text(
        r"Error: /dev/soc-nna open failed",
        "board_state",
        "the NNA driver is not loaded, or not accessible to this user",
        "insmod soc-nna.ko as root",
    ),
    failure_text(
        r"Error: /dev/nna_lock open failed",
        "board_state",
        "/dev/nna_lock cannot be opened: driver and libraries are of different releases",
        "load the soc-nna.ko of the same release as the libraries",
    ),
    failure_text(
        r"Error: /dev/mem open failed", "board_state", "/dev/mem cannot be opened: root is needed", "log in as root"
    ),
    failure_text(
        r"get_nmem_info failed|CMD Line Nmem Size:.* is invalide",
        "board_state",
        "the kernel reserved no memory for the NNA",
        MORE_NMEM,
    ),
    failure_text(
        r"Error: DDR (?:mmap paddr|Malloc size)=?.*failed|Memory alloc failed\.|Memory\[dev=.*\] alloc failed\.",
        "memory",
        "not enough NNA memory (nmem)",
        MORE_NMEM,
    ),
    failure_text(
        r"Open model file \[(.*)\] failed\.", "missing_file", r"the model \1 cannot be opened",
        "check the file on the board"
    ),
    failure_text(
        r"open /tmp/nmem_memory\.txt is error",
        "no_space",
        "/tmp/nmem_memory.txt cannot be written",
        "free space in /tmp, and check the file's owner",
    ),
    failure_text(
        r"The first 5 times are used to warm up the profiler|venus should be run at least 1 times\.",
        "garbage",
        "too few runs for the profiler: it needs 10, the first 5 are warm-ups",
        "build with RUN_CNT 10 or more (-DVENUS_PROFILE in the vendor's sample)",
    ),
    failure_text(r"venus init failed", "board_state", "the Magik library (venus) could not start",
          "see the lines above it in the log"),
    failure_text(r"Illegal instruction", "wrong_march", "the program has instructions not supported by this CPU",
          "build with -march=mips32r2 -mfp64 -mnan=2008"),
    failure_text(r"Segmentation fault|Aborted|Bus error", "crash", "the program crashed",
          "the vendor's sample does not check load_model: check the model file and the input's name"),
)  # fmt: skip
_DUMP_FAILED = re.compile(r"Open file \[(.*)\] failed\.")


def known_failures(log: str) -> tuple[Failure, ...]:
    """Every failure that a log's own words name, each kind once, without knowing how the program ended."""
    text = plain(log)
    failures: dict[str, Failure] = {}
    for rule in _TEXTS:
        if match := rule.pattern.search(text.joined):
            failures.setdefault(rule.kind, rule.failure(match))
    return tuple(failures.values())


def judge(mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
    """None means that the mode worked. The first known text decides, then what is missing."""
    if mode == "info":
        return None  # asks the kernel only; what it does not tell is a problem of the reader
    text = plain(log)
    for rule in _TEXTS:
        if match := rule.pattern.search(text.joined):
            return rule.failure(match)
    return _missing(mode, code, log, present)


def _missing(mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
    ended = "" if code in (0, None) else f" (exit code {code})"
    if "runtime" not in read_versions(log):
        return Failure(
            "garbage",
            f"the program did not report that Magik (venus) started{ended}",
            "expected the line `venus version:`; see its log",
        )
    if mode == "profile" and not _has_tables(log):
        return Failure(
            "wrong_library",
            f"no profiler table was printed{ended}: the program ran with a library that does not profile",
            "link it with libvenus.p.so (make build_type=profile) and destroy the net before exit",
        )
    lacking = [p for p in EXPECTED.get(mode, ()) if not any(fnmatch(name, p) for name in present)]
    unwritten = unwritten_dumps(log) if lacking and mode == "debug" else ()
    if unwritten and all(_cannot_be_a_file(name) for name in unwritten):
        return Failure(
            "unwritable_names",
            f"none of {len(unwritten)} dumps could be opened: their names have slashes or are too long, "
            f"first {unwritten[0][:100]}",
            "rename these tensors in the model, without slashes",
        )
    if unwritten:
        return Failure(
            "no_space",
            f"none of {len(unwritten)} dumps could be opened, first {unwritten[0][:100]}",
            "check free space (df) and permissions of the work folder",
        )
    return _lacking(mode, lacking[0], ended) if lacking else None


def _cannot_be_a_file(name: str) -> bool:
    """A tensor's raw name is the file's: with a slash its folder is missing, and 255 bytes are the most."""
    return "/" in name.removeprefix("./") or len(name.encode("utf-8", "replace")) > LONGEST_NAME_BYTES


def _has_tables(log: str) -> bool:
    tables = read_profile(log)
    return bool(tables.rows or tables.kinds)


def _lacking(mode: str, pattern: str, ended: str) -> Failure:
    library = {"debug": "libvenus.d.so", "nmem": "libvenus.m.so (NNA1) or libdrivers.m.so (NNA2)"}[mode]
    what = {"debug": "no layer was dumped", "nmem": "/tmp/nmem_memory.txt was not written by this run"}[mode]
    return Failure(
        "wrong_library",
        f"{what} ({pattern} is missing){ended}: the program ran with a library of another build type",
        f"link it with {library} (make build_type={mode})",
    )


def unwritten_dumps(log: str) -> tuple[str, ...]:
    """Names of dumps that the debug library could not open: tensors with `/` in their names. The run goes on."""
    matches = (_DUMP_FAILED.search(line) for line in plain(log).lines)
    return tuple(dict.fromkeys(match[1] for match in matches if match))
