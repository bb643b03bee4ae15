"""UCP boards: J6, S100. Texts as in captures of UCP 3.0 (2024) and 3.3 and later."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from harness.emulator.console import general
from harness.emulator.cost.timing import Timeline
from harness.emulator.horizon import profile_files
from harness.emulator.horizon.dialect import DASHES, OutputForm, RunFacts, ToolFailure, dims, flag_rows
from harness.emulator.horizon.gflags import CommandLine, Value
from harness.emulator.horizon.printed import PrintedDialect, summary_lines
from harness.emulator.model.compiled import BoardTensor, CompiledInput, CompiledModel
from harness.emulator.model.layout import byte_strides, file_bytes
from harness.records import Quantization, TensorSpec

FLAGS: dict[str, Value] = {
    "model_file": "",
    "model_name": "",
    "core_id": "0",
    "input_file": "",
    "input_img_properties": "",
    "input_valid_shape": "",
    "input_stride": "",
    "frame_count": 0,
    "perf_time": 0,
    "perf_time_in_seconds": 0,
    "thread_num": 1,
    "profile_path": "",
    "enable_warmup": True,
    "enable_mem_lru": True,
    "task_priority": 0,
    "task_timeout": 0,
    "log_level": 2,
    "statistic_cycle": 0,
    "enable_dump": False,
    "dump_path": "",
    "dump_format": "bin",
    "dump_intermediate": "0",
    "dump_precision": 9,
    "dump_txt_axis": 4,
    "dequantize_process": False,
    "remove_padding_process": False,
    "enable_cls_post_process": False,
    "help": False,
    "h": False,
    "version": False,
    "v": False,
}
_ROWS = (
    ("model_file", "string", "Model file paths, separate by comma, each represents one model file path."),
    (
        "model_name",
        "string",
        'Model name. When model_file has one more model and Subcommand is infer or perf, "model_name" must be '
        "specified!",
    ),
    (
        "core_id",
        "string",
        "core id, 0 for any core, 1 for core 0, 2 for core 1 and etc, default is 0. Please confirm the number of bpu "
        "cores on the board before setting up.",
    ),
    ("input_file", "string", "Input file paths, separate by comma, each represents one input."),
    ("input_img_properties", "string", "Y or UV for each image input, separate by comma."),
    ("frame_count", "int", "frame count for run loop, default 200, valid when perf_time is 0."),
    ("perf_time", "int", "minute, perf time for run loop, default 0."),
    ("thread_num", "int", "thread num for run loop, thread_num range:[1,32]."),
    ("profile_path", "string", "profile log path."),
    ("enable_warmup", "bool", "run one frame before the statistics, default true."),
    ("enable_dump", "bool", "flag for dump infer input and output."),
    ("dequantize_process", "bool", "dump dequantized outputs."),
    ("remove_padding_process", "bool", "dump outputs without padding."),
)
_WARNING = """
 [Warning]: These operators have range limitations on input data:\x20
 [Acos, Acosh, Asin, Atanh, BevPoolV2, Div, Gather, GatherElements, GatherND, GridSample, ImageDecoder, IndexSelect, \
Log, Mod, Pow, Reciprocal, RoiAlign, ScatterElements, ScatterND, Slice, Sqrt, Tan, Tile, Topk, Upsample].\x20
 Please make sure that these operators are not in your model, when no input data is provided to the tool.\x20
 [Suggestion]: Using --input_file command to specify perf input data, which can appoint valid input data.\x20\x20
"""

# As an S600 says it of a model for several cores; what stands between `[Plan]` and `L2` is not public.
_NO_L2 = (
    "[E] [Plan] L2 memory not enough",
    "Get BPU temporary memspace failed!",
    "HBRT4_STATUS_NULL_OBJECT",
    "code=-200003 msg=hbUCPWaitTaskDone failed",
)


class UcpTool(PrintedDialect):
    """UCP 3.3 and later."""

    flags: Mapping[str, Value] = FLAGS
    max_threads = 32
    trailing_comma = False
    decimals = 3

    def usage(self) -> str:
        head = [
            "Usage: hrt_model_exec [Option...] [Parameter] [Option] [instruction]",
            "-" * 111,
            "-h                            --help    : Display this information",
            "-v                            --version : Display this version",
            "[Option]                      [Parameter]",
        ]
        return "\n".join([*head, *flag_rows(_ROWS)])

    # ---- start

    def greet(self, argv: Sequence[str]) -> None:
        self._levels()
        self.console.out(" ".join(argv))

    def _levels(self) -> None:
        self.console.out(
            "[UCP]: log level = 3",
            f"[UCP]: UCP version = {self.runtime.version}",
            "[VP]: log level = 3",
            "[DNN]: log level = 3",
            "[HPL]: log level = 3",
            "[UCPT]: log level = 6",
            "[DSP]: log level = 3",
        )

    def libraries(self, perf_without_input: bool) -> None:
        """The BPU library's build tag tells the emulator."""
        if perf_without_input:
            self.console.out(_WARNING)
        version = ", ".join(self.runtime.platform.split("."))
        self.console.out(
            f"[BPU][[BPU_MONITOR]][{self.console.pid}][INFO]BPULib verison({version})[{self.soc.name}-emulated]!",
            "[DNN] HBTL_EXT_DNN log level:6",
            f"[DNN]: {self.runtime.version}_({self.runtime.hbrt} HBRT)",
        )

    def builder(self, version: str) -> None:
        """This family does not print it."""

    def loaded(self, load_ms: float, names: Sequence[str]) -> None:
        self.console.out(f"Load model to DDR cost {general(load_ms)}ms.")
        self._names = list(names)

    # ---- model_info

    def info(self, models: Sequence[CompiledModel], wanted: str) -> Iterator[str]:
        plural = "" if len(models) == 1 else "s"
        yield from (f"This model file has {len(models)} model{plural}:", *(f"[{m.name}]" for m in models))
        for model in models:
            if wanted in ("", model.name):
                yield from (DASHES, f"[model name]: {model.name}", "")
                yield from self._tensors(model)
        yield DASHES

    def _tensors(self, model: CompiledModel) -> Iterator[str]:
        for i, item in enumerate(model.inputs):
            yield from (f"input[{i}]:", *self._input(item), "")
        for i, name in enumerate(model.outputs):
            yield from (f"output[{i}]:", *self._output(model.tensor(name)), "")

    def _input(self, item: CompiledInput) -> Iterator[str]:
        """Image inputs have dynamic strides: -1."""
        dynamic = item.kind in ("Y", "UV")
        strides = byte_strides(item.spec)
        yield f"name: {item.name}"
        yield f"valid shape: {dims(item.spec.shape, self.trailing_comma)}"
        yield f"aligned byte size: {-1 if dynamic else item.aligned_bytes}"
        yield f"tensor type: HB_DNN_TENSOR_TYPE_{item.spec.dtype.upper()}"
        yield "quanti type: NONE"
        yield f"stride: {dims((-1, -1, *strides[2:]) if dynamic else strides, self.trailing_comma)}"

    def _output(self, tensor: BoardTensor) -> Iterator[str]:
        spec = tensor.handed_out
        yield f"name: {tensor.name}"
        yield f"valid shape: {dims(spec.shape, self.trailing_comma)}"
        yield f"aligned byte size: {file_bytes(spec)}"
        yield f"tensor type: HB_DNN_TENSOR_TYPE_{spec.dtype.upper()}"
        yield from self._quantization(spec)

    def _quantization(self, spec: TensorSpec) -> Iterator[str]:
        scaling: Quantization | None = spec.quantization
        yield f"quanti type: {'SCALE' if scaling else 'NONE'}"
        yield f"stride: {dims(byte_strides(spec), self.trailing_comma)}"
        if scaling:
            yield f"scale data: ({','.join(map(general, scaling.scales))})"
            yield f"zero_point data: ({','.join(map(str, scaling.zero_points))})"
            if len(scaling.scales) > 1:
                yield f"quantizeAxis: {scaling.axis}"

    # ---- infer

    def handles(self) -> None:
        """This family says nothing here."""

    def read_inputs(self, lengths: Sequence[int]) -> None:
        """Nor here."""

    def frame(self, index: int, infer_ms: float) -> None:
        bar = "-" * 21
        self.console.out(
            "",
            f"{bar}Frame {index} begin{bar}",
            f"Infer time: {infer_ms:.3f} ms",
            f"{bar}Frame {index} end{bar}",
        )

    def dumped(self, path: str) -> None:
        """Nor here."""

    def finish(self) -> None:
        """Nor here."""

    def cores(self, line: CommandLine, compiled_for: int) -> int:
        """`1,2` is a mask of cores; several need a model that was compiled for as many, and L2 memory for each."""
        text = line.text("core_id")
        try:
            chosen = [int(part) for part in text.split(",")]
        except ValueError:
            raise ToolFailure(f"core_id [{text}] is invalid") from None
        if any(not 0 <= core <= self.soc.cores for core in chosen) or (len(chosen) > 1 and 0 in chosen):
            raise ToolFailure(f"core_id [{text}] is invalid, this board has {self.soc.cores} bpu core(s)")
        if chosen != [0] and len(set(chosen)) != compiled_for:  # what the real tool says to that is not public
            raise ToolFailure(f"core_id [{text}] does not fit the model, which was compiled for {compiled_for} core(s)")
        if compiled_for > 1:
            self._check_l2(compiled_for)
        return 1 if chosen[0] else self.soc.cores // compiled_for

    def _check_l2(self, cores: int) -> None:
        """Models of several cores want megabytes of L2 per core in the environment. The words are the vendor's."""
        given = os.environ.get("HB_DNN_USER_DEFINED_L2M_SIZES", "").split(":")
        if sum(size.isdigit() and int(size) > 0 for size in given) < cores:
            for line in _NO_L2:
                self.console.error(line)
            raise ToolFailure("hbUCPWaitTaskDone failed, code=-200003")

    def seconds(self, line: CommandLine) -> int:
        return max(0, line.number("perf_time")) * 60 or max(0, line.number("perf_time_in_seconds"))

    def warms_up(self, line: CommandLine) -> bool:
        return line.on("enable_warmup")

    def output_form(self, line: CommandLine, tensor: BoardTensor) -> OutputForm:
        form = line.text("dump_format")
        if form not in ("bin", "txt", "npy"):
            raise ToolFailure(f"dump_format [{form}] is not supported")
        return OutputForm(form, line.on("dequantize_process"), line.on("remove_padding_process"))

    # ---- perf

    def summary(self, line: Timeline, threads: int) -> None:
        self.console.out(*summary_lines(line, threads, self.decimals))

    def profile_files(self, line: Timeline, facts: RunFacts) -> dict[str, str]:
        condition = {"core_id": facts.core_id, "model_name": facts.model_name, "thread_num": facts.threads}
        return {
            "profiler.log": profile_files.ucp_log(line, condition, self.runtime.version),
            "profiler.csv": profile_files.ucp_csv(line, condition, self.runtime.version),
        }


class OldUcpTool(UcpTool):
    """UCP 3.0 on J6 (2024): the command line first, trailing commas, no zero points, six decimals."""

    trailing_comma = True
    decimals = 6

    def greet(self, argv: Sequence[str]) -> None:
        self.console.out(" ".join(argv), "")

    def libraries(self, perf_without_input: bool) -> None:
        version = ", ".join(self.runtime.platform.split("."))
        self.console.out(f"[BPU][[BPU_MONITOR]][INFO]BPULib verison({version})[{self.soc.name}-emulated]!")

    def _quantization(self, spec: TensorSpec) -> Iterator[str]:
        scaling = spec.quantization
        yield f"quanti type: {'SCALE' if scaling else 'NONE'}"
        yield f"stride: {dims(byte_strides(spec), self.trailing_comma)}"
        if scaling:
            yield "scale data: " + "".join(f"{general(scale)}," for scale in scaling.scales)
            if len(scaling.scales) > 1:
                yield f"quantizeAxis: {scaling.axis}"
