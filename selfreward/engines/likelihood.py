"""How likely a model finds whole turns: one forward pass over finished chats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfreward.engines.chat import Target
from selfreward.engines.memory import memory_for


def last_turns(model: Any, targets: Sequence[Target], pad: int, setting: str) -> list[tuple[float, ...]]:
    """Of each chat the log-probabilities of its last turn's tokens, in one batch.

    Rows are padded in front, so that the turns end together and only as many positions need their logits as the longest
    turn has. ``setting`` is what to lower where the memory is too small.
    """
    import torch

    longest = max(len(target.ids) for target in targets)
    scored = [len(target.ids) - target.start for target in targets]
    rows = [[pad] * (longest - len(target.ids)) + target.ids for target in targets]
    masks = [[0] * (longest - len(target.ids)) + [1] * len(target.ids) for target in targets]
    ids, mask = (torch.tensor(part, device=model.device) for part in (rows, masks))
    with torch.inference_mode(), memory_for(setting, ids):
        logits = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            use_cache=False,
            logits_to_keep=max(scored) + 1,
        ).logits
        found = []
        for row, own, count in zip(logits, ids, scored, strict=True):  # a row at a time: logits in float32 are large
            predicted = row[-count - 1 : -1].float().log_softmax(-1)
            found.append(tuple(predicted.gather(-1, own[-count:, None])[:, 0].tolist()))
    return found
