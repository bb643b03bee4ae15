"""What the toolchain of a march leaves beside a compiled model: hb_mapper's log and quant_info.json, or hb_compile's
log and node_info.csv. The forms are the vendors'; the log's first record says that the emulator wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from harness.emulator.compiler.options import BuildOptions
from harness.emulator.compiler.pixels import PixelInput
from harness.emulator.compiler.placement import FOLDED, TAKEN_ALONG
from harness.emulator.compiler.result import Build, Distance
from harness.emulator.cost import estimate
from harness.emulator.horizon.socs import HorizonSoc
from harness.emulator.model.compiled import BoardOp, CompiledModel
from harness.emulator.model.layout import file_bytes

# Type names of horizon_nn 1.x; ops that are not listed keep their ONNX name.
_TYPES = {
    "Conv": "HzSQuantizedConv",
    "ConvTranspose": "HzSQuantizedConvTranspose",
    "Gemm": "HzSQuantizedConv",
    "MatMul": "HzSQuantizedMatmul",
    "Mul": "HzSElementwiseMul",
    "Add": "HzSElementwiseAdd",
    "Sub": "HzSElementwiseSub",
    "Sigmoid": "HzLut",
    "Tanh": "HzLut",
    "Exp": "HzLut",
    "Erf": "HzLut",
    "Sqrt": "HzLut",
    "Pow": "HzLut",
    "MaxPool": "HzQuantizedMaxPool",
    "AveragePool": "HzQuantizedAveragePool",
    "GlobalAveragePool": "HzQuantizedGlobalAveragePool",
    "ReduceMean": "HzSQuantizedReduceMean",
    "Resize": "HzQuantizedResizeUpsample",
    "QuantizeLinear": "HzRequantize",
}
LONGEST_NAME = 50  # of a node in a table


@dataclass
class Log:
    """Lines of a log file: `2026-04-23 14:07:05,467 file: x.py func: x line No: 1 text`."""

    lines: list[str] = field(default_factory=list)

    def add(self, module: str, number: int, text: str) -> None:
        """A line with the time and the place in the toolchain that it is from."""
        stamp = datetime.now().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        self.lines.append(f"{stamp} file: {module}.py func: {module} line No: {number} {text}")

    def raw(self, text: str) -> None:
        """A line as it is."""
        self.lines.append(text)

    def text(self) -> str:
        """The whole log."""
        return "\n".join(self.lines) + "\n"


@dataclass(frozen=True)
class Facts:
    """What a log tells of one build."""

    soc: HorizonSoc
    model: CompiledModel
    calibration: str
    pixels: Mapping[str, PixelInput]
    distances: Mapping[str, Distance]  # empty for a model that came quantized
    refused: tuple[str, ...]  # types that are not offered
    kinds: Mapping[str, str]  # node -> ONNX type, folded nodes included
    method: str = "max"  # of the calibration, in the log's words

    @property
    def calibration_type(self) -> str:
        """The method without its figures: max, kl or mix."""
        return re.split("[-:,]", self.method, maxsplit=1)[0]

    @property
    def is_new(self) -> bool:
        """horizon_nn 1.x (X5), as opposed to 0.x (X3, J5, Ultra)."""
        return self.soc.horizon_nn >= "1"

    @property
    def subgraphs(self) -> list[str]:
        """Names, in execution order."""
        return list(dict.fromkeys(op.subgraph for op in self.model.ops if op.subgraph))

    @property
    def rows(self) -> list[BoardOp]:
        """Ops that a table of nodes shows: not those that became part of another."""
        return [op for op in self.model.ops if op.reason not in (FOLDED, TAKEN_ALONG)]

    def cosine(self, op: BoardOp) -> str:
        """Of the op's first output against the float model, six digits; "--" where it was not taken."""
        distance = self.distances.get(op.outputs[0])
        return f"{distance.cosine:.6f}" if distance else "--"

    def threshold(self, op: BoardOp) -> float | None:
        """The first input's: what 127 steps mean."""
        for name in op.inputs:
            scaling = self.model.tensor(name).spec.quantization
            if scaling:
                return scaling.scales[0] * 127
        return None


def reports(stem: str, build: Build, options: BuildOptions) -> dict[str, str]:
    """What the toolchain of the chip's family says of a build, by file name."""
    soc = options.soc
    assert isinstance(soc, HorizonSoc)
    kinds = {node.name: node.op_type for node in build.quantized.graph.node}
    facts = Facts(
        soc, build.model, build.calibration, options.pixels, build.distances, build.refused, kinds, build.method
    )
    if soc.family == "ucp":
        return {f"{stem}_hb_compile.log": hb_compile_log(facts, stem), f"{stem}_node_info.csv": node_info_csv(facts)}
    return {f"{stem}_hb_mapper_makertbin.log": hb_mapper_log(facts, stem), f"{stem}_quant_info.json": quant_info(facts)}


# --------------------------------------------------------------------------- hb_mapper


def hb_mapper_log(facts: Facts, output: str) -> str:
    """hb_mapper_makertbin.log, in the form of the horizon_nn of that chip's toolchain."""
    log, soc, model = Log(), facts.soc, facts.model
    log.add("harness_emulator", 1, "written by harness's emulator, not by hb_mapper")
    log.add("hb_mapper", 132, "Start hb_mapper....")
    log.add("hb_mapper", 133, f"hbdk version {soc.compiler}")
    log.add("hb_mapper", 134, f"horizon_nn version {soc.horizon_nn}")
    log.add("hb_mapper", 135, f"hb_mapper version {soc.builder}")
    log.add("hb_mapper_makertbin", 530, "Start Model Convert....")
    log.add("mapper_conf_parser", 260, f"Using onnx model file: {model.source}")
    log.add("onnx_parser", 39, f"Model input names: {[item.name for item in model.inputs]}")
    for item in model.inputs:
        shape = list(item.spec.shape)
        log.add("hb_mapper_makertbin", 60, f"input '{item.name}' : original model shape: {shape}")
    for line in facts.refused:
        log.add("constraint_manager", 209, line)
    log.add("calibrator", 40, f"Run calibration model with {facts.calibration_type} method. ({facts.calibration})")
    if facts.method != facts.calibration_type:
        log.add("calibrator", 40, f"Select {facts.method} method.")
    log.add("calibrator", 41, "Perchannel quantization is enabled.")
    _estimates(log, facts)
    _node_table(log, facts)
    _output_table(log, facts)
    _parameters(log, facts, output)
    log.add("hb_mapper_makertbin", 783, "Convert to runtime bin file successfully!")
    log.add("hb_mapper_makertbin", 784, "End Model Convert")
    return log.text()


def _estimates(log: Log, facts: Facts) -> None:
    """Per subgraph the compiler's static estimate; here it is the emulator's own (docs/emulator.md)."""
    for name in facts.subgraphs:
        latency_us = estimate.subgraph_us(facts.model, name, facts.soc)
        log.add("hybrid_build", 111, f"Compile submodel: {name}")
        log.add("tool_utils", 326, "consumed time 0.0")
        text = f"FPS={1e6 / latency_us:.2f}, latency = {latency_us:.1f} us"
        moved = f", DDR = {_ddr_bytes(facts, name)} bytes" if facts.is_new else ""
        log.add("tool_utils", 326, f"{text}{moved}   (see {name}.html)")


def _ddr_bytes(facts: Facts, subgraph: str) -> int:
    """Weights, and what enters and leaves the subgraph."""
    members = [op for op in facts.model.ops if op.subgraph == subgraph]
    made = {name for op in members for name in op.outputs}
    outside = {n for op in facts.model.ops if op.subgraph != subgraph for n in op.inputs} | set(facts.model.outputs)
    crossing = {n for op in members for n in op.inputs if n not in made} | (made & outside)
    moved = sum(file_bytes(facts.model.tensor(name).stored) for name in crossing)
    return moved + sum(op.weight_bytes for op in members)


def _table(log: Log, rows: list[tuple[str, ...]]) -> None:
    """A header and its rows, columns as wide as they must be and two blanks apart."""
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows]
    rule = len(lines[0])
    for text in ("=" * rule, lines[0], "-" * rule, *lines[1:]):
        log.raw(text)


def _node_table(log: Log, facts: Facts) -> None:
    """horizon_nn 1.x writes another title, `--` for nothing and a column more than the releases before it."""
    header = ("Node", "ON", "Subgraph", "Type", "Cosine Similarity", "Threshold")
    if facts.is_new:
        log.add("print_info_dict", 72, "The main quantized node information:")
        _table(log, [(*header, "DataType"), *(_cells(facts, op) for op in facts.rows)])
        return
    log.add("build", 407, "The converted model node information:")
    _table(log, [header, *(_old_cells(facts, op) for op in facts.rows)])


def _name(op: BoardOp) -> str:
    """Names over 50 characters lose their front."""
    return op.name if len(op.name) <= LONGEST_NAME else "..." + op.name[3 - LONGEST_NAME :]


def _subgraph(facts: Facts, op: BoardOp) -> str:
    return f"id({facts.subgraphs.index(op.subgraph)})" if op.subgraph else "--"


def _cells(facts: Facts, op: BoardOp) -> tuple[str, ...]:
    threshold = facts.threshold(op) if op.unit == "BPU" else None
    shown = f"{threshold:.6g}" if threshold is not None else "--"
    kind, data = (_type(op), _read_as(facts, op)) if op.unit == "BPU" else (op.kind, "float")
    return _name(op), op.unit, _subgraph(facts, op), kind, facts.cosine(op), shown, data


def _read_as(facts: Facts, op: BoardOp) -> str:
    """The type of an op's first input."""
    return "int16" if op.inputs and facts.model.tensor(op.inputs[0]).spec.dtype == "s16" else "int8"


def _old_cells(facts: Facts, op: BoardOp) -> tuple[str, ...]:
    """Rows of CPU ops end after the type."""
    head = _name(op), op.unit, _subgraph(facts, op)
    threshold = facts.threshold(op)
    if op.unit == "CPU" or threshold is None or op.outputs[0] not in facts.distances:
        return *head, _type(op) if op.unit == "BPU" else op.kind
    return *head, _type(op), facts.cosine(op), f"{threshold:.6f}"


def _type(op: BoardOp) -> str:
    return "HzSQuantizedPreprocess" if op.name.startswith("HZ_PREPROCESS_FOR_") else _TYPES.get(op.kind, op.kind)


def _output_table(log: Log, facts: Facts) -> None:
    """The first column was a node before horizon_nn 1.0 and is a tensor since."""
    title = "The quantized model output:" if facts.is_new else "The quantify model output:"
    log.add(*(("print_info_dict", 72) if facts.is_new else ("build", 408)), title)
    first = "Output" if facts.is_new else "Node"
    rows: list[tuple[str, ...]] = [(first, "Cosine Similarity", "L1 Distance", "L2 Distance", "Chebyshev Distance")]
    for name in facts.model.outputs:
        if name in facts.distances:
            d = facts.distances[name]
            label = name if facts.is_new else facts.model.tensor(name).op
            rows.append((label, *(f"{value:.6f}" for value in (d.cosine, d.l1, d.l2, d.chebyshev))))
    _table(log, rows)


def _parameters(log: Log, facts: Facts, output: str) -> None:
    log.add("onnx2horizonrt", 4183, "############# model deps info #############")
    log.add("onnx2horizonrt", 4184, f"hb_mapper version   : {facts.soc.builder}")
    log.add("onnx2horizonrt", 4187, f"hbdk version        : {facts.soc.compiler}")
    log.add("onnx2horizonrt", 4189, f"hbdk runtime version: {facts.soc.hbrt}")
    log.add("onnx2horizonrt", 4192, f"horizon_nn version  : {facts.soc.horizon_nn}")
    log.add("onnx2horizonrt", 4196, "############# model_parameters info #############")
    log.add("onnx2horizonrt", 4202, f"onnx_model          : {facts.model.source}")
    log.add("onnx2horizonrt", 4203, f"BPU march           : {facts.model.march}")
    log.add("onnx2horizonrt", 4204, f"layer_out_dump      : {facts.model.debug_layers}")
    log.add("onnx2horizonrt", 4207, f"output_model_file_prefix: {output}")
    log.add("onnx2horizonrt", 4228, "############# input_parameters info #############")
    for item in facts.model.inputs:
        for number, text in _input_block(facts, item.name):
            log.add("onnx2horizonrt", number, text)
    log.add("onnx2horizonrt", 4274, "############# calibration_parameters info #############")
    log.add("onnx2horizonrt", 4276, f"calibration_type:   : {facts.calibration_type}")
    log.add("onnx2horizonrt", 4284, "per_channel         : True")


def _input_block(facts: Facts, name: str) -> Iterator[tuple[int, str]]:
    item = next(item for item in facts.model.inputs if item.name in (name, f"{name}_y"))
    pixel = facts.pixels.get(name)
    yield 4248, f"---------input info : {name} ---------"
    yield 4249, f"input_name          : {name}"
    yield 4250, f"input_type_rt       : {pixel.kind if pixel else 'featuremap'}"
    if pixel:
        yield 4252, "input_space&range   : regular"
    yield 4254, "input_layout_rt     : None"
    colour = "gray" if pixel and pixel.kind == "gray" else "bgr" if pixel and pixel.bgr else "rgb"
    train = colour if pixel else "featuremap"
    yield 4255, f"input_type_train    : {train}"
    yield 4258, f"input_shape         : {'x'.join(map(str, item.spec.shape))}"
    if pixel:
        yield 4264, f"mean_value          : {','.join(f'{v:g}' for v in pixel.mean)},"
        yield 4266, f"scale_value         : {','.join(f'{v:.9g}' for v in pixel.scale)},"
    yield 4271, f"---------input info : {name} end -------"


def quant_info(facts: Facts) -> str:
    """quant_info.json of horizon_nn 1.1: per node, the cosine as a string."""
    nodes = {}
    for op in facts.model.ops:
        specs = [facts.model.tensor(name).spec for name in op.inputs]
        entry: dict[str, object] = {
            "type": "HzPreprocess" if op.name.startswith("HZ_PREPROCESS_FOR_") else op.kind,
            "inputs": [f"{name}_calibrated" if op.unit == "BPU" else name for name in op.inputs],
            "outputs": list(op.outputs),
            "thresholds": [[round(s.quantization.scales[0] * 127, 6)] if s.quantization else [] for s in specs],
        }
        if op.outputs[0] in facts.distances:
            entry["cosine_similarity"] = facts.cosine(op)
        nodes[op.name] = entry
    return json.dumps(nodes, indent=4) + "\n"


# --------------------------------------------------------------------------- hb_compile


def hb_compile_log(facts: Facts, output: str) -> str:
    """hb_compile.log of the J6 and S100 toolchain."""
    log, model = Log(), facts.model
    memory = _memory(facts)
    log.add("harness_emulator", 1, "written by harness's emulator, not by hb_compile")
    log.add("hb_compile", 60, f"Using the onnx model file: {model.source}")
    log.add("calibrator", 40, "The activation calibration configuration:")
    log.raw(f"    calibration_type:     ['{facts.calibration_type}']")
    log.add("calibrator", 41, f"Run calibration model with {facts.calibration_type} method. ({facts.calibration})")
    if facts.method != facts.calibration_type:
        log.add("calibrator", 42, f"Select {facts.method} method.")
    log.add("compile", 210, "Successfully compile the hbm model")
    log.add("info", 300, f"BPU march           : {model.march}")
    log.add("info", 302, "############# input_parameters info #############")
    for name in _source_inputs(facts):
        for number, text in _input_block(facts, name):
            log.add("info", number, text)
    log.add("info", 310, "############# calibration_parameters info #############")
    log.add("info", 311, f"calibration_type    : {facts.calibration_type}")
    log.add("info", 320, "############# memory info #############")
    for key, size in memory.items():
        log.add("info", 321, f"{key:<20}: {size}" if len(key) < 20 else f"{key}: {size}")
    log.add("perf", 90, "HBDK hbm perf SUCCESS")
    log.add("hb_compile", 400, f"Output model: {output}")
    log.add("hb_compile", 401, "The hb_compile completes running.")
    return log.text()


def _source_inputs(facts: Facts) -> list[str]:
    """The inputs as the float model has them: a picture's two planes are one."""
    planes = {f"{name}{end}": name for name in facts.pixels for end in ("_y", "_uv")}
    return list(dict.fromkeys(planes.get(item.name, item.name) for item in facts.model.inputs))


def _memory(facts: Facts) -> dict[str, int]:
    """Bytes, from the tensors' sizes."""
    model = facts.model
    entering = sum(item.aligned_bytes for item in model.inputs)
    leaving = sum(file_bytes(model.tensor(name).handed_out) for name in model.outputs)
    static = sum(op.weight_bytes for op in model.ops)
    sizes = {"input memory": entering, "output memory": leaving, "static memory": static}
    sizes |= {"dynamic memory": entering + leaving, "intermediate memory": 0, "temporary memory": 0}
    return sizes | {"min memory requirement": static + entering + leaving}


def node_info_csv(facts: Facts) -> str:
    """`<prefix>_node_info.csv`: folded nodes have rows of their own and the word `fused`."""
    rows = ["Node,NodeType,ON,Threshold,Calibrated Cosine,Quantized Cosine,Output Data Type"]
    for op in facts.model.ops:
        made = facts.model.tensor(op.outputs[0]).spec
        kind = {"s8": "si8", "s16": "si16"}.get(made.dtype, "f32")
        threshold = facts.threshold(op)
        cosine = facts.cosine(op) if op.outputs[0] in facts.distances else ""
        shown = f"{threshold:.6f}" if threshold is not None and op.unit == "BPU" else ""
        rows.append(f"{op.name},{op.kind},{op.unit},{shown},{cosine},{cosine},{kind}")
        for name in op.covers[1:]:
            rows.append(f"{name},{facts.kinds.get(name, '')},{op.unit},fused,{cosine},{cosine},{kind}")
    return "\n".join(rows) + "\n"
