"""One call of an emulated Horizon tool."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.emulator.console import Console
from harness.emulator.horizon.dialect import Dialect, ToolFailure
from harness.emulator.horizon.gflags import CommandLine
from harness.emulator.model.compiled import CompiledFile, CompiledModel
from harness.emulator.model.faults import Fault
from harness.emulator.socs import Runtime, Soc

# The real tools' exit codes are not published; anything but 0 is a failure.
FAILED = 1


@dataclass
class Call:
    """One call: the board, the command line, the models of the file, the planted faults."""

    soc: Soc
    runtime: Runtime
    console: Console
    dialect: Dialect
    line: CommandLine
    subcommand: str
    files: dict[str, CompiledFile] = field(default_factory=dict)  # by model name
    models: list[CompiledModel] = field(default_factory=list)
    faults: tuple[Fault, ...] = ()

    def has(self, kind: str) -> bool:
        """Whether a tool fault of this kind is planted for this subcommand."""
        return any(f.kind == kind and f.target in ("", self.subcommand) for f in self.faults if f.where == "tool")

    @property
    def numeric(self) -> list[Fault]:
        """Faults that change values."""
        return [f for f in self.faults if f.where in ("op", "input", "inputs")]

    @property
    def slow(self) -> list[Fault]:
        """Faults that change times."""
        return [f for f in self.faults if f.where == "step"]

    @property
    def input_files(self) -> list[str]:
        """Paths given with --input_file."""
        return [part for part in self.line.text("input_file").split(",") if part]

    def chosen(self) -> CompiledModel:
        """The model to run. Errors: ToolFailure where several are loaded and none, or an unknown one, is named."""
        name = self.line.text("model_name")
        if not name and len(self.models) == 1:
            return self.models[0]
        for model in self.models:
            if model.name == name:
                return model
        names = ",".join(model.name for model in self.models)
        raise ToolFailure(f"model_name [{name}] is not in the model file, it has: {names}; hbDNNGetModelHandle failed")
