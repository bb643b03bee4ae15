#!/bin/sh
# Installs what the tests need from Debian: real ssh servers, a real browser, shells; with `slow` also the emulators,
# with `fresh` only debootstrap. Wants root, or sudo without a password.
# Says what it cannot do; that is an error in CI only, elsewhere the tests that need more are skipped with the reason.
set -u

missing=""
need() { # need PROGRAM PACKAGE
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
if [ "${1-}" = fresh ]; then
    need debootstrap debootstrap
else
    need sshd openssh-server
    need ssh openssh-client
    need dropbear dropbear-bin
    need dropbearkey dropbear-bin
    need busybox busybox-static
    need dash dash
    need mksh mksh
    need shellcheck shellcheck
    need systemd-analyze systemd
    need chromium chromium
    # Chinese tensor names must be drawn in the screenshots, not shown as boxes.
    fc-list 2>/dev/null | grep -qi "cjk" || missing="$missing fontconfig fonts-noto-cjk"
fi
if [ "${1-}" = slow ]; then
    need qemu-aarch64-static qemu-user-static
    need qemu-system-aarch64 qemu-system-arm
    need cpio cpio
    need cc "gcc libc6-dev"
    need mkfs.ext4 e2fsprogs
    need depmod kmod
    # postgres itself is on no PATH on Debian
    set -- /usr/lib/postgresql/*/bin/initdb
    [ -x "$1" ] || missing="$missing postgresql"
fi

[ -z "$missing" ] && exit 0
give_up() {
    echo "$1" >&2
    [ -z "${CI-}" ] && exit 0
    exit 1
}
if ! command -v apt-get >/dev/null 2>&1; then
    give_up "missing:$missing - no apt-get here, install them by hand"
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then as_root="sudo"; else
        give_up "LEFT OUT: what needs the programs of these packages. To have it: sudo apt-get install --no-install-recommends$missing"
    fi
fi
echo "installing Debian packages:$missing"
$as_root apt-get update -qq || echo "apt-get update complained, going on" >&2
# shellcheck disable=SC2086 # the list is split on purpose
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
    give_up "could not install:$missing"
