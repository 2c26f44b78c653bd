"""The meta-judge sees places, scores or lengths rather than judgments."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from selfreward.diagnosis import thresholds as at
from selfreward.diagnosis.family import Check, Family, Figures, at_most
from selfreward.diagnosis.numbers import share, within
from selfreward.evaluation.opinion import orders_of
from selfreward.meta_judge.ranking import winners
from selfreward.records import Judgment, PreferencePair

_NEEDS = "only recipes with meta_judge compare judgments"
_ENOUGH = ("judgments_compared", at.MIN_RESPONSES)


def _of(name: str, now: Figures) -> float | None:
    return within(now, "meta_judge", name)


def _by_score(now: Figures, before: Figures) -> str | None:
    found = now.get("meta_judge", {}).get("wins_by_score")
    # Where no comparison agrees in both orders, nothing is won.
    return ", ".join(f"{score}: {won:.2f}" for score, won in found.items()) if found else None


class MetaJudge(Family):
    """Comparisons of judgments, in both orders."""

    failure = "meta-judge is biased"
    checks = (
        Check(
            "meta_judge_flips",
            "comparisons that flip",
            lambda now, _: _of("swap_flip_share", now),
            at_most(at.FLIPS),
            "The place decides more comparisons of judgments than the judgments do; only agreeing orders count, which "
            "leaves few.",
            "meta_judge.verdict: expected, more meta_judge.verdict.samples, a larger model, or no meta_judge",
            _NEEDS,
            _ENOUGH,
        ),
        Check("meta_judge_wins", "share of wins, by score", _by_score, needs=_NEEDS),
        Check(
            "meta_judge_higher",
            "the higher score wins",
            lambda now, _: _of("higher_score_wins", now),
            at_most(at.HIGHER_SCORE_WINS),
            "Of two judgments the one with the higher score mostly wins, so the judge learns to give high scores.",
            "a lower meta_judge.max_score_share, meta_judge.last_iteration, or another meta_judge.rubric",
            _NEEDS,
            _ENOUGH,
        ),
        Check(
            "meta_judge_longer",
            "the longer judgment wins",
            lambda now, _: _of("longer_wins", now),
            at_most(at.LONGER_CHOSEN),
            "Of two judgments the longer one mostly wins, so the judge learns to write more.",
            "meta_judge.max_judgment_tokens, or another meta_judge.rubric",
            _NEEDS,
            _ENOUGH,
        ),
        Check("meta_judge_share", "share of training pairs", lambda now, _: _of("training_share", now), needs=_NEEDS),
    )


def meta_judge_figures(
    compared: Iterable[tuple[Sequence[Judgment], Sequence[Judgment]]],
    pairs: Iterable[PreferencePair],
    pairs_of_responses: int,
) -> dict[str, Any]:
    """``compared`` are each prompt's judgments and the comparisons of some of them; each stream is read once."""
    chosen, rejected = Counter[str](), Counter[str]()
    sides = {id: side for pair in pairs for id, side in ((pair.chosen_id, chosen), (pair.rejected_id, rejected))}
    tally = _Tally()
    for judgments, comparisons in compared:
        by_id = {judgment.id: judgment for judgment in judgments}
        tally.add(by_id, comparisons)
        for id in sides.keys() & by_id.keys():
            sides[id][_whole(by_id[id])] += 1
    made = len(sides) // 2
    found = {
        **tally.figures(),
        "pairs": made,
        "training_share": share(made, made + pairs_of_responses),
        "chosen_scores": _in_order(chosen),
        "rejected_scores": _in_order(rejected),
    }
    return {"judgments_compared": tally.compared, "meta_judge": found}


class _Tally:
    """Who won, as comparisons pass."""

    def __init__(self) -> None:
        self.compared = 0
        self._both = self._flips = self._agreed = 0
        self._won, self._decided = Counter[str](), Counter[str]()
        self._higher, self._unequal, self._longer, self._unequally_long = 0, 0, 0, 0

    def add(self, by_id: Mapping[str, Judgment], comparisons: Sequence[Judgment]) -> None:
        for orders in orders_of(comparisons).values():
            self.compared += 1
            self._both += orders.both
            self._flips += orders.flips
        for two, winner in winners(comparisons).items():
            if winner is None:
                continue
            self._agreed += 1
            (loser,) = set(two) - {winner}
            self._decide(by_id[winner], by_id[loser])

    def _decide(self, winner: Judgment, loser: Judgment) -> None:
        self._won[_whole(winner)] += 1
        self._decided.update((_whole(winner), _whole(loser)))
        ahead = (winner.score or 0.0) - (loser.score or 0.0)
        self._unequal += ahead != 0
        self._higher += ahead > 0
        longer = len(winner.raw.strip()) - len(loser.raw.strip())
        self._unequally_long += longer != 0
        self._longer += longer > 0

    def figures(self) -> dict[str, Any]:
        return {
            "readable_share": share(self._both, self.compared),
            "order_agreement_share": share(self._agreed, self._both),
            "swap_flip_share": share(self._flips, self._both),
            "wins_by_score": {score: share(self._won[score], n) for score, n in _in_order(self._decided).items()},
            "higher_score_wins": share(self._higher, self._unequal),
            "longer_wins": share(self._longer, self._unequally_long),
        }


def _whole(judgment: Judgment) -> str:
    """The nearest whole score, as in the histogram of scores."""
    return str(math.floor((judgment.score or 0.0) + 0.5))


def _in_order(counts: Counter[str]) -> dict[str, int]:
    return {score: counts[score] for score in sorted(counts, key=int)}
