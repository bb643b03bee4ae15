"""A whole board in software: an aarch64 Linux with busybox and dropbear under qemu-system, whose power can be cut.

`python -m tests.vm.machine build|start FOLDER` by hand; the tests use the class. Root is in memory and gone at every
boot; /data is an ext4 disk that stays. The board reaches nothing; only its forwarded SSH port on 127.0.0.1 is open.
Needs (Debian): qemu-system-arm cpio kmod dropbear-bin e2fsprogs, and apt with the arm64 packages.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = {
    "qemu-system-aarch64": "qemu-system-arm",
    "cpio": "cpio",
    "depmod": "kmod",
    "dropbearkey": "dropbear-bin",
    "mkfs.ext4": "e2fsprogs",
    "apt-get": "apt",
}
PACKAGES = ["busybox-static", "dropbear-bin", "libc6", "libcrypt1", "libtomcrypt1", "libtommath1", "libgmp10", "zlib1g"]
LIBRARIES = ["ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libcrypt.so.1", "libtomcrypt.so.1", "libtommath.so.1"]
LIBRARIES += ["libgmp.so.10", "libz.so.1"]
MODULES = ["virtio_mmio", "virtio_pci", "virtio_net", "virtio_blk", "virtio_rng", "crc32c", "ext4"]
FOLDERS = ["bin", "sbin", "usr/bin", "usr/sbin", "lib/mod", "etc/dropbear", "proc", "sys", "dev", "tmp", "run"]
FOLDERS += ["var/log", "data", "newroot", "root/.ssh"]
BOOT_LIMIT_S = 180.0
DATA_MEGABYTES = 96

INIT = """#!/bin/busybox sh
export PATH=/sbin:/bin:/usr/sbin:/usr/bin
/bin/busybox --install -s
mount -t devtmpfs dev /dev; mount -t proc proc /proc
while read -r m; do insmod "$m"; done </lib/mod/order
mount -t tmpfs -o size=192m,mode=755 root /newroot
for d in bin sbin usr lib etc root tmp run var data; do cp -a /$d /newroot/; done
rm -rf /newroot/lib/mod; mkdir /newroot/proc /newroot/sys /newroot/dev
umount /proc; mount -o move /dev /newroot/dev
exec switch_root /newroot /sbin/init
"""
RC = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys
mkdir -p /dev/pts; mount -t devpts devpts /dev/pts
hostname vm-board
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0
mount -t ext4 -o noatime /dev/vda /data || echo "no /data"
"""
INITTAB = """::sysinit:/etc/rc
::respawn:/usr/sbin/dropbear -F -E -s
::respawn:-/bin/sh
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/umount -a -r
"""


class NotPossible(Exception):
    """This PC cannot make or run the machine; the text says what is missing."""


def missing() -> list[str]:
    """Debian packages that this PC lacks."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)})


class Machine:
    """One machine in a folder. Its host keys are made once, so they stay the same over boots."""

    def __init__(self, folder: Path, memory_megabytes: int = 384) -> None:
        self.folder, self.memory_megabytes = folder, memory_megabytes
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    # ---- making it

    def build(self) -> None:
        """Fetch the arm64 packages and make kernel, initramfs and disk. Errors: NotPossible."""
        if missing():
            raise NotPossible(f"apt-get install {' '.join(missing())}")
        self.folder.mkdir(parents=True, exist_ok=True)
        packages = self._fetch()
        root = self.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        for name in FOLDERS:
            (root / name).mkdir(parents=True)
        (root / "root").chmod(0o700)
        self._programs(packages, root)
        self._kernel(packages, root)
        self._settings(root)
        names = run(["find", "."], cwd=root)
        archive = run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=root, stdin=names)
        (self.folder / "initramfs.gz").write_bytes(gzip.compress(archive, 3))
        self.wipe()

    def _fetch(self) -> Path:
        """The packages, unpacked but never installed."""
        debs, packages = self.folder / "debs", self.folder / "packages"
        if not (debs / ".done").exists():
            debs.mkdir(exist_ok=True)
            if b"arm64" not in run(["dpkg", "--print-foreign-architectures"]):
                run(["dpkg", "--add-architecture", "arm64"])
            run(["apt-get", "update", "-qq"], check=False)
            tree = run(["apt-cache", "depends", "linux-image-cloud-arm64:arm64"]).decode()
            kernel = next((line.split()[-1] for line in tree.splitlines() if "Depends:" in line), "")
            if not kernel:
                raise NotPossible("apt knows no arm64 kernel package")
            names = [kernel, *(f"{name}:arm64" for name in PACKAGES)]
            run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names], cwd=debs)
            (debs / ".done").touch()
        shutil.rmtree(packages, ignore_errors=True)
        for deb in debs.glob("*.deb"):
            run(["dpkg", "-x", str(deb), str(packages)])
        return packages

    @staticmethod
    def _programs(packages: Path, root: Path) -> None:
        busybox = next(p for p in packages.rglob("busybox") if p.is_file() and p.parent.name == "bin")
        shutil.copy2(busybox, root / "bin")
        shutil.copy2(packages / "usr/sbin/dropbear", root / "usr/sbin")
        for name in LIBRARIES:
            shutil.copy(next(packages.rglob(name)).resolve(), root / "lib" / name)

    def _kernel(self, packages: Path, root: Path) -> None:
        """The kernel, and its modules in the order in which they must be loaded."""
        modules = next(p for p in packages.rglob("modules") if p.parent.name == "lib")
        release = next(modules.iterdir()).name
        base = modules.parent.parent
        shutil.copy(packages / f"boot/vmlinuz-{release}", self.folder / "kernel")
        run(["depmod", "-b", str(base), release])
        order: list[str] = []
        for module in MODULES:
            shown = run(["modprobe", "-d", str(base), "-S", release, "--show-depends", module], check=False).decode()
            order += [line.split()[1] for line in shown.splitlines() if line.startswith("insmod")]
        for path in dict.fromkeys(order):
            shutil.copy(path, root / "lib/mod")
        (root / "lib/mod/order").write_text("".join(f"/lib/mod/{Path(p).name}\n" for p in dict.fromkeys(order)))

    def _settings(self, root: Path) -> None:
        key = self.folder / "host_key"
        if not key.exists():
            run(["dropbearkey", "-t", "ed25519", "-f", str(key)])
        shutil.copy(key, root / "etc/dropbear/dropbear_ed25519_host_key")
        texts = {"init": INIT, "etc/rc": RC, "etc/inittab": INITTAB, "etc/shells": "/bin/sh\n"}
        texts |= {"etc/passwd": "root:*:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n"}
        for name, text in texts.items():
            (root / name).write_text(text)
        for name in ("init", "etc/rc"):
            (root / name).chmod(0o755)

    def wipe(self) -> None:
        """An empty data disk."""
        disk = self.folder / "data.img"
        disk.unlink(missing_ok=True)
        with disk.open("wb") as file:
            file.truncate(DATA_MEGABYTES * 2**20)
        run(["mkfs.ext4", "-q", "-F", str(disk)])

    @property
    def host_key(self) -> str:
        """Kind and base64 of the board's host key."""
        shown = run(["dropbearkey", "-y", "-f", str(self.folder / "host_key")]).decode()
        return " ".join(next(line for line in shown.splitlines() if line.startswith("ssh-")).split()[:2])

    # ---- its power switch

    def start(self, public_key: str, port: int) -> None:
        """Boot; returns when SSH answers. Errors: NotPossible with the end of the console."""
        self.port = port
        self._add_key(public_key)
        with (self.folder / "console.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(port), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        ends_at = time.monotonic() + BOOT_LIMIT_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > ends_at:
                tail = (self.folder / "console.log").read_text(errors="replace")[-800:]
                self.cut()
                raise NotPossible(f"the machine does not come up: {tail}")
            time.sleep(0.3)

    def _add_key(self, public_key: str) -> None:
        """A second, tiny archive behind the first holds the key."""
        extra = self.folder / "extra"
        shutil.rmtree(extra, ignore_errors=True)
        (extra / "root/.ssh").mkdir(parents=True)
        (extra / "root").chmod(0o700)
        (extra / "root/.ssh").chmod(0o700)
        (extra / "root/.ssh/authorized_keys").write_text(public_key)
        names = b"root\nroot/.ssh\nroot/.ssh/authorized_keys\n"
        archive = run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=extra, stdin=names)
        (self.folder / "initrd").write_bytes((self.folder / "initramfs.gz").read_bytes() + gzip.compress(archive))

    def _command(self, port: int) -> list[str]:
        words = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "2"]
        words += ["-m", str(self.memory_megabytes)]
        words += ["-nodefaults", "-display", "none"]
        words += ["-chardev", "stdio,id=con,signal=off", "-serial", "chardev:con"]
        words += ["-kernel", str(self.folder / "kernel"), "-initrd", str(self.folder / "initrd")]
        words += ["-append", "console=ttyAMA0 quiet panic=5"]
        words += ["-netdev", f"user,id=n,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"]
        words += ["-device", "virtio-net-device,netdev=n", "-device", "virtio-rng-device"]
        words += ["-drive", f"if=none,id=d,format=raw,file={self.folder / 'data.img'}"]
        return [*words, "-device", "virtio-blk-device,drive=d"]

    def answers(self) -> bool:
        """Whether SSH says hello; qemu itself accepts connections at once."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=3) as sock:
            sock.settimeout(3)
            return sock.recv(4) == b"SSH-"
        return False

    def say(self, command: str) -> None:
        """Type a command on the serial console, where a root shell waits."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()

    def cut(self) -> None:
        """Cut the power: what was not written to the disk is lost."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Switch off cleanly; after 30 s by force."""
        if self._process is not None:
            with suppress(OSError):
                self.say("poweroff")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            self.cut()


def run(argv: list[str], *, cwd: Path | None = None, stdin: bytes | None = None, check: bool = True) -> bytes:
    environment = os.environ | {
        "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
        "DEBIAN_FRONTEND": "noninteractive",
    }
    result = subprocess.run(argv, cwd=cwd, input=stdin, capture_output=True, env=environment, check=False)
    if check and result.returncode != 0:
        raise NotPossible(f"{argv[0]} failed: {result.stderr.decode(errors='replace').strip()[-300:]}")
    return result.stdout


def main(arguments: list[str]) -> int:
    verb, folder = arguments
    machine = Machine(Path(folder).absolute())
    if verb == "build":
        machine.build()
        print(f"built {folder}")
        return 0
    if verb == "start":
        key = run(["sh", "-c", "cat ~/.ssh/id_*.pub"]).decode()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        machine.start(key, port)
        print(f"ssh -p {port} root@127.0.0.1   (Ctrl-C cuts the power)")
        with suppress(KeyboardInterrupt):
            signal.pause()
        machine.cut()
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
