"""Judge methods: a new one is a file here and a member of the union below."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from selfreward.engines import FixedModel
from selfreward.errors import TemplateError
from selfreward.judges.expected import ExpectedConfig
from selfreward.judges.protocol import Judge
from selfreward.judges.sampled import SampledConfig
from selfreward.judges.verdict import read_score, verdict_line
from selfreward.records import Frozen, NotInKey
from selfreward.templates import Rubric, load_rubric

MethodConfig = Annotated[ExpectedConfig | SampledConfig, Field(discriminator="type")]


class JudgeConfig(Frozen):
    """Who is judged by which rubric, and how its verdict is asked for."""

    rubric: Annotated[str, NotInKey] = "additive_5pt"
    """Name of a file in prompts/judge/, or the path of one."""
    method: MethodConfig = Field(default_factory=SampledConfig)
    """How verdicts are asked for: ``type: sampled`` or ``type: expected``."""
    model: Annotated[FixedModel | None, NotInKey] = None
    """A fixed model that judges; M_t itself, as in the paper, where not set."""
    sees: Literal["answer", "reasoning_and_answer"] = "answer"
    """What the judge is shown of a model that thinks aloud."""

    @field_validator("method", mode="before")
    @classmethod
    def _sampled_where_not_said(cls, method: Any) -> Any:
        if isinstance(method, str):
            return {"type": method}
        return {"type": "sampled", **method} if isinstance(method, dict) else method

    def load_rubric(self) -> Rubric:
        """The rubric's file, read and checked."""
        rubric = load_rubric(self.rubric)
        if set(rubric.front.inputs) != {"prompt", "response"}:
            found = ", ".join(rubric.front.inputs)
            raise TemplateError(f"{rubric.path}: inputs: found {found}; a judge fills in prompt and response")
        _check_that_it_can_be_read(rubric)
        return rubric


def _check_that_it_can_be_read(rubric: Rubric) -> None:
    verdict, scale, golden = rubric.front.verdict, rubric.front.scale, rubric.front.golden
    for score in scale.scores:
        if read_score(verdict_line(verdict, score), verdict, scale) != score:
            raise TemplateError(
                f"{rubric.path}: verdict: {verdict_line(verdict, score)!r} cannot be read back as {score}; expected a "
                'label, a colon and the score at the end, such as "Score: {{ score }}"'
            )
    found = read_score(golden.reply, verdict, scale)
    if found != golden.score:
        raise TemplateError(f"{rubric.path}: golden: {golden.score:g} was expected of its reply, and {found} is read")


def build_judge(config: JudgeConfig, reasoning_tags: tuple[str, str]) -> Judge:
    """The judge that a config describes."""
    return config.method.build(config.load_rubric(), reasoning_tags)
