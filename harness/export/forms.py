"""The table of all forms: texts are the exporters of `report/exporters/` and of packages, folders those below.

A new text form is one file in `report/exporters/`; a new form of several files is one line here, or in a vendor's room.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from harness import vendors
from harness.errors import ConfigError, InputError
from harness.export import model_explorer, table_files
from harness.export.base import ExportVendor, FolderForm
from harness.files import safe
from harness.records import Run
from harness.report.exporting import EXPORTERS

_FORMS: Mapping[str, FolderForm] = {
    "csv": table_files.CSV,
    "csv-excel": table_files.CSV_EXCEL,
    "parquet": table_files.PARQUET,
    "model-explorer": model_explorer.MODEL_EXPLORER,
}


def folder_forms() -> Mapping[str, FolderForm]:
    """Forms of several files, by name."""
    rooms = vendors.parts("export", ExportVendor).values()
    return {**_FORMS, **{name: form for room in rooms for name, form in room.forms.items()}}


def names() -> tuple[str, ...]:
    """What `--to` takes; no exporter is loaded for it."""
    return (*EXPORTERS.names(), *folder_forms())


def titles() -> Mapping[str, str]:
    """Every form with its few words."""
    texts = {name: exporter.title for name, exporter in EXPORTERS.all().items()}
    return texts | {name: form.title for name, form in folder_forms().items()}


def folder_form(name: str) -> FolderForm | None:
    """The form of several files of that name; None for one text. Errors: ConfigError for a name that there is not."""
    forms = folder_forms()
    if name in forms:
        return forms[name]
    if not EXPORTERS.knows(name):
        near = get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names())}"
        raise ConfigError(f"unknown form {name!r}", hint)
    return None


def write_folder(form: FolderForm, run: Run, folder: Path, target: Path) -> tuple[Path, ...]:
    """Write every file of a form into `target`, which is made. Errors: InputError of the form, or of the folder."""
    files = form.files(run, folder)  # all of them before the first is written
    try:
        safe.make_folder(target)
        for name, held in files.items():
            data = held if isinstance(held, bytes) else held.encode("utf-8", "backslashreplace")
            safe.write_file(target / name, data)
    except OSError as error:
        if error.errno in safe.FULL:
            raise
        raise InputError(f"{target}: {error.strerror or error}", "give a writable folder with -o DIR") from error
    return tuple(target / name for name in files)
