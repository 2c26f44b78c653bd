"""Every two responses whose scores are far enough apart."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Choice, PairSettings, different, no_pair


class AllPairsConfig(PairSettings):
    """All pairs of responses whose scores differ by at least ``min_margin``."""

    type: Literal["all_pairs"] = "all_pairs"

    def choose(self, scored: Sequence[Scored], seed: int) -> Choice:
        """See :func:`all_pairs`."""
        return all_pairs(scored, self.min_margin)

    def most_rows(self, prompts: int, responses: int) -> int:
        """Every two responses of every prompt."""
        return prompts * (responses * (responses - 1) // 2)


def all_pairs(scored: Sequence[Scored], min_margin: float) -> Choice:
    """The widest margin first. Of the same text written twice the lowest index stands for all.

    One text with two scores could else be chosen here and rejected there.

    Reasons: ``too_few_usable``, ``tie``, ``small_margin``, ``identical``.
    """
    if reason := no_pair(scored, min_margin):
        return reason
    once = different(scored)
    if no_pair(once, min_margin):
        return "identical"
    ranked = sorted(once, key=lambda s: -s.score)
    pairs = [
        (better, worse)
        for better, worse in combinations(ranked, 2)
        if better.score > worse.score and better.score - worse.score >= min_margin
    ]
    return sorted(pairs, key=lambda p: (p[1].score - p[0].score, p[0].response.index, p[1].response.index))
