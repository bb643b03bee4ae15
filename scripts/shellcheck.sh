#!/bin/sh
# Checks shell scripts. Where the checker is missing that is said; in CI it is an error.
set -eu
if command -v shellcheck >/dev/null 2>&1; then
    exec shellcheck "$@"
fi
if [ -n "${CI-}" ]; then
    echo "FAILED: shellcheck is missing: apt-get install shellcheck" >&2
    exit 1
fi
printf '\nLEFT OUT: shellcheck is missing, shell scripts are not checked: sudo apt-get install shellcheck\n\n' >&2
