"""Judge methods: a new one is a file here and a member of the union below."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from selfreward.engines import FixedModel
from selfreward.errors import ConfigError, TemplateError
from selfreward.judges.expected import ExpectedConfig
from selfreward.judges.pairwise import PairwiseConfig
from selfreward.judges.protocol import Judge
from selfreward.judges.rubric_check import faults
from selfreward.judges.sampled import SampledConfig
from selfreward.records import Frozen, NotInKey, Response
from selfreward.templates import Rubric, load_rubric

MethodConfig = Annotated[ExpectedConfig | PairwiseConfig | SampledConfig, Field(discriminator="type")]


class JudgeConfig(Frozen):
    """Who is judged by which rubric, and how its verdict is asked for."""

    rubric: Annotated[str | None, NotInKey] = None
    """Name of a file in prompts/judge/, or the path of one; where not set ``additive_5pt``, or ``pairwise`` for the
    method of that name."""
    method: MethodConfig = Field(default_factory=SampledConfig)
    """How verdicts are asked for: ``type: sampled``, ``type: expected`` or ``type: pairwise``."""
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

    def shown(self, response: Response) -> str:
        """What of a response the judge is shown."""
        if self.sees == "reasoning_and_answer" and response.reasoning:
            return f"{response.reasoning}\n\n{response.text}"
        return response.text

    def load_rubric(self) -> Rubric:
        """The rubric's file, read and checked."""
        rubric = load_rubric(self.rubric or self.method.usual_rubric)
        if wrong := faults(rubric):
            raise TemplateError("\n".join(wrong))
        asks_about = ("response_a", "response_b") if self.method.compares else ("response",)
        if rubric.response_inputs != asks_about:
            shown = "two responses" if self.method.compares else "one response"
            raise ConfigError(
                f"judge.method.type={self.method.type} shows the judge {shown}, and {rubric.path} does not ask about "
                f"that; leave judge.rubric out for {self.method.usual_rubric}, or set another rubric or method"
            )
        if rubric.front.aspects and isinstance(self.method, ExpectedConfig):
            raise ConfigError(
                f"judge.method.type=expected looks at one score, and {rubric.path} asks for one of each aspect; use "
                "judge.method.type=sampled, or another rubric"
            )
        return rubric


def build_judge(config: JudgeConfig, reasoning_tags: tuple[str, str]) -> Judge:
    """The judge that a config describes."""
    return config.method.build(config.load_rubric(), reasoning_tags)
