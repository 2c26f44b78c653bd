"""Judge methods that a recipe can name, alone or as a part of a mix: a new one is a file here and a member below."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from selfreward.judges.expected import ExpectedConfig
from selfreward.judges.implicit import ImplicitConfig
from selfreward.judges.pairwise import PairwiseConfig
from selfreward.judges.reward_model import RewardModelConfig
from selfreward.judges.sampled import SampledConfig
from selfreward.judges.verifiable import VerifiableConfig

RubricMethod = ExpectedConfig | PairwiseConfig | SampledConfig
"""Those that put a rubric to a model."""


def sampled_where_not_said(method: Any) -> Any:
    """``expected`` stands for ``{type: expected}``; a method without a type is sampled."""
    if isinstance(method, str):
        return {"type": method}
    return {"type": "sampled", **method} if isinstance(method, dict) else method


AnyMethod = RubricMethod | ImplicitConfig | RewardModelConfig | VerifiableConfig
SingleMethod = Annotated[Annotated[AnyMethod, Field(discriminator="type")], BeforeValidator(sampled_where_not_said)]
