"""The PC's side of an emulated T40 or T41: MAGIK_DATA_DUMP, as magik_executor writes it for one input."""

from __future__ import annotations

from pathlib import Path

from harness.emulator.magik.model import MagikModel
from harness.errors import InputError
from harness.names import file_form

LOG = "magik_executor.log"  # the executor prints it; only there do shapes stand


def write_pc_dump(model: Path, source: Path, folder: Path) -> list[Path]:
    """Run a compiled model on one input (NHWC bytes) and write every layer, the input and the log into `folder`.

    Errors: InputError for a file of another size, or a folder that holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: not empty", "give a new folder")
    opened = MagikModel(model)
    data = source.read_bytes()
    dumps = opened.dump(opened.values(data))
    folder.mkdir(parents=True, exist_ok=True)
    n, h, w, c = opened.input_nhwc
    written = {f"input_data_shape_{n}_{h}_{w}_{c}.bin": data}
    lines = []
    for name, content in dumps.items():
        file = f"{file_form(name)}.bin"
        written[file] = content
        sizes = ",".join(map(str, opened.stored_shape(name)))
        lines.append(f"\033[1m\033[32mLog: Data dumping to:./MAGIK_DATA_DUMP/{file}--->shape:[{sizes}]\033[0m\n")
    for file, content in written.items():
        (folder / file).write_bytes(content)
    (folder / LOG).write_text("".join(lines))
    return [folder / file for file in (*written, LOG)]
