"""Why a run of Sophgo's tools gave nothing, by exit code, text and files together."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from harness.platforms.failure_texts import FailureText, failure_text
from harness.platforms.text import plain
from harness.records import Failure

# What a mode leaves, of BM168x's tools or of CV18xx's.
EXPECTED = {"release": ("output_0.bin", "output.npz"), "debug": ("soc_infer_*.npz", "layers.npz")}
# First match in this order; texts of libsophon (tpu-runtime, bmlib), of the TPU SDK and of the vendor's Python tools.
TEXTS: tuple[FailureText, ...] = (
    failure_text(
        r"([^\s:]{0,100}(?:bmrt_test|model_runner|model_tool)[^\s:]{0,100}): (?:command )?not found",
        "missing_tool",
        r"\1 is not on the board",
        "install libsophon (or the TPU SDK), or set --option tool=PATH",
    ),
    failure_text(
        r"error while loading shared libraries: (\S+):",
        "missing_library",
        r"the tool needs \1, which is not on the board",
        "add its folder to libraries in hosts.yaml: /opt/sophon/libsophon-current/lib",
    ),
    failure_text(
        r"(?:not match current chip|bmodel is not for current chip|chip (?:id )?(?:not match|mismatch))",
        "wrong_chip",
        "the model is for another chip",
        "build it for this board: model_deploy.py --processor SOC",
    ),
    failure_text(
        r"(?:bm_dev_request failed|open device [^\n]{0,80} failed|/dev/bm-sophon\S*: No such"
        r"|bmdev_init[^\n]{0,80}fail)",
        "no_device",
        "the TPU cannot be opened",
        "check its driver on the board (ls /dev/bm-sophon0, bm-smi), or --option device=N",
    ),
    failure_text(
        r"(?:alloc(?:ate)? [^\n]{0,80}mem\w* fail|bm_malloc_device\w* [^\n]{0,80}fail|no enough memory|out of memory"
        r"|CviModel Need ION Memory[^\n]{0,80}fail|ION alloc failed)",
        "memory",
        "the TPU's memory is full",
        "end other programs there (bm-smi shows them), or give the TPU more memory (memory_edit)",
    ),
    failure_text(
        r"Failed to fread reference data of net",
        "bad_input",
        "the inputs hold fewer bytes than the model takes",
        "give one --input for each input, with the sizes of model_tool --info",
    ),
    failure_text(
        r"(?:Load [^\n]{0,80}model [^\n]{0,80}failed|load bmodel [^\n]{0,80}fail"
        r"|\[load_bmodel\w*:\d+\][^\n]{0,80}(?:fail|error)|magic is not match"
        r"|invalid cvimodel|failed to register cvimodel)",
        "bad_model",
        "the runtime cannot load the model",
        "check that it is whole, and that it is not newer than the board's libsophon",
    ),
    failure_text(
        r"(?:BM_ERR_TIMEOUT|sync api [^\n]{0,80}(?:timeout|fail)|api [^\n]{0,80}time ?out)",
        "timeout",
        "the TPU did not answer in time",
        "reset it (bm-smi, or a restart), then run again",
    ),
    failure_text(
        r"^(?:ModuleNotFoundError|ImportError): .*$",
        "missing_tool",
        "the layer tool lacks a Python package on the board",
        "install numpy and tqdm there, or --option python=PATH",
    ),
    failure_text(r"^FileNotFoundError: .*?'([^']*)'.*$", "missing_file", r"\1 is not on the board", ""),
    failure_text(
        r"^Compare result: .*failed.*$|^.*cmp failed.*$", "bad_result", "the tool's own comparison failed", ""
    ),
    failure_text(r"\] FATAL:", "crash", "the runtime gave up", "its line says why; see log.txt"),
)


def judge(mode: str, code: int | None, log: str, present: Sequence[str]) -> Failure | None:
    """None means that the mode worked: exit code 0 and the file that it is for."""
    expected = EXPECTED.get(mode.partition("-")[0], ())
    is_there = not expected or any(fnmatch(name, pattern) for name in present for pattern in expected)
    if code == 0 and is_there:
        return None
    text = plain(log).joined
    for known in TEXTS:
        if match := known.pattern.search(text):
            return known.failure(match)
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:400]
    if code == 127:
        return Failure("missing_tool", "the tool is not on the board", "--option tool=PATH", last)
    if code != 0:
        words = f"exit code {code}" if code is not None else "without an exit code"
        return Failure("crash", f"the tool ended with {words}", "see log.txt of the run", last)
    return Failure("no_result", f"the tool left no {' and no '.join(expected)}", "check the board's free space", last)
