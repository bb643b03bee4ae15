"""`python -m harness`, and the entry point of the console script."""

from __future__ import annotations


def main() -> None:
    """The command `harness`: runs the words of sys.argv and ends the process with the command's exit code."""
    import os
    import sys

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is loaded: harness has threads of its own
    try:
        from harness.cli import cli, endings
    except KeyboardInterrupt:
        sys.exit(3)
    endings.install()
    try:
        cli(prog_name="harness")
    except SystemExit as end:
        sys.exit(endings.exit_code(end.code))


if __name__ == "__main__":
    main()
