"""Settings of a comparison, as the command line has them without options."""

from __future__ import annotations

from pathlib import Path

from harness.consistency.compare import CompareSettings
from harness.consistency.policy import load_policy
from harness.consistency.reading.hashed import hashed_beside
from harness.consistency.reading.readings import Choice
from harness.dumps.folders import gaps


def settings_of(
    choice: Choice,
    dumps: Path,
    policy: str,
    mapping: Path | None,
    graph: Path | None,
    *,
    isolate: bool,
    hypotheses: bool,
) -> CompareSettings:
    """How `dumps` are compared. Errors: ConfigError for a policy that cannot be read."""
    candidate = choice.candidate
    return CompareSettings(
        storages=candidate.storages,
        reading=choice.reading,
        gaps=gaps(candidate.dumps, candidate.platform),
        policy=load_policy(policy, None),
        mapping=mapping,
        hashes=True,
        hashed=hashed_beside(dumps),
        model=graph,
        isolate=isolate,
        hypotheses=hypotheses,
        platform=candidate.platform,
    )
