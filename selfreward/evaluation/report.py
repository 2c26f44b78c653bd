"""A judge's figures beside those of two controls, on everything and on the length-balanced part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from selfreward.evaluation.bootstrap import RESAMPLES, Figure, figures, shares
from selfreward.evaluation.length_balance import length_balanced
from selfreward.evaluation.opinion import Opinion, opinion_of, orders_of
from selfreward.evaluation.rankings import Ranking, rankings
from selfreward.evaluation.sums import Sums, added, at_random, judged
from selfreward.records import Frozen, Judgment, Ranked


class Figures(Frozen):
    """One judge on one part."""

    pairwise_accuracy: Figure
    """Of the pairs that people put in order, where the judge could be read; its ties are half right."""
    exact_match: Figure
    """Of the prompts whose pairs were all read, those with every pair right."""
    top_score_best: Figure
    """Of the responses given the highest score ("5-best"), those that people rank best."""
    spearman: Figure
    """Mean over prompts."""
    kendall: Figure
    """Tau-b, mean over prompts."""
    tie_share: Figure
    """Of the pairs that were read, those that the judge ties."""
    readable_share: Figure
    """Of the pairs, those that the judge could be read on."""


class Part(Frozen):
    """Some of the pairs, and every judge on them."""

    prompts: int
    pairs: int
    judge: Figures
    length_only: Figures
    """A judge to whom the response with more characters is the better one."""
    random: Figures
    """What a judge that guesses can expect."""


class JudgeReport(Frozen):
    """How good a judge is on held-out rankings. Intervals are 95%, by resampling prompts."""

    judge: str
    """The model."""
    method: str
    rubric: str
    """Empty for a method that reads none."""
    judgments: int
    unreadable_share: Figure
    """Of the judgments."""
    swap_flip_share: Figure | None
    """Of the pairs judged in both orders, those whose two verdicts contradict each other; None for single responses."""
    whole: Part
    length_balanced: Part
    """As many pairs in which the better response is the longer one as the shorter one; each is a ranking of two."""
    resamples: int
    seed: int


def judge_report(
    rows: Sequence[Ranked],
    judgments: Sequence[Judgment],
    *,
    judge: str,
    method: str,
    rubric: str,
    top: float | None,
    seed: int,
) -> JudgeReport:
    """Hold a judge's judgments against people's rankings; both are joined by id.

    Args:
        rows: of whole prompts.
        judgments: of their responses, or of pairs of them.
        top: the highest score of the judge's scale, None where it has none.
        seed: of the intervals and of the length-balanced part.
    """
    ranked = rankings(rows)
    opinion = opinion_of(judgments)
    by_pairs = any(len(judgment.response_ids) > 1 for judgment in judgments)  # strengths are on no scale
    highest = None if by_pairs else top
    return JudgeReport(
        judge=judge,
        method=method,
        rubric=rubric,
        judgments=len(judgments),
        unreadable_share=_unreadable(judgments, seed),
        swap_flip_share=_flips(judgments, seed),
        whole=_part(ranked, opinion, highest, seed),
        length_balanced=_part(length_balanced(ranked, seed), opinion, highest, seed),
        resamples=RESAMPLES,
        seed=seed,
    )


def in_a_sentence(report: JudgeReport) -> str:
    """What matters most of it, with the control that it has to be held against."""
    whole, balanced = report.whole, report.length_balanced
    return (
        f"{report.judge} agrees with people on {percent(whole.judge.pairwise_accuracy)} of {whole.pairs} pairs, length "
        f"alone on {percent(whole.length_only.pairwise_accuracy)}; where length tells nothing, on "
        f"{percent(balanced.judge.pairwise_accuracy)} of {balanced.pairs}"
    )


def percent(figure: Figure) -> str:
    """A share and its interval."""
    if figure.value is None:
        return "an unknown share"
    edges = "" if figure.low is None or figure.high is None else f" [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
    return f"{figure.value:.1%}{edges}"


def length_only(ranked: Sequence[Ranking]) -> Opinion:
    """The control that reads nothing: a response's score is its length in characters."""
    return Opinion({one: float(len(text)) for ranking in ranked for one, text in ranking.responses.items()})


def _part(ranked: Sequence[Ranking], opinion: Opinion, top: float | None, seed: int) -> Part:
    by_length = length_only(ranked)

    def of(sums: Callable[[Ranking], Sums]) -> Figures:
        by_prompt: defaultdict[str, list[Sums]] = defaultdict(list)
        for ranking in ranked:
            by_prompt[ranking.prompt_id].append(sums(ranking))
        return Figures(**figures([added(own) for _, own in sorted(by_prompt.items())], seed))

    return Part(
        prompts=len({ranking.prompt_id for ranking in ranked}),
        pairs=sum(len(ranking.pairs) for ranking in ranked),
        judge=of(lambda ranking: judged(ranking, opinion, top)),
        length_only=of(lambda ranking: judged(ranking, by_length, None)),
        random=of(at_random),
    )


def _unreadable(judgments: Sequence[Judgment], seed: int) -> Figure:
    found: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for judgment in judgments:
        unread, all_ = found[judgment.prompt_id]
        found[judgment.prompt_id] = unread + (judgment.score is None), all_ + 1
    return shares(found, seed)


def _flips(judgments: Sequence[Judgment], seed: int) -> Figure | None:
    prompt_of = {one: j.prompt_id for j in judgments for one in j.response_ids}
    found: defaultdict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    orders = orders_of(judgments)
    for pair, verdicts in orders.items():
        flips, both = found[prompt_of[pair[0]]]
        found[prompt_of[pair[0]]] = flips + verdicts.flips, both + verdicts.both
    return shares(found, seed) if orders else None
