"""Write docs/settings.md from the settings' own types, defaults and docstrings: python scripts/settings_doc.py"""

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from selfreward.config import RunConfig
from selfreward.engines import FixedModel
from selfreward.records import NotInKey
from selfreward.setting_names import models_in

TARGET = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
BY_CONTENT = frozenset(
    {
        "model.name",
        "model.revision",
        "model.chat_template",
        "model.chat_template_kwargs",
        "seeds.ift",
        "seeds.eft",
        "evaluation.judge_data",
        "evaluation.prompts",
        "prompts.file",
        "prompts.from_seeds",
        "prompts.model",
        "prompts.template",
        "judge.model",
        "judge.rubric",
        "meta_judge.rubric",
        "judge.method.chat_template",
        "judge.method.function",
        "judge.method.model",
        "judge.method.reference",
        "judge.method.revision",
    }
)
"""Settings that name something: not the name is in the key but a hash of what it names."""
_HEAD = """\
<!-- Made by scripts/settings_doc.py from the code; change the docstrings there and run it again. -->
# Settings

A recipe is a YAML file with these settings; what it leaves out has the default given here. `--set a.b=value` changes
one of them on the command line. A setting that does not exist is refused. `model: NAME` is short for
`model: {name: NAME}`, and `prompts.model: NAME` and `judge.model: NAME` likewise. `engine: TYPE` is short for
`engine: {type: TYPE}`. `train` may be a list of sections, an objective for each iteration, of which the last one
holds on; `--set train.0.beta=0.2` changes the first of them.

Paths in `accelerate_config`, `seeds.*`, `prompts.file`, `evaluation.judge_data`, `evaluation.prompts`,
`model.chat_template`, and in `judge.rubric`, `meta_judge.rubric` and `prompts.template` where they end in `.md`, are
relative to the recipe; so are those in `judge.method.function` (`FILE.py:NAME`), and in `judge.method.model` where they
begin with a dot. All others, and all paths in `--set`, are relative to the directory that the command is given in.

**Key** says what happens when you change a setting of a run that has begun (see [architecture.md](architecture.md)):

- `yes`: it is in the key of a stage. Once that stage has stored anything, the change is refused by name.
- `content`: not the setting is in the key but a hash of what it names. Another path to the same content is no change.
- `no`: it is in no key, and a run goes on with the new value.

No change in `evaluation` is ever refused: what finished iterations have measured stays as it is, and an iteration under
way measures again. Prompts that a model was chosen on are the exception (`train.keep_best.by: judge`).
"""
_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    dict: "mapping",
    FixedModel: "the settings of `model`, and `engine`",
}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def document() -> str:
    """The whole page."""
    parts = [_HEAD, "## At the top\n\n" + _table(RunConfig, "")]
    for name, field in RunConfig.model_fields.items():
        if models_in(field.annotation):
            parts += _sections(name, field)
    return "\n".join(dict.fromkeys(parts))  # what several types have is told once


def settings(section: type[BaseModel] = RunConfig, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting that is no section, by its dotted name; a model inside a section counts as one setting."""
    for name, field in section.model_fields.items():
        path = f"{prefix}{name}"
        if inner := _inner(path, field):
            for part in inner:
                yield from settings(part, f"{path}.")
        else:
            yield path, field


def key_of(path: str, field: FieldInfo) -> Literal["yes", "no", "content"]:
    """What the key holds of a setting."""
    if path in BY_CONTENT:
        return "content"
    return "no" if NotInKey in field.metadata else "yes"


def _inner(path: str, field: FieldInfo) -> list[type[BaseModel]]:
    return [] if path in BY_CONTENT else models_in(field.annotation)


def _sections(path: str, field: FieldInfo) -> Iterator[str]:
    """A heading and a table for each class that a section can be, then for the sections in it."""
    found = models_in(field.annotation)
    for section in found:
        title = f"`{path}`"
        if len(found) > 1:
            kind = section.model_fields["type"].default
            default = field.get_default(call_default_factory=True)
            title += f" with `type: {kind}`" + (", the default" if isinstance(default, section) else "")
        text = f"{'#' * (2 + path.count('.'))} {title}\n\n{_one_line(section.__doc__)}\n"
        table = _table(section, f"{path}.")
        yield f"{text}\n{table}" if table else text
        for name, inner in section.model_fields.items():
            if _inner(f"{path}.{name}", inner):
                yield from _sections(f"{path}.{name}", inner)


def _table(section: type[BaseModel], prefix: str) -> str:
    rows = [
        _row(f"{prefix}{name}", field)
        for name, field in section.model_fields.items()
        if not _inner(f"{prefix}{name}", field)
    ]
    head = "| Setting | Value | Default | Key | What it does |\n|---|---|---|---|---|\n"
    return head + "".join(f"{row}\n" for row in rows) if rows else ""


def _row(path: str, field: FieldInfo) -> str:
    what = _one_line(field.description) or ("Which kind it is." if path.endswith(".type") else "")
    cells = (f"`{path}`", _value(field), _default(field), key_of(path, field), what)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(field: FieldInfo) -> str:
    bounds = [
        f"{words} {getattr(mark, bound):g}"
        for mark in field.metadata
        for bound, words in _BOUNDS.items()
        if hasattr(mark, bound)
    ]
    kind, null, _ = _type(field.annotation).partition(" or null")
    return f"{kind} {', '.join(bounds)}".strip() + null


def _type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if part is type(None) else _type(part) for part in arguments)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        many = arguments[-1] is Ellipsis
        return f"list of {_type(arguments[0])}" if many else f"list of {len(arguments)} x {_type(arguments[0])}"
    return _NAMES[origin or annotation]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "none: must be set"
    plain = json.loads(json.dumps(value))
    text = yaml.safe_dump(plain, default_flow_style=True, width=10_000, allow_unicode=True)
    return f"`{text.removesuffix('...' + chr(10)).strip()}`"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").replace("``", "`").split())


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
    print(TARGET)
