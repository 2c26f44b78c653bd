"""Answers grow longer: the judge likes length, training makes more of it, and the limit cuts the longest off."""

from array import array
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from selfreward.diagnosis import thresholds as at
from selfreward.diagnosis.family import Check, Family, Figures, at_most
from selfreward.diagnosis.numbers import correlation, ratio, rounded, share, spread, within
from selfreward.records import Judgment, PreferencePair, Response


def _quantiles(now: Figures, before: Figures) -> str | None:
    found = now.get("response_tokens")
    if found is None:
        return None
    return ", ".join(f"{name} {found[name]:g}" for name in ("p25", "p50", "p75", "p95", "max") if name in found)


def _chosen_longer(now: Figures, before: Figures) -> float | None:
    return ratio(within(now, "chosen_minus_rejected_tokens"), within(now, "response_tokens", "mean"))


def _growth(now: Figures, before: Figures) -> float | None:
    return ratio(within(now, "response_tokens", "mean"), within(before, "response_tokens", "mean"))


_PAIRS = ("pairs", at.MIN_PAIRS)
_RESPONSES = ("responses", at.MIN_RESPONSES)
_SHORTER = "pairs.type: length_controlled with a higher pairs.rho, or a judge that sees less in length"


class Lengths(Family):
    """Lengths in generated tokens."""

    failure = "answers grow longer"
    checks = (
        Check("response_quantiles", "tokens a response", _quantiles, needs="no responses"),
        Check("response_mean", "tokens, mean", lambda now, _: within(now, "response_tokens", "mean")),
        Check(
            "length_growth",
            "mean against before",
            _growth,
            at_most(at.LENGTH_GROWTH),
            "Responses are much longer than in the iteration before.",
            _SHORTER,
            "no iteration before it with responses",
            _RESPONSES,
            trend=True,
        ),
        Check(
            "chosen_minus_rejected",
            "chosen minus rejected / mean",
            _chosen_longer,
            at_most(at.CHOSEN_LONGER_BY),
            "Chosen responses are clearly longer than rejected ones, so training teaches length.",
            _SHORTER,
            "no pairs",
            _PAIRS,
        ),
        Check(
            "longer_is_chosen_share",
            "longer is chosen",
            lambda now, _: within(now, "longer_is_chosen_share"),
            at_most(at.LONGER_CHOSEN),
            "In most pairs the longer response is the chosen one.",
            _SHORTER,
            "no pairs",
            _PAIRS,
        ),
        Check(
            "score_length_correlation",
            "score with length, r",
            lambda now, _: within(now, "score_length_correlation"),
            at_most(at.SCORE_LENGTH),
            "Longer responses get higher scores.",
            "another judge.rubric or judge.method, and evaluation.judge_data to see it on the length-balanced part",
            "no scores, or all of them or all lengths are equal",
            _RESPONSES,
        ),
        Check(
            "truncated_share",
            "cut off at the limit",
            lambda now, _: within(now, "truncated_share"),
            at_most(at.TRUNCATED),
            "Many responses reach responses.max_tokens; they are in no pair, so the long ones go unjudged.",
            "a higher responses.max_tokens, or prompts that ask for less",
            "no responses",
            _RESPONSES,
        ),
    )

    def __init__(self) -> None:
        self._lengths: dict[str, int] = {}
        self._truncated = 0
        self._scores, self._of_length = array("d"), array("d")
        self._differences = array("q")
        self._longer = 0

    def response(self, response: Response) -> None:
        """Its length, kept by id: verdicts name responses by it."""
        self._lengths[response.id] = len(response.token_ids)
        self._truncated += response.finish_reason == "length"

    def judgments(self, judgments: Sequence[Judgment]) -> None:
        """Scores of single responses beside their lengths."""
        for judgment in judgments:
            response_id, *others = judgment.response_ids
            if judgment.score is not None and not others and response_id in self._lengths:
                self._scores.append(judgment.score)
                self._of_length.append(self._lengths[response_id])

    def pair(self, pair: PreferencePair) -> None:
        """Which side is longer."""
        difference = len(pair.chosen_token_ids) - len(pair.rejected_token_ids)
        self._differences.append(difference)
        self._longer += difference > 0

    def figures(self) -> dict[str, Any]:
        """Lengths, differences between the sides of pairs, correlation with scores."""
        found: dict[str, Any] = {"responses": len(self._lengths)}
        if self._lengths:
            found["response_tokens"] = spread(array("q", self._lengths.values()))
            found["truncated_share"] = share(self._truncated, len(self._lengths))
        if self._scores:
            found["score_length_correlation"] = correlation(self._scores, self._of_length)
        if self._differences:
            found["chosen_minus_rejected_tokens"] = rounded(fmean(self._differences))
            found["longer_is_chosen_share"] = share(self._longer, len(self._differences))
        return found
