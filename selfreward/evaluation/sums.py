"""A judge against one ranking: for every figure a numerator and a denominator, so that sums over prompts give it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from selfreward.evaluation.opinion import Opinion
from selfreward.evaluation.rankings import Ranking

FIGURES = ("pairwise_accuracy", "exact_match", "top_score_best", "spearman", "kendall", "tie_share", "readable_share")
"""In the order in which they are shown."""
Sums = dict[str, tuple[float, float]]
"""Numerator and denominator by figure; (0, 0) where a ranking has nothing to say on it."""
NONE = (0.0, 0.0)


def judged(ranking: Ranking, opinion: Opinion, top: float | None) -> Sums:
    """A judge's sums. ``top`` is the highest score of its scale, None where there is no such thing.

    A tie of the judge is half right in a pair, and wrong in an exact match. A pair that it could not be read on is left
    out, and counted in ``readable_share``.
    """
    leads = [opinion.lead(better, worse) for better, worse in ranking.pairs]
    read = [lead for lead in leads if lead is not None]
    ties = sum(lead == 0 for lead in read)
    right = sum(lead > 0 for lead in read)
    whole = bool(ranking.standing) and len(read) == len(leads)
    spearman, kendall = _correlations(ranking, opinion)
    return {
        "pairwise_accuracy": (right + ties / 2, len(read)),
        "exact_match": (right == len(leads), 1.0) if whole else NONE,
        "top_score_best": NONE if top is None else _top_score_best(ranking, opinion, top),
        "spearman": spearman,
        "kendall": kendall,
        "tie_share": (ties, len(read)),
        "readable_share": (len(read), len(leads)),
    }


def at_random(ranking: Ranking) -> Sums:
    """What a judge that puts the responses in a random order can expect: exact, nothing is drawn.

    Its highest scores fall on any of the responses.
    """
    in_pairs = {one for pair in ranking.pairs for one in pair}
    known = 1.0 if ranking.standing else 0.0
    return {
        "pairwise_accuracy": (len(ranking.pairs) / 2, len(ranking.pairs)),
        "exact_match": (known and _chance_of_order(list(ranking.standing.values())), known),
        "top_score_best": (len(ranking.best), len(in_pairs)),
        "spearman": (0.0, known),
        "kendall": (0.0, known),
        "tie_share": (0.0, len(ranking.pairs)),
        "readable_share": (len(ranking.pairs), len(ranking.pairs)),
    }


def added(parts: Sequence[Sums]) -> Sums:
    """The sums of several rankings together."""
    return {
        figure: (math.fsum(part[figure][0] for part in parts), math.fsum(part[figure][1] for part in parts))
        for figure in FIGURES
    }


def _top_score_best(ranking: Ranking, opinion: Opinion, top: float) -> tuple[float, float]:
    """Of the responses whose score rounds to the highest one, how many people rank best (halves round up)."""
    in_pairs = {one for pair in ranking.pairs for one in pair}
    given = {one for one in in_pairs if opinion.scores.get(one, -math.inf) >= top - 0.5}
    return len(given & ranking.best), len(given)


def _correlations(ranking: Ranking, opinion: Opinion) -> tuple[tuple[float, float], tuple[float, float]]:
    """Spearman and Kendall's tau-b over the responses with a score; 0 where the judge gives all of them the same."""
    read = [one for one in ranking.standing if one in opinion.scores]
    people = [ranking.standing[one] for one in read]
    scores = [round(opinion.scores[one], 9) for one in read]  # as near as that they tie, see Opinion.lead
    if len(set(people)) < 2:
        return NONE, NONE
    if len(set(scores)) < 2:
        return (0.0, 1.0), (0.0, 1.0)
    from scipy.stats import kendalltau, spearmanr

    return (float(spearmanr(people, scores).statistic), 1.0), (float(kendalltau(people, scores).statistic), 1.0)


def _chance_of_order(standing: Sequence[float]) -> float:
    """That a random order of all contradicts no preference: equals may stand in any order among themselves."""
    equals = math.prod(math.factorial(standing.count(level)) for level in set(standing))
    return equals / math.factorial(len(standing))
