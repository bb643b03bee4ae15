"""Write docs/messages.md: what harness says when something is wrong, from real calls of every command.

    .venv/bin/python scripts/messages.py            # write the file
    .venv/bin/python scripts/messages.py --check    # exit 1 where it is not what the calls print

Each entry is one call in a folder made for it: the command as typed, the exit code, and what it printed. Nothing else
runs: no board, no network. Paths of that folder are left out, so the file is the same on every PC.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "messages.md"
HEAD = """# Messages

What `harness` prints when something is wrong: one call per entry, its message and its exit code. Exit codes:
**1** measured and bad, **2** usage error, **3** could not measure. `error:` states the fact, `hint:` what to type or
check next; `--json` prints both as one object. Written by `scripts/messages.py` from real calls; a test compares it.
"""

# Section -> the calls. Files are those of `_files`; a line `NAME=VALUE harness ...` sets a variable for the call.
CALLS: Mapping[str, tuple[str, ...]] = {
    "Command line": (
        "harness rnu model.bin",
        "harness --verbose",
        "harness run model.bin --board emu-x5 --frame 9",
        "harness run model.bin --board emu-x5 --frames 0",
        "harness run model.bin --board emu-x5 --wait soon",
        "harness run model.bin --board emu-x5 --timeout nan",
        "harness run model.bin --board emu-x5 --reference ''",
        "harness run --board emu-x5",
        "harness run model.bin",
        "harness boards lst",
        "harness compare reference",
        "harness report runs/a runs/b",
        "harness compare a b --json --csv",
        "harness run --json",
    ),
    "run": (
        "harness run model.bin --board x5-99",
        "harness run absent.bin --board emu-x5",
        "harness run empty.bin --board emu-x5",
        "harness run relu.onnx --board emu-x5",
        "harness run model.zip --board emu-x5",
        "harness run . --board emu-x5",
        "harness run foreign.bin --board emu-x5",
        "harness run model.bin --board emu-s100",
        "harness run model.bin --board lab-x5",
        "harness run emu-x5 model.bin --board emu-x5",
        "harness run model.bin --board emu-x5 --mode fast",
        "harness run model.bin --board emu-x5 --mode ,",
        "harness run model.bin --board emu-x5 --option speed=9",
        "harness run model.bin --board emu-x5 --option core",
        "harness run model.bin --board emu-x5 --core 9",
        "harness run model.bin --board emu-x5 --input absent.bin",
        "harness run model.bin --board emu-x5 --input x=x.bin --input x=x.bin",
        "harness run model.bin --board emu-x5 --reference absent",
        "harness run model.bin --board emu-x5 --reference notes.txt --input x.bin",
        "harness run model.bin --board emu-x5 --reference reference",
        "harness run model.bin --board emu-x5 --frames 9 --time 60",
        "harness run model.bin --board emu-x5 --mode profile --repeat 3",
        "harness run model.bin --board emu-x5 --time 900",
        "harness run model.bin --board emu-x5 --max-slower 5",
        "harness run model.bin --board emu-x5 --previous nightly",
        "harness run model.bin --board emu-x5 --policy strict",
        "harness run model.bin --board emu-x5 --map absent.yaml --reference relu.onnx",
        "harness run model.bin --board emu-x5 --build notes.txt",
        "harness run model.bin --board emu-x5 --fault halved",
        "harness run model.bin --board emu-x5 --fault halfed@relu",
        "harness run model.bin --board emu-x5 --fault halved@conv1",
        "harness run model.bin --board lab-x5 --fault halved@relu",
        "harness run model.bin --board emu-x5 --samples absent",
        "harness run model.bin --board emu-x5 --samples empty",
        "harness run model.bin --board emu-x5 --samples dumps --input x.bin",
        "harness run model.bin --board emu-x5 --truth notes.txt",
        "harness run model.bin --board emu-x5 --samples dumps --truth notes.txt",
        "harness run --resume absent",
        "harness run --resume runs",
        "harness run --resume runs --mode release",
    ),
    "soak": (
        "harness soak model.bin",
        "harness soak model.bin --board emu-x5 --hours 0",
        "harness soak model.bin --board emu-x5 --frames 9 --time 60",
        "harness soak model.bin --board emu-x5 --core 9",
        "harness soak --resume absent",
    ),
    "jitter": (
        "harness jitter model.bin --board emu-x5",
        "harness jitter model.bin --board emu-x5 --samples windows --no-stages",
        "harness jitter model.bin --board emu-x5 --samples absent --reference relu.onnx",
        "harness jitter --resume absent",
    ),
    "sweep": (
        "harness sweep model.bin",
        "harness sweep model.bin --board emu-x5 --threads 1,16",
        "harness sweep model.bin --board emu-x5 --threads 0",
        "harness sweep model.bin --board emu-x5 --core 9",
        "harness sweep model.bin --board emu-x5 --vary speed=1",
        "harness sweep model.bin --board emu-x5 --option threads=2",
        "harness sweep model.bin --board emu-x5 --time 900",
        "harness sweep --resume absent",
    ),
    "sensitivity, tune": (
        "harness sensitivity",
        "harness sensitivity relu.onnx",
        "harness sensitivity relu.onnx --calibration empty",
        "harness sensitivity relu.onnx --calibration empty --soc x5",
        "harness sensitivity relu.onnx --calibration empty --soc x5 --figure task",
        "harness sensitivity --table notes.txt",
        "harness tune relu.onnx --calibration empty --soc x5",
        "harness tune relu.onnx --calibration absent --soc x5 --reach 30",
        "harness tune relu.onnx --calibration empty --soc x5 --reach 30 --board emu-x5 --no-run",
    ),
    "explore, calibration": (
        "harness explore",
        "harness explore relu.onnx --soc x5",
        "harness explore relu.onnx --soc x5 --calibration cal --only int61",
        "harness explore relu.onnx --soc x5 --calibration cal --export nothing",
        "harness calibration relu.onnx",
        "harness calibration relu.onnx --calibration empty",
        "harness calibration relu.onnx --calibration cal --inputs cal --run runs",
        "harness calibration relu.onnx --calibration cal --run absent",
    ),
    "nightly": (
        "harness nightly",
        "harness nightly absent.yaml",
        "harness nightly suite.yaml",
        "harness nightly no-board.yaml",
        "harness nightly no-model.yaml",
        "harness nightly --resume absent",
        "harness nightly --resume empty",
    ),
    "farm": (
        "harness farm submit --scheduler 127.0.0.1",
        "harness farm submit suite.yaml",
        "harness farm submit suite.yaml --scheduler tcp://10.0.0.5:8786",
        "harness farm submit suite.yaml --scheduler http://farm-pc",
        "harness farm worker emu-x5 --scheduler tls://farm-pc:8786",
        "harness farm worker emu-x5 --scheduler tls://farm-pc:8786 --tls-ca absent.pem",
        "harness farm scheduler --listen tcp://0.0.0.0:8786",
    ),
    "history, bisect": (
        "harness history yolo",
        "harness history --history nonsense",
        "harness history rebuild absent",
        "harness bisect",
        "harness bisect yolo --nights absent",
        "harness bisect yolo --nights empty",
    ),
    "compare": (
        "harness compare absent dumps",
        "harness compare reference absent",
        "harness compare reference empty",
        "harness compare dumps reference",
        "harness compare reference dumps --input x.bin",
        "harness compare reference dumps --stage float",
        "harness compare reference dumps --map bad-map.yaml",
        "harness compare relu.onnx dumps",
        "harness compare reference dumps",
        "harness compare reference truncated",
    ),
    "reference": (
        "harness reference absent.onnx -o out",
        "harness reference notes.txt -o out",
        "harness reference relu.onnx -o out",
        "harness reference relu.onnx --input short.bin -o out",
        "harness reference relu.onnx --input x.bin --input x.bin -o out",
        "harness reference relu.onnx --input x.bin -o notes.txt",
        "harness reference relu.onnx --input x.bin -o out --python absent",
        "harness reference relu.onnx --input x.bin -o out --engine docker",
    ),
    "bundle, unbundle": (
        "harness bundle absent",
        "harness bundle other-board --redact op",
        "harness bundle other-board --redact all",
        "harness unbundle absent.zip",
        "harness unbundle notes.txt",
        "harness unbundle model.zip",
    ),
    "pack, runs, run --again": (
        "harness pack absent",
        "harness pack other-board",
        "harness runs list absent",
        "harness runs prune --keep -1",
        "harness run --again absent",
        "harness run --again other-board",
        "harness run --again other-board --frames 3",
        "harness run model.bin --board emu-x5 --watch",
    ),
    "report, inspect": (
        "harness report absent",
        "harness report notes.txt",
        "harness report newer",
        "harness diff other-board",
        "harness diff other-board other-board",
        "harness diff other-board absent",
        "harness export absent --to markdown",
        "harness export other-board --to x5-record",
        "harness export other-board --to x5-records",
        "harness export other-board --to json --json",
        "harness inspect absent",
        "harness inspect empty.bin",
        "harness inspect notes.txt",
        "harness inspect foreign.bin notes.txt",
        "harness inspect weights.tar",
    ),
    "convert": (
        "harness convert absent.png",
        "harness convert notes.txt",
        "harness convert x.bin",
        "harness convert x.bin --shape 1,2",
        "harness convert x.bin --shape 1,9,9,3",
        "harness convert array.npy",
        "harness convert x.bin --shape 1,2,2,4 --size 0x9",
        "harness convert x.bin --shape 1,2,2,4 -o absent/x.bin",
    ),
    "boards and hosts.yaml": (
        "harness boards check lab-x6",
        "HARNESS_HOSTS=absent.yaml harness boards list",
        "harness boards list --hosts unknown-key.yaml",
        "harness boards list --hosts platform.yaml",
        "harness boards list --hosts duplicate.yaml",
        "harness boards list --hosts soc.yaml",
        "harness boards list --hosts address.yaml",
        "harness boards list --hosts secret.yaml",
        "harness boards list --hosts quoted.yaml",
        "harness boards list --hosts broken.yaml",
        "harness boards list --hosts empty.bin",
        "harness boards trust emu-x5",
        "harness boards password emu-x5",
        "harness boards lease lab-x5",
        "harness boards prepare emu-x5 --wheels absent",
        "harness boards add lab-x5 root@10.0.0.9",
        "harness boards add new root@",
    ),
    "emulator, policy, lint, explain": (
        "harness emulator serve emu-x6",
        "harness emulator build relu.onnx --soc x5 -o relu.onnx",
        "harness emulator build relu.onnx --soc x5 --on-cpu conv9",
        "harness emulator build relu.onnx --soc x5 --mean 128",
        "harness emulator build relu.onnx --soc x5 --shape 1,4",
        "harness policy show strict",
        "harness policy show --dtype s8",
        "harness policy check policy.yaml",
        "harness lint notes.txt",
        "harness explain C-1O3",
        "harness lint config.yaml",
        "harness lint suite.yaml",
    ),
}

HOSTS = {
    "hosts.yaml": "boards:\n  lab-x5: {platform: hbdnn, soc: x5, address: 127.0.0.1, port: 1, user: root}\n",
    "unknown-key.yaml": "boards:\n  b: {platform: hbdnn, adress: 10.0.0.9}\n",
    "platform.yaml": "boards:\n  b: {platform: hbdn, address: 10.0.0.9}\n",
    "duplicate.yaml": "boards:\n  b: {platform: hbdnn, address: 10.0.0.9}\n  b: {platform: ucp, address: 10.0.0.8}\n",
    "soc.yaml": "boards:\n  b: {platform: hbdnn, soc: x55, address: 10.0.0.9}\n",
    "address.yaml": "boards:\n  b: {platform: hbdnn, address: root@10.0.0.9:22}\n",
    "secret.yaml": "boards:\n  b: {platform: hbdnn, address: 10.0.0.9, password: x}\n",
    "quoted.yaml": "boards:\n  b: {platform: hbdnn, address: 10.0.0.9, port: '22'}\n",
    "broken.yaml": "boards:\n  b: [platform\n",
}


@dataclass(frozen=True)
class MessageEntry:
    """One call and what it printed."""

    command: str
    exit_code: int
    text: str


def _relu(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="relu")], "relu", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))


def _files(folder: Path) -> None:
    """What the calls are made with."""
    import numpy as np

    x = np.array([-1, 0, 1, 2], np.float32)
    _relu(folder / "relu.onnx")
    for name, values in {"x.bin": x, "short.bin": x[:3], "empty.bin": x[:0]}.items():
        values.tofile(folder / name)
    np.save(folder / "array.npy", x)
    (folder / "notes.txt").write_text("remember the milk\n")
    (folder / "foreign.bin").write_bytes(bytes(range(64)))
    (folder / "model.zip").write_bytes(b"PK\x03\x04" + bytes(60))
    (folder / "weights.tar").write_bytes((b"weights.bin" + bytes(246) + b"ustar\x0000").ljust(1024, b"\0"))
    for name in ("empty", "dumps", "truncated", "runs", "newer", "cal"):
        (folder / name).mkdir()
    np.save(folder / "cal" / "0.npy", x)
    (folder / "newer" / "run.json").write_text('{"format": 99, "harness_version": "9.0"}')
    (folder / "other-board").mkdir()
    (folder / "other-board" / "run.json").write_text('{"format": 2, "state": "complete", "board": {"soc": "x3"}}')
    for name, text in HOSTS.items():
        (folder / name).write_text(text)
    (folder / "bad-map.yaml").write_text("board_y: z\n")
    (folder / "policy.yaml").write_text("extends: defualt\n")
    for name, model, boards in (
        ("no-board", "model.bin", "tags: [soc=j9]"),
        ("no-model", "absent.bin", "names: [emu-x5]"),
    ):
        text = f"suite: night\ncases:\n  a: {{model: {model}, boards: {{{boards}}}}}\n"
        (folder / f"{name}.yaml").write_text(text)
    (folder / "suite.yaml").write_text("suite: night\ncases:\n  a: {modell: model.bin}\n")
    (folder / "config.yaml").write_text("model_parameters:\n  onnx_model: m.onnx\n  march: bayes\n")
    _call("harness emulator build relu.onnx --soc x5 -o model.bin")
    _call("harness reference relu.onnx --input x.bin -o reference")
    np.maximum(x, 0).tofile(folder / "dumps" / "y.bin")
    (np.maximum(x, 0) * 2).tofile(folder / "dumps" / "y.bin")
    np.maximum(x, 0)[:3].tofile(folder / "truncated" / "y.bin")


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """In that folder, with an inventory and a home of its own, and no variable of this PC's user."""
    kept, before = dict(os.environ), Path.cwd()
    for name in [name for name in os.environ if name.startswith("HARNESS_")]:
        del os.environ[name]
    os.environ.update(HARNESS_HOME=str(folder / ".home"), HOME=str(folder / ".home"), COLUMNS="110")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(kept)


def _call(command: str) -> MessageEntry:
    """The command, run in this process. What it printed: stderr, then stdout."""
    from click.testing import CliRunner

    from harness.cli import cli

    words = shlex.split(command)
    variables = dict(word.split("=", 1) for word in words[: words.index("harness")])
    result = CliRunner().invoke(cli, words[words.index("harness") + 1 :], env=variables)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return MessageEntry(command, result.exit_code, result.stderr + result.stdout)


def _without_folder(text: str, folder: Path) -> str:
    """The text without what is another in each run."""
    for path in (folder.resolve(), folder):
        text = text.replace(f"{path}/", "").replace(str(path), ".")
    text = text.replace(f"{ROOT}/", "")
    text = re.sub(r"\d+ MB free", "N MB free", text)
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def entries() -> dict[str, list[MessageEntry]]:
    """All entries, by section."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _inside(folder):
            _files(folder)
            calls = {title: [_call(command) for command in commands] for title, commands in CALLS.items()}
        return {
            t: [MessageEntry(e.command, e.exit_code, _without_folder(e.text, folder)) for e in some]
            for t, some in calls.items()
        }


def page(by_section: Mapping[str, list[MessageEntry]]) -> str:
    """The document."""
    parts = [HEAD]
    for title, some in by_section.items():
        parts.append(f"## {title}\n")
        parts += [f"```text\n$ {e.command}\n{e.text}\n[exit {e.exit_code}]\n```\n" for e in some]
    return "\n".join(parts)


def main() -> int:
    """The command line of this script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    text = page(entries()) if parser.parse_args() else ""
    if "--check" in sys.argv:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
