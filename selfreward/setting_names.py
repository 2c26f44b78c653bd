"""Settings by their dotted names: ``--set``, and what differs between two configs."""

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import yaml
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from selfreward.errors import ConfigError
from selfreward.records import Frozen, key_settings


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """``["a.b=1"]`` as ``{"a.b": 1}``."""
    return dict(_parse_override(text) for text in overrides)


def _parse_override(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {text}: expected NAME=VALUE, such as --set train.beta=0.2")
    try:
        return path.strip(), yaml.safe_load(value)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {text}: the value is not YAML: {error}") from error


def set_by_name(data: dict[str, Any], path: str, value: Any) -> None:
    """Change one setting of plain data; sections on the way are copied, so that nobody else's data changes.

    Raises:
        ConfigError: a section on the way is a list, and the name does not say which of it.
    """
    first, *rest = path.split(".")
    if path == "model" and isinstance(value, str):
        first, rest = "model", ["name"]
    if not rest:
        data[first] = value
        return
    data[first] = _changed(data.get(first), first, rest, value)


def _changed(section: Any, path: str, names: Sequence[str], value: Any) -> Any:
    """A copy of a section with one setting changed."""
    name, rest = names[0], names[1:]
    if isinstance(section, list):
        if name not in map(str, range(len(section))):
            raise ConfigError(
                f"{path}.{'.'.join(names)}: {path} is a list of {len(section)}; say which of it, such as {path}.0."
                f"{names[-1]}, or set all of {path}"
            )
        at = int(name)
        new = value if not rest else _changed(section[at], f"{path}.{name}", rest, value)
        return [*section[:at], new, *section[at + 1 :]]
    if isinstance(section, str):  # ``train: kto`` is short for ``train: {type: kto}``
        section = {"type": section}
    inner = {**section} if isinstance(section, dict) else {}
    if rest:
        return {**inner, name: _changed(inner.get(name), f"{path}.{name}", rest, value)}
    if name == "type" and inner.get("type", value) not in (value, "auto"):  # what ``auto`` has, all engines have
        inner = {}  # the settings of one type mean nothing to another
    return {**inner, name: value}


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """``a.b: old -> new`` for every setting that differs."""
    lines = []
    for name in sorted({*old, *new}):
        before, after = _sections(old.get(name)), _sections(new.get(name))
        if isinstance(before, dict) and isinstance(after, dict):
            lines += changed_settings(before, after, f"{prefix}{name}.")
        elif before != after:
            lines.append(f"{prefix}{name}: {old.get(name)!r} -> {new.get(name)!r}")
    return lines


def _sections(value: Any) -> Any:
    """A list of sections by their places; anything else as it is."""
    if isinstance(value, list) and value and all(isinstance(section, dict) for section in value):
        return {str(place): section for place, section in enumerate(value)}
    return value


def with_later_settings(old: Mapping[str, Any], new: Mapping[str, Any], kinds: Sequence[type[BaseModel]]) -> Any:
    """Settings of a key as an earlier version stored them, with the defaults of those that came to be since then: that
    is what the work was done with. ``kinds`` are the config classes that the section may be of."""
    kind = kinds[0] if len(kinds) == 1 else next((one for one in kinds if _is_of(one, new)), None)
    made = dict(old)
    for name, value in new.items():
        field = kind.model_fields.get(name) if kind else None
        if field is None:
            continue
        if name not in old and name != "type" and not field.is_required():  # which of several it was nobody knows
            default = field.get_default(call_default_factory=True, validated_data={})
            made[name] = key_settings(default) if isinstance(default, Frozen) else to_jsonable_python(default)
        if isinstance(made.get(name), dict) and isinstance(value, dict):
            made[name] = with_later_settings(made[name], value, models_in(field.annotation))
    return made


def _is_of(kind: type[BaseModel], section: Mapping[str, Any]) -> bool:
    """Whether a class is the one that a section's ``type`` names, or has all that the section has."""
    if "type" in section and "type" in kind.model_fields:
        return bool(kind.model_fields["type"].default == section["type"])
    return set(section) <= set(kind.model_fields)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The config classes that a setting's type allows."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated):
        return [m for part in typing.get_args(annotation) for m in models_in(part)]
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return [annotation] if is_model else []
