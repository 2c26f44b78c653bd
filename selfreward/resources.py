"""Where prompts, recipes and seeds are: inside the installed package, or at the top of a clone."""

import difflib
from pathlib import Path
from typing import Literal, get_args

from selfreward.errors import ConfigError

Kind = Literal["prompts", "recipes", "seeds"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_PACKAGE = Path(__file__).resolve().parent
# Files that lie beside the resources, but that nobody asks for by name.
_NOT_RESOURCES = ("__pycache__", ".DS_Store", "accelerate")


def resource_dir(kind: Kind) -> Path:
    """Return the directory that holds the resources of one kind.

    Raises:
        ConfigError: the kind is unknown, or the directory is not part of this installation.
    """
    if kind not in KINDS:
        raise ConfigError(f"no resources of kind {kind!r}; there are {', '.join(KINDS)}")
    places = (_PACKAGE / "_data" / kind, _PACKAGE.parent / kind)
    for place in places:
        if place.is_dir():
            return place
    raise ConfigError(
        f"{kind}/ is missing from this installation (looked in {places[0]} and {places[1]}); "
        "install selfreward again, from its wheel or with `pip install -e` in a clone"
    )


def names(kind: Kind) -> list[str]:
    """Return the paths of all resources of one kind: relative to `resource_dir(kind)`, sorted."""
    top = resource_dir(kind)
    return sorted(
        path.relative_to(top).as_posix()
        for path in top.rglob("*")
        if path.is_file() and not any(part in _NOT_RESOURCES for part in path.relative_to(top).parts)
    )


def find(kind: Kind, name: str) -> Path:
    """Return the path of one resource by its name, such as `find("recipes", "demo.yaml")`.

    Raises:
        ConfigError: there is none of that name; the message names those there are.
    """
    known = names(kind)
    if name in known:
        return resource_dir(kind) / name
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ConfigError(f"no {name!r} in {kind}/.{hint} There are: {', '.join(known) or 'none'}")
