#!/bin/sh
# armroot.sh DIR - aarch64 Python and ONNX Runtime on an x86-64 PC, run by user-mode emulation (qemu-user).
# Result: DIR/root (Debian's arm64 files, unpacked and never installed), DIR/armpy (a python command).
# Needs no root: packages and lists stay below DIR. Works on Debian 12 and newer, where
# arm64 packages come from the same mirror. Environment: PYTHON (one with pip), ORT (version),
# CPU (cortex-a53, cortex-a72 or cortex-a76).
set -eu
umask 022
say() { echo "armroot: $*" >&2; }
die() { say "$*"; exit 1; }
[ $# -eq 1 ] || die "usage: $0 DIR"
: "${PYTHON:=python3}" "${ORT:=1.31.1}" "${CPU:=cortex-a76}"

# CPU part numbers as /proc/cpuinfo of such a core has them; Features must not claim more than qemu's core has
basic="fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
case $CPU in
  cortex-a53) part=0xd03 features=$basic ;;
  cortex-a72) part=0xd08 features=$basic ;;
  cortex-a76) part=0xd0b features="$basic atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp" ;;
  *) die "unknown CPU $CPU: cortex-a53, cortex-a72 or cortex-a76" ;;
esac
for tool in apt-get apt-cache dpkg dpkg-deb; do
  command -v $tool >/dev/null || die "$tool is not on this PC; this script works on Debian and its like"
done
"$PYTHON" -m pip --version >/dev/null 2>&1 || die "$PYTHON has no pip; set PYTHON to one that has"

mkdir -p "$1"
dir=$(cd "$1" && pwd)
work=$dir/work
root=$dir/root
rm -rf "$root" "$work"
mkdir -p "$root/tmp" "$root/proc" "$work/debs" "$work/wheels"

# apt with lists, cache and status of its own, for architecture $1: nothing of the PC's apt is changed
apt_for() {
  arch=$1 tool=$2
  shift 2
  place=$work/apt-$arch
  mkdir -p "$place/state/lists/partial" "$place/cache/archives/partial"
  [ -e "$place/status" ] || : >"$place/status"
  "$tool" -o Dir::State="$place/state" -o Dir::Cache="$place/cache" -o Dir::State::status="$place/status" \
    -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root "$@"
}
fetch() { # fetch ARCH PACKAGE...
  arch=$1
  (cd "$work/debs" && apt_for "$@" 2>"$work/apt.log") || die "apt cannot fetch $arch packages: $(tail -n 1 "$work/apt.log")"
}

# ---- the emulator: the PC's own, else unpacked beside the root
emulator=$(command -v qemu-aarch64-static || true)
if [ -z "$emulator" ]; then
  native=$(dpkg --print-architecture)
  apt_for "$native" apt-get update -qq 2>/dev/null || say "apt-get update complained, going on"
  fetch "$native" apt-get -qq download qemu-user-static
  dpkg-deb -x "$work"/debs/qemu-user-static_*.deb "$work/qemu"
  mkdir -p "$dir/bin"
  mv "$work/qemu/usr/bin/qemu-aarch64-static" "$dir/bin/"
  rm -rf "$work/qemu" "$work"/debs/*
  emulator=$dir/bin/qemu-aarch64-static
fi

# ---- Debian's Python for arm64: what it and onnxruntime's wheel load, nothing else
apt_for arm64 apt-get update -qq 2>/dev/null || say "apt-get update complained, going on"
python=$(apt_for arm64 apt-cache depends python3-minimal 2>/dev/null | sed -n 's/.*PreDepends: \(python3[.0-9]*\)-minimal/\1/p')
[ -n "$python" ] || die "apt on this PC knows no arm64 packages (no network, or no Debian mirror in its sources)"
wanted='^(libc6|libgcc-s1|libstdc\+\+6|zlib1g|libexpat1|libffi[0-9]+|libbz2-1\.0|liblzma5|libssl3.*|libsqlite3-0.*|libuuid1.*|libcrypt1|libpython3.*|python3.*-minimal)$'
debs=$(apt_for arm64 apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
  --no-replaces --no-enhances "$python-minimal" "lib$python-stdlib" libstdc++6 | grep -E "$wanted" | sort -u)
# shellcheck disable=SC2086  # a list of package names
fetch arm64 apt-get -qq download $debs
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done

# ---- wheels; pip tries the platforms in this order
site=$root/usr/lib/python3/dist-packages
"$PYTHON" -m pip download -q --disable-pip-version-check --only-binary=:all: --no-deps -d "$work/wheels" \
  --python-version "${python#python}" --implementation cp --platform manylinux_2_28_aarch64 \
  --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
  "onnxruntime==$ORT" numpy >"$work/pip.log" 2>&1 || die "pip cannot fetch the wheels: $(tail -n 1 "$work/pip.log")"
mkdir -p "$site"
for wheel in "$work"/wheels/*.whl; do "$PYTHON" -m zipfile -e "$wheel" "$site"; done
rm -rf "$site/onnxruntime/transformers" "$site/onnxruntime/tools" "$site/onnxruntime/quantization" \
  "$site/onnxruntime/datasets" "${root:?}/usr/share"
find "$site/numpy" -name tests -prune -exec rm -rf {} +

# ---- onnxruntime's cpuinfo parses /proc/cpuinfo and ends with a segmentation fault on an x86 one: qemu -L
# overlays absolute paths, so an Arm one below the root is what it reads; the same for the list of cores
for core in 0 1; do
  printf 'processor\t: %d\nBogoMIPS\t: 108.00\nFeatures\t: %s\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: %s\nCPU revision\t: 1\n\n' \
    $core "$features" $part
done >"$root/proc/cpuinfo"
mkdir -p "$root/sys/devices/system/cpu"
for file in possible present online; do echo 0-1 >"$root/sys/devices/system/cpu/$file"; done

cat >"$dir/armpy" <<PY
#!/bin/sh
exec '$emulator' -cpu $CPU -L '$root' '$root/usr/bin/$python' "\$@"
PY
chmod 755 "$dir/armpy"
"$dir/armpy" -c 'import onnxruntime' >"$work/try.log" 2>&1 || die "the aarch64 Python does not start: $(tail -n 1 "$work/try.log")"
rm -rf "$work"
echo "onnxruntime $ORT, $python, $CPU" >"$dir/ready"
