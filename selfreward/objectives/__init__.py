"""Objectives, one family a file, thin over TRL. A new one is a file here and a member of the union below."""

from typing import Annotated

from pydantic import Field

from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.sft import SFTConfig

ObjectiveConfig = Annotated[SFTConfig | DPOConfig, Field(discriminator="type")]
