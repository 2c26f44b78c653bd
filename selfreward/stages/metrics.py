"""What an iteration's records say about it, for metrics.json: yields, lengths, scores, and how things went wrong."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import correlation, fmean, quantiles
from typing import Any

from selfreward.evaluation.opinion import orders_of
from selfreward.records import Judgment, PreferencePair, Response

VERSION = 1


def response_metrics(responses: Iterable[Response]) -> dict[str, Any]:
    """Lengths in generated tokens, and the share that was cut off."""
    lengths, truncated = [], 0
    for response in responses:
        lengths.append(len(response.token_ids))
        truncated += response.finish_reason == "length"
    if not lengths:
        return {"responses": 0}
    return {
        "responses": len(lengths),
        "response_tokens": _spread(lengths),
        "truncated_share": _rounded(truncated / len(lengths)),
    }


def judgment_metrics(judgments: Iterable[Judgment], lengths: Mapping[str, int]) -> dict[str, Any]:
    """Scores, their histogram by nearest whole score, and their correlation with length.

    ``judgments`` of one prompt stand together; ``lengths`` are the responses' lengths in tokens, by id. Where responses
    were compared by two, what could not be read is a share of the comparisons.
    """
    counts: Counter[str] = Counter()
    scores, of_length = [], []
    aspects: defaultdict[str, list[float]] = defaultdict(list)
    for _, group in groupby(judgments, lambda j: j.prompt_id):
        of_prompt = list(group)
        orders = orders_of(of_prompt).values()
        counts.update(flipped=sum(pair.flips for pair in orders), both_orders=sum(pair.both for pair in orders))
        for judgment in of_prompt:
            kind = "comparisons" if len(judgment.response_ids) > 1 else "judgments"
            counts.update({kind: 1, f"unreadable {kind}": judgment.score is None})
            if judgment.score is not None and kind == "judgments":
                scores.append(judgment.score)
                of_length.append(lengths[judgment.response_ids[0]])
                for aspect in judgment.aspects or ():
                    aspects[aspect.name].append(aspect.score)
    found: dict[str, Any] = {"judgments": counts["judgments"]}
    if counts["comparisons"]:
        found["comparisons"] = counts["comparisons"]
        found["swap_flip_share"] = _share(counts["flipped"], counts["both_orders"])
    asked = "comparisons" if counts["comparisons"] else "judgments"
    if counts[asked]:
        found["unreadable_share"] = _share(counts[f"unreadable {asked}"], counts[asked])
    if scores:
        histogram = Counter(math.floor(score + 0.5) for score in scores)
        found["score"] = _spread(scores)
        found["score_histogram"] = {str(score): histogram[score] for score in sorted(histogram)}
        if aspects:
            found["aspects"] = {name: _rounded(fmean(values)) for name, values in aspects.items()}
        found["score_length_correlation"] = _correlation(scores, of_length)
    return found


def pair_metrics(pairs: Iterable[PreferencePair], prompts: int) -> dict[str, Any]:
    """Yield, margins, and whether the longer response wins."""
    margins, differences, longer, retokenised = [], [], 0, 0
    for pair in pairs:
        difference = len(pair.chosen_token_ids) - len(pair.rejected_token_ids)
        margins.append(pair.margin)
        differences.append(difference)
        longer += difference > 0
        retokenised += pair.retokenised
    if not margins:
        return {"pairs": 0}
    return {
        "pairs": len(margins),
        "pairs_per_prompt": _rounded(len(margins) / prompts),
        "margin": _spread(margins),
        "chosen_minus_rejected_tokens": _rounded(fmean(differences)),
        "longer_is_chosen_share": _rounded(longer / len(margins)),
        "retokenised": retokenised,
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    spread = {"mean": fmean(values), "p25": low, "p50": middle, "p75": high, "max": max(values)}
    return {name: _rounded(value) for name, value in spread.items()}


def _correlation(scores: Sequence[float], lengths: Sequence[int]) -> float | None:
    if len(set(scores)) < 2 or len(set(lengths)) < 2:
        return None
    return _rounded(correlation(scores, lengths))


def _share(part: int, whole: int) -> float | None:
    return _rounded(part / whole) if whole else None


def _rounded(value: float) -> float:
    return round(float(value), 4)
