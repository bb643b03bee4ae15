"""Is the op that is blamed the op that is guilty? Faults planted at random ops of networks, and clean runs.

A case: a network runs with one tensor changed by a fault of the emulator's catalogue and goes on with the wrong
values; what each op gives is written as the board keeps it (channels last, padded); harness compares it with the
reference. The frame that ran before is known, as it is where a run keeps it (`harness compare --previous`). A clean
run: another input, and in every second one the benign differences that accelerators do show (one step, in half a
percent of what lookup tables and interpolation give), carried through the network. A change that the policy allows at
an op is no fault there and is planted at another op.

    python benchmarks/truth.py [--json] [--seeds 10] [--clean 300] [--kinds scale,bias_dropped]
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

if __package__ in (None, ""):
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.truth_parts.truth_models import MODELS, Array, inputs_of, quantized, recomputed, run_with
from benchmarks.truth_parts.truth_score import RIGHT, Ground, PlantedCase, Score, score, table, totals
from harness import platforms
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.metrics.pointwise import measure
from harness.consistency.policy import Subject, load_policy
from harness.consistency.verdicts import judge as verdict_of
from harness.emulator.model.fault_kinds import FaultContext
from harness.emulator.model.faults import Fault, apply_fault, catalogue
from harness.emulator.model.layout import pack, stored
from harness.errors import UserError
from harness.records import Comparison, Dump
from harness.reference.open import Reference, ReferenceTensor, run_reference

PLATFORM = "hbdnn"
FLOAT_MODELS = ("cnn", "transformer")  # networks that also run as floats: NaN and infinity need them
# Before rounding, a factor or an offset of whole steps is no harder than after it.
FIGURES = {"scale": ("0.83", "1.1", "1.27"), "zero_point": ("2.6", "-3.4", "5.5")}
BENIGN_KINDS = ("Softmax", "Sigmoid", "Tanh", "Resize", "LayerNormalization")
BENIGN_SHARE = 0.005
HIDDEN_KINDS = ("halved", "permuted", "tile", "off_by_one")
TRIES = 40  # ops asked until one takes the fault


# --------------------------------------------------------------------------- ground


def grounds(folder: Path, inputs: int) -> list[Ground]:
    """Every network, quantized, and some as floats; `inputs` references each."""
    logging.getLogger().setLevel(logging.ERROR)  # the quantizer recommends a pre-processing of its own
    made = [_ground(name, quantized(MODELS[name](0), folder, name), inputs) for name in MODELS]
    return made + [_ground(f"{name}_float", folder / f"{name}.onnx", inputs) for name in FLOAT_MODELS]


def _ground(name: str, path: Path, inputs: int) -> Ground:
    model = onnx.load(str(path))
    references = [
        run_reference(path, inputs_of(model, 100 + seed), path.parent / f"{name}-{seed}") for seed in range(inputs)
    ]
    return Ground(name, tuple(references), model)


# --------------------------------------------------------------------------- planting


def plant(ground: Ground, kind: str, seed: int) -> PlantedCase | None:
    """A case of `kind` at a random op; None where no op of this network takes it."""
    rng = np.random.default_rng([seed, *kind.encode()])
    reference = ground.references[seed % len(ground.references)]
    where = catalogue()[kind].where
    if where in ("input", "inputs"):
        return _plant_input(ground, kind, reference, seed)
    for tensor in rng.permutation(ground.ops)[:TRIES]:
        case = _plant_op(ground, kind, str(tensor), reference, seed)
        if case is not None:
            return case
    return None


def _plant_op(ground: Ground, kind: str, tensor: str, reference: Reference, seed: int) -> PlantedCase | None:
    right = np.array(reference.tensors[tensor].load())
    other = ground.references[(seed + 1) % len(ground.references)]
    wrong = _changed(kind, tensor, right, np.array(other.tensors[tensor].load()), reference, seed)
    if wrong is None or _is_within(wrong, right, reference.tensors[tensor]):
        return None
    again: tuple[Mapping[str, Array], ...] = ()
    if kind == "nondeterminism":
        second = _changed(kind, tensor, right, right, reference, seed + 1000)
        assert second is not None
        again = (run_with(reference, {tensor: second}),)
    values = run_with(reference, {tensor: wrong})
    return PlantedCase(ground, kind, tensor, values, reference, before=other, again=again)


def _changed(kind: str, tensor: str, right: Array, earlier: Array, reference: Reference, seed: int) -> Array | None:
    spec = reference.tensors[tensor].spec
    assert spec is not None
    figures = FIGURES.get(kind)
    args = {"seed": str(seed), **({"by": figures[seed % len(figures)]} if figures else {})}
    fault = Fault(f"{kind}@{tensor}", kind, tensor, args, tensor, seed)
    scene = FaultContext(stored(spec, "BPU", PLATFORM), spec, earlier, partial(recomputed, reference, tensor))
    try:
        return apply_fault(fault, right, scene)
    except UserError:
        return None


def _is_within(wrong: Array, right: Array, tensor: ReferenceTensor) -> bool:
    """A change that the policy allows at this op (one step in a few elements of a softmax) is no fault: it is what
    other silicon does. Such a fault is planted at another op."""
    form = "float" if right.dtype.kind == "f" else "integer"
    assert tensor.spec is not None
    limits = load_policy().limits(Subject(tensor.op_kind, tensor.spec.dtype, form, "BPU", PLATFORM))
    return verdict_of(measure(wrong, right, tensor.spec, tensor.spec), form, limits).verdict != "differs"


def _plant_input(ground: Ground, kind: str, reference: Reference, seed: int) -> PlantedCase | None:
    feed = {t.name: np.array((t.alternate or t).load()) for t in reference.tensors.values() if t.is_input}
    names = sorted(feed)
    if kind == "swapped_inputs":
        if len(names) < 2:
            return None
        feed[names[0]], feed[names[1]] = feed[names[1]], feed[names[0]]
        return PlantedCase(ground, kind, "", run_with(reference, {}, feed), reference, with_inputs=False)
    spec = reference.tensors[names[0]].spec
    assert spec is not None
    fault = Fault(f"{kind}@{names[0]}", kind, names[0], {}, names[0], seed)
    try:
        feed[names[0]] = apply_fault(fault, feed[names[0]], FaultContext(spec, spec)).astype(feed[names[0]].dtype)
    except UserError:
        return None
    return PlantedCase(ground, kind, names[0], run_with(reference, {}, feed), reference, with_inputs=seed % 2 == 0)


# --------------------------------------------------------------------------- judging


def board_dumps(case: PlantedCase, values: Mapping[str, Array], folder: Path) -> list[Dump]:
    """The files that a board would leave: as it keeps the tensors, padding undefined, no spec told."""
    folder.mkdir(parents=True, exist_ok=True)
    dumps = []
    for i, tensor in enumerate(case.reference.tensors.values()):
        if (tensor.is_input and not case.with_inputs) or tensor.name in case.hidden:
            continue
        spec = tensor.spec
        assert spec is not None
        path = folder / f"{i:04d}.bin"
        path.write_bytes(pack(values[tensor.name], stored(spec, "BPU", PLATFORM), seed=i))
        role = "input" if tensor.is_input else "output"
        dumps.append(Dump(tensor.name, path, unit="BPU", index=i, role=role))
    return dumps


def judge(case: PlantedCase, folder: Path) -> Comparison:
    dumps = board_dumps(case, case.values, folder / "run")
    again = [board_dumps(case, {**case.values, **v}, folder / f"again{i}") for i, v in enumerate(case.again)]
    storages = platforms.load(PLATFORM).storages
    settings = CompareSettings(storages, load_policy(), platform=PLATFORM, repeats=again, previous=case.before)
    return compare(case.reference, dumps, settings)


# --------------------------------------------------------------------------- layers that were not dumped


def hide(case: PlantedCase, seed: int) -> PlantedCase | None:
    """The case with a third of its layers not dumped; None where no layer that is left shows the fault."""
    rng = np.random.default_rng(seed)
    inner = [t.name for t in case.reference.tensors.values() if not t.is_input and not t.is_output]
    hidden = frozenset(name for name in inner if rng.random() < 1 / 3)
    seen = [t for t in case.reference.tensors.values() if t.name not in hidden and not t.is_input]
    shown = any(not _is_within(case.values[t.name], np.array(t.load()), t) for t in seen)
    return replace(case, hidden=hidden) if shown else None


def hidden_runs(made: list[Ground], seeds: int, folder: Path) -> Score:
    """Detection and origins (or intervals) of a few kinds of fault when much was not seen."""
    score_of_all = Score()
    for kind, ground, seed in itertools.product(HIDDEN_KINDS, made, range(seeds)):
        case = plant(ground, kind, 1000 + seed)
        case = hide(case, seed) if case is not None else None
        if case is not None:
            score(case, judge(case, folder), score_of_all)
    return score_of_all


# --------------------------------------------------------------------------- clean runs


def clean_runs(made: list[Ground], count: int, folder: Path) -> Iterator[Comparison]:
    """Runs without a fault: every second one with the differences that are no fault."""
    for i in range(count):
        ground = made[i % len(made)]
        reference = ground.references[i // len(made) % len(ground.references)]
        values = run_with(reference, _benign(ground, reference, i) if i % 2 else {})
        yield judge(PlantedCase(ground, "", "", values, reference, with_inputs=True), folder)


def _benign(ground: Ground, reference: Reference, seed: int) -> dict[str, Array]:
    """One step, here and there, at one op that is known for it."""
    rng = np.random.default_rng(seed)
    tensors = [t for t in reference.tensors.values() if t.op_kind in BENIGN_KINDS and t.spec and t.spec.dtype == "s8"]
    if not tensors:
        return {}
    tensor = tensors[rng.integers(len(tensors))]
    value = np.array(tensor.load()).astype(np.int16)
    hit = rng.random(value.shape) < BENIGN_SHARE
    value += hit * rng.choice([-1, 1], value.shape).astype(np.int16)
    return {tensor.name: np.clip(value, -128, 127).astype(np.int8)}


# --------------------------------------------------------------------------- table


def evaluate(seeds: int, clean: int, folder: Path, kinds: Sequence[str] = tuple(RIGHT)) -> dict[str, Any]:
    """Scores per kind of fault, and the clean runs."""
    made = grounds(folder, inputs=4)
    scores: dict[str, Score] = {kind: Score() for kind in kinds}
    for kind in kinds:
        for ground in made:
            for seed in range(seeds):
                case = plant(ground, kind, seed)
                if case is not None:
                    score(case, judge(case, folder / "case"), scores[kind])
    words: dict[str, int] = defaultdict(int)
    blamed = 0
    for comparison in clean_runs(made, clean, folder / "case"):
        words[comparison.verdict.word] += 1
        blamed += comparison.verdict.exit_code != 0 or bool(comparison.origins)
    return {
        "scores": scores,
        "hidden": hidden_runs(made, seeds, folder / "case"),
        "words": dict(words),
        "clean_runs": clean,
        "false_alarms": blamed,
        "models": len(made),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--seeds", type=int, default=10, help="cases per network and kind of fault")
    parser.add_argument("--kinds", default="", help="kinds of fault, with commas; default: all")
    parser.add_argument("--clean", type=int, default=300, help="runs without a fault")
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="harness-truth-") as folder:
        result = evaluate(
            given.seeds, given.clean, Path(folder), given.kinds.split(",") if given.kinds else tuple(RIGHT)
        )
    print(table(result))
    print(f"\n{result['models']} networks, {given.seeds} seeds, {time.perf_counter() - started:.0f} s")
    if given.json:
        print(json.dumps(totals(result)))


if __name__ == "__main__":
    main()
