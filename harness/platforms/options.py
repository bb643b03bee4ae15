"""What platforms do alike with options: defaults under the board's under the job's, and what a time may be."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import ConfigError, InputError
from harness.records import BoardIdentity, Job

MOST_S = 30 * 86400.0  # of a profile


def merged_options(
    platform: str, known: Mapping[str, str], defaults: Mapping[str, object], board: BoardIdentity, job: Job
) -> dict[str, object]:
    """Defaults under the board's options under the job's. Errors: ConfigError for an unknown key of the board."""
    unknown = [key for key in board.options if key not in known]
    if unknown:
        raise ConfigError(
            f"board {board.name}: platform {platform} has no option {unknown[0]!r}",
            f"known: {', '.join(known)}",
        )
    given = {key: value for key, value in job.options.items() if key in known and value not in ("", None)}
    return {**defaults, **board.options, **given}


def seconds_of(values: Mapping[str, object]) -> float:
    """Option `time` in seconds, 0 when not given. Errors: InputError for anything else than 0 s to 30 days."""
    try:
        seconds = float(str(values["time"]))
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds <= MOST_S:
        raise InputError(f"option time={values['time']}: takes seconds, 0 to 30 days")
    return seconds
