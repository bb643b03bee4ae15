"""Options that say where a reference is computed: another interpreter, or a container image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from harness.cli.common import FiniteRange

if TYPE_CHECKING:
    from harness.records import ReferenceRuntime

Command = Callable[..., Any]

ENGINES = ("docker", "podman")


def _known_runtime(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Asked of the vendors' rooms when one is given, not when the help is printed."""
    if value is None:
        return None
    from harness.toolchains.vendor_runtime import names

    return str(click.Choice(names()).convert(value, option, context))


def runtime_options(command: Command) -> Command:
    """`--python`, `--image` and what goes with them: for `harness reference`."""
    for option in reversed(
        (
            click.option("--python", default="", metavar="PATH", help="Interpreter that can import the runtime."),
            click.option("--image", default="", metavar="NAME", help="Container image that holds the runtime."),
            click.option(
                *("--entrypoint", "entrypoint"),
                default="python3",
                show_default=True,
                metavar="PATH",
                help="Interpreter inside the image.",
            ),
            click.option("--engine", type=click.Choice(ENGINES), help="Default: the first one installed."),
            click.option(
                "--runtime",
                callback=_known_runtime,
                metavar="NAME",
                help="Runtime to use; default: as the model needs.",
            ),
            click.option(
                *("--timeout", "timeout_s"),
                default=3600.0,
                show_default=True,
                type=FiniteRange(0, min_open=True),
                metavar="SECONDS",
                help="Time limit of a run in --python or --image.",
            ),
        )
    ):
        command = option(command)
    return command


def reference_runtime_options(command: Command) -> Command:
    """`--reference-python` and `--reference-image`: where other commands compute an ONNX given as reference."""
    command = click.option(
        *("--reference-image", "reference_image"),
        default="",
        metavar="NAME",
        help="Container image that runs the reference ONNX (docker or podman).",
    )(command)
    return click.option(
        *("--reference-python", "reference_python"),
        default="",
        metavar="PATH",
        help="Python with the vendor's runtime that runs the reference ONNX.",
    )(command)


def runtime_of(python: str, image: str, prefix: str = "") -> ReferenceRuntime | None:
    """The runtime that was asked for; None where none was. Errors: UsageError for both."""
    from harness.records import ReferenceRuntime

    if python and image:
        raise click.UsageError(f"--{prefix}python and --{prefix}image cannot be used together.")
    return ReferenceRuntime(python=python, image=image) if python or image else None


class HasRuntime(Protocol):
    """Options of a command that has `reference_runtime_options`."""

    @property
    def reference_python(self) -> str:
        """The interpreter given with --reference-python; "" for none."""

    @property
    def reference_image(self) -> str:
        """The container image given with --reference-image; "" for none."""


def runtime_of_reference(given: HasRuntime) -> ReferenceRuntime | None:
    """`--reference-python` and `--reference-image`, whatever they run. Errors: UsageError for both."""
    return runtime_of(given.reference_python, given.reference_image, "reference-")


def _is_compiled(reference: str) -> bool:
    from harness.toolchains.vendor_runtime import is_compiled

    return is_compiled(Path(reference))


def reference_runtime_of(given: HasRuntime, reference: str) -> ReferenceRuntime | None:
    """The same of `--reference-python` and `--reference-image`, which are for a reference that is run."""
    runtime = runtime_of_reference(given)
    if runtime is not None and not (reference.lower().endswith(".onnx") or _is_compiled(reference)):
        option = "--reference-image" if runtime.image else "--reference-python"
        raise click.UsageError(f"{option} needs an ONNX as reference, not {reference or 'none'}.")
    return runtime
