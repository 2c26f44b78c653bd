"""Paths in a recipe: those that are relative to it are resolved before anything is checked."""

import re
from pathlib import Path
from typing import Any

_PATHS = (
    *("accelerate_config", "seeds.ift", "seeds.eft", "prompts.file", "evaluation.judge_data", "evaluation.prompts"),
    *("model.chat_template", "prompts.model.chat_template", "judge.model.chat_template"),
    *("judge.method.chat_template", "judge.method.parts.*.method.chat_template"),
)
"""Settings that name files, relative to the recipe they stand in."""
_NAMES_OR_PATHS = (
    *("judge.rubric", "meta_judge.rubric", "prompts.template", "model", "model.name"),
    *("prompts.model", "prompts.model.name", "judge.model", "judge.model.name"),
    *("prompts.model.engine.tokenizer", "judge.model.engine.tokenizer"),
    *("judge.method.model", "judge.method.function", "judge.method.parts.*.rubric"),
    *("judge.method.parts.*.method.model", "judge.method.parts.*.method.function"),
)
"""Settings that may give a path, relative to the recipe where they begin with a dot; a .md file always is one, and so
is what stands before the colon of FILE.py:NAME."""
_PATH = re.compile(r"^\.\.?/|\.md$|\.py:\w*$")


def resolve_paths(data: dict[str, Any], base: Path) -> None:
    """Make absolute what is relative to ``base``, in place."""
    for path in (*_PATHS, *_NAMES_OR_PATHS):
        *sections, field = path.split(".")
        parts: list[Any] = [data]
        for section in sections:
            found = [part for part in parts if isinstance(part, dict)]
            parts = [one for part in found for one in (part.values() if section == "*" else [part.get(section)])]
        for part in parts:
            value = part.get(field) if isinstance(part, dict) else None
            if isinstance(value, str) and (path in _PATHS or _PATH.search(value)):
                part[field] = str((base / value).resolve())
