"""Objectives, one family a file, thin over TRL. A new one is a file here and a member of the union below."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag

from selfreward.objectives.cpo import CPOConfig, SimPOConfig
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.kto import KTOConfig
from selfreward.objectives.orpo import ORPOConfig
from selfreward.objectives.sft import SFTConfig


def _dpo_where_not_said(objective: Any) -> Any:
    if isinstance(objective, str):
        return {"type": objective}
    return {"type": "dpo", **objective} if isinstance(objective, dict) else objective


ObjectiveConfig = Annotated[
    DPOConfig | KTOConfig | CPOConfig | SimPOConfig | ORPOConfig | SFTConfig,
    Field(discriminator="type"),
    BeforeValidator(_dpo_where_not_said),
]
ONE, SEVERAL = "one section", "list of sections"
TrainConfig = Annotated[
    Annotated[ObjectiveConfig, Tag(ONE)] | Annotated[tuple[ObjectiveConfig, ...], Field(min_length=1), Tag(SEVERAL)],
    Discriminator(lambda train: SEVERAL if isinstance(train, list | tuple) else ONE),
]
"""One objective for all iterations, or one each, of which the last holds on."""
