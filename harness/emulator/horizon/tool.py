"""The story of one call of the emulated `hrt_model_exec`: flags, load, subcommand, exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.emulator.console import Console
from harness.emulator.cost import cpu
from harness.emulator.horizon import gflags, tool_faults
from harness.emulator.horizon.call import FAILED, Call
from harness.emulator.horizon.dialect import SUBCOMMANDS, Dialect, ToolFailure
from harness.emulator.horizon.gflags import FlagError
from harness.emulator.horizon.socs import DEFAULT, SOCS, socs_of_march
from harness.emulator.model.compiled import CompiledFile, CompiledModel
from harness.emulator.model.faults import ENVIRONMENT, parse_faults
from harness.emulator.socs import Runtime, Soc
from harness.emulator.this_board import RUNTIME, board_soc
from harness.errors import HarnessError

_BOARDS_OF_MARCH = {"bernoulli2": "X/J3"}  # as the vendor's message names them


def main(argv: Sequence[str]) -> int:
    """Run the tool; the exit code."""
    console = Console()
    try:
        soc = board_soc(SOCS, DEFAULT)
        runtime = soc.runtime(os.environ.get(RUNTIME, ""))
        dialect = dialect_of(soc, runtime, console)
        line = gflags.parse(argv[1:], dialect.flags)
    except (FlagError, HarnessError) as error:
        console.error(str(error))
        return FAILED
    if line.on("version") or line.on("v"):
        console.out(dialect.version())
        return 0
    subcommand = next((word for word in line.words if word in SUBCOMMANDS), "")
    if not subcommand or line.on("help") or line.on("h"):
        console.out(dialect.usage())
        return 0 if not line.words or subcommand else FAILED
    dialect.greet([Path(argv[0]).stem, *argv[1:]])
    return _run(Call(soc, runtime, console, dialect, line, subcommand))


def _run(call: Call) -> int:
    try:
        tool_faults.before_loading(call)
        _load(call)
        tool_faults.before_work(call)
        code = _subcommand(call)
    except (ToolFailure, HarnessError) as error:
        call.console.error(f"[E][EMU]{call.subcommand} failed: {error}")
        return FAILED
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        call.console.error(f"[E][EMU]{call.subcommand} failed: {error.filename or ''}: {reason}")
        return FAILED if error.errno != errno.EPIPE else 0
    call.dialect.finish()
    return code


def _subcommand(call: Call) -> int:
    if call.subcommand == "model_info":
        call.console.out(*call.dialect.info(call.models, call.line.text("model_name")))
        return 0
    from harness.emulator.horizon import run  # loads onnxruntime

    return run.infer(call) if call.subcommand == "infer" else run.perf(call)


# --------------------------------------------------------------------------- loading


def _load(call: Call) -> None:
    paths = [Path(part) for part in call.line.text("model_file").split(",") if part]
    if not paths:
        raise ToolFailure("model_file is empty, it must be given")
    call.dialect.libraries(call.subcommand == "perf" and not call.input_files)
    for path in paths:
        _load_file(call, path)
    text = os.environ.get(ENVIRONMENT, "")
    call.faults = parse_faults(text, call.chosen() if call.subcommand != "model_info" else None)
    weight_bytes = sum(op.weight_bytes for model in call.models for op in model.ops)
    call.dialect.loaded(round(cpu.load_ms(weight_bytes, call.soc), 3), [model.name for model in call.models])


def _load_file(call: Call, path: Path) -> None:
    if not os.access(path, os.R_OK) or not path.is_file():
        raise ToolFailure(
            f"[E][DNN][packed_model.cpp:129][Model] Can not open {path}, file not exists or no read permission."
        )
    file = CompiledFile(path)
    for model in file.models:
        _check_march(call, model)
        call.dialect.builder(model.builder)
        call.files[model.name] = file
        call.models.append(model)


def _check_march(call: Call, model: CompiledModel) -> None:
    if model.march == call.soc.march:
        return
    boards = _BOARDS_OF_MARCH.get(model.march) or "/".join(name.upper() for name in socs_of_march(model.march))
    raise ToolFailure(f"The model's march is {model.march}, please run on {boards} board!")


def dialect_of(soc: Soc, runtime: Runtime, console: Console) -> Dialect:
    """The dialect that this runtime of the chip speaks."""
    from harness.emulator.horizon.hbdnn import HbdnnTool, OldHbdnnTool
    from harness.emulator.horizon.ucp import OldUcpTool, UcpTool

    kinds: dict[str, Callable[[Soc, Runtime, Console], Dialect]]
    kinds = {
        "hbdnn": HbdnnTool,
        "hbdnn_old": OldHbdnnTool,
        "ucp": UcpTool,
        "ucp_old": OldUcpTool,
    }
    return kinds[runtime.dialect](soc, runtime, console)
