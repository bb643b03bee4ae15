"""A machine that has nothing: a minimal Debian with python3, python3-venv, make and git, and a user without sudo.

    python scripts/fresh_machine.py [--debian 12 --debian 13] [--run demo --run test]

Clones the committed tree into it and runs `make demo` and `make test` there. Needs root and debootstrap; where they are
missing it says so and leaves the machines out (in CI only a missing right to mount is excused). Every mount lies in a
namespace of its own: nothing stays mounted, however this ends. The bare roots and pip's downloads are kept in the
user's cache folder; how packages are reached (mirror, proxy, certificates, pip's settings) is read from this machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fresh_settings import apt_mirror, apt_proxies, paths_named, pip_settings, pip_variables

ROOT = Path(__file__).resolve().parent.parent
SUITES = {"12": "bookworm", "13": "trixie"}
PACKAGES = ("python3", "python3-venv", "make", "git")
KEPT_DAYS = 30
LIMIT_S = {"demo": 1800, "quick": 3600, "test": 7200, "lint": 1800}
USER, USER_ID = "engineer", 1000
HOME = f"/home/{USER}"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
NAMESPACE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debian", action="append", choices=SUITES, help="release; default: all")
    parser.add_argument("--run", action="append", choices=LIMIT_S, help="target of make; default: demo and test")
    parser.add_argument("--inside", nargs=2, metavar=("ROOT", "RUN"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    targets = given.run or ["demo", "test"]
    if given.inside:
        return inside(Path(given.inside[0]), Path(given.inside[1]), targets)
    reason, excused = lacking()
    if reason:
        failed = bool(os.environ.get("CI")) and not excused
        print(f"\n{'FAILED' if failed else 'LEFT OUT'}: fresh machines: {reason}\n", file=sys.stderr, flush=True)
        return 1 if failed else 0
    results = {debian: on_debian(debian, targets) for debian in given.debian or SUITES}
    for debian, result in results.items():
        print(f"Debian {debian}, make {', make '.join(targets)}: {'ok' if result == 0 else 'FAILED'}")
    return 1 if any(results.values()) else 0


def lacking() -> tuple[str, bool]:
    """Why it cannot be done here ("" when it can), and whether CI excuses that: rights, but not programs."""
    if not sys.platform.startswith("linux"):
        return "needs Linux", True
    for program in ("debootstrap", "unshare", "chroot"):
        if not shutil.which(program, path=search_path()):
            return f"{program} is missing: apt-get install debootstrap util-linux coreutils", False
    if os.geteuid() != 0:
        return "needs the right to mount: run it as root", True
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode != 0:
        return "needs the right to mount: this system gives root no mount namespace", True
    return "", False


def search_path() -> str:
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def chroot() -> str:
    return shutil.which("chroot", path=search_path()) or "chroot"


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "harness" / "fresh"


def on_debian(debian: str, targets: Sequence[str]) -> int:
    """Exit code of the first target that fails, or 0."""
    begin = time.monotonic()
    try:
        bare = bare_root(SUITES[debian])
    except subprocess.CalledProcessError as error:
        print(f"Debian {debian}: debootstrap failed (exit code {error.returncode})", file=sys.stderr)
        return 1
    print(f"== Debian {debian}: bare root in {bare} ({time.monotonic() - begin:.0f} s)", flush=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=cache_folder()) as text:
        run = Path(text)
        prepare(run)
        words = [word for target in targets for word in ("--run", target)]
        script = [sys.executable, str(Path(__file__).resolve()), "--inside", str(bare), str(run), *words]
        return subprocess.run([*NAMESPACE, *script], stdin=subprocess.DEVNULL, check=False).returncode


def bare_root(suite: str) -> Path:
    """The root of `suite`, made by debootstrap or taken from the cache. Errors: CalledProcessError."""
    root = cache_folder() / suite
    stamp = root / ".made"
    wanted = " ".join(PACKAGES)
    if stamp.is_file() and stamp.read_text() == wanted and time.time() - stamp.stat().st_mtime < KEPT_DAYS * 86400:
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f"{suite}-", dir=root.parent))
    try:
        part.chmod(0o755)
        make_root(suite, part)
        (part / ".made").write_text(wanted)
        if root.exists():
            shutil.rmtree(root)
        part.rename(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return root


def make_root(suite: str, root: Path) -> None:
    """Its log goes to this script's output only when it fails."""
    words = [*NAMESPACE, "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(root)]
    environment = apt_proxies() | os.environ | {"PATH": search_path()}
    print(f"== debootstrap {suite}", flush=True)
    mirror = apt_mirror()
    log = root.with_name(f"{root.name}.log")
    with log.open("wb") as file:
        result = subprocess.run(
            [*words, *([mirror] if mirror else [])], stdout=file, stderr=file, env=environment, check=False
        )
    if result.returncode != 0:
        sys.stderr.write(log.read_text(errors="replace")[-3000:])
    log.unlink()
    result.check_returncode()
    subprocess.run([chroot(), str(root), "useradd", "-m", "-u", str(USER_ID), USER], check=True)


def prepare(run: Path) -> None:
    """`run`: the user's home with a clone of the committed tree, an own /tmp, this PC's settings for pip."""
    run.chmod(0o755)
    home = run / "home"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(home / "harness")], check=True)
    downloads = cache_folder() / "pip"
    for folder in (home / ".cache/pip", run / "tmp", downloads):
        folder.mkdir(parents=True, exist_ok=True)
    (run / "tmp").chmod(0o1777)
    subprocess.run(["chown", "-R", f"{USER_ID}:{USER_ID}", str(home), str(downloads)], check=True)
    (run / "pip.conf").write_text(pip_settings())


# ---- inside the namespace


def inside(root: Path, run: Path, targets: Sequence[str]) -> int:
    mount_all(root, run)
    environment = {
        "HOME": HOME,
        "USER": USER,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }
    environment |= pip_variables()
    for target in targets:
        begin = time.monotonic()
        print(f"== {USER}@fresh: make {target}", flush=True)
        argv = [chroot(), f"--userspec={USER_ID}:{USER_ID}", "--groups=", str(root), "sh", "-c"]
        try:
            code = subprocess.run(
                [*argv, f"cd {HOME}/harness && exec make {target}"],
                env=environment,
                stdin=subprocess.DEVNULL,
                timeout=LIMIT_S[target],
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"make {target}: not done in {LIMIT_S[target]} s", file=sys.stderr)
            code = 1
        print(f"== make {target}: exit code {code}, {time.monotonic() - begin:.0f} s", flush=True)
        if code != 0:
            return code
    return 0


def mount_all(root: Path, run: Path) -> None:
    """The root read-only, so that the cached one stays bare; home, /tmp and what the system itself gives on top."""
    host = paths_named()
    for path in host:
        place_for(path, root)
    for name in ("dev", "proc", "sys", "tmp", HOME[1:]):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("etc/resolv.conf", "etc/hosts", "etc/pip.conf"):
        if (root / name).is_symlink():
            (root / name).unlink()
        (root / name).touch()
    bind(root, root, read_only=True)
    mount("-t", "proc", "proc", root / "proc")
    devices(root / "dev")
    bind(run / "home", root / HOME[1:])
    bind(run / "tmp", root / "tmp")
    bind(cache_folder() / "pip", root / HOME[1:] / ".cache/pip")
    bind(run / "pip.conf", root / "etc/pip.conf")
    for path in [Path("/etc/resolv.conf"), Path("/etc/hosts"), *host]:
        if path.exists():
            bind(path.resolve(), root / str(path)[1:], read_only=True)


def place_for(path: Path, root: Path) -> None:
    target = root / str(path)[1:]
    if path.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()


def devices(folder: Path) -> None:
    mount("-t", "tmpfs", "-o", "mode=755,size=1m", "dev", folder)
    for name in DEVICES:
        (folder / name).touch()
        bind(Path("/dev") / name, folder / name)
    for name in ("pts", "shm"):
        (folder / name).mkdir()
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620", "devpts", folder / "pts")
    mount("-t", "tmpfs", "-o", "mode=1777", "shm", folder / "shm")
    (folder / "ptmx").symlink_to("pts/ptmx")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (folder / name).symlink_to(f"/proc/self/fd/{number}")
    (folder / "fd").symlink_to("/proc/self/fd")


def bind(source: Path, target: Path, read_only: bool = False) -> None:
    mount("--bind", source, target)
    if read_only:
        mount("-o", "remount,bind,ro", target)


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


if __name__ == "__main__":
    sys.exit(main())
