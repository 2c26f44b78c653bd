"""Whether a judge can use a rubric: what it fills in, and whether every verdict that it asks for can be read."""

import math
from typing import Any

from selfreward.errors import ConfigError, TemplateError
from selfreward.readings.scale import Scale
from selfreward.records import Frozen
from selfreward.resources import names
from selfreward.templates import Golden, Rubric, load_rubric

INPUTS = (
    {"prompt", "response"},
    {"prompt", "response_a", "response_b"},
    {"prompt", "judgment_a", "judgment_b"},
)
"""What a judge fills in, for one response or for two, with a reference answer on top where there is one; and a
meta-judge, whose prompt is all that the judge was asked."""


def faults(rubric: Rubric) -> list[str]:
    """What is wrong with a rubric, each with the file and the way out; nothing where it can be used."""
    front, found = rubric.front, []
    if set(front.inputs) - {"reference"} not in INPUTS:
        known = "prompt and response, or prompt, response_a and response_b, and reference where there is one"
        known += "; a meta-judge prompt, judgment_a and judgment_b"
        found.append(f"inputs: found {', '.join(front.inputs)}; a judge fills in {known}")
    unread = [score for score in front.scale.scores if rubric.read(rubric.verdict(score)).score != score]
    if unread:
        written = rubric.verdict(unread[0])
        found.append(
            f"verdict: {written!r} cannot be read back as {unread[0]}; expected a label, a colon and the score at the "
            'end, such as "Score: {{ score }}", and a scale whose scores it can give'
        )
    score = rubric.read(front.golden.reply).score
    if score is None or not math.isclose(score, front.golden.score):
        read = "nothing" if score is None else f"{score:g}"
        found.append(
            f"golden: {front.golden.score:g} was expected of its reply, and {read} is read; write it as the words ask"
        )
    return [f"{rubric.path}: {fault}" for fault in found]


class RubricInfo(Frozen):
    """A rubric as `selfreward rubrics` shows it."""

    name: str
    label: str
    """As records name it."""
    path: str
    hash: str
    inputs: tuple[str, ...]
    scale: Scale
    aspects: dict[str, float]
    """With their weights."""
    form: str
    """How a verdict is written: line, json or letter."""
    example: str
    """A verdict with the highest score."""
    golden: Golden
    json_schema: dict[str, Any] | None
    words: str
    """What the judge is asked, with its placeholders."""


class RubricReport(Frozen):
    """What checking one rubric found."""

    rubric: str
    """As it was named."""
    faults: tuple[str, ...]


def shipped() -> list[str]:
    """The names of all rubrics in prompts/judge/."""
    found = (name.removeprefix("judge/") for name in names("prompts") if name.startswith("judge/"))
    return [name.removesuffix(".md") for name in found if name.endswith(".md")]


def describe(rubric: Rubric) -> RubricInfo:
    """All that there is to know of a rubric."""
    front = rubric.front
    return RubricInfo(
        name=front.name,
        label=rubric.label,
        path=str(rubric.path),
        hash=rubric.hash,
        inputs=front.inputs,
        scale=front.scale,
        aspects=front.aspects,
        form=front.verdict.type,
        example=rubric.verdict(front.scale.max),
        golden=front.golden,
        json_schema=rubric.json_schema(),
        words=rubric.body,
    )


def check(name: str) -> RubricReport:
    """Load a rubric and look for faults; a file that cannot be loaded is one."""
    try:
        return RubricReport(rubric=name, faults=tuple(faults(load_rubric(name))))
    except (TemplateError, ConfigError) as error:
        return RubricReport(rubric=name, faults=(str(error),))
