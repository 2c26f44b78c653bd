"""Who judges in a run: M_t itself, or a fixed model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from selfreward.engines.protocol import Engine
from selfreward.records import key_settings
from selfreward.session import Policy, Session
from selfreward.stages import judging
from selfreward.steps.keys import engine_settings, fixed_model_inputs, model_inputs, rubric_inputs
from selfreward.storage.iteration import StageKey


@dataclass(frozen=True)
class RunJudge:
    """The model that judges, and what a key says of it."""

    label: str
    reasoning_tags: tuple[str, str]
    engine: Callable[[], Engine]
    """Opened when first called."""
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]

    def key(self, **judged: str) -> StageKey:
        """Of judgments of what has these hashes."""
        return StageKey(judging.VERSION, self.settings, {**self.inputs, **judged})


def judge_of(s: Session, policy: Policy) -> RunJudge:
    """The policy, unless the recipe names a fixed model."""
    config, fixed = s.config.judge, s.config.judge.model

    def settings(tags: tuple[str, str]) -> dict[str, Any]:
        return {"seed": s.config.seed, "model": {"reasoning_tags": list(tags)}, "judge": key_settings(config)}

    if fixed is None:
        tags = s.config.model.reasoning_tags
        inputs = {"model": policy.digest, **model_inputs(s), **rubric_inputs(s)}
        return RunJudge(policy.label, tags, lambda: s.engine(policy), {**settings(tags), **engine_settings(s)}, inputs)
    inputs = {**fixed_model_inputs(s, fixed, "judge.model"), **rubric_inputs(s)}
    return RunJudge(
        fixed.name,
        fixed.reasoning_tags,
        lambda: s.fixed_engine(fixed, "judge.model"),
        settings(fixed.reasoning_tags),
        inputs,
    )
