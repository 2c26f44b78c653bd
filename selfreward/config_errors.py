"""What is wrong with a recipe, in words: each of pydantic's errors with its place as a person writes it."""

import difflib
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from selfreward.objectives import ONE, SEVERAL
from selfreward.setting_names import models_in

RENAMED = {"dpo": "train"}
"""Sections of earlier versions, and what they are called now."""
_Sections = Sequence[type[BaseModel]]


def explain(error: Any, source: str, config: type[BaseModel]) -> str:
    """One of pydantic's errors as a sentence that names the setting; ``source`` is named too."""
    place = list(_named(error["loc"], config))
    where = ".".join(name for name, _ in place)
    if error["type"] == "extra_forbidden":
        return f"{source}: {_no_such_setting(where, place[-1][1], str(error['loc'][-2:][0]))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{source}: {where + ': ' if where else ''}{message}"


def _no_such_setting(where: str, sections: _Sections, kind: str) -> str:
    """``sections`` are those that it could stand in, of which ``kind`` is the one that was chosen."""
    section, _, name = where.rpartition(".")
    if where in RENAMED:
        return f"{where}: no such setting; this section is called {RENAMED[where]} now"
    known = sorted({field for one in sections for field in one.model_fields})
    if name in known:
        return f"{where}: no such setting with type: {kind}; set {section}.type as well"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
    return f"{where}: no such setting; {hint}"


def _named(location: Sequence[str | int], config: type[BaseModel]) -> Iterator[tuple[str, _Sections]]:
    """The names in an error's location, each with the sections that it can stand in.

    Pydantic also says a union's member by its tag, which of a plain setting's types was tried, and that a key is meant.
    """
    inside: _Sections = [config]
    tagged = False
    for step in location:
        if not tagged and step in _types(inside):
            tagged = True
        elif step not in (ONE, SEVERAL, "[key]") and (inside or isinstance(step, int)):
            yield str(step), inside
            inside, tagged = _inside(str(step), inside), False


def _types(sections: _Sections) -> set[str]:
    return {one.model_fields["type"].default for one in sections if "type" in one.model_fields}


def _inside(name: str, sections: _Sections) -> _Sections:
    """What can stand in a setting. A name that is none is a key of a mapping, whose values these sections are."""
    types_of = [one.model_fields[name].annotation for one in sections if name in one.model_fields]
    values = [typing.get_args(one)[-1] if typing.get_origin(one) is dict else one for one in types_of]
    return [model for one in values for model in models_in(one)] if types_of else sections
