"""Cases of benchmarks/foreign.py: correct runs in many runtimes, and mistakes planted at random ops of networks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.foreign_parts.data_mistakes import DATA_MISTAKES
from benchmarks.foreign_parts.float_mistakes import FLOAT_MISTAKES
from benchmarks.foreign_parts.half import to_half
from benchmarks.foreign_parts.integer_mistakes import INTEGER_MISTAKES
from benchmarks.foreign_parts.networks import ForeignNetwork
from benchmarks.foreign_parts.surgery import Mistake, Patient
from harness.reference.open import Reference, run_reference

Array = NDArray[Any]
MISTAKES: tuple[Mistake, ...] = (*FLOAT_MISTAKES, *INTEGER_MISTAKES, *DATA_MISTAKES)
PER_MISTAKE = 2  # cases of each mistake, each in another network and runtime where there is one
TRIES = 5  # seeds until a mistake has an effect
LEAST_RELATIVE = 2e-3  # of what a mistake does to its op's result, relative L2: less is lost in half precision anyway
LEAST_SHARE = 0.02  # of the integers that it moves


@dataclass(frozen=True)
class Setup:
    """How a runtime is used. `dumps`: "all" tensors, a "third" (ops in between are fused as usual), or "outputs".

    `policy`: what its user tells the command, where no tensor that is dumped can show the precision.
    """

    name: str
    runtime: str
    options: Mapping[str, Any] = field(default_factory=dict)
    dumps: str = "all"
    half: bool = False
    policy: str = ""


FLOAT_SETUPS = (
    Setup("onnxruntime", "onnxruntime"),
    Setup("openvino", "openvino"),
    Setup("onnxruntime fused", "onnxruntime", dumps="third"),
    Setup("openvino fused", "openvino", dumps="third"),
    Setup("onnxruntime f16", "onnxruntime", half=True),
    Setup("openvino f16 weights", "openvino", {"f16_weights": True}),
    Setup("openvino f16 weights, fused", "openvino", {"f16_weights": True}, dumps="third"),
    Setup("ncnn", "ncnn", dumps="outputs"),
    Setup("ncnn bf16", "ncnn", {"bf16": True}, dumps="outputs", policy="bf16"),
    Setup("mnn", "mnn", dumps="outputs"),
    Setup("onnxruntime unoptimized", "onnxruntime", {"optimizations": "DISABLE_ALL"}),
)
PLAIN = {"transforms": False}  # OpenVINO without its low precision transformations: as ops on floats and quantizers
INTEGER_SETUPS = (
    Setup("onnxruntime", "onnxruntime"),
    Setup("onnxruntime fused", "onnxruntime", dumps="third"),
    Setup("onnxruntime basic", "onnxruntime", {"optimizations": "ENABLE_BASIC"}),
    Setup("openvino", "openvino"),
    Setup("openvino fused", "openvino", dumps="third"),
    Setup("openvino untransformed", "openvino", PLAIN),
)
PLANTED_SETUPS = (
    Setup("onnxruntime", "onnxruntime"),
    Setup("openvino", "openvino"),
    Setup("onnxruntime extended", "onnxruntime", {"optimizations": "ENABLE_EXTENDED"}),
)
PLANTED_INTEGER_SETUPS = (*PLANTED_SETUPS, Setup("openvino untransformed", "openvino", PLAIN))
FORMS = ("npz", "npy", "bin")
PC_FORMS = ("folder", "npz")


class Ground:
    """A network with the reference of its input, and of the frame before, computed when they are needed."""

    def __init__(self, network: ForeignNetwork, folder: Path) -> None:
        self.network, self.folder = network, folder / network.name
        self.folder.mkdir(parents=True, exist_ok=True)

    def _reference(self, frame: int) -> Reference:
        return run_reference(self.network.path, self.network.frames[frame], self.folder / f"reference{frame}")

    @cached_property
    def reference(self) -> Reference:
        return self._reference(0)

    @cached_property
    def before(self) -> Path:
        return self.folder / "reference1" if self._reference(1).tensors else self.folder

    @cached_property
    def values(self) -> dict[str, Array]:
        """By ONNX name: what the network computes, and its inputs."""
        computed = {t.onnx_name: np.array(t.load()) for t in self.reference.tensors.values()}
        return {**computed, **self.network.frames[0]}

    @cached_property
    def pc(self) -> Mapping[str, Path]:
        """The reference in the forms that people have it in."""
        archive = self.folder / "pc.npz"
        tensors: dict[str, Any] = {t.onnx_name: t.load() for t in self.reference.tensors.values()}
        np.savez(archive, **{**tensors, **self.network.frames[0]})
        return {"folder": self.folder / "reference0", "npz": archive}

    def op_of(self, onnx_name: str) -> str:
        return next((t.op for t in self.reference.tensors.values() if t.onnx_name == onnx_name), "")

    def logical(self, onnx_name: str) -> str:
        return next((t.name for t in self.reference.tensors.values() if t.onnx_name == onnx_name), onnx_name)


@dataclass
class BoardCase:
    """One run of a board. `guilty`: the ONNX tensor whose op is wrong; "" of a correct run."""

    name: str
    ground: Ground
    setup: Setup
    form: str
    pc_form: str
    mistake: Mistake | None = None
    guilty: str = ""
    model: Path = Path()
    feeds: Mapping[str, Array] = field(default_factory=dict)
    patches: Sequence[Mapping[str, str]] = ()

    @property
    def slug(self) -> str:
        """The name as a file's name."""
        return re.sub("[^a-z0-9]+", "-", self.name.lower())


# --------------------------------------------------------------------------- correct


def without_vnni() -> bool:
    """Whether this is an x86 processor whose 8-bit products are added in 16 bits, and saturate there."""
    flags = Path("/proc/cpuinfo")
    text = flags.read_text(encoding="utf-8") if flags.exists() else ""
    return "avx2" in text and "vnni" not in text


def unfit(setup: Setup, network: ForeignNetwork) -> str:
    """Why a runtime computes such a network wrongly, each found by the runtime alone (docs/truth.md); "" where it does
    not."""
    if setup.runtime == "ncnn" and resizes_asymmetrically(network.model()):
        return "ncnn's converter knows no asymmetric coordinates of a linear Resize: it computes half_pixel"
    if setup.runtime == "mnn" and any(node.op_type == "Erf" for node in network.model().graph.node):
        return "MNN's converter turns GELU into its form by tanh"
    if setup.runtime != "openvino" or not network.quantized or setup.options.get("transforms") is False:
        return ""
    if without_vnni():
        return "this processor has no VNNI: OpenVINO's sums of 8-bit products saturate"
    if joins_scales(network.model()):
        return (
            "OpenVINO's low precision transformations break the Conv behind a Concat of int8 tensors with other scales"
        )
    return ""


def resizes_asymmetrically(model: onnx.ModelProto) -> bool:
    """Whether there is a linear Resize with the coordinates that some converters do not know."""
    resizes = [{a.name: a.s for a in node.attribute} for node in model.graph.node if node.op_type == "Resize"]
    return any(
        given.get("mode") == b"linear" and given.get("coordinate_transformation_mode") == b"asymmetric"
        for given in resizes
    )


def joins_scales(model: onnx.ModelProto) -> bool:
    """Whether a Concat joins int8 tensors of different scales, and a Conv reads it; of uint8 it is computed right."""
    maker = {name: node for node in model.graph.node for name in node.output}
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}

    def scale(name: str) -> float | None:
        node = maker.get(name)
        known = node is not None and node.op_type == "DequantizeLinear" and set(node.input[1:]) <= weights.keys()
        if node is None or not known or len(node.input) < 3 or weights[node.input[2]].dtype != np.int8:
            return None
        return float(weights[node.input[1]].reshape(-1)[0])

    def leads_from(name: str, kinds: Sequence[str]) -> onnx.NodeProto | None:
        node = maker.get(name)
        while node is not None and node.op_type in kinds:
            node = maker.get(node.input[0])
        return node

    quantizers = ("QuantizeLinear", "DequantizeLinear")
    fed = [leads_from(node.input[0], quantizers) for node in model.graph.node if node.op_type == "Conv"]
    joined = [node for node in fed if node is not None and node.op_type == "Concat"]
    return any(len({scale(name) for name in node.input} - {None}) > 1 for node in joined)


def fitting(setups: Sequence[Setup], network: ForeignNetwork, runtimes: Sequence[str]) -> list[Setup]:
    """The setups that can be expected to compute such a network right here."""
    return [s for s in setups if s.runtime in runtimes and not unfit(s, network)]


def unfit_setups(grounds: Sequence[Ground], runtimes: Sequence[str]) -> dict[str, str]:
    """Correct runs that are left out, with the reason."""
    pairs = [
        (ground.network, setup)
        for ground in grounds
        for setup in (INTEGER_SETUPS if ground.network.quantized else FLOAT_SETUPS)
        if setup.runtime in runtimes
    ]
    return {f"{net.name}, {setup.name}": reason for net, setup in pairs if (reason := unfit(setup, net))}


def correct_cases(grounds: Sequence[Ground], runtimes: Sequence[str]) -> list[BoardCase]:
    """Every network in every setup that it has."""
    cases: list[BoardCase] = []
    for ground in grounds:
        setups = INTEGER_SETUPS if ground.network.quantized else FLOAT_SETUPS
        for setup in fitting(setups, ground.network, runtimes):
            i = len(cases)
            name = f"{ground.network.name}, {setup.name}"
            case = BoardCase(name, ground, setup, FORMS[i % len(FORMS)], PC_FORMS[i % len(PC_FORMS)])
            case.feeds = ground.network.frames[0]
            cases.append(case)
    return cases


# --------------------------------------------------------------------------- planted


def planted_plan(grounds: Sequence[Ground], runtimes: Sequence[str]) -> list[tuple[Mistake, Ground, Setup, int]]:
    """Which mistake is tried in which network, in which order; more than are needed, as not every network takes it."""
    plan = []
    for i, mistake in enumerate(MISTAKES):
        fit = [g for g in grounds if mistake.quantized is None or mistake.quantized == g.network.quantized]
        first = i % max(1, len(fit))
        for j, ground in enumerate([*fit[first:], *fit[:first]]):
            of_network = PLANTED_INTEGER_SETUPS if ground.network.quantized else PLANTED_SETUPS
            setups = fitting(of_network, ground.network, runtimes)
            plan.append((mistake, ground, setups[(i + j) % len(setups)], 100 * i + j))
    return plan


def planted_cases(plan: Sequence[tuple[Mistake, Ground, Setup, int]], most: int, folder: Path) -> Iterator[BoardCase]:
    """`most` cases of each mistake, as far as networks take it."""
    for _, tried in itertools.groupby(plan, key=lambda entry: entry[0].name):
        made = (case for entry in tried if (case := _planted(*entry, folder)) is not None)
        yield from itertools.islice(made, most)


def case_name(mistake: Mistake, ground: Ground, setup: Setup) -> str:
    return f"{mistake.name}, {ground.network.name}, {setup.name}"


def _planted(mistake: Mistake, ground: Ground, setup: Setup, seed: int, folder: Path) -> BoardCase | None:
    for attempt in range(TRIES):
        patient = Patient(ground.network, ground.values, seed + 1000 * attempt)
        guilty = next(mistake.plant(patient), "")
        if not guilty:
            return None
        if mistake.where != "op" or has_effect(patient, guilty):
            case = BoardCase(
                case_name(mistake, ground, setup), ground, setup, FORMS[seed % 3], PC_FORMS[seed % 2], mistake, guilty
            )
            case.model = folder / f"{case.slug}.onnx"
            onnx.save(patient.model, case.model)
            case.feeds, case.patches = patient.feeds, patient.patches
            return case
    return None


def has_effect(patient: Patient, guilty: str) -> bool:
    """Whether the op's own result is off by more than noise, as this PC computes it."""
    import onnxruntime

    model = onnx.ModelProto()
    model.CopyFrom(patient.model)
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name=guilty))
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        wrong = session.run([guilty], dict(patient.feeds))[0]
    except Exception:  # onnxruntime's exceptions share no narrower base
        return False
    right = patient.values[guilty]
    if wrong.shape != right.shape or not np.isfinite(wrong).all():
        return False
    if right.dtype.kind != "f":
        return float(np.mean(wrong != right)) >= LEAST_SHARE
    size = float(np.linalg.norm(right.astype(np.float64)))
    return float(np.linalg.norm(wrong.astype(np.float64) - right)) >= LEAST_RELATIVE * size > 0


# --------------------------------------------------------------------------- what the runtime is told


def names_to_dump(case: BoardCase) -> list[str]:
    """ONNX tensors that the board leaves, inputs among them."""
    tensors = case.ground.reference.tensors.values()
    outputs = [t.onnx_name for t in tensors if t.is_output]
    if case.setup.dumps == "outputs":
        return outputs
    inner = [t.onnx_name for t in tensors if not t.is_output]
    if case.setup.dumps == "third":
        rng = np.random.default_rng(len(inner))
        inner = [name for name in inner if rng.random() < 1 / 3]
    return [*case.feeds, *inner, *outputs]


def job_of(case: BoardCase, folder: Path) -> dict[str, Any]:
    """The job for the runner, its model and feeds written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    model = onnx.load(str(case.model if case.mistake is not None else case.ground.network.path))
    names = names_to_dump(case)
    feeds, before = dict(case.feeds), dict(case.ground.network.frames[1])
    if case.setup.half:
        model = to_half(model)
        feeds = {name: value.astype(np.float16) for name, value in feeds.items()}
    known = {o.name for o in model.graph.output} | {i.name for i in model.graph.input}
    made = {output for node in model.graph.node for output in node.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in dict.fromkeys(names) if n in made and n not in known)
    onnx.save(model, folder / "board.onnx")
    outputs = [(t.onnx_name, t.spec.shape) for t in case.ground.reference.tensors.values() if t.is_output and t.spec]
    return {
        "runtime": case.setup.runtime,
        "model": str(folder / "board.onnx"),
        "feeds": _written(feeds, folder, "feed"),
        "feeds_before": _written(before, folder, "before"),
        "names": names,
        "outputs": outputs,
        "options": dict(case.setup.options),
        "patches": list(case.patches),
        "folder": str(folder / "dumps"),
        "form": case.form,
    }


def _written(values: Mapping[str, Array], folder: Path, prefix: str) -> dict[str, str]:
    paths = {}
    for i, (name, value) in enumerate(values.items()):
        np.save(folder / f"{prefix}{i}.npy", value)
        paths[name] = str(folder / f"{prefix}{i}.npy")
    return paths
