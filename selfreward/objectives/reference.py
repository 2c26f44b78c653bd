"""What preference training holds the policy to. No second model is in memory while it trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from selfreward.objectives.optimiser import PreferenceConfig

if TYPE_CHECKING:
    from transformers import Trainer


class HeldConfig(PreferenceConfig):
    """Of objectives that hold the policy to a reference model."""

    reference: Literal["previous", "initial"] = "previous"
    """To whom the policy is held: ``previous`` is M_t, as it is before this training; ``initial`` is M0."""

    has_reference: ClassVar[bool] = True

    def precomputes(self, policy: Any) -> bool:
        """Whether the reference's log-probabilities are computed once, before training.

        Of a whole model always, since it is its own reference until it changes. Beside an adapter only where more
        epochs would ask for them again: one pass costs as much before training as in it. Not over weights in 4 bits,
        which bitsandbytes may lay out anew for good when nothing is trained.
        """
        if not _is_adapted(policy):
            return True
        return self.epochs > 1 and not getattr(policy, "is_loaded_in_4bit", False)

    def held(self, make: Callable[..., Trainer], policy: Any, load_initial: Callable[[], Any] | None) -> Trainer:
        """A trainer of TRL's that holds the policy to its reference.

        Args:
            make: TRL's class with all arguments but those on models.
            policy: a PeftModel or a whole model, which is M_t.
            load_initial: gives M0, where the policy is a whole model and another one.
        """
        if self.reference == "previous" or not (_is_adapted(policy) or load_initial):
            # TRL freezes a copy of an adapter; a whole model computes the reference itself.
            return make(model=policy)
        if _is_adapted(policy):
            return _over_its_root(make, policy)
        assert load_initial is not None
        trainer: Any = make(model=policy, ref_model=load_initial())
        trainer.ref_model = None  # what it had to say is in the data
        trainer.accelerator.free_memory()
        return trainer  # type: ignore[no-any-return]


def _over_its_root(make: Callable[..., Trainer], policy: Any) -> Trainer:
    """TRL takes the root model for the reference, its adapter switched off, where it puts the adapter there itself."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    config = policy.peft_config["default"]
    weights = get_peft_model_state_dict(policy, save_embedding_layers=False)
    trainer: Any = make(model=policy.unload(), peft_config=config)
    set_peft_model_state_dict(trainer.model, weights)
    return trainer  # type: ignore[no-any-return]


def _is_adapted(policy: Any) -> bool:
    from peft import PeftModel

    return isinstance(policy, PeftModel)
