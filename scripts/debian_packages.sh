#!/bin/sh
# Installs what the tests need from Debian: real ssh servers, a real browser, shells. Says what it cannot do.
set -u

missing=""
need() { # need PROGRAM PACKAGE
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
need sshd openssh-server
need ssh openssh-client
need dropbear dropbear-bin
need dropbearkey dropbear-bin
need busybox busybox-static
need dash dash
need shellcheck shellcheck
need chromium chromium
need qemu-aarch64-static qemu-user-static
need qemu-system-aarch64 qemu-system-arm
need cpio cpio
need mkfs.ext4 e2fsprogs
need depmod kmod
# Chinese tensor names must be drawn in the screenshots, not shown as boxes.
fc-list 2>/dev/null | grep -qi "cjk" || missing="$missing fontconfig fonts-noto-cjk"

[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$missing - no apt-get here, install them by hand" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then as_root="sudo"; else
        echo "missing:$missing" >&2
        echo "run: sudo apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
fi
echo "installing Debian packages:$missing"
$as_root apt-get update -qq || echo "apt-get update complained, going on" >&2
# shellcheck disable=SC2086 # the list is split on purpose
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null || {
    echo "could not install:$missing" >&2
    exit 1
}
