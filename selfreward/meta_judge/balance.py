"""Which pairs of judgments are kept: no score is chosen too often, and there are not more than were asked for."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outline:
    """What decides whether a pair is kept."""

    pair_id: str
    score: float
    """What the chosen judgment gives."""
    margin: float
    """How much stronger it is than the rejected one."""

    @property
    def whole_score(self) -> int:
        """To the nearest."""
        return math.floor(self.score + 0.5)


def dropped(outlines: Iterable[Outline], max_score_share: float, most: int) -> dict[str, str]:
    """The pairs that are not kept, by id, each with the reason; the order of the outlines does not matter.

    ``score_balance``: more than ``max_score_share`` of the pairs choose its score. ``over_share``: there are ``most``
    already. Of one score those with the widest margins are kept, and the ``most`` are taken from all scores in turn.
    """
    queues = _by_score(outlines)
    limit = _limit(Counter({score: len(queue) for score, queue in queues.items()}), max_score_share)
    out = {one.pair_id: "score_balance" for queue in queues.values() for one in queue[limit:]}
    in_turn = sorted(
        (rank, score, one.pair_id) for score, queue in queues.items() for rank, one in enumerate(queue[:limit])
    )
    return out | {pair_id: "over_share" for _, _, pair_id in in_turn[most:]}


def _by_score(outlines: Iterable[Outline]) -> dict[int, list[Outline]]:
    found: defaultdict[int, list[Outline]] = defaultdict(list)
    for outline in outlines:
        found[outline.whole_score].append(outline)
    return {score: sorted(own, key=lambda o: (-o.margin, o.pair_id)) for score, own in found.items()}


def _limit(counts: Counter[int], max_score_share: float) -> int:
    """The most pairs of one score, so that none has more than its share of what is then kept."""
    for limit in range(max(counts.values(), default=0), 0, -1):
        kept = sum(min(count, limit) for count in counts.values())
        if limit <= max_score_share * kept + 1e-9:
            return limit
    return 0
