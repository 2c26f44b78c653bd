"""The words sent to models: Markdown files with YAML front matter, filled in by plain replacement, never by code."""

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Generic, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from selfreward.errors import TemplateError
from selfreward.placeholders import check, fill, listed, placeholders
from selfreward.readings import Verdict
from selfreward.readings.reading import Reading, weighted
from selfreward.readings.scale import Scale
from selfreward.records import Frozen
from selfreward.resources import find

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_TAG = re.compile(r"<[\s/]*([a-z_][\w-]*)[^<>]*>", re.IGNORECASE)


class FrontMatter(Frozen):
    """What every template says of itself."""

    name: str
    inputs: tuple[str, ...]
    """The placeholders that its words have."""


class PromptGenerationFrontMatter(FrontMatter):
    """What a template for new prompts adds."""

    example: str
    """How one example is written; ``{{ number }}`` counts from 1 and ``{{ text }}`` is its text."""
    prefill: str = ""
    """How the model's turn begins; ``{{ next }}`` is the number of the task to write."""
    stop: tuple[str, ...] = ()
    """Strings that end the new task."""

    @model_validator(mode="after")
    def _placeholders(self) -> Self:
        check(set(self.inputs), "inputs", {"examples"}, {"next"})
        check(placeholders(self.example), "example", {"text"}, {"number"})
        check(placeholders(self.prefill), "prefill", set(), {"next"})
        return self


class Golden(Frozen):
    """A reply as a judge should write it, and the score that must be read from it."""

    reply: str
    score: float


class RubricFrontMatter(FrontMatter):
    """What a judge's rubric adds."""

    scale: Scale
    verdict: Verdict
    """How a judgment gives its score, and how it is read; a mere line stands for ``{type: line, line: …}``."""
    aspects: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Aspects that are scored one by one, each with its weight in the mean; none where the whole has one score."""
    golden: Golden

    @field_validator("verdict", mode="before")
    @classmethod
    def _line(cls, verdict: Any) -> Any:
        return {"type": "line", "line": verdict} if isinstance(verdict, str) else verdict

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.verdict.fits(self.scale, tuple(self.aspects))
        return self

    @field_validator("aspects")
    @classmethod
    def _can_be_told_apart(cls, aspects: dict[str, float]) -> dict[str, float]:
        names = {" ".join(name.split()).casefold() for name in aspects}
        if len(names) != len(aspects) or len(aspects) == 1 or "" in names:
            raise ValueError("expected two aspects or more, each with another name")
        return aspects


F = TypeVar("F", bound=FrontMatter)


class Template(Generic[F]):
    """Front matter and words.

    ``hash`` is over the whole file, so that data made with other words is never taken for data made with these.
    """

    def __init__(self, path: Path, front: F, body: str, digest: str) -> None:
        self.path, self.front, self.body, self.hash = path, front, body, digest
        used = placeholders(body)
        if used != set(front.inputs):
            raise TemplateError(f"{path}: the words use {listed(used)}, but `inputs` names {listed(front.inputs)}")

    @property
    def label(self) -> str:
        """Name and short hash, as records keep it."""
        return f"{self.front.name}@{self.hash[:8]}"

    @cached_property
    def _own_tags(self) -> frozenset[str]:
        return frozenset(name.lower() for name in _TAG.findall(self.body))

    def render(self, values: Mapping[str, str]) -> str:
        """The words with each placeholder replaced by its defused value, in one pass: placeholders inside stay text."""
        if set(values) != set(self.front.inputs):
            raise TemplateError(f"{self.path}: needs {listed(self.front.inputs)}, got {listed(values)}")
        return fill(self.body, values, self.defuse)

    def defuse(self, value: str) -> str:
        """The value with a backslash in each of the template's own tags, so that it cannot end the part it stands in.

        However a tag is spelled (``</ RESPONSE >``, ``<response id="2">``), and nothing more when done again.
        """

        def broken(tag: re.Match[str]) -> str:
            return f"<\\{tag[0][1:]}" if tag[1].lower() in self._own_tags else tag[0]

        return _TAG.sub(broken, value)


PromptTemplate = Template[PromptGenerationFrontMatter]


class Rubric(Template[RubricFrontMatter]):
    """A judge's rubric: what it is asked, and how its verdict is written and read."""

    @property
    def response_inputs(self) -> tuple[str, ...]:
        """Its placeholders for what is judged: one response, or the two responses or judgments that it compares."""
        for two in (("response_a", "response_b"), ("judgment_a", "judgment_b")):
            if two[0] in self.front.inputs:
                return two
        return ("response",)

    @property
    def needs_reference(self) -> bool:
        """Whether it grades against a good answer."""
        return "reference" in self.front.inputs

    def read(self, text: str, cut_off: bool = False) -> Reading:
        """The last verdict in the judge's own words.

        What the judge repeats between the template's tags is not its own. ``cut_off`` says that the text was ended by
        a limit in the middle of a word or number.
        """
        front, own_words = self.front, self._own_words(text)
        if not front.aspects:
            return Reading(front.verdict.read(own_words, front.scale, None, cut_off))
        scores = {name: front.verdict.read(own_words, front.scale, name, cut_off) for name in front.aspects}
        return weighted(scores, front.aspects)

    def verdict(self, score: float) -> str:
        """The verdict alone: ``Score: 4``; with aspects, the same for each."""
        return self.front.verdict.write(self._each(score), self.front.scale)

    def reply(self, rationale: str, score: float) -> str:
        """A whole judgment, as a judge should write it."""
        return self.front.verdict.reply(rationale, self._each(score), self.front.scale)

    def json_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of a reply, for engines that can hold a judge to it; None where a reply is no JSON."""
        return self.front.verdict.json_schema(self.front.scale, tuple(self.front.aspects))

    def _each(self, score: float) -> dict[str | None, float]:
        return dict.fromkeys(self.front.aspects or (None,), score)

    def _own_words(self, text: str) -> str:
        own, opened, closed = self._echoes
        text = own.sub("", text)
        behind = [found.end() for found in closed.finditer(text)]
        text = text[behind[-1] :] if behind else text
        unclosed = opened.search(text)
        return text[: unclosed.start()] if unclosed else text

    @cached_property
    def _echoes(self) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
        """A part between two of the template's tags, and a lone tag on a line of its own, opening and closing."""
        names = "|".join(sorted(map(re.escape, self._own_tags))) or r"(?!)"
        tag = rf"({names})\b[^<>\n]*>"
        flags = re.IGNORECASE | re.MULTILINE
        return (
            re.compile(rf"<{tag}(?:(?!<\1\b).)*?<\s*/\s*\1\s*>", flags | re.DOTALL),
            re.compile(rf"^[ \t]*<{tag}[ \t]*$", flags),
            re.compile(rf"^[ \t]*<\s*/\s*{tag}[ \t]*$", flags),
        )


def load_prompt_template(name: str) -> PromptTemplate:
    """A template of ``prompts/prompt_generation/``, or of a file that ``name`` gives the path of."""
    return PromptTemplate(*_parts("prompt_generation", name, PromptGenerationFrontMatter))


def load_rubric(name: str) -> Rubric:
    """A rubric of ``prompts/judge/``, or of a file that ``name`` gives the path of."""
    return Rubric(*_parts("judge", name, RubricFrontMatter))


def load_meta_rubric(name: str) -> Rubric:
    """A rubric of ``prompts/meta_judge/``, or of a file that ``name`` gives the path of."""
    return Rubric(*_parts("meta_judge", name, RubricFrontMatter))


def _parts(kind: str, name: str, front_type: type[F]) -> tuple[Path, F, str, str]:
    """Path, front matter, words and hash of a template's file."""
    path = Path(name) if name.endswith(".md") else find("prompts", f"{kind}/{name}.md")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateError(f"{path}: {error.strerror}; name a file of prompts/{kind}/ or give a path") from error
    except UnicodeDecodeError as error:
        raise TemplateError(f"{path}: not UTF-8 text") from error
    parts = _FRONT_MATTER.match(text.replace("\r\n", "\n"))
    if parts is None:
        raise TemplateError(f"{path}: must begin with YAML front matter between two lines of `---`")
    front = _front_matter(path, parts[1], front_type)
    return path, front, parts[2].strip(), hashlib.sha256(text.encode()).hexdigest()


def _front_matter(path: Path, text: str, front_type: type[F]) -> F:
    try:
        data: Any = yaml.safe_load(text)
        return front_type.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'front matter'}: {_said(e)}" for e in error.errors())
        raise TemplateError(f"{path}: {wrong}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-13-01
        raise TemplateError(f"{path}: front matter is not YAML: {error}") from error


def _said(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")
