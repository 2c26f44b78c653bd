"""Several examples in one row, without padding: only for models that keep them apart by their positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selfreward.errors import TrainingError

if TYPE_CHECKING:
    import torch

_LOOKED_AT = 32
"""Tokens of each of the two examples; every layer mixes them long before."""


def refuse_where_examples_meet(model: Any, first: Sequence[int], second: Sequence[int]) -> None:
    """Look whether an example says the same behind another one as by itself.

    Which models do depends on their code and on their attention, so the model itself is asked.

    Raises:
        TrainingError: the model lets the second example attend to the first.
    """
    import torch

    a, b = ([*ids[:_LOOKED_AT]] for ids in (first, second))
    restarted = [*range(len(a)), *range(len(b))]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        alone = _logits(model, b, [*range(len(b))])
        packed = _logits(model, a + b, restarted)[len(a) :]
        meeting = _logits(model, a + b, restarted, attends_to_all=True)[len(a) :]
    model.train(was_training)
    # Numbers differ a little with the shape of what is computed, and much with what is attended to.
    if (packed - alone).norm() > 0.5 * (meeting - alone).norm():
        raise TrainingError(
            f"packing: {type(model.get_base_model() if hasattr(model, 'get_base_model') else model).__name__} lets "
            "examples of one row attend to each other, so that what one learns depends on its neighbours; leave "
            "packing out"
        )


def _logits(model: Any, ids: list[int], positions: list[int], *, attends_to_all: bool = False) -> torch.Tensor:
    import torch

    device = next(model.parameters()).device
    row = torch.tensor([ids], device=device)
    mask = {"attention_mask": torch.ones_like(row)} if attends_to_all else {}
    places = torch.tensor([positions], device=device)
    logits: torch.Tensor = model(input_ids=row, position_ids=places, use_cache=False, **mask).logits[0].float()
    return logits
