"""Whether and how M_t judges its own judgments."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from selfreward.errors import ConfigError, TemplateError
from selfreward.judges import JudgeConfig
from selfreward.judges.expected import ExpectedConfig
from selfreward.judges.protocol import Reader
from selfreward.judges.rubric_check import faults
from selfreward.judges.sampled import SampledConfig
from selfreward.records import Frozen, NotInKey
from selfreward.templates import Rubric, load_meta_rubric


class WrittenVerdict(SampledConfig):
    """Written comparisons, each with its rationale."""

    samples: int = Field(default=1, ge=1)
    """Written verdicts an order; their mean decides."""


class MetaJudgeConfig(Frozen):
    """Preference pairs of M_t's own judgments, on top of those of its responses. Off where the section is left out;
    `meta_judge: {}` switches it on."""

    rubric: Annotated[str, NotInKey] = "compare_judgments"
    """Name of a file in prompts/meta_judge/, or the path of one: how two judgments are compared."""
    verdict: Annotated[ExpectedConfig | WrittenVerdict, Field(discriminator="type")] = Field(
        default_factory=WrittenVerdict
    )
    """How one comparison is asked for: ``type: sampled`` has a rationale written, ``type: expected`` reads the letters'
    probabilities."""
    max_share: float = Field(default=0.25, gt=0, lt=1)
    """Largest share of all training pairs that are pairs of judgments."""
    max_score_share: float = Field(default=0.5, gt=0, le=1)
    """Largest share of the pairs whose chosen judgments give one and the same whole score; 1 keeps all. Against a
    judge that learns to give the score that wins most."""
    max_judgment_tokens: int | None = Field(default=None, ge=1)
    """A chosen judgment that is longer gives no pair; against growing judgments. Not set, they may be as long as
    ``judge.method.max_tokens`` allows."""
    last_iteration: Annotated[int | None, NotInKey] = Field(default=None, ge=1)
    """The last iteration that trains on judgments (2 of 4 in the paper); all do if not set."""

    @field_validator("verdict", mode="before")
    @classmethod
    def _sampled_where_not_said(cls, verdict: Any) -> Any:
        if isinstance(verdict, str):
            return {"type": verdict}
        return {"type": "sampled", **verdict} if isinstance(verdict, dict) else verdict

    def problem(self, judge: JudgeConfig, judged_pairs: bool) -> str | None:
        """What keeps its judgments from being compared. ``judged_pairs``: whether the rule pairs judged responses."""
        if not judged_pairs:
            return (
                "meta_judge adds pairs of judgments to pairs of judged responses, and pairs.type makes none; use "
                "another one, such as best_worst, or leave meta_judge out"
            )
        method = judge.method
        if not isinstance(method, SampledConfig):
            return (
                f"meta_judge compares written judgments, and judge.method.type={method.type} writes none that are "
                "kept of a response; use judge.method.type=sampled, or leave meta_judge out"
            )
        if method.samples < 2 or not method.temperature:
            now = f"samples={method.samples}" if method.samples < 2 else "temperature=0"
            return (
                f"meta_judge compares different judgments of one response, and judge.method.{now} gives no two; "
                "set judge.method.samples to at least 2 and a temperature above 0, or leave meta_judge out"
            )
        if judge.model is not None:
            return (
                f"meta_judge trains the policy to judge, and judge.model={judge.model.name} judges in its place; leave "
                "judge.model out, or meta_judge"
            )
        return None

    def holds_in(self, iteration: int) -> bool:
        """Whether an iteration trains on judgments too."""
        return self.last_iteration is None or iteration <= self.last_iteration

    def most_pairs(self, pairs_of_responses: int) -> int:
        """How many pairs of judgments may stand beside so many pairs of responses."""
        return int(self.max_share / (1 - self.max_share) * pairs_of_responses + 1e-9)

    def load_rubric(self) -> Rubric:
        """The rubric's file, read and checked."""
        rubric = load_meta_rubric(self.rubric)
        if wrong := faults(rubric):
            raise TemplateError("\n".join(wrong))
        if set(rubric.front.inputs) != {"prompt", "judgment_a", "judgment_b"}:
            raise ConfigError(
                f"meta_judge.rubric: {rubric.path} does not ask which of two judgments is better; its inputs have to "
                "be prompt, judgment_a and judgment_b, as in prompts/meta_judge/compare_judgments.md"
            )
        return rubric

    def reader(self, reasoning_tags: tuple[str, str]) -> Reader:
        """What asks for comparisons and reads them."""
        return self.verdict.reader(self.load_rubric(), reasoning_tags)
