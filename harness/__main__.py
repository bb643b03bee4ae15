"""`python -m harness`, and the entry point of the console script."""

from __future__ import annotations


def main() -> None:
    from harness.cli import cli

    cli()


if __name__ == "__main__":
    main()
