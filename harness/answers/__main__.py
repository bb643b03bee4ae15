"""`python -m harness.answers`: write the shipped schemas beside this file."""

from __future__ import annotations

from harness.answers.schemas import FOLDER, schemas, text_of
from harness.files.safe import write_file

if __name__ == "__main__":
    for name, schema in schemas().items():
        write_file(FOLDER / name, text_of(schema).encode(), FOLDER)
