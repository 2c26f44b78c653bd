"""A mix of judges in a run: its parts' judgments, each a stage of its own, become one judgment a response."""

from collections import Counter
from collections.abc import Mapping, Sequence

from selfreward.judges.mix import MixConfig, mixed
from selfreward.judges.protocol import Candidate
from selfreward.records import Judgment
from selfreward.stages.shard import Shard
from selfreward.storage.iteration import StageKey, Stored

VERSION = 1


def mix_key(method: MixConfig, inputs: Mapping[str, str]) -> StageKey:
    """The parts' settings are in their own stages' keys."""
    parts = {name: {"weight": weight} for name, weight in method.weights.items()}
    return StageKey(VERSION, {"judge": {"method": {"type": method.type, "parts": parts}}}, inputs)


def mixed_shard(
    method: MixConfig, parts: Mapping[str, Stored[Judgment]], candidates: Sequence[Candidate], model: str
) -> Shard[Judgment]:
    """Of all candidates at once: what a score is worth is told by all of them."""
    judgments = mixed(method.weights, {name: stored.records() for name, stored in parts.items()}, candidates, model)
    unreadable = sum(judgment.score is None for judgment in judgments)
    return Shard(judgments, len(candidates), Counter({"unreadable": unreadable}))
