"""Files that people write -> records. An unknown key is an error with file, line and "did you mean"."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from harness.complaints import explain
from harness.errors import ConfigError
from harness.hosts_checks import complaints
from harness.records import Board, Limits
from harness.records.boards import SERVED, Emulated

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

TransportName = Literal["ssh", "openssh", "local"]
PlatformName = Literal["hbdnn", "ucp", "magik", "ort"]
SECRET_WORDS = ("password", "passphrase", "passwd", "secret", "token")


class _File(BaseModel):
    """Base of every file model: unknown keys are refused, values are not bent into other types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LimitsFile(_File):
    timeout_s: float = Field(default=Limits.timeout_s, gt=0)
    connect_timeout_s: float = Field(default=Limits.connect_timeout_s, gt=0)
    patience_s: float = Field(default=Limits.patience_s, ge=0)
    max_files: int = Field(default=Limits.max_files, gt=0)
    max_bytes: int = Field(default=Limits.max_bytes, gt=0)
    cache_bytes: int = Field(default=Limits.cache_bytes, ge=0)


class SharedFolderFile(_File):
    here: str
    there: str


class BoardFile(_File):
    platform: PlatformName
    soc: str = ""
    transport: TransportName = "ssh"
    address: str = ""
    port: int = Field(default=22, ge=1, le=65535)
    user: str = ""
    identity: str = ""
    known_hosts: str = ""
    jump: str = ""
    work: str = "harness-work"
    tools: list[str] = []
    libraries: list[str] = []
    environment: dict[str, str] = {}
    tags: list[str] = []
    setup: list[list[str]] = []
    teardown: list[list[str]] = []
    shared_folder: SharedFolderFile | None = None
    power: dict[Literal["cycle", "on", "off", "before", "after"], list[str]] = {}
    limits: LimitsFile = LimitsFile()
    options: dict[str, Any] = {}
    emulated: bool = False  # of `harness emulator serve`: played, so no time of its accelerator is a measurement

    @field_validator("environment", mode="before")
    @classmethod
    def _numbers_are_text(cls, value: Any) -> Any:
        """`THREADS: 4` means "4"; YAML's other guesses (true, null) are refused by the type."""
        if not isinstance(value, dict):
            return value
        return {k: str(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for k, v in value.items()}


class HostsFile(_File):
    boards: dict[str, BoardFile]


def load_boards(path: Path) -> dict[str, Board]:
    """Read hosts.yaml. Errors: ConfigError that names file, line, key and the nearest known one."""
    hosts = load_file(path, HostsFile)
    return {name: _board(path, name, entry) for name, entry in hosts.boards.items()}


def line_of(path: Path, place: Location) -> int:
    """The line that holds `place`, for example ("boards", "x5-01", "soc"), or the part of it that is in the file."""
    root = _compose(path, path.read_text(encoding="utf-8-sig"))
    return _line(root, place) if root is not None else 1


def _refuse_wrong(path: Path, name: str, entry: BoardFile) -> None:
    """Errors: ConfigError for a name, an address or a soc that cannot be, with its line and what to write."""
    for wrong in complaints(name, entry.platform, entry.soc, entry.transport, entry.address):
        place = ("boards", name, *([wrong.key] if wrong.key else []))
        where = ".".join(place) if wrong.key else "boards"
        raise ConfigError(f"{path}:{line_of(path, place)}: {where}: {wrong.message}", wrong.hint)


def _board(path: Path, name: str, entry: BoardFile) -> Board:
    if entry.transport != "local" and not entry.address:
        raise ConfigError(
            f"{path}: boards.{name}: transport {entry.transport} needs an address",
            "add `address: 192.168.1.10`",
        )
    _refuse_wrong(path, name, entry)
    values = entry.model_dump(exclude={"limits", "shared_folder"})
    shared = entry.shared_folder
    values |= {
        "name": name,
        "identity": str(Path(entry.identity).expanduser()) if entry.identity else "",
        "known_hosts": str(Path(entry.known_hosts).expanduser()) if entry.known_hosts else "",
        "limits": Limits(**entry.limits.model_dump()),
        "shared_folder": (shared.here, shared.there) if shared else ("", ""),
        "setup": tuple(tuple(argv) for argv in entry.setup),
        "teardown": tuple(tuple(argv) for argv in entry.teardown),
        "power": {key: tuple(argv) for key, argv in entry.power.items()},
    }
    values["emulated"] = Emulated(entry.soc, SERVED) if entry.emulated else None
    for key in ("tools", "libraries", "tags"):
        values[key] = tuple(values[key])
    return Board(**values)


# --------------------------------------------------------------------------- reading, with lines


def load_file(path: Path, model: type[Model]) -> Model:
    """Read one YAML file into its model. Errors: ConfigError with file, line, value and a suggestion."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})", "give a YAML file in UTF-8") from error
    root = _compose(path, text)
    if root is None:
        raise ConfigError(f"{path}: the file is empty", f"it needs `{next(iter(model.model_fields))}:`")
    _refuse_repeated_keys(path, root)
    _refuse_secrets(path, root)
    try:
        return model.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        raise _readable(path, root, model, error) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}") from error


def _compose(path: Path, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply to be a file that people write") from error


def _pairs(node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    return list(node.value) if isinstance(node, yaml.MappingNode) else []


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refuse_repeated_keys(path: Path, node: yaml.Node) -> None:
    """YAML takes the last of two equal keys in silence; a board defined twice is a mistake."""
    seen: dict[str, int] = {}
    for key, _ in _pairs(node):
        line = key.start_mark.line + 1
        if key.value in seen:
            raise ConfigError(f"{path}:{line}: key {key.value!r} stands twice, first in line {seen[key.value]}")
        seen[key.value] = line
    for child in _children(node):
        _refuse_repeated_keys(path, child)


def _refuse_secrets(path: Path, node: yaml.Node) -> None:
    for key, value in _pairs(node):
        if isinstance(key.value, str) and any(word in key.value.lower() for word in SECRET_WORDS):
            raise ConfigError(
                f"{path}:{key.start_mark.line + 1}: {key.value!r}: secrets do not belong in this file",
                "use a key (`identity:`), the ssh agent, or the environment variable HARNESS_PASSWORD_<BOARD>",
            )
        _refuse_secrets(path, value)


def _readable(path: Path, root: yaml.Node, model: type[BaseModel], error: ValidationError) -> ConfigError:
    """The first of pydantic's complaints, in words, with the line it stands on."""
    complaints = error.errors(include_url=False, include_context=True)
    # A mistyped key is also a missing one: the typo is the better thing to say.
    first = min(complaints, key=lambda c: c["type"] != "extra_forbidden")
    place = first["loc"]
    line = _line(root, place)
    where = ".".join(str(part) for part in place)
    if first["type"] == "extra_forbidden":
        message = f"{path}:{line}: {where}: unknown key {place[-1]!r}"
        return ConfigError(message, _did_you_mean(str(place[-1]), _known_keys(model, place[:-1])))
    if first["type"] == "missing":
        return ConfigError(f"{path}:{line}: {'.'.join(map(str, place[:-1])) or 'the file'}: {place[-1]!r} is missing")
    if told := explain(first, str(place[-1])):
        where = where.removesuffix(".[key]")
        return ConfigError(f"{path}:{line}: {where}: {told[0]}", told[1])
    return ConfigError(f"{path}:{line}: {where}: {first['msg']}, found {first['input']!r}", _nearest_word(first))


def _nearest_word(complaint: Mapping[str, Any]) -> str:
    """For a word that is none of a few: the one that is meant."""
    expected = str(complaint.get("ctx", {}).get("expected", ""))
    words = re.findall(r"'([^']*)'", expected)
    return _did_you_mean(str(complaint["input"]).lower(), words) if words else ""


def _line(root: yaml.Node, place: Location) -> int:
    """Line of the deepest part of `place` that the file really holds."""
    node, line = root, root.start_mark.line + 1
    for part in place:
        step = _step(node, part)
        if step is None:
            break
        line, node = step
    return line


def _step(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(part, int) and isinstance(node, yaml.SequenceNode) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    for key, value in _pairs(node):
        if key.value == str(part):
            return key.start_mark.line + 1, value
    return None


def _known_keys(model: type[BaseModel], place: Location) -> list[str]:
    """Keys allowed at `place`: walks the models, skipping names of mapping entries and list indexes."""
    current: type[BaseModel] = model
    for part in place:
        field = current.model_fields.get(str(part))
        if field is not None:
            current = _inner_model(field.annotation) or current
    return list(current.model_fields)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _inner_model(part)
        if found:
            return found
    return None


def _did_you_mean(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def nearest(word: str, known: Mapping[str, Any] | list[str]) -> str:
    """A hint for a mistyped name."""
    return _did_you_mean(word, list(known))


def board_fields() -> list[str]:
    """Names of everything hosts.yaml may say of a board; docs and the example file are held to it."""
    return [f.name for f in dataclasses.fields(Board) if f.name != "name"]
