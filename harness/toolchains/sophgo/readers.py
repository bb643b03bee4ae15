"""tpu-mlir's files: calibration and quantize tables, `*_tpu.mlir`, logs of model_deploy, npz_tool, engine profiles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from harness.platforms.sophgo.info import read_info
from harness.platforms.sophgo.profile import ops_of_text
from harness.records import Message, TensorSpec
from harness.toolchains.base import text_reader
from harness.toolchains.records import Artifact, Check, LayerCost, PlannedNode, Similarity
from harness.toolchains.text import Line, lines_of, number_of

VERSION = re.compile(r"(?:TPU-MLIR|mlir version:) (v[0-9]\S*)")
MOST_NAMED = 20  # layers that stand twice
MODES = ("INT8", "UINT8", "INT4", "F16", "BF16", "F32", "W8F16", "W8BF16", "W4F16", "W4BF16", "F8E4M3", "F8E5M2")

# --------------------------------------------------------------------------- calibration table

_TABLE_HEAD = re.compile(r"^#[ \t]*op_name[ \t]+threshold[ \t]+min[ \t]+max", re.MULTILINE)


def read_calibration_table(text: str) -> Artifact:
    """Threshold and range of every tensor, and how they were found."""
    nodes, ranges, damaged = [], [], 0
    for line in lines_of(text):
        if not line.text.strip() or line.text.startswith("#"):
            continue
        name, *cells = line.text.strip().rsplit(None, 3)
        figures = [number_of(cell) for cell in cells] if line.whole else []
        if len(figures) != 3 or None in figures:
            damaged += 1
            continue
        nodes.append(PlannedNode(name, unit="", kind=_kind(name), threshold=figures[0]))
        named = zip(("threshold", "min", "max"), figures, strict=True)
        ranges.append(Similarity(name, "range", metrics={key: value for key, value in named if value is not None}))
    return Artifact(
        kind="sophgo_calibration_table",
        title="calibration table of tpu-mlir",
        versions=_versions(text),
        nodes=tuple(nodes),
        similarities=tuple(ranges),
        facts=_comments(text),
        problems=_damage(damaged),
    )


def _comments(text: str) -> dict[str, object]:
    """The table's own remarks: `method` of the thresholds, `samples` that they come from."""
    facts: dict[str, object] = {}
    for key, pattern in (
        ("method", r"calculation method: \[?'?([\w, ']+?)'?\]?$"),
        ("samples", r"sample number: (\d{1,9})$"),
    ):
        if match := re.search(pattern, text, re.MULTILINE):
            facts[key] = int(match[1]) if match[1].isdigit() else match[1]
    return facts


def _kind(name: str) -> str:
    match = re.search(r"_([A-Z][A-Za-z0-9]*)$", name)
    return match[1] if match else ""


def _versions(text: str) -> dict[str, str]:
    match = VERSION.search(text)
    return {"tpu-mlir": match[1][:100]} if match else {}


def _damage(count: int) -> tuple[str, ...]:
    return (f"{count} rows are damaged, left out",) if count else ()


# --------------------------------------------------------------------------- quantize table

_LAYER_MODE = re.compile(rf"^(\S+)\s+({'|'.join(MODES)})$")


def is_quantize_table(text: str) -> bool:
    """Rows of a layer and a type, and nothing else but remarks."""
    rows = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return bool(rows) and all(_LAYER_MODE.match(row) for row in rows)


def read_quantize_table(text: str) -> Artifact:
    """Which layers are built in another type; a layer that stands twice is said."""
    rows = [match for line in lines_of(text) if (match := _LAYER_MODE.match(line.text.strip()))]
    names = [row[1] for row in rows]
    twice = {name: count for name, count in sorted(Counter(names).items()) if count > 1}
    return Artifact(
        kind="sophgo_quantize_table",
        title="quantize table of tpu-mlir",
        nodes=tuple(
            PlannedNode(row[1], unit="", kind=_kind(row[1]), output_dtypes=(row[2].lower().replace("int", "s"),))
            for row in rows
        ),
        problems=tuple(f"{name} stands {count} times" for name, count in list(twice.items())[:MOST_NAMED]),
    )


# --------------------------------------------------------------------------- *_tpu.mlir

_OP = re.compile(r'^[ \t]*%\S{1,20} = "(?:tpu|top)\.(\w+)"\(')
_LOC = re.compile(r'^(#loc\w*) = loc\("(.*)"\)')
_UNIFORM = re.compile(
    r"tensor<([0-9x]{1,200}?)x!quant\.uniform<([iu][0-9]+):f32(?::[0-9]+)?, ([0-9.eE+-]+)(?::(-?[0-9]+))?>"
)
_PLAIN = re.compile(r"tensor<([0-9x]{1,200}?)x([fiu]|bf|si|ui)([0-9]+)")
_NOT_OPS = ("None", "Weight", "Input")


def tensors_of(text: str) -> dict[str, TensorSpec]:
    """Shape, dtype and scale of every tensor of a lowered model (`*_tpu.mlir`), by name."""
    from harness.records import Quantization

    specs = {}
    for name, _, result in _ops(text):
        uniform, other = _UNIFORM.search(result), _PLAIN.search(result)
        scale = number_of(uniform[3]) if uniform else None
        if uniform and scale:
            shape = tuple(int(size) for size in uniform[1].split("x"))
            quantization = Quantization((scale,), (int(uniform[4] or 0),))
            specs[name] = TensorSpec(name, uniform[2].replace("i", "s"), shape, quantization=quantization)
        elif other:
            shape = tuple(int(size) for size in other[1].split("x"))
            kind = {"f": "f", "bf": "bf", "i": "s", "si": "s", "u": "u", "ui": "u"}[other[2]]
            specs[name] = TensorSpec(name, f"{kind}{other[3]}", shape)
    return specs


def _ops(text: str) -> Iterator[tuple[str, str, str]]:
    """(name, op, type of the result) of every op that computes."""
    names = {match[1]: match[2] for line in text.splitlines() if (match := _LOC.match(line))}
    for line in text.splitlines():
        match = _OP.match(line)
        before, _, location = line.rstrip().rpartition(" loc(")
        _, arrow, result = before.rpartition(") -> ")
        if match and arrow and location.endswith(")") and match[1] not in _NOT_OPS:
            name = names.get(location[:-1], location[:-1].strip('"'))
            if not name.startswith("#"):
                yield name, match[1], result


def read_mlir(text: str) -> Artifact:
    """The lowered network: its ops in order, with dtype and scale of what they make."""
    specs = tensors_of(text)
    nodes = [
        PlannedNode(name, unit="", kind=kind, output_dtypes=(specs[name].dtype,) if name in specs else ())
        for name, kind, _ in _ops(text)
    ]
    scales = {
        name: Similarity(name, "scale", metrics={"scale": spec.quantization.scales[0]})
        for name, spec in specs.items()
        if spec.quantization
    }
    chip = re.search(r'(?:module\.chip|chip) = "(\w+)"', text)
    return Artifact(
        kind="sophgo_mlir",
        title="lowered model of tpu-mlir",
        march=chip[1].lower() if chip else "",
        nodes=tuple(nodes),
        similarities=tuple(scales.values()),
        problems=() if nodes else ("no op in it could be read",),
    )


# --------------------------------------------------------------------------- logs

_METRIC = re.compile(r"^\s+(cosine|euclidean|sqnr)_similarity\s*=\s*(-?[0-9.]+|inf|nan)$")
_STEP = re.compile(r"^\[(Running|Success|Failed)\]:?\s+(\S+)")
_COUNTED = re.compile(r"^npz compare (PASSED|FAILED)")


def read_log(text: str) -> Artifact:
    """What ran, what it compared (npz_tool's tables) and how it ended. PASSED over 0 tensors is no pass."""
    lines = list(lines_of(text))
    similarities = list(_similarities(lines))
    steps = [match for line in lines if (match := _STEP.match(line.text))]
    failed = next((match[2] for match in reversed(steps) if match[1] == "Failed"), "")
    errors = [line for line in lines if re.match(r"^\w*(?:Error|Exception): ", line.text)]
    verdicts = [match[1] == "PASSED" for line in lines if (match := _COUNTED.match(line.text))]
    counts = [int(match[1]) for line in lines if (match := re.match(r"^([0-9]{1,9}) compared$", line.text))]
    checks = [
        Check(f"npz_tool {i + 1}", passed and (counts[i] > 0 if i < len(counts) else None), total=_at(counts, i))
        for i, passed in enumerate(verdicts)
    ]
    return Artifact(
        kind="sophgo_log",
        title="log of tpu-mlir",
        versions=_versions(text),
        finished=False if failed or errors else True if steps and steps[-1][1] == "Success" else None,
        similarities=tuple(similarities),
        checks=tuple(checks),
        messages=tuple(Message("error", line.text[:400], "", line.number) for line in errors),
        facts={"steps": sum(match[1] == "Success" for match in steps)} | ({"failed": failed} if failed else {}),
    )


def _at(counts: Sequence[int], index: int) -> int | None:
    return counts[index] if index < len(counts) else None


def _similarities(lines: Sequence[Line]) -> Iterator[Similarity]:
    name, verdict, metrics = "", "", {}  # type: str, str, dict[str, float]
    for line in lines:
        if head := _compared(line.text):
            if name:
                yield Similarity(name, verdict, metrics=metrics)
            name, verdict, metrics = *head, {}
        elif name and (match := _METRIC.match(line.text)):
            value = number_of(match[2])
            if value is not None:
                metrics[{"cosine": "cosine", "euclidean": "euclid_similarity", "sqnr": "sqnr_db"}[match[1]]] = value
    if name:
        yield Similarity(name, verdict, metrics=metrics)


def _compared(text: str) -> tuple[str, str] | None:
    """(tensor, its word) of `[conv_Relu      ]   SIMILAR [PASSED]`; None for another line."""
    cells = text.rsplit(None, 2)
    if len(cells) != 3 or cells[2] not in ("[PASSED]", "[FAILED]"):
        return None
    name = cells[0]
    return (name[1:-1].strip(), cells[1].lower()) if name.startswith("[") and name.endswith("]") else None


def read_profile(text: str) -> Artifact:
    """Ops with the cycles of the busier engine, as microseconds at 1 GHz, which is said."""
    ops = ops_of_text(text)
    return Artifact(
        kind="sophgo_profile",
        title="engine commands of a Sophgo chip, simulated by the vendor's model",
        layers=tuple(LayerCost(op.name, compute_us=op.mean_us) for op in ops),
        facts={"clock_mhz": 1000, "ops": len(ops)},
    )


def read_model_text(text: str) -> Artifact:
    """`model_tool --info`: inputs, outputs, versions."""
    info = read_info(text)
    blocks = [
        {"role": role, "name": spec.name, "dtype": spec.dtype, "shape": "x".join(map(str, spec.shape))}
        for role, specs in (("input", info.inputs), ("output", info.outputs))
        for spec in specs
    ]
    return Artifact(
        kind="sophgo_model_info",
        title="model_tool --info",
        versions=dict(info.versions),
        march=info.versions.get("chip", "").lower(),
        inputs=tuple(blocks),
        facts={"nets": ", ".join(info.models_in_file)} if info.models_in_file else {},
        problems=(*info.warnings, *info.problems),
    )


READERS = (
    text_reader(
        "sophgo_calibration_table",
        "calibration table of tpu-mlir",
        lambda text: bool(_TABLE_HEAD.search(text)),
        read_calibration_table,
    ),
    text_reader("sophgo_quantize_table", "quantize table of tpu-mlir", is_quantize_table, read_quantize_table),
    text_reader(
        "sophgo_mlir",
        "lowered model of tpu-mlir (*_tpu.mlir, final.mlir)",
        lambda text: '"tpu.' in text or '"top.Input"' in text,
        read_mlir,
    ),
    text_reader(
        "sophgo_profile",
        "engine commands (net_stat.sim, compiler_profile_0.txt)",
        lambda text: "ENGINE_BD" in text and "ENGINE_GDMA" in text,
        read_profile,
    ),
    text_reader(
        "sophgo_model_info",
        "model_tool --info",
        lambda text: (
            ("tensor_map" in text and "QSCALE" in text) or bool(re.search(r"^net [0-9]+: \[", text, re.MULTILINE))
        ),
        read_model_text,
    ),
    text_reader(
        "sophgo_log",
        "log of model_transform, run_calibration, model_deploy or npz_tool",
        lambda text: "TPU-MLIR v" in text or bool(re.search(r"^npz compare (?:PASSED|FAILED)", text, re.MULTILINE)),
        read_log,
    ),
)
