"""The words sent to models: Markdown files with YAML front matter, filled in by plain replacement, never by code."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import yaml
from pydantic import ValidationError, field_validator, model_validator

from selfreward.errors import TemplateError
from selfreward.records import Frozen
from selfreward.resources import find

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_TAG = re.compile(r"<[\s/]*([a-z_][\w-]*)[^<>]*>", re.IGNORECASE)


class Scale(Frozen):
    """Whole scores from ``min`` to ``max``."""

    min: int
    max: int

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min {self.min} is not below max {self.max}")
        return self

    @property
    def scores(self) -> range:
        """All scores, lowest first."""
        return range(self.min, self.max + 1)


class Golden(Frozen):
    """A reply as a judge should write it, and the score that must be read from it."""

    reply: str
    score: float


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
        _only(self.inputs, "inputs", needed={"examples"}, possible={"next"})
        _only(_PLACEHOLDER.findall(self.example), "example", needed={"text"}, possible={"number"})
        _only(_PLACEHOLDER.findall(self.prefill), "prefill", needed=set(), possible={"next"})
        return self


class RubricFrontMatter(FrontMatter):
    """What a judge's rubric adds."""

    scale: Scale
    verdict: str
    """The line with which a judgment ends; ``{{ score }}`` stands for the score."""
    golden: Golden

    @field_validator("verdict")
    @classmethod
    def _placeholder(cls, verdict: str) -> str:
        _only(_PLACEHOLDER.findall(verdict), "verdict", needed={"score"}, possible=set())
        return verdict


F = TypeVar("F", bound=FrontMatter)


class Template(Generic[F]):
    """Front matter and words.

    ``hash`` is over the whole file, so that data made with other words is never taken for data made with these.
    """

    def __init__(self, path: Path, front: F, body: str, digest: str) -> None:
        self.path, self.front, self.body, self.hash = path, front, body, digest
        placeholders = set(_PLACEHOLDER.findall(body))
        if placeholders != set(front.inputs):
            raise TemplateError(
                f"{path}: the words use {_names(placeholders)}, but `inputs` names {_names(set(front.inputs))}"
            )

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
            raise TemplateError(f"{self.path}: needs {_names(set(self.front.inputs))}, got {_names(set(values))}")
        return _PLACEHOLDER.sub(lambda found: self.defuse(values[found[1]]), self.body)

    def defuse(self, value: str) -> str:
        """The value with a backslash in each of the template's own tags, so that it cannot end the part it stands in.

        However a tag is spelled (``</ RESPONSE >``, ``<response id="2">``), and nothing more when done again.
        """

        def broken(tag: re.Match[str]) -> str:
            return f"<\\{tag[0][1:]}" if tag[1].lower() in self._own_tags else tag[0]

        return _TAG.sub(broken, value)


Rubric = Template[RubricFrontMatter]
PromptTemplate = Template[PromptGenerationFrontMatter]


def load_prompt_template(name: str) -> PromptTemplate:
    """A template of ``prompts/prompt_generation/``, or of a file that ``name`` gives the path of."""
    return _load("prompt_generation", name, PromptGenerationFrontMatter)


def load_rubric(name: str) -> Rubric:
    """A rubric of ``prompts/judge/``, or of a file that ``name`` gives the path of."""
    return _load("judge", name, RubricFrontMatter)


def _load(kind: str, name: str, front_type: type[F]) -> Template[F]:
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
    return Template(path, front, parts[2].strip(), hashlib.sha256(text.encode()).hexdigest())


def _front_matter(path: Path, text: str, front_type: type[F]) -> F:
    try:
        data: Any = yaml.safe_load(text)
        return front_type.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'front matter'}: {e['msg']}" for e in error.errors())
        raise TemplateError(f"{path}: {wrong}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-13-01
        raise TemplateError(f"{path}: front matter is not YAML: {error}") from error


def fill(words: str, values: Mapping[str, str]) -> str:
    """A line of front matter with its placeholders replaced, in one pass."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], words)


def _only(found: Iterable[str], where: str, needed: set[str], possible: set[str]) -> None:
    if not needed <= set(found) <= needed | possible:
        raise ValueError(f"`{where}` has {_names(set(found))}; expected {_names(needed)}, possible {_names(possible)}")


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
