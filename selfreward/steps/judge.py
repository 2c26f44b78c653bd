"""Who judges in a run: M_t itself, a fixed model, a reward model, or a function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selfreward.engines.protocol import Engine
from selfreward.errors import ConfigError
from selfreward.judges import JudgeConfig
from selfreward.judges.implicit import ImplicitConfig
from selfreward.judges.protocol import Listener
from selfreward.judges.reward_model import RewardModelConfig
from selfreward.judges.verifiable import VerifiableConfig
from selfreward.models import resolve_model
from selfreward.records import key_settings
from selfreward.session import Policy, Session
from selfreward.stages import judging
from selfreward.steps.keys import engine_settings, fixed_model_inputs, model_inputs, rubric_inputs
from selfreward.storage.iteration import StageKey


@dataclass(frozen=True)
class RunJudge:
    """Who judges, and what a key says of it."""

    label: str
    reasoning_tags: tuple[str, str]
    engine: Callable[[], Engine]
    """Opened when first called."""
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    weights: tuple[Path | None, Path | None] = (None, None)
    """Of the policy and of its reference, for a method that looks at both."""

    def key(self, **judged: str) -> StageKey:
        """Of judgments of what has these hashes."""
        return StageKey(judging.VERSION, self.settings, {**self.inputs, **judged})

    def listener(self) -> Listener:
        """What a question depends on; opens the engine."""
        engine = self.engine()
        return Listener(engine.chat, engine.context, *self.weights)


def judge_of(s: Session, policy: Policy, config: JudgeConfig) -> RunJudge:
    """Who answers this judge, which is no mix."""
    match config.method:
        case ImplicitConfig():
            return _policy_against_reference(s, policy, config, config.method)
        case RewardModelConfig():
            return _reward_model(s, config, config.method)
        case VerifiableConfig():
            return _function(s, policy, config, config.method)
    return _model(s, policy, config)


def policy_of(s: Session, t: int) -> Policy:
    """M_t of the run so far."""
    if t == 0:
        return Policy.root("M0")
    it = s.store.iteration(t - 1)
    entry = it.trained
    return Policy.root(f"M{t}") if entry is None else Policy(f"M{t}", it.weights, entry.digest)


def reference_number(t: int, reference: Literal["previous", "initial"]) -> int:
    """Of the model that M_t's rewards are taken against.

    Raises:
        ConfigError: M0 has none.
    """
    if t == 0:
        raise ConfigError(
            "judge.method.type=implicit: M0 is no model that was trained against another; name M1 or later"
        )
    return 0 if reference == "initial" else t - 1


def refuse_equal(policy: str, digest: str, reference: str, other: str) -> None:
    """Raises ConfigError where both are the same model: every reward would be 0."""
    if digest == other:
        raise ConfigError(
            f"judge.method.type=implicit: {policy} and its reference {reference} are the same model, so every reward "
            "is 0; train M1 on seeds (sft.enabled), or judge in another way"
        )


def _settings(s: Session, config: JudgeConfig, tags: tuple[str, str]) -> dict[str, Any]:
    return {"seed": s.config.seed, "model": {"reasoning_tags": list(tags)}, "judge": key_settings(config)}


def _model(s: Session, policy: Policy, config: JudgeConfig) -> RunJudge:
    """The policy, unless the recipe names a fixed model."""
    fixed = config.model
    if fixed is None:
        tags = s.config.model.reasoning_tags
        settings = {**_settings(s, config, tags), **engine_settings(s)}
        inputs = {"model": policy.digest, **model_inputs(s), **rubric_inputs(config)}
        return RunJudge(policy.label, tags, lambda: s.engine(policy), settings, inputs)
    inputs = {**fixed_model_inputs(s, fixed, "judge.model"), **rubric_inputs(config)}
    return RunJudge(
        fixed.name,
        fixed.reasoning_tags,
        lambda: s.fixed_engine(fixed, "judge.model"),
        _settings(s, config, fixed.reasoning_tags),
        inputs,
    )


def _policy_against_reference(s: Session, policy: Policy, config: JudgeConfig, method: ImplicitConfig) -> RunJudge:
    reference = policy_of(s, reference_number(int(policy.label[1:]), method.reference))
    refuse_equal(policy.label, policy.digest, reference.label, reference.digest)
    tags, engine = s.config.model.reasoning_tags, method.engine(s.engine_config)
    return RunJudge(
        f"{policy.label} against {reference.label}",
        tags,
        lambda: s.likelihood_engine(policy, engine),
        {**_settings(s, config, tags), "engine": key_settings(engine)},
        {"model": policy.digest, "judge.method.reference": reference.digest, **model_inputs(s)},
        (policy.weights, reference.weights),
    )


def _reward_model(s: Session, config: JudgeConfig, method: RewardModelConfig) -> RunJudge:
    root, engine = method.root(), method.engine()
    chat = engine.chat_of(root)
    inputs = {"judge.method.model": resolve_model(method.model, method.revision).fingerprint}
    if chat is not None:
        inputs["judge.method.model's chat template"] = chat.fingerprint
    tags = s.config.model.reasoning_tags
    return RunJudge(method.model, tags, lambda: s.reward_engine(root, engine), _settings(s, config, tags), inputs)


def _function(s: Session, policy: Policy, config: JudgeConfig, method: VerifiableConfig) -> RunJudge:
    """Nobody is asked, so the engine at hand is never loaded for it."""
    tags = s.config.model.reasoning_tags
    inputs = {"judge.method.function": method.fingerprint()}
    return RunJudge(method.label, tags, lambda: s.engine(policy), _settings(s, config, tags), inputs)
