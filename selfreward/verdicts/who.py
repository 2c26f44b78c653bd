"""Who judges outside the loop, and what it answers through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from selfreward.config import RunConfig
from selfreward.engines import AnyEngine
from selfreward.engines.chat import Chat
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Engine
from selfreward.errors import ConfigError
from selfreward.judges import JudgeConfig
from selfreward.judges.implicit import ImplicitConfig
from selfreward.judges.protocol import Listener
from selfreward.judges.reward_model import RewardModelConfig
from selfreward.judges.verifiable import VerifiableConfig

_REWARDS = "judge.method"


@dataclass(frozen=True)
class Reference:
    """A model that rewards are taken against."""

    label: str
    weights: Path | None
    digest: str


@dataclass(frozen=True)
class Who:
    """The model that judges, and what it answers through."""

    config: RunConfig
    """Its rubric, its method and its seed count here."""
    model: ModelConfig
    engine: AnyEngine
    label: str
    weights: Path | None = None
    """Of a model of a run: its adapter over the root model, or the whole model."""
    digest: str = "root"
    """Their hash."""
    setting: str = "engine"
    """Where its engine is set, for messages."""
    references: Mapping[str, Reference] = field(default_factory=dict)
    """Whom a model of a run can be held against, by the setting ``judge.method.reference``."""

    @property
    def chat(self) -> Chat | None:
        """Tokenizer and template; None where only an endpoint knows them. Loads no weights."""
        return self.engine.chat_of(self.model)

    def alone(self, config: JudgeConfig) -> Who:
        """Who answers a judge that judges alone, where this one is asked for it.

        Raises:
            ConfigError: rewards are taken against a reference, and this one has none.
        """
        who = replace(self, config=self.config.model_copy(update={"judge": config}))
        match config.method:
            case RewardModelConfig() as method:
                root, engine = method.root(), method.engine()
                return replace(
                    who, model=root, engine=engine, label=method.model, weights=None, digest="root", setting=_REWARDS
                )
            case VerifiableConfig() as method:
                return replace(who, label=method.label)
            case ImplicitConfig() as method:
                own = method.engine(self.engine)
                setting = self.setting if own == self.engine else _REWARDS
                label = f"{self.label} against {self._reference(method).label}"
                return replace(who, engine=own, label=label, setting=setting)
        return who

    def listener(self, engine: Engine) -> Listener:
        """What a question depends on."""
        method = self.config.judge.method
        if isinstance(method, ImplicitConfig):
            return Listener(engine.chat, engine.context, self.weights, self._reference(method).weights)
        return Listener(engine.chat, engine.context)

    def inputs(self) -> dict[str, str]:
        """What a key holds of whom the judge's settings name, and of its rubric."""
        judge, found = self.config.judge, {}
        rubric = judge.optional_rubric()
        if rubric is not None:
            found["judge.rubric"] = rubric.hash
        if isinstance(judge.method, ImplicitConfig):
            found["judge.method.reference"] = self._reference(judge.method).digest
        if isinstance(judge.method, VerifiableConfig):
            found["judge.method.function"] = judge.method.fingerprint()
        return found

    def _reference(self, method: ImplicitConfig) -> Reference:
        if not self.references:
            raise ConfigError(
                f"judge.method.type=implicit: {self.label} is no model that was trained here against another; name M1 "
                "or a later model of a run (-i), or judge in another way"
            )
        found = self.references[method.reference]
        if found.digest == self.digest:
            raise ConfigError(
                f"judge.method.type=implicit: {self.label} and its reference {found.label} are the same model, so "
                "every reward is 0; name a later one with -i, or judge in another way"
            )
        return found
