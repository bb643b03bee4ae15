"""Options of platform magik, the shell line that runs a user's Venus program, and the checks of its ELF files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import InputError
from harness.platforms.magik.elf import Elf, read_elf
from harness.platforms.magik.venus_files import at_odds, read_venus
from harness.platforms.options import merged_options
from harness.records import BoardIdentity, Job

MODES = ("release", "debug", "profile", "nmem")
OPTIONS: Mapping[str, str] = {
    "program": "your programs on this PC; {mode} is release, debug, profile or nmem: build/venus_{mode}",
    "program_release": "the release program, if names follow no pattern",
    "program_debug": "the debug program",
    "program_profile": "the profile program",
    "program_nmem": "the nmem program",
    "board_program": "programs already on the board (NFS, flash), with {mode}",
    "libraries": "folders on this PC with libvenus*.so and other libraries, separated by `:`",
    "image": "picture on this PC, used by release, profile and nmem instead of the input tensor",
    "arguments": "arguments of release, profile and nmem; default: {model} {image}",
    "debug_arguments": "arguments of debug; default: {model} {input}; older samples: {model} {width} {height}",
    "shape": "input shape N,H,W,C, if not in its file name (name_N_H_W_C.bin)",
    "mean": "mean of the model's conversion, for a reference that is an ONNX; default 0,0,0",
    "var": "var (or NORMAL) of the model's conversion; default 255,255,255",
    "check": "off: do not check the programs' ELF headers against mode and board",
    "nmem_file": "output file of the nmem build; default /tmp/nmem_memory.txt",
    "info_program": "a program on the board that prints `harness: input N,H,W,C` of a model (emulated boards have one)",
    "proc": "folder of the kernel's files on the board; default /proc",
}
DEFAULTS: Mapping[str, str] = {
    "arguments": "{model} {image}",
    "debug_arguments": "{model} {input}",
    "nmem_file": "/tmp/nmem_memory.txt",
    "proc": "/proc",
}
GENERATIONS = {"t40": "NNA1", "x2500": "NNA1", "t02": "NNA1", "t41": "NNA2", "a1": "NNA2"}
SUFFIXES = {"release": "", "debug": ".d", "profile": ".p", "nmem": ".m"}
SYSTEM = re.compile(r"^(?:libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|libatomic|ld[-.\w]*)[.\w-]*\.so")
SHAPED_NAME = re.compile(r"^[A-Za-z0-9_-]*?_([0-9]{1,6})_([0-9]{1,6})_([0-9]{1,6})_([0-9]{1,6})\.bin$")
_PLAIN_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")


def merged(board: BoardIdentity, job: Job) -> dict[str, str]:
    """Defaults under the board's options under the job's. Errors: ConfigError for an unknown key of the board."""
    values = merged_options("magik", OPTIONS, DEFAULTS, board, job)
    return {key: str(value) for key, value in values.items()}


def refuse_without_effect(job: Job) -> None:
    """What the user's own programs decide cannot be asked for here. Errors: InputError naming the option."""
    plain = Job(job.mode, job.model, job.folder)
    for option, field in (("--time", "time_s"), ("--frames", "frames"), ("--threads", "threads"), ("--core", "core")):
        if getattr(job, field) != getattr(plain, field):
            raise InputError(
                f"{option} {getattr(job, field)}: no effect on platform magik: your program decides that",
                "remove it; pass program arguments with --option arguments=...",
            )


def generation(board: BoardIdentity) -> str:
    """ "NNA1", "NNA2", or "" for a SoC that is not known."""
    return GENERATIONS.get(board.soc.strip().lower().split("-")[0], "")


# --------------------------------------------------------------------------- files of this PC


@dataclass(frozen=True)
class Supply:
    """Host files that a run needs on the board: programs by mode, libraries, the picture."""

    programs: dict[str, Path]
    libraries: tuple[Path, ...]
    image: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, each once."""
        image = (self.image,) if self.image else ()
        return (*dict.fromkeys(self.programs.values()), *self.libraries, *image)


def supply(board: BoardIdentity, values: Mapping[str, str]) -> Supply:
    """What is to be pushed. Errors: InputError for missing files, wrong architecture or the wrong library."""
    programs = {mode: path for mode in MODES if (path := _program(mode, values)) is not None}
    if not programs and not values.get("board_program"):
        raise InputError(
            "no Magik program given (there is no vendor tool on the board)",
            "--option program=build/venus_yolov5s_bin_uclibc_{mode} --option libraries=DIR",
        )
    folders = [Path(text) for text in values.get("libraries", "").split(":") if text]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"option libraries: {folder} is no folder")
    checked = values.get("check", "on") != "off"
    elves = {mode: elf for mode, path in programs.items() if (elf := _elf(path)) is not None}
    libraries = _libraries(elves, folders)
    if checked:
        for mode, elf in elves.items():
            _check_arch(elf, board)
            _check_library(mode, elf, board)
            _check_complete(elf, libraries, bool(board.libraries))
            _check_libc(elf, libraries)
        _check_content(libraries, board)
    return Supply(programs, tuple(libraries.values()), _image(values))


def _program(mode: str, values: Mapping[str, str]) -> Path | None:
    own, pattern = values.get(f"program_{mode}", ""), values.get("program", "")
    if own:
        if not Path(own).is_file():
            raise InputError(f"option program_{mode}: {own}: no such file")
        return Path(own)
    if not pattern:
        return None
    # the vendor's makefile misspells the glibc build: ..._glibc_prolfile
    names = [mode, "prolfile"] if mode == "profile" and "{mode}" in pattern else [mode]
    paths = [path for name in names if (path := Path(pattern.replace("{mode}", name))).is_file()]
    return paths[0] if paths else None


def _image(values: Mapping[str, str]) -> Path | None:
    text = values.get("image", "")
    if text and not Path(text).is_file():
        raise InputError(f"option image: {text}: no such file")
    return Path(text) if text else None


def _elf(path: Path) -> Elf | None:
    elf = read_elf(path)
    if elf is not None and elf.problem:
        raise InputError(f"{path}: {elf.problem}", "build it again")
    return elf


def _libraries(elves: Mapping[str, Elf], folders: Sequence[Path]) -> dict[str, Path]:
    """Everything that the programs need and that the folders hold, with what those need in turn."""
    paths: dict[str, Path] = {}
    waiting = [name for elf in elves.values() for name in elf.needed]
    while waiting:
        name = waiting.pop()
        path = next((f / name for f in folders if (f / name).is_file()), None)
        if name in paths or path is None or not _PLAIN_NAME.match(name):
            continue
        paths[name] = path
        elf = _elf(path)
        waiting += elf.needed if elf else ()
    return dict(sorted(paths.items()))


# --------------------------------------------------------------------------- ELF checks


def _check_arch(elf: Elf, board: BoardIdentity) -> None:
    if elf.machine == "MIPS" and elf.bits == 32 and elf.little_endian:
        return
    order = "little" if elf.little_endian else "big"
    raise InputError(
        f"{elf.name} is for {elf.machine} ({elf.bits} bits, {order} endian); the {board.soc} is MIPS, 32 bits, little",
        "build with mips-linux-gnu-g++ -EL -march=mips32r2 of the board's SDK",
    )


def wanted_library(mode: str, nna: str) -> tuple[str, ...]:
    """Libraries that make a program one of this mode; NNA2 counts memory in libdrivers.m.so."""
    if mode == "nmem" and nna == "NNA2":
        return ("libvenus.so", "libdrivers.m.so")
    return (f"libvenus{SUFFIXES[mode]}.so",)


def _check_library(mode: str, elf: Elf, board: BoardIdentity) -> None:
    venus = [name for name in elf.needed if name.startswith(("libvenus", "libdrivers"))]
    if not any(name.startswith("libvenus") for name in venus):
        return  # linked statically, or loaded by hand: nothing is known
    nna = generation(board)
    ways = [wanted_library(mode, nna)] if nna else [wanted_library(mode, "NNA1"), wanted_library(mode, "NNA2")]
    if not any(all(any(_same(need, name) for name in venus) for need in way) for way in ways):
        raise InputError(
            f"{elf.name} is the {mode} program but needs {', '.join(venus)}; {mode} is {' with '.join(ways[0])}",
            f"make build_type={mode}; with another library the program prints another mode's output "
            "(--option check=off skips this check)",
        )


def _same(wanted: str, name: str) -> bool:
    return name == wanted or name.startswith(wanted + ".")


def _check_complete(elf: Elf, libraries: Mapping[str, Path], on_board: bool) -> None:
    missing = [name for name in elf.needed if name not in libraries and not SYSTEM.match(name)]
    if missing and not on_board:
        raise InputError(
            f"{elf.name} needs {', '.join(missing)}, not found in option libraries",
            "--option libraries=DIR[:DIR], or `libraries:` of the board, if they are on it",
        )


def _check_libc(elf: Elf, libraries: Mapping[str, Path]) -> None:
    for name, path in libraries.items():
        other = _elf(path)
        if other is not None and elf.libc and other.libc and elf.libc != other.libc:
            raise InputError(
                f"{elf.name} is built for {elf.libc}, {name} for {other.libc}", "use the same libtype for both"
            )


def _check_content(libraries: Mapping[str, Path], board: BoardIdentity) -> None:
    """A library that was renamed, or is of another accelerator, runs and prints what another mode prints, or hangs."""
    for path in libraries.values():
        library = read_venus(path)
        if library is None:
            continue
        for problem in at_odds(library, ()):
            raise InputError(f"{path}: {problem}", "copy it again from the toolkit (--option check=off skips this)")
        wanted = generation(board)
        if library.nna and wanted and library.nna != wanted:
            raise InputError(
                f"{path} is for {library.nna}, the {board.soc} is {wanted}",
                f"take the library from the toolkit's folder of {wanted} (--option check=off skips this)",
            )


# --------------------------------------------------------------------------- the line on the board

# Arguments: program, nmem file or "", pairs (file, name in the job's folder), "--", the program's arguments.
SCRIPT = """\
program=$1 nmem=$2; shift 2
if [ -n "$nmem" ]; then
  rm -f "$nmem" 2>/dev/null
  [ ! -e "$nmem" ] || echo "harness: stale $nmem cannot be removed"
fi
made=
while [ "$1" != -- ]; do
  case $2 in */*) mkdir -p "${2%/*}" ;; esac
  ln -s "$1" "$2" 2>/dev/null || cp "$1" "$2" || exit 125
  made="$made $2"; shift 2
done
shift
LD_LIBRARY_PATH=$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}; export LD_LIBRARY_PATH
case $program in /*) chmod u+x "$program" 2>/dev/null ;; esac
"$program" "$@"
code=$?
if [ -n "$nmem" ] && [ -e "$nmem" ]; then cp "$nmem" nmem_memory.txt; fi
rm -f $made; rmdir lib 2>/dev/null
exit $code
"""
INFO_SCRIPT = """\
proc=$1 program=$2 model=$3; shift 3
for line in "$@"; do echo "harness: $line"; done
[ -z "$program" ] || "$program" "$model"
[ ! -r "$proc/cmdline" ] || echo "harness: cmdline $(cat "$proc/cmdline")"
for node in soc-nna nna_lock; do [ ! -e "/dev/$node" ] || echo "harness: node /dev/$node"; done
"""
NO_WORDS = {"input": "", "image": "", "width": "", "height": ""}
NOT_YET = {"input": "input_1_1_1_1.bin", "image": "image", "width": "1", "height": "1"}  # a trial before any push
KEEP: Mapping[str, tuple[str, ...]] = {
    "debug": ("*_out.bin", "*_weight.bin", "*_bt.bin", "*_mean.bin", "*_variance.bin", "emulated.json"),
    "nmem": ("nmem_memory.txt", "emulated.json"),
}
PICTURES = ("*.bmp", "*.jpg", "*.jpeg", "*.png", "emulated.json")


def run_line(board: BoardIdentity, job: Job, values: Mapping[str, str]) -> tuple[str, ...]:
    """The argv of one mode. Errors: InputError where its program or input is missing."""
    supplied = supply(board, values)
    placed = dict(zip(supplied.files, job.support, strict=False))
    links = [part for path in supplied.libraries for part in (placed.get(path, str(path)), f"lib/{path.name}")]
    words = dict(NOT_YET if job.is_trial else NO_WORDS) | {"model": job.model}
    if job.inputs:
        words["input"] = words["image"] = input_name(job, values)
        links += [job.inputs[0], words["input"]]
        words |= _sizes(words["input"])
    if supplied.image is not None and job.mode != "debug":
        words["image"] = _safe(supplied.image.name)
        links += [placed.get(supplied.image, str(supplied.image)), words["image"]]
    template = values["debug_arguments" if job.mode == "debug" else "arguments"]
    nmem = values["nmem_file"] if job.mode == "nmem" else ""
    program = _board_program(job.mode, supplied, placed, values)
    return ("sh", "-c", SCRIPT, "venus", program, nmem, *links, "--", *_filled(template, words))


def _board_program(mode: str, supplied: Supply, placed: Mapping[Path, str], values: Mapping[str, str]) -> str:
    path = supplied.programs.get(mode)
    if path is not None:
        return placed.get(path, str(path))
    pattern = values.get("board_program", "")
    if pattern:
        return pattern.replace("{mode}", mode)
    raise InputError(
        f"no program for mode {mode}", f"--option program_{mode}=FILE, or omit the mode: --mode release,..."
    )


def _filled(template: str, words: Mapping[str, str]) -> list[str]:
    made = []
    for word in template.split():
        for key, value in words.items():
            if f"{{{key}}}" in word and not value:
                raise InputError(
                    f"unknown placeholder {{{key}}} in the program's arguments",
                    "give --input FILE (name_N_H_W_C.bin for debug; `harness convert` makes it), or other arguments",
                )
            word = word.replace(f"{{{key}}}", value)
        made.append(word)
    return made


def input_name(job: Job, values: Mapping[str, str]) -> str:
    """The input's name in the job's folder. The sample reads N, H, W, C from it and cuts at the first dot of the path.

    Errors: InputError where the debug program could not read the shape from the name.
    """
    name = _safe(job.input_names[0]) if job.input_names else PurePosixPath(job.inputs[0]).name
    if SHAPED_NAME.match(name):
        return name
    tensor = job.input_tensors[0] if job.input_tensors else ""
    if SHAPED_NAME.match(f"{tensor}.bin") and name.endswith(".bin"):  # the name holds the shape
        return f"{tensor}.bin"
    if values.get("shape"):
        n, h, w, c = shape_of(values)
        return f"input_data_shape_{n}_{h}_{w}_{c}.bin"
    if job.mode == "debug" and "{input}" in values["debug_arguments"]:
        raise InputError(
            f"input {name!r}: the debug program reads the shape from the name, as in input_data_shape_1_384_640_3.bin",
            "make it with harness convert, or give --option shape=1,384,640,3",
        )
    return name


def shape_of(values: Mapping[str, str]) -> tuple[int, int, int, int]:
    """Option `shape`. Errors: InputError for anything else than four sizes."""
    parts = re.fullmatch(r"([0-9]{1,6}),([0-9]{1,6}),([0-9]{1,6}),([0-9]{1,6})", values["shape"].replace(" ", ""))
    if not parts or "0" in parts.groups():
        raise InputError(f"option shape={values['shape']}: expected N,H,W,C", "--option shape=1,384,640,3")
    return int(parts[1]), int(parts[2]), int(parts[3]), int(parts[4])


def _sizes(name: str) -> dict[str, str]:
    match = SHAPED_NAME.match(name)
    return {"height": match[2], "width": match[3]} if match else {}


def _safe(name: str) -> str:
    """One dot at most, and nothing that a shell or the sample stumbles over."""
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        return re.sub(r"[^A-Za-z0-9_-]", "_", name) or "input"
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', stem) or 'input'}.{re.sub(r'[^A-Za-z0-9]', '', suffix)}"
