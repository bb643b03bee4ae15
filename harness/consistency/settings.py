"""How to compare: what a caller of `compare` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.consistency.policy import Policy, load_policy
from harness.consistency.reading.hashed import HashedDump, hashed_beside
from harness.consistency.reading.matching import Rules
from harness.consistency.reading.readings import Choice
from harness.consistency.reading.specs import Storages
from harness.dumps.folders import gaps, is_float_side, runs_onnxruntime
from harness.dumps.manifest import MANIFEST, read_manifest
from harness.errors import InputError
from harness.records import Dump, Gap, Graph, Reading
from harness.records.callbacks import ProgressCallback
from harness.reference.open import Reference


@dataclass(frozen=True)
class CompareSettings:
    """How to compare. `mapping` is dump name -> reference name, or a YAML file of such lines."""

    storages: Storages | None = None
    policy: Policy | None = None
    mapping: Path | Mapping[str, str] | None = None
    rules: Rules | None = None
    graph: Graph | None = None  # instead of the reference's own
    model: Path | None = None  # the ONNX for single ops, instead of the reference's own
    board_model: Path | None = None  # the ONNX that the board executed, where it executes one
    isolate: bool = True
    hypotheses: bool = True  # run variants of the ops that are wrong alone
    floats: Reference | None = None  # a float reference: three-way noise ratios
    previous: Reference | None = None  # tensors of the frame before, where they are kept: tells stale data
    repeats: Sequence[Sequence[Dump]] = ()  # what other runs of the same input left
    gaps: Sequence[Gap] | None = None  # layers that the dumps' own numbers miss; None: they carry no numbers
    reading: Reading | None = None  # how the dumps are read, where that was chosen; None: `compare` asks their values
    float_side: bool = False  # whether the reference is a toolchain's own float graph, by how it lies there
    hashes: bool = True  # whether the rows tell the md5 of both sides
    hashed: Mapping[Path, HashedDump] = field(default_factory=dict)  # dumps that were hashed on the board, not pulled
    platform: str = ""
    runs_onnxruntime: bool = False  # a Resize of integers may be cut towards zero, as its kernel does
    toolchain: str = ""
    progress: ProgressCallback | None = None


def settings_of(
    given: CompareSettings,
    choice: Choice,
    reference: Path,
    dumps: Path,
    policy: str = "",
    min_coverage: float | None = None,
) -> CompareSettings:
    """`given`, with what both folders say of themselves: the same for a command line and for a script.

    `policy` is a built-in name or a file, `min_coverage` percent. Errors: ConfigError for a policy that is not read.
    """
    candidate = choice.candidate
    return replace(
        given,
        storages=candidate.storages,
        reading=choice.reading,
        gaps=gaps(candidate.dumps, candidate.platform),
        policy=load_policy(policy, min_coverage),
        float_side=is_float_side(reference),
        hashed=hashed_beside(dumps),
        platform=candidate.platform,
        runs_onnxruntime=runs_onnxruntime(candidate.platform),
    )


def refuse_swapped(reference: Reference, dumps: Path) -> None:
    """Dumps for REFERENCE and a reference for DUMPS would be compared with every file of another size.

    Errors: InputError.
    """
    if reference.graph is None and (dumps / MANIFEST).is_file() and "runner" in read_manifest(dumps):
        raise InputError(
            f"REFERENCE and DUMPS are swapped: {dumps} is a reference folder",
            "swap them: harness compare REFERENCE DUMPS",
        )
