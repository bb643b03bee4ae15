#!/bin/sh
# python_version.sh PYTHON: silent for 3.10 or later; otherwise says what to type on this system, exit code 1.
# Optional, for tests: [OS_RELEASE_FILE [UNAME]].
set -eu
python=$1
os_release=${2-/etc/os-release}
system=${3-$(uname -s)}

version=$("$python" -c 'import sys; sys.stdout.write("%d.%d" % sys.version_info[:2])' 2>/dev/null) || version=""
case "$version" in
3.1[0-9] | 3.[2-9][0-9]) exit 0 ;;
esac

field() { # field NAME: its value in os-release
    sed -n "s/^$1=//p" "$os_release" 2>/dev/null | tr -d '"'
}
with_uv() { # a Python of the user's own, no root needed
    echo "  curl -LsSf https://astral.sh/uv/install.sh | sh     # a Python of your own, no root needed"
    echo "  ~/.local/bin/uv python install 3.12"
    echo "  make demo PYTHON=\"\$(~/.local/bin/uv python find 3.12)\""
}
{
    if [ -n "$version" ]; then
        echo "harness needs Python 3.10 or later; $python is $version. Type:"
    else
        echo "harness needs Python 3.10 or later; $python is missing or does not run. Type:"
    fi
    name="$(field ID) $(field VERSION_ID)"
    case "$system/$name" in
    Darwin/*)
        echo "  brew install python@3.12"
        echo "  make install PYTHON=python3.12      # macOS: real boards only, the emulated ones need Linux"
        ;;
    */"ubuntu 22."* | */"ubuntu 24."* | */"ubuntu 26."* | */"debian 12"* | */"debian 13"*)
        echo "  sudo apt-get install python3 python3-venv make git"
        echo "  make demo PYTHON=/usr/bin/python3"
        ;;
    *)
        # Ubuntu 20.04 has 3.8, Debian 11 has 3.9, and neither has a newer one to install.
        with_uv
        ;;
    esac
    echo "README.md, \"What to type where\", has the rest."
} >&2
exit 1
