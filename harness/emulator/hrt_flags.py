"""Flags of `hrt_model_exec` for libdnn boards, with the vendor's defaults, clamps and help text."""

from __future__ import annotations

from harness.emulator.gflags import CommandLine, Value

SUBCOMMANDS = ("model_info", "infer", "perf")
MAX_THREADS = 8

DEFAULTS: dict[str, Value] = {
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


def usage() -> str:
    """The help text, in the vendor's layout."""
    lines = [
        "Usage:",
        "hrt_model_exec [Option...] [Parameter]",
        "",
        "[Option]                      [Parameter]",
        "-" * 111,
    ]
    lines += [f"--{name:<28}{'[' + kind + ']':<10}: {text}" for name, kind, text in _ROWS]
    lines += ["", "[Examples]", "-" * 111, "hrt_model_exec model_info --model_file=model.bin"]
    lines.append("hrt_model_exec infer --model_file=model.bin --input_file=input.bin --enable_dump=true")
    lines.append("hrt_model_exec perf --model_file=model.bin --thread_num=1 --frame_count=200 --profile_path=.")
    return "\n".join(lines)


def frames(line: CommandLine, default: int) -> int:
    """The frame count; 0 and below mean the default."""
    return line.number("frame_count") if line.number("frame_count") > 0 else default


def threads(line: CommandLine) -> int:
    """Clamped to 1..8, as documented."""
    return min(max(line.number("thread_num"), 1), MAX_THREADS)
