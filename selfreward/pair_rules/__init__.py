"""Pair rules: which of a prompt's responses are trained on, in pairs or alone. Pure functions, one rule a file."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from selfreward.pair_rules.all_pairs import AllPairsConfig
from selfreward.pair_rules.best_random import BestRandomConfig
from selfreward.pair_rules.best_worst import BestWorstConfig
from selfreward.pair_rules.consistent import ConsistentConfig
from selfreward.pair_rules.length_controlled import LengthControlledConfig
from selfreward.pair_rules.positives import PositivesConfig
from selfreward.pair_rules.rejected_from_initial import RejectedFromInitialConfig
from selfreward.pair_rules.spin import SpinConfig
from selfreward.pair_rules.threshold import ThresholdConfig
from selfreward.pair_rules.top_margin import TopMarginConfig


def _best_worst_where_not_said(rule: Any) -> Any:
    if isinstance(rule, str):
        return {"type": rule}
    return {"type": "best_worst", **rule} if isinstance(rule, dict) else rule


PairRuleConfig = Annotated[
    BestWorstConfig
    | LengthControlledConfig
    | AllPairsConfig
    | BestRandomConfig
    | TopMarginConfig
    | RejectedFromInitialConfig
    | ConsistentConfig
    | SpinConfig
    | PositivesConfig
    | ThresholdConfig,
    Field(discriminator="type"),
    BeforeValidator(_best_worst_where_not_said),
]
"""The union of all rules' settings; a new rule is a file here and one more member."""
