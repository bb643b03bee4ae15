"""The PC's own side: could the reference be what is wrong, or be made under other conditions than the board's run?

With graph optimizations off, onnxruntime gave the same integers on every CPU that was tried. With them on it chooses
kernels by CPU flags; on an x86 without VNNI the 8-bit ones add pairs of products in 16 bits, which saturate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.consistency.checks.pc_rules import PC_RULES
from harness.consistency.metrics.pointwise import measure
from harness.consistency.origins.isolate import Isolator, Request
from harness.consistency.reading.tensor_files import Array
from harness.records import Checks, Finding, Json, Op, Run
from harness.reference.open import Reference

OFF = ("disabled", "disable")
SUMS = frozenset(("Conv", "ConvTranspose", "MatMul", "Gemm"))  # ops that add 8-bit products
MAX_TIE_STEP = 1  # correct kernels differ by one step where a sum lies on the edge between two
MAX_FLOAT_L2 = 1e-4  # float sums in another order differ by 1e-6
SHOWN = 5


@dataclass(frozen=True)
class UnstableOp:
    """An op of the reference that gives something else when it is run alone with optimizations off."""

    tensor: str
    op: str
    op_kind: str
    max_step: float | None
    mismatch_share: float
    relative_l2: float | None


@dataclass(frozen=True)
class BoardSession:
    """What is known of onnxruntime's session on the board."""

    onnxruntime: str = ""
    threads: int = 1
    optimizations: str = ""
    dumping_changed_outputs: bool = False


def check(reference: Reference, board: BoardSession | None = None) -> tuple[Finding, ...]:
    """Findings on the PC's side of a comparison. The reference's ops are run again only where its own conditions give
    cause: optimizations were on."""
    runner = reference.provenance.get("runner")
    if not isinstance(runner, Mapping):
        return ()
    unstable = unstable_ops(reference) if optimized(runner) else ()
    return findings(runner, unstable, board or BoardSession())


def check_run(reference: Reference, run: Run) -> tuple[Finding, ...]:
    """`check` with what run.json says of the board's session.

    Dumping changes outputs where it ends a fusion of onnxruntime: of another runtime, or where no two runs agree
    anyway, modes that differ say nothing of it.
    """
    version = run.versions.get("onnxruntime", "")
    checks = run.comparison.extras if run.comparison else Checks()
    differ = checks.debug_vs_release is not None and checks.debug_vs_release.same is False and bool(version)
    unstable = any(repeats.deterministic is False for repeats in checks.determinism.values())
    optimizations = str(run.case.options.get("optimizations", ""))
    return check(reference, BoardSession(version, run.case.threads, optimizations, differ and not unstable))


def optimized(runner: Mapping[str, Json]) -> bool:
    """Whether the reference ran with graph optimizations, by its own record."""
    return runner.get("optimizations", "disabled") not in OFF


def unstable_ops(reference: Reference) -> tuple[UnstableOp, ...]:
    """Run every op of the reference alone, on the reference's own inputs, with optimizations off; list those that
    differ beyond a tie. Empty where the ONNX is not known or not on this PC."""
    if reference.graph is None or reference.model is None or not reference.model.is_file():
        return ()
    made = {name: op for op in reference.graph.ops for name in op.outputs}
    requests = []
    for name, op in made.items():
        fed = {source: reference.tensors[source] for source in op.inputs if source in reference.tensors}
        if name in reference.tensors and len(fed) == len(op.inputs):
            requests.append(Request(name, {source: tensor.load() for source, tensor in fed.items()}))
    unstable = []
    for request, value in Isolator(reference.model).run(requests):
        unstable_op = None if value is None else _unstable_op(reference, request.target, made[request.target], value)
        if unstable_op is not None:
            unstable.append(unstable_op)
    return tuple(unstable)


def _unstable_op(reference: Reference, name: str, op: Op, value: Array) -> UnstableOp | None:
    tensor = reference.tensors[name]
    kept = tensor.load()
    if kept.dtype != value.dtype or kept.size != value.size:
        return None
    metrics = measure(kept, value.reshape(kept.shape), tensor.spec, tensor.spec)
    steps = metrics.max_step is not None and metrics.max_step > MAX_TIE_STEP
    floats = metrics.max_step is None and (metrics.relative_l2 or 0.0) > MAX_FLOAT_L2
    if not (steps or floats or not metrics.nonfinite_agree):
        return None
    return UnstableOp(name, op.name, op.kind, metrics.max_step, metrics.mismatch_share, metrics.relative_l2)


# --------------------------------------------------------------------------- findings


def findings(runner: Mapping[str, Json], unstable: Sequence[UnstableOp], board: BoardSession) -> tuple[Finding, ...]:
    """Findings from the reference's record (`runner` of its manifest), its doubtful ops and the board's session."""
    saturated = _lacks_vnni(runner) and any(unstable_op.op_kind in SUMS for unstable_op in unstable)
    made = [
        _saturation(runner, unstable) if saturated else _vnni(runner),
        None if saturated else _unstable(unstable),
        _optimizations(runner, board),
        _dumping(runner, board),
        _threads(runner, board),
        _versions(runner, board),
    ]
    return tuple(finding for finding in made if finding is not None)


def _made(rule_id: str, evidence: str, subject: str = "") -> Finding:
    rule = PC_RULES[rule_id]
    return Finding(rule.id, rule.severity, rule.title, evidence, rule.advice, subject, source=rule.source)


def _lacks_vnni(runner: Mapping[str, Json]) -> bool:
    """True for an x86 that is known to lack it, with optimizations on: off, no 8-bit kernels are used."""
    return runner.get("vnni") is False and optimized(runner)


def _listed(unstable: Sequence[UnstableOp]) -> str:
    rows = sorted(unstable, key=lambda unstable_op: -(unstable_op.max_step or 0.0))
    shown = [f"{d.op} ({d.op_kind}): {_size(d)}" for d in rows[:SHOWN]]
    return "; ".join(shown) + (f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")


def _size(unstable_op: UnstableOp) -> str:
    if unstable_op.max_step is None:
        return f"relative L2 {unstable_op.relative_l2 or 0.0:.2g}"
    return f"up to {unstable_op.max_step:g} steps in {unstable_op.mismatch_share:.2g} of its elements"


def _saturation(runner: Mapping[str, Json], unstable: Sequence[UnstableOp]) -> Finding:
    sums = [unstable_op for unstable_op in unstable if unstable_op.op_kind in SUMS]
    return _made(
        "P-401",
        evidence=f"no VNNI, optimizations {runner.get('optimizations')}; run alone without optimizations, "
        f"{len(sums)} ops give different results: {_listed(sums)}",
        subject=sums[0].op,
    )


def _vnni(runner: Mapping[str, Json]) -> Finding | None:
    if not _lacks_vnni(runner):
        return None
    return _made(
        "P-402",
        evidence=f"optimizations {runner.get('optimizations')}; 8-bit sums can saturate on such a CPU; "
        "no saturation found in this reference",
    )


def _unstable(unstable: Sequence[UnstableOp]) -> Finding | None:
    if not unstable:
        return None
    return _made(
        "P-403",
        evidence=_listed(unstable),
        subject=unstable[0].op,
    )


def _optimizations(runner: Mapping[str, Json], board: BoardSession) -> Finding | None:
    if not optimized(runner):
        return None
    other = f", on the board {board.optimizations}" if board.optimizations else ""
    return _made(
        "P-404",
        evidence=f"optimizations {runner.get('optimizations')} on the PC{other}: the kernels depend on the CPU",
    )


def _dumping(runner: Mapping[str, Json], board: BoardSession) -> Finding | None:
    sides = [
        side
        for side, changed in (
            ("PC", runner.get("dumping_changed_outputs") is True),
            ("board", board.dumping_changed_outputs),
        )
        if changed
    ]
    if not sides:
        return None
    return _made(
        "P-405",
        evidence=f"seen on the {' and the '.join(sides)}: saving a tensor breaks an op fusion",
    )


def _threads(runner: Mapping[str, Json], board: BoardSession) -> Finding | None:
    pc, device = runner.get("threads", 1), board.threads
    if pc == device == 1:
        return None
    return _made(
        "P-406",
        evidence=f"threads: {pc} on the PC, {device} on the board; float sums may be accumulated in a different order",
    )


def _versions(runner: Mapping[str, Json], board: BoardSession) -> Finding | None:
    pc, on_board = runner.get("onnxruntime"), board.onnxruntime
    if not pc or not on_board or pc == on_board:
        return None
    return _made(
        "P-407",
        evidence=f"{pc} on the PC, {on_board} on the board",
    )
