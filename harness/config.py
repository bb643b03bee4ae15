"""Files that people write -> records. An unknown key is an error with file, line and "did you mean"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.complaints import explain
from harness.errors import ConfigError
from harness.files.yaml_nodes import compose, pairs
from harness.files.yaml_nodes import line_of as line_at

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

SECRET_WORDS = ("password", "passphrase", "passwd", "secret", "token")


class StrictFile(BaseModel):
    """Base of every file model: unknown keys are refused, values are not bent into other types."""

    model_config = ConfigDict(extra="forbid", strict=True)


def line_of(path: Path, place: Location) -> int:
    """The line that holds `place`, for example ("boards", "x5-01", "soc"), or the part of it that is in the file."""
    root = compose(path.read_text(encoding="utf-8-sig"), str(path))
    return _line(root, place) if root is not None else 1


# --------------------------------------------------------------------------- reading, with lines


def load_file(path: Path, model: type[Model]) -> Model:
    """Read one YAML file into its model. Errors: ConfigError with file, line, value and a suggestion."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})", "give a YAML file in UTF-8") from error
    root = compose(text, str(path))
    if root is None:
        raise ConfigError(f"{path}: empty file", f"begin it with `{next(iter(model.model_fields))}:`")
    _refuse_repeated_keys(path, root)
    _refuse_secrets(path, root)
    try:
        return model.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        raise _readable(path, root, model, error) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}") from error


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refuse_repeated_keys(path: Path, node: yaml.Node) -> None:
    """YAML takes the last of two equal keys in silence; a board defined twice is a mistake."""
    seen: dict[str, int] = {}
    for key, _ in pairs(node):
        line = line_at(key)
        if key.value in seen:
            raise ConfigError(
                f"{path}:{line}: duplicate key {key.value!r} (first at line {seen[key.value]})", "remove one of them"
            )
        seen[key.value] = line
    for child in _children(node):
        _refuse_repeated_keys(path, child)


def _refuse_secrets(path: Path, node: yaml.Node) -> None:
    for key, value in pairs(node):
        if isinstance(key.value, str) and any(word in key.value.lower() for word in SECRET_WORDS):
            raise ConfigError(
                f"{path}:{line_at(key)}: no secrets allowed in this file: {key.value!r}",
                "use a key (`identity:`), the ssh agent, `harness boards password`, or HARNESS_PASSWORD_<BOARD>",
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
        within = "".join(f"{part}." for part in place[:-1])[:-1]
        return ConfigError(
            f"{path}:{line}: {within}{': ' if within else ''}missing key {place[-1]!r}", f"add `{place[-1]}:`"
        )
    if explanation := explain(first, str(place[-1])):
        where = where.removesuffix(".[key]")
        return ConfigError(f"{path}:{line}: {where}: {explanation[0]}", explanation[1])
    if nearest_word := _nearest_word(first):
        return ConfigError(f"{path}:{line}: {where}: unknown {place[-1]} {first['input']!r}", nearest_word)
    wanted = first["msg"].replace("Input should be ", "expected a value ")
    return ConfigError(f"{path}:{line}: {where}: {wanted}, got {first['input']!r}")


def _nearest_word(complaint: Mapping[str, object]) -> str:
    """For a word that is none of a few: the one that is meant."""
    context = complaint.get("ctx")
    expected = str(context.get("expected", "")) if isinstance(context, dict) else ""
    words = re.findall(r"'([^']*)'", expected)
    return _did_you_mean(str(complaint["input"]).lower(), words) if words else ""


def _line(root: yaml.Node, place: Location) -> int:
    """Line of the deepest part of `place` that the file really holds."""
    node, line = root, line_at(root)
    for part in place:
        step = _step(node, part)
        if step is None:
            break
        line, node = step
    return line


def _step(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(part, int) and isinstance(node, yaml.SequenceNode) and part < len(node.value):
        return line_at(node.value[part]), node.value[part]
    for key, value in pairs(node):
        if key.value == str(part):
            return line_at(key), value
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
        model = _inner_model(part)
        if model:
            return model
    return None


def _did_you_mean(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def nearest(word: str, known: Mapping[str, object] | list[str]) -> str:
    """A hint for a mistyped name."""
    return _did_you_mean(word, list(known))
