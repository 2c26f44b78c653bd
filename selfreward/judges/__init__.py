"""What a recipe says of its judge. Methods are in ``methods.py``, a file each."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from selfreward.engines import FixedModel
from selfreward.errors import ConfigError, TemplateError
from selfreward.judges.expected import ExpectedConfig
from selfreward.judges.implicit import ImplicitConfig
from selfreward.judges.methods import AnyMethod, RubricMethod, sampled_where_not_said
from selfreward.judges.mix import MixConfig
from selfreward.judges.protocol import Judge, JudgedBy, Teachable
from selfreward.judges.rubric_check import faults
from selfreward.judges.sampled import SampledConfig
from selfreward.judges.verifiable import VerifiableConfig
from selfreward.records import Frozen, NotInKey, Response
from selfreward.templates import Rubric, load_rubric

MethodConfig = Annotated[
    Annotated[AnyMethod | MixConfig, Field(discriminator="type")], BeforeValidator(sampled_where_not_said)
]


class JudgeConfig(Frozen):
    """Who is judged by which rubric, and how its verdict is asked for."""

    rubric: Annotated[str | None, NotInKey] = None
    """Name of a file in prompts/judge/, or the path of one; where not set ``additive_5pt``, or ``pairwise`` for the
    method of that name."""
    method: MethodConfig = Field(default_factory=SampledConfig)
    """How verdicts are asked for: ``type: sampled``, ``expected``, ``pairwise``, ``implicit``, ``reward_model``,
    ``verifiable``, or a ``mix`` of them."""
    model: Annotated[FixedModel | None, NotInKey] = None
    """A fixed model that judges; M_t itself, as in the paper, where not set."""
    sees: Literal["answer", "reasoning_and_answer"] = "answer"
    """What the judge is shown of a model that thinks aloud."""

    def shown(self, response: Response) -> str:
        """What of a response the judge is shown."""
        if self.sees == "reasoning_and_answer" and response.reasoning:
            return f"{response.reasoning}\n\n{response.text}"
        return response.text

    def parts(self) -> "Mapping[str, JudgeConfig]":
        """The judges of a mix by their names, each as if it were alone; empty for any other method."""
        if not isinstance(self.method, MixConfig):
            return {}
        changes = {name: {"rubric": part.rubric, "method": part.method} for name, part in self.method.parts.items()}
        return {name: self.model_copy(update=changed) for name, changed in changes.items()}

    def alone(self) -> "tuple[JudgeConfig, ...]":
        """All judges that judge alone: the parts of a mix, or this one."""
        return tuple(self.parts().values()) or (self,)

    def asks(self, whom: JudgedBy) -> bool:
        """Whether the method, or a part of a mix, is answered in this way."""
        return any(one.method.judged_by == whom for one in self.alone() if not isinstance(one.method, MixConfig))

    @property
    def references(self) -> "tuple[Literal['previous', 'initial'], ...]":
        """Against whom rewards are taken, where the policy's own probabilities judge."""
        return tuple(one.method.reference for one in self.alone() if isinstance(one.method, ImplicitConfig))

    def taught(self) -> "JudgeConfig | None":
        """The judge that EFT seeds teach: of a mix the first part that gives one response one written score."""
        if not isinstance(self.method, MixConfig):
            return self if isinstance(self.method, RubricMethod) else None
        for part in self.parts().values():
            if isinstance(part.method, ExpectedConfig | SampledConfig):
                rubric = part.load_rubric()
                if not rubric.front.aspects and not rubric.needs_reference:
                    return part
        return None

    def needs_references(self) -> str | None:
        """What asks for a prompt's reference, in words; None where nothing does."""
        if self.asks_ifeval:
            return "judge.method.ifeval checks the instructions that a prompt's row names"
        for one in self.alone():
            rubric = one.optional_rubric()
            if rubric is not None and rubric.needs_reference:
                return f"the rubric {rubric.path} grades against reference answers"
        return None

    @property
    def asks_ifeval(self) -> bool:
        """Whether a prompt's reference is the list of its instructions."""
        return any(isinstance(one.method, VerifiableConfig) and one.method.ifeval for one in self.alone())

    def fingerprints(self) -> list[str]:
        """Of the functions that judge.

        Raises:
            ConfigError: one of them stands nowhere.
        """
        return [one.method.fingerprint() for one in self.alone() if isinstance(one.method, VerifiableConfig)]

    def rubrics(self) -> dict[str, Rubric]:
        """All rubrics that are read, by the settings that name them."""
        places = [f"judge.method.parts.{name}.rubric" for name in self.parts()] or ["judge.rubric"]
        found = {place: one.optional_rubric() for place, one in zip(places, self.alone(), strict=True)}
        return {place: rubric for place, rubric in found.items() if rubric is not None}

    def optional_rubric(self) -> Rubric | None:
        """The rubric, read and checked; None for a method that reads none, where it is an error to name one."""
        if self.method.usual_rubric is not None:
            return self.load_rubric()
        if self.rubric is not None:
            way_out = (
                "each of its parts has its own, judge.method.parts.NAME.rubric"
                if isinstance(self.method, MixConfig)
                else "leave judge.rubric out, or use another method"
            )
            raise ConfigError(f"judge.rubric={self.rubric}: judge.method.type={self.method.type} reads none; {way_out}")
        return None

    def load_rubric(self) -> Rubric:
        """The rubric's file, read and checked."""
        method = self.method
        if not isinstance(method, RubricMethod) or method.usual_rubric is None:
            raise ConfigError(
                f"judge.method.type={method.type} reads no rubric; use sampled, expected or pairwise here"
            )
        rubric = load_rubric(self.rubric or method.usual_rubric)
        if wrong := faults(rubric):
            raise TemplateError("\n".join(wrong))
        asks_about = ("response_a", "response_b") if method.compares else ("response",)
        if rubric.response_inputs != asks_about:
            shown = "two responses" if method.compares else "one response"
            raise ConfigError(
                f"judge.method.type={method.type} shows the judge {shown}, and {rubric.path} does not ask about "
                f"that; leave judge.rubric out for {method.usual_rubric}, or set another rubric or method"
            )
        if rubric.front.aspects and isinstance(method, ExpectedConfig):
            raise ConfigError(
                f"judge.method.type=expected looks at one score, and {rubric.path} asks for one of each aspect; use "
                "judge.method.type=sampled, or another rubric"
            )
        return rubric


def build_judge(config: JudgeConfig, reasoning_tags: tuple[str, str]) -> Judge:
    """The judge that a config describes; of a mix each part is one."""
    rubric = config.optional_rubric()
    if rubric is not None:
        return build_teachable(config, reasoning_tags)
    method = config.method
    assert not isinstance(method, RubricMethod | MixConfig), "a mix is no judge: its parts are"
    return method.build()


def build_teachable(config: JudgeConfig, reasoning_tags: tuple[str, str]) -> Teachable:
    """The judge that a config describes, where its way of judging can be taught."""
    rubric = config.load_rubric()
    assert isinstance(config.method, RubricMethod)  # load_rubric() has refused the others
    return config.method.build(rubric, reasoning_tags)
