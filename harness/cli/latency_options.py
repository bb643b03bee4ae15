"""Options of `harness run` that say how long is measured and what the latency is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from harness.cli.common import FiniteRange

Command = Callable[..., Any]


def latency_options(command: Command) -> Command:
    """`--threads`, `--frames`, `--time` and `--rounds`: the profile run."""
    count = click.IntRange(1)
    for option in reversed(
        (
            click.option(
                "--threads", metavar="N", default=1, show_default=True, type=count, help="Threads of the profile run."
            ),
            click.option(
                "--frames", metavar="N", default=200, show_default=True, type=count, help="Frames of the profile run."
            ),
            click.option(
                *("--time", "time_s"),
                default=0.0,
                type=FiniteRange(0),
                metavar="SECONDS",
                help="Profile for SECONDS instead of --frames. Multiples of 60 where the board's tool counts minutes.",
            ),
            click.option(
                "--rounds",
                metavar="N",
                default=1,
                show_default=True,
                type=count,
                help="Separate profile runs; from 3 on the latency has an interval whatever the tool prints.",
            ),
        )
    ):
        command = option(command)
    return command


def baseline_options(command: Command) -> Command:
    """`--previous` and `--max-slower`."""
    for option in reversed(
        (
            click.option(
                "--previous",
                default="",
                metavar="RUN|DIR|auto",
                help="Baseline for verdicts and latency: a run, or DIR for its newest like run, where it has one "
                "(auto: --runs).",
            ),
            click.option(
                *("--max-slower", "max_slower_percent"),
                type=FiniteRange(0),
                metavar="PERCENT",
                help="Exit 1 if the median latency is surely (95 %) more than PERCENT above --previous.",
            ),
        )
    ):
        command = option(command)
    return command
