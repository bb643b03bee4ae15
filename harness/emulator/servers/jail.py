"""A board's root of its own: busybox ash and nothing else, behind a real dropbear that changes its root at each login.

The login has no Python, no bash and no sftp. The emulated programs are small stubs: they pass their folder and
arguments to a process outside through a queue of folders and FIFOs, and print what comes back.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.emulator.started import module_words
from harness.errors import HostError

PATH = "/sbin:/bin:/usr/sbin:/usr/bin"
QUEUE = "run/emulated"
POLL_S = 0.02
_FOLDERS = ("bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "usr/bin")
_PACKAGE_PARENT = Path(__file__).resolve().parents[3]

# Arguments reach the process outside NUL-separated; `code` is the exit code, or -N where signal N ended it.
STUB = """\
#!/bin/sh
# emulates a program of this board: the work is done by a process outside of this root
q=/{queue}; j=$q/$$
emulated=
for here in $q/here.*; do [ ! -e "/proc/${{here##*.}}" ] || emulated=1; done
[ -n "$emulated" ] || {{ echo "this board is not being emulated" >&2; exit 127; }}
rm -rf "$j"; mkdir -p "$j" || exit 126
printf '%s\\0' "$PWD" "$@" >"$j/argv"
printf '%s\\0' "${{HARNESS_EMULATOR_FAULTS-}}" "${{HARNESS_EMULATOR_RUNTIME-}}" >"$j/env"
mkfifo "$j/out" "$j/err" && : >"$j/{name}.ready"
cat "$j/err" >&2 &
cat "$j/out"
wait
while [ ! -e "$j/code" ]; do sleep 0.02 2>/dev/null || sleep 1; done
read -r code <"$j/code"; rm -rf "$j"
case $code in -*) kill "$code" $$; sleep 1 ;; esac
exit "$code"
"""
# The mounts are made in the server's own mount namespace and end with it; of two first sessions, one waits.
ENTER = """\
root={root}
exec 9<"$root"; flock 9
if [ ! -e "$root/proc/uptime" ]; then
  mount --bind /proc "$root/proc" || exit 1
  for node in null zero urandom; do : >>"$root/dev/$node"; mount --bind /dev/$node "$root/dev/$node"; done
  mount --bind "$root/etc/kernel_arguments" "$root/proc/cmdline"
  [ ! -f "$root/etc/cpuinfo" ] || mount --bind "$root/etc/cpuinfo" "$root/proc/cpuinfo"
  if [ -n {shared} ]; then mkdir -p "$root"{shared}; mount --bind {shared} "$root"{shared}; fi
fi
exec 9<&-
export HOME={home} PATH={path} USER=root SHELL=/bin/sh
exec chroot "$root" /bin/sh -c "cd {home} || exit 1; ${{SSH_ORIGINAL_COMMAND:-exec /bin/sh}}"
"""


def lacking() -> str:
    """Why this PC cannot give a board a root of its own; "" where it can."""
    if os.getuid() != 0:
        return "changing the root needs root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [
        name for name in ("busybox", "dropbear", "mount", "chroot", "flock") if not shutil.which(name, path=path)
    ]
    if missing:
        return f"not on this PC: {', '.join(missing)}"
    static = subprocess.run([program_path("busybox"), "--list"], capture_output=True, text=True, check=False)
    linked = subprocess.run(["ldd", program_path("busybox")], capture_output=True, text=True, check=False)
    if static.returncode != 0 or "=>" in linked.stdout:
        return "busybox is not statically linked (apt-get install busybox-static)"
    return ""


def program_path(name: str) -> str:
    """Where a program of this PC lies, those of /sbin too. Errors: HostError with the package that has it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise HostError(f"{name} is not on this PC", "apt-get install busybox-static dropbear-bin")
    return path


def build_root(root: Path, stubs: Sequence[str], kernel_arguments: str) -> None:
    """Fill `root`: busybox with its links, stubs of the emulated programs, what /proc/cmdline tells."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    busybox = root / "bin" / "busybox"
    if not busybox.is_file():
        part = busybox.with_name(f".busybox.{os.getpid()}")
        shutil.copyfile(program_path("busybox"), part)
        part.chmod(0o755)
        part.replace(busybox)
    listed = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in listed:
        link = root / "bin" / applet
        if applet != "busybox" and not link.is_symlink():  # busybox lists itself
            with contextlib.suppress(FileExistsError):
                link.symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc" / "kernel_arguments").write_text(kernel_arguments + "\n")
    for name in stubs:
        stub = root / "usr" / "bin" / name
        part = stub.with_name(f".{name}.{os.getpid()}")
        part.write_text(STUB.format(queue=QUEUE, name=name))
        part.chmod(0o755)
        part.replace(stub)  # never half a stub, where several processes build one root


def enter_command(root: Path, home: str = "/root", shared: str = "") -> str:
    """The shell text that every session runs. `shared` is a folder of this PC, seen there under the same path."""
    words = {"root": str(root), "home": home, "shared": shared}
    return ENTER.format(path=PATH, **{key: shlex.quote(word) for key, word in words.items()})


# --------------------------------------------------------------------------- the process outside


@contextlib.contextmanager
def playing(root: Path, commands: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> Iterator[None]:
    """Serve the queue of a root while this lasts. `commands` is stub name -> argv on this PC.

    Several processes may serve one queue: a job belongs to whoever renames its mark.
    """
    marker = root / QUEUE / f"here.{os.getpid()}"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    player = _Player(root, commands, environment)
    thread = threading.Thread(target=player.run, name=f"player of {root.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        player.stop.set()
        thread.join(timeout=10)
        marker.unlink(missing_ok=True)


class _Player:
    """Starts a process per job of the queue, and ends it when its stub is gone."""

    def __init__(self, root: Path, commands: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> None:
        self.root, self.commands, self.environment = root, commands, environment
        self.stop = threading.Event()
        self.jobs: dict[Path, subprocess.Popen[bytes]] = {}

    def run(self) -> None:
        while not self.stop.wait(POLL_S):
            for ready in self._ready():
                self._start(ready)
            for folder, process in list(self.jobs.items()):
                self._look(folder, process)
        for process in self.jobs.values():
            _kill(process)

    def _ready(self) -> list[Path]:
        """Marks of jobs that wait. A stub removes its folder while this looks into it: what is gone is looked for again
        at the next turn, else the player would end and every later program of the board would wait for it."""
        try:
            return list((self.root / QUEUE).glob("*/*.ready"))
        except OSError:
            return []

    def _start(self, ready: Path) -> None:
        name, folder = ready.name.removesuffix(".ready"), ready.parent
        with contextlib.suppress(OSError):
            ready.rename(folder / "taken")
            cwd, *arguments = _parts(folder / "argv")
            faults, runtime = _parts(folder / "env")
            variables = {"HARNESS_EMULATOR_FAULTS": faults, "HARNESS_EMULATOR_RUNTIME": runtime}
            # the FIFOs open once the stub's `cat`s do; a shell does it, so that this thread never waits
            line = 'exec >"$1/out" 2>"$1/err"; shift; cd "$1" || exit 126; shift; exec "$@"'
            in_root = self.root / cwd.lstrip("/")
            argv = [
                "sh",
                "-c",
                line,
                "player",
                str(folder),
                str(in_root),
                *self.commands.get(name, ("false",)),
                *arguments,
            ]
            self.jobs[folder] = subprocess.Popen(
                argv,
                env={**self.environment, **{key: value for key, value in variables.items() if value}},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _look(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        code = process.poll()
        if code is None and not Path("/proc", folder.name).exists():
            _kill(process)  # its stub was ended, by a time limit for example
            code = process.wait()
        if code is not None:
            del self.jobs[folder]
            _answer(folder, code)


def _parts(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]


def _answer(folder: Path, code: int) -> None:
    """Leave the exit code before the stub reads it: it waits for the ends of both pipes only."""
    with contextlib.suppress(OSError):
        (folder / ".code").write_text(f"{code}\n")
        (folder / ".code").replace(folder / "code")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def player_environment(root: Path) -> dict[str, str]:
    """What an emulated program gets from outside."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(_PACKAGE_PARENT),
        "HARNESS_EMULATOR_ROOT": str(root),
        "HARNESS_EMULATOR_JAIL": "1",
    }


def played_command(module: str, *arguments: str) -> list[str]:
    """argv of a module of the emulator."""
    return [*module_words(module), *arguments]
