"""libdnn boards: X3, X5, J5, Ultra. Texts as in captures of libdnn 1.9, 1.23, 1.24, and of the older HBRT 3.13."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.emulator.console import general, stamp
from harness.emulator.cost.timing import Timeline
from harness.emulator.horizon import profile_files
from harness.emulator.horizon.dialect import DASHES, OutputForm, RunFacts, ToolFailure, dims, flag_rows, one_core_of
from harness.emulator.horizon.gflags import CommandLine, Value
from harness.emulator.horizon.printed import PrintedDialect, summary_lines
from harness.emulator.model.compiled import BOARD_TYPES, BoardTensor, CompiledInput, CompiledModel
from harness.emulator.model.layout import aligned_shape, byte_strides, file_bytes
from harness.platforms.horizon.dumps import align_up
from harness.records import TensorSpec

FLAGS: dict[str, Value] = {
    "model_file": "",
    "model_name": "",
    "core_id": 0,
    "input_file": "",
    "roi_infer": False,
    "roi": "",
    "frame_count": 0,  # 1 for infer, 200 for perf
    "dump_intermediate": "0",
    "enable_dump": False,
    "dump_precision": 9,
    "hybrid_dequantize_process": False,
    "dump_format": "bin",
    "dump_path": "",
    "dump_txt_axis": 4,
    "enable_cls_post_process": False,
    "perf_time": 0,
    "thread_num": 1,
    "profile_path": "",
    "help": False,
    "h": False,
    "version": False,
    "v": False,
}
_ROWS = (
    ("model_file", "string", "Model file paths, separate by comma, each represents one model file path."),
    ("model_name", "string", "Model name. Needed for infer and perf when model_file has more than one model."),
    ("core_id", "int", "core id, 0 for any core, 1 for core 0, 2 for core 1."),
    ("input_file", "string", "Input file paths, separate by comma, each represents one input: bin, txt, jpg, png."),
    ("roi_infer", "bool", "flag for resizer inputs."),
    ("roi", "string", "roi of resizer inputs, l,t,r,b;l,t,r,b"),
    ("frame_count", "int", "frame count for run loop, infer 1, perf 200, valid when perf_time is 0."),
    ("dump_intermediate", "string", "0 none, 1 bin, 2 bin and txt, 3 bin and txt of the valid region."),
    ("enable_dump", "bool", "flag for dump infer input and output. The default is false."),
    ("dump_precision", "int", "decimals of floats in txt dumps. The default is 9."),
    ("hybrid_dequantize_process", "bool", "dump outputs as float txt of the valid region, 4-D models only."),
    ("dump_format", "string", "output dump format, only support [bin, txt]. The default is bin."),
    ("dump_path", "string", "folder of dumps. The default is the current folder."),
    ("dump_txt_axis", "int", "newline rule of txt dumps. The default is 4."),
    ("enable_cls_post_process", "bool", "flag for classfication post process, only for ptq model now."),
    ("perf_time", "int", "minute, perf time for run loop, default 0."),
    ("thread_num", "int", "thread num for run loop, thread_num range:[1,8], if thread_num > 8, set thread_num = 8."),
    ("profile_path", "string", "profile log path, set to get detail information of model execution."),
)


class HbdnnTool(PrintedDialect):
    """libdnn 1.9 to 1.24."""

    flags: Mapping[str, Value] = FLAGS
    max_threads = 8
    latency_key = "processor_latency"
    source = "function_util.cpp"

    def usage(self) -> str:
        head = ["Usage:", "hrt_model_exec [Option...] [Parameter]", "", "[Option]                      [Parameter]"]
        examples = ["", "[Examples]", "-" * 111, "hrt_model_exec model_info --model_file=model.bin"]
        examples.append("hrt_model_exec infer --model_file=model.bin --input_file=input.bin --enable_dump=true")
        examples.append("hrt_model_exec perf --model_file=model.bin --thread_num=1 --profile_path=.")
        return "\n".join([*head, "-" * 111, *flag_rows(_ROWS), *examples])

    # ---- start

    def greet(self, argv: Sequence[str]) -> None:
        self.console.out(" ".join(argv))
        self.console.error(
            f'I0000 00:00:00.000000 {self.console.pid} vlog_is_on.cc:197] RAW: Set VLOG level for "*" to 3'
        )

    def libraries(self, perf_without_input: bool) -> None:
        """The soc info tells the emulator."""
        short = ".".join(self.runtime.hbrt.split(".")[:3])
        self.console.out(
            f"[BPU_PLAT]BPU Platform Version({self.runtime.platform})! soc info({self.soc.name}-emulated)",
            f"[HBRT] set log level as 0. version = {self.runtime.hbrt}",
            f"[DNN] Runtime version = {self.runtime.version}_({short} HBRT)",
        )

    def builder(self, version: str) -> None:
        head = f"[A][DNN][packed_model.cpp:247][Model]({stamp()})"
        self.console.out(f"{head} [HorizonRT] The model builder version = {version}")

    def loaded(self, load_ms: float, names: Sequence[str]) -> None:
        plural = "" if len(names) == 1 else "s"
        self.console.out(f"Load model to DDR cost {general(load_ms)}ms.")
        self.console.out(f"This model file has {len(names)} model{plural}:", *(f"[{name}]" for name in names))

    # ---- model_info

    def info(self, models: Sequence[CompiledModel], wanted: str) -> Iterator[str]:
        for model in models:
            if wanted in ("", model.name):
                yield from (DASHES, f"[model name]: {model.name}", "")
                yield from self._tensors(model)
        yield DASHES

    def _tensors(self, model: CompiledModel) -> Iterator[str]:
        for i, item in enumerate(model.inputs):
            yield from (f"input[{i}]: ", *self._input(item), "")
        for i, name in enumerate(model.outputs):
            yield from (f"output[{i}]: ", *self._output(model.tensor(name)), "")

    def _input(self, item: CompiledInput) -> Iterator[str]:
        image = item.kind == "NV12"
        shape = item.spec.shape
        yield f"name: {item.name}"
        yield f"input source: HB_DNN_INPUT_FROM_{item.source}"
        yield f"valid shape: {dims(shape, True)}"
        yield f"aligned shape: {dims((*shape[:3], align_up(shape[3], 16)) if image else shape, True)}"
        yield f"aligned byte size: {item.aligned_bytes}"
        yield from _kind(item)
        yield "quanti type: NONE"
        yield f"stride: {dims([0] * len(shape) if image else byte_strides(item.spec), True)}"

    def _output(self, tensor: BoardTensor) -> Iterator[str]:
        spec = tensor.handed_out
        yield f"name: {tensor.name}"
        yield f"valid shape: {dims(spec.shape, True)}"
        yield f"aligned shape: {dims(aligned_shape(spec), True)}"
        yield f"aligned byte size: {file_bytes(spec)}"
        yield f"tensor type: HB_DNN_TENSOR_TYPE_{spec.dtype.upper()}"
        yield f"tensor layout: HB_DNN_LAYOUT_{_layout(spec)}"
        yield f"quanti type: {'SCALE' if spec.quantization else 'NONE'}"
        yield f"stride: {dims(byte_strides(spec), True)}"
        if spec.quantization:
            yield "scale data: " + "".join(f"{general(scale)}," for scale in spec.quantization.scales)
            if len(spec.quantization.scales) > 1:
                yield f"quantizeAxis: {spec.quantization.axis}"

    # ---- infer

    def handles(self) -> None:
        self.console.glog(f"{self.source}:323", "get model handle success")
        self.console.glog(f"{self.source}:656", "get model input count success")

    def read_inputs(self, lengths: Sequence[int]) -> None:
        for length in lengths:
            self.console.out(f"file length: {length}")
            self.console.glog(f"{self.source}:687", "read file success!")
        self.console.glog(f"{self.source}:697", "get model output count success")
        self.console.glog(f"{self.source}:704", "prepare output tensor success")

    def frame(self, index: int, infer_ms: float) -> None:
        """Not public for libdnn 1.24: the older tool's lines."""
        if index == 0:
            self.console.glog("main.cpp:674", "infer success")
            self.console.glog("main.cpp:689", "task done")
        self.console.out("", "-" * 42, f"Infer time: {infer_ms:.3f} ms", "-" * 42)

    def dumped(self, path: str) -> None:
        self.console.glog(f"{self.source}:1129", f"Dump path: {path}")

    def finish(self) -> None:
        """Newer tools end without a word."""

    def cores(self, line: CommandLine, compiled_for: int) -> int:
        if line.on("roi_infer") or line.text("roi"):
            raise ToolFailure("roi is given but the model has no resizer input")
        return one_core_of(line, self.soc)

    def seconds(self, line: CommandLine) -> int:
        return max(0, line.number("perf_time")) * 60

    def warms_up(self, line: CommandLine) -> bool:
        return False

    def output_form(self, line: CommandLine, tensor: BoardTensor) -> OutputForm:
        if line.text("dump_format") not in ("bin", "txt"):
            raise ToolFailure(f"dump_format [{line.text('dump_format')}] is not supported, only support [bin, txt]")
        if not line.on("hybrid_dequantize_process"):
            return OutputForm(line.text("dump_format"))
        if len(tensor.spec.shape) != 4:
            rank = len(tensor.spec.shape)
            raise ToolFailure(f"hybrid_dequantize_process only supports 4-D outputs, {tensor.name} has {rank}")
        return OutputForm("txt", dequantize=True, valid_only=True)

    # ---- perf

    def summary(self, line: Timeline, threads: int) -> None:
        self.console.out(*summary_lines(line, threads, 6))

    def profile_files(self, line: Timeline, facts: RunFacts) -> dict[str, str]:
        """profiler.log; the columns of this family's profiler.csv are not public, so none is written."""
        condition = {"core_id": int(facts.core_id), "model_name": facts.model_name, "thread_num": facts.threads}
        return {"profiler.log": profile_files.hbdnn_log(line, condition, self.latency_key)}


def _kind(item: CompiledInput) -> Iterator[str]:
    image = {"GRAY": "Y"}.get(item.kind, item.kind) if item.kind in BOARD_TYPES.values() else ""
    yield f"tensor type: HB_DNN_{f'IMG_TYPE_{image}' if image else f'TENSOR_TYPE_{item.spec.dtype.upper()}'}"
    yield f"tensor layout: HB_DNN_LAYOUT_{_layout(item.spec)}"


def _layout(spec: TensorSpec) -> str:
    return spec.layout if spec.layout in ("NHWC", "NCHW") else "NONE"


class OldHbdnnTool(HbdnnTool):
    """HBRT 3.12 to 3.13 on X3: stages instead of names, `chip_latency`, `hbDNNRelease success!` at the end."""

    latency_key = "chip_latency"
    source = "main.cpp"

    def libraries(self, perf_without_input: bool) -> None:
        self.console.out(
            f"[HBRT] set log level as 0. version = {self.runtime.hbrt}",
            f"[BPU_PLAT]BPU Platform Version({self.runtime.platform})!",
        )

    def builder(self, version: str) -> None:
        self.console.out(f"[HorizonRT] The model builder version = {version}")

    def loaded(self, load_ms: float, names: Sequence[str]) -> None:
        plural = "" if len(names) == 1 else "s"
        self.console.out(f"This model file has {len(names)} model{plural}:", *(f"[{name}]" for name in names))

    def info(self, models: Sequence[CompiledModel], wanted: str) -> Iterator[str]:
        yield from super().info(models, wanted)
        yield ""

    def _tensors(self, model: CompiledModel) -> Iterator[str]:
        yield "stage count: 1"
        for i, item in enumerate(model.inputs):
            yield from (f"input[{i}]:", *self._input(item), "")
        for i, name in enumerate(model.outputs):
            yield from (f"output[{i}]:", *self._output(model.tensor(name)), "")

    def _input(self, item: CompiledInput) -> Iterator[str]:
        shape = item.spec.shape
        yield f"valid shape: {dims(shape, True)}"
        yield f"aligned shape: {dims((shape[0], 8, *shape[2:]) if item.kind == 'NV12' else shape, True)}"
        yield from _kind(item)
        yield "quanti type: NONE"
        if len(shape) == 4:
            yield f"stage[0]: (0, 0, {shape[2] - 1}, {shape[3] - 1})"

    def _output(self, tensor: BoardTensor) -> Iterator[str]:
        spec = tensor.handed_out
        yield f"valid shape: {dims(spec.shape, True)}"
        yield f"aligned shape: {dims(aligned_shape(spec), True)}"
        yield f"tensor type: HB_DNN_TENSOR_TYPE_{spec.dtype.upper()}"
        yield f"tensor layout: HB_DNN_LAYOUT_{_layout(spec)}"
        yield f"quanti type: {'SCALE' if spec.quantization else 'NONE'}"
        if spec.quantization:
            yield "scale data: " + "".join(f"{general(scale)}," for scale in spec.quantization.scales)

    def finish(self) -> None:
        self.console.glog("main.cpp:410", "hbDNNRelease success!")

    def input_name(self, index: int, name: str) -> str:
        return f"model_infer_input_{index}"

    def output_name(self, index: int, name: str) -> str:
        return f"model_infer_output_{index}"

    def progress(self, frames: int, part_ms: Any, fps: float) -> None:
        self.console.out(
            f"Frame count: {frames},  Thread Average: {part_ms.mean():.6f} ms, thread max latency: "
            f"{part_ms.max():.6f} ms, thread min latency: {part_ms.min():.6f} ms"
        )
