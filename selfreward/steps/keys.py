"""What the keys of several steps have in common."""

from typing import Any

from selfreward.engines import FixedModel
from selfreward.engines.server import ServerConfig
from selfreward.judges import JudgeConfig
from selfreward.meta_judge.settings import MetaJudgeConfig
from selfreward.models import resolve_model
from selfreward.records import key_settings
from selfreward.session import Session
from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import IterationStore


def engine_settings(s: Session) -> dict[str, Any]:
    """Settings of the engine that change what it says."""
    return {"engine": key_settings(s.engine_config)}


def fixed_model_inputs(s: Session, model: FixedModel, setting: str) -> dict[str, str]:
    """A model that is not trained, how it is spoken to, and the settings of an engine of its own."""
    engine = s.engine_config_of(model)
    inputs = {f"{setting}.engine": value_hash(key_settings(engine))}
    chat = engine.chat_of(model)
    if chat is not None:
        inputs[f"{setting}'s chat template"] = chat.fingerprint
    if isinstance(engine, ServerConfig):
        # As the endpoint calls it; such a name means nothing here or on the Hub.
        return inputs | {setting: value_hash([model.name, model.chat_template_kwargs])}
    return inputs | {setting: resolve_model(model.name, model.revision).fingerprint}


def model_inputs(s: Session) -> dict[str, str]:
    """The root model and how it is spoken to."""
    return {"root model": s.root.fingerprint, "chat template": s.chat.fingerprint}


def rubric_inputs(judge: JudgeConfig) -> dict[str, str]:
    """The rubric's words, where one is read."""
    rubric = judge.optional_rubric()
    return {} if rubric is None else {"judge.rubric": rubric.hash}


def meta_rubric_inputs(config: MetaJudgeConfig) -> dict[str, str]:
    """The words that judgments are compared by."""
    return {"meta_judge.rubric": config.load_rubric().hash}


def made_from(it: IterationStore, *stages: str) -> dict[str, str]:
    """What earlier steps of the iteration made."""
    return {name: it.manifest.stages[name].digest for name in stages}
