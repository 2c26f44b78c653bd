"""A recipe and seeds to edit, made from those that come with selfreward."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from selfreward.config import RunConfig
from selfreward.errors import ConfigError
from selfreward.resources import find
from selfreward.setting_names import models_in
from selfreward.storage.durable import storing, write_text

_SEEDS = ("ift.jsonl", "eft.jsonl")
_RECIPE = "recipe.yaml"
_HEAD = """\
# A recipe of your own. Start it with: selfreward run {recipe}
# Edit seeds/ift.jsonl (instructions with good responses) and seeds/eft.jsonl (responses with a rationale and a score).
# Settings that are not here have their defaults; a run writes all of them to its config.resolved.yaml.
"""


def init(directory: Path) -> Path:
    """Write ``recipe.yaml`` and ``seeds/`` into a directory; gives the recipe's path.

    Raises:
        ConfigError: one of the files exists. Then nothing is written.
    """
    recipe = directory / _RECIPE
    seeds = {name: directory / "seeds" / name for name in _SEEDS}
    there = [str(path) for path in (recipe, *seeds.values()) if path.exists()]
    if there:
        raise ConfigError(
            f"{', '.join(there)}: exists already and is kept; nothing was written. Choose another directory"
        )
    name = directory.resolve().name
    with storing(directory):
        (directory / "seeds").mkdir(parents=True, exist_ok=True)
        for seed, path in seeds.items():
            shutil.copyfile(find("seeds", seed), path)
    write_text(recipe, recipe_text(name, recipe))
    return recipe


def recipe_text(name: str, recipe: Path) -> str:
    """The demo's settings under another name, on local seeds, with each setting's documentation above it."""
    demo = yaml.safe_load(find("recipes", "demo.yaml").read_text(encoding="utf-8"))
    demo.pop("description", None)
    demo["sft"].pop("max_tokens")  # the demo is in a hurry; own seeds are there to be used, all of them
    settings = {"name": name, **demo, "seeds": {"ift": "seeds/ift.jsonl", "eft": "seeds/eft.jsonl"}}
    return _HEAD.format(recipe=recipe) + "\n".join(_commented(settings, [RunConfig], "")) + "\n"


def _commented(settings: Mapping[str, Any], sections: list[type[BaseModel]], indent: str) -> Iterator[str]:
    chosen = [s for s in sections if _is_type(s, settings.get("type"))]
    for name, value in settings.items():
        field = next(s.model_fields[name] for s in chosen if name in s.model_fields)
        if not indent:
            yield ""
        if field.description:
            words = " ".join(field.description.replace("``", "`").split())
            yield textwrap.fill(words, 110, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _commented(value, models_in(field.annotation), indent + "  ")
        else:
            yield f"{indent}{name}: {yaml.safe_dump(value, default_flow_style=True, width=1000).partition(chr(10))[0]}"


def _is_type(section: type[BaseModel], wanted: str | None) -> bool:
    return wanted is None or "type" not in section.model_fields or section.model_fields["type"].default == wanted
