"""What `harness report --as NAME` can make of a run: harness's own are in exporters/, others come by entry points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import ConfigError, HarnessError
from harness.extensions import Registry
from harness.records import Run


@dataclass(frozen=True)
class Exporter:
    """One format: `export` gives the text of a whole run, whatever parts the run lacks."""

    title: str  # for people, a few words
    export: Callable[[Run], str]


EXPORTERS = Registry("exporter", "harness.exporters", Exporter, "harness.report.exporters")


def exported(name: str, run: Run) -> str:
    """A run in that format. Errors: ConfigError for an unknown name, or for a package that fails at it."""
    exporter = EXPORTERS.get(name)
    try:
        text = exporter.export(run)
    except HarnessError:
        raise
    except Exception as error:
        if name in EXPORTERS.built_in:
            raise
        message = f"exporter {name!r} of an installed package failed: {type(error).__name__}: {error}"
        raise ConfigError(message, "repair or uninstall its package; harness report RUN --as list shows it") from error
    if not isinstance(text, str):
        raise ConfigError(f"exporter {name!r} gives a {type(text).__name__}, text is wanted", "see docs/extending.md")
    return text
