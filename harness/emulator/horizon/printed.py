"""What all generations of `hrt_model_exec` print and name in the same way."""

from __future__ import annotations

from typing import Any

from harness.emulator.console import Console
from harness.emulator.cost.timing import Timeline
from harness.emulator.horizon.dump_files import file_stem
from harness.emulator.socs import Runtime, Soc


class PrintedDialect:
    """What all generations print in the same way."""

    def __init__(self, soc: Soc, runtime: Runtime, console: Console) -> None:
        self.soc, self.runtime, self.console = soc, runtime, console

    def version(self) -> str:
        """Of the runtime, as the banner and the files name it."""
        return self.runtime.version

    def input_name(self, index: int, name: str) -> str:
        """File name of an input dump, without suffix."""
        return file_stem(f"model_infer_input_{index}_", name)

    def output_name(self, index: int, name: str) -> str:
        """File name of an output dump, without suffix."""
        return file_stem(f"model_infer_output_{index}_", name)

    def progress(self, frames: int, part_ms: Any, fps: float) -> None:
        """Print statistics of a part of a perf run; `part_ms` is a 1-D array of latencies."""
        self.console.out(
            f"Frame count: {frames},  Thread Average: {part_ms.mean():.6f} ms,  thread max latency: "
            f"{part_ms.max():.6f} ms,  thread min latency: {part_ms.min():.6f} ms,  FPS: {fps:.6f}"
        )


def summary_lines(line: Timeline, threads: int, decimals: int) -> list[str]:
    """The block that ends a perf run."""
    frames = len(line.latency_us)
    total_ms, run_ms = sum(line.latency_us) / 1000.0, line.run_us / 1000.0
    return [
        "",
        "Running condition:",
        f"  Thread number is: {threads}",
        f"  Frame count   is: {frames}",
        f"  Program run time: {run_ms:.{decimals}f} ms",
        "Perf result:",
        f"  Frame totally latency is: {total_ms:.{decimals}f} ms",
        f"  Average    latency    is: {total_ms / frames:.{decimals}f} ms",
        f"  Frame      rate       is: {frames / (run_ms / 1000.0):.{decimals}f} FPS",
    ]
