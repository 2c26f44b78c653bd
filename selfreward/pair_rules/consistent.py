"""Best against worst where the model before ranks the responses likewise: a ranking that does not last is noise (CREAM,
Wang et al. 2024, arXiv 2410.12735, whose consistency of a whole iteration is a threshold for each prompt here)."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from selfreward.pair_rules.best_worst import best_worst
from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Asks, Choice, PairSettings


class ConsistentConfig(PairSettings):
    """The best response against the worst, for prompts whose responses M_{t-1} ranks likewise."""

    type: Literal["consistent"] = "consistent"
    min_tau: float = Field(default=0.5, ge=-1, le=1)
    """Least Kendall tau-b between the scores by M_t and by M_{t-1} of a prompt's usable responses."""

    asks: ClassVar[Asks] = "previous"

    def choose(self, scored: Sequence[Scored], seed: int) -> Choice:
        """See :func:`consistent`."""
        return consistent(scored, self.min_margin, self.min_tau)


def consistent(scored: Sequence[Scored], min_margin: float, min_tau: float) -> Choice:
    """As best against worst. What the model before gave no readable verdict does not count for tau.

    Reasons: ``too_few_usable``, ``tie``, ``small_margin``, ``identical``, ``no_earlier_ranking`` (the model before
    could be read on fewer than two, or gave all the same score), ``inconsistent``.
    """
    found = best_worst(scored, min_margin)
    if isinstance(found, str):
        return found
    tau = agreement(scored)
    if tau is None:
        return "no_earlier_ranking"
    return found if tau >= min_tau else "inconsistent"


def agreement(scored: Sequence[Scored]) -> float | None:
    """Kendall's tau-b of both models' scores; None where either ranks nothing."""
    both = [(s.score, s.before) for s in sorted(scored, key=lambda s: s.response.index) if s.before is not None]
    now, before = [one for one, _ in both], [other for _, other in both]
    if len(set(now)) < 2 or len(set(before)) < 2:
        return None
    from scipy.stats import kendalltau

    return round(float(kendalltau(now, before).statistic), 9)  # equal rankings come out a hair below 1
