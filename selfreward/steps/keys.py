"""What the keys of several steps have in common."""

from typing import Any

from selfreward.records import key_settings
from selfreward.session import Session
from selfreward.storage.iteration import IterationStore


def engine_settings(s: Session) -> dict[str, Any]:
    """Settings of the engine that change what it says."""
    return {"engine": key_settings(s.config.engine)}


def model_inputs(s: Session) -> dict[str, str]:
    """The root model and how it is spoken to."""
    return {"root model": s.root.fingerprint, "chat template": s.chat.fingerprint}


def rubric_inputs(s: Session) -> dict[str, str]:
    """The rubric's words."""
    return {"judge.rubric": s.config.judge.load_rubric().hash}


def made_from(it: IterationStore, *stages: str) -> dict[str, str]:
    """What earlier steps of the iteration made."""
    return {name: it.manifest.stages[name].digest for name in stages}
