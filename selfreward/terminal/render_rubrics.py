"""How rubrics look in a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from selfreward.terminal.render import Indented, table
from selfreward.terminal.render_walk import one_judgment

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from selfreward.judges.rubric_check import RubricInfo
    from selfreward.verdicts.trying import Trial


def rubrics(found: Sequence[RubricInfo]) -> Table:
    """One line a rubric."""
    rows = [
        (info.label, f"{info.scale.min} to {info.scale.max}", info.form, " ".join(info.example.split()))
        for info in found
    ]
    return table(("rubric", "scale", "form", "highest verdict"), rows)


def rubric(info: RubricInfo) -> RenderableType:
    """Everything about one rubric."""
    from rich.console import Group

    return Group(*_parts(info))


def trial(found: Trial, *, with_question: bool) -> RenderableType:
    """What a judge said of each response."""
    from rich.console import Group

    parts: list[RenderableType] = [Indented(f"{found.rubric}, judged by {found.judge}", 0, "bold underline")]
    if with_question:
        parts += [Indented("asked:", 0), *(Indented(m.content, 4, "dim") for m in found.question)]
    for name, path in found.responses.items():
        parts.append(Indented(f"{name}: {path}", 0, "bold"))
        parts += [part for j in found.judgments if j.response_ids == (name,) for part in one_judgment(j)]
    parts += [part for j in found.judgments if len(j.response_ids) > 1 for part in one_judgment(j)]
    return Group(*parts)


def _parts(info: RubricInfo) -> Iterator[RenderableType]:
    yield Indented(info.label, 0, "bold underline")
    for name, text in (
        ("file", info.path),
        ("inputs", ", ".join(info.inputs)),
        ("scale", f"whole scores from {info.scale.min} to {info.scale.max}"),
        ("aspects", ", ".join(f"{name} (weight {weight:g})" for name, weight in info.aspects.items()) or "none"),
        ("verdict", f"{info.form}, such as {info.example}"),
        ("golden", f"is read as {info.golden.score:g}:"),
    ):
        yield Indented(text, 10, label=name)
    yield Indented(info.golden.reply.strip(), 10, "dim")
    if info.json_schema is not None:
        yield Indented(json.dumps(info.json_schema), 10, label="schema")
    yield Indented("", 0)
    yield Indented(info.words, 0)
