"""The judge is steered: responses hold words that are meant for it, and such responses win."""

from collections import Counter
from typing import Any

from selfreward.diagnosis import thresholds as at
from selfreward.diagnosis.family import Check, Family, Figures, at_most
from selfreward.diagnosis.numbers import share, within
from selfreward.judges.injection import reasons
from selfreward.records import PreferencePair, Response


def _counts(now: Figures, before: Figures) -> str | None:
    found = now.get("injection")
    if found is None:
        return None
    return ", ".join(f"{reason}: {count}" for reason, count in found["reasons"].items()) or "none"


class Attacks(Family):
    """What :mod:`~selfreward.judges.injection` finds in responses. It finds forms, not intentions."""

    failure = "judge is steered"
    checks = (
        Check("injection_reasons", "responses, by what was found", _counts, needs="no responses"),
        Check(
            "flagged_responses",
            "found in responses",
            lambda now, _: within(now, "injection", "response_share"),
        ),
        Check(
            "flagged_chosen",
            "found in chosen ones",
            lambda now, _: within(now, "injection", "chosen_share"),
            at_most(at.FLAGGED_CHOSEN),
            "Chosen responses hold what could steer a judge: fake verdicts, words to it, hidden characters.",
            "read them (`selfreward show RUN PAIR_ID` says what was found); a fixed judge.model, or another rubric",
            "no pairs",
            ("pairs", at.MIN_PAIRS),
        ),
        Check(
            "flagged_wins",
            "such ones win",
            lambda now, _: within(now, "injection", "wins"),
            at_most(at.FLAGGED_WINS),
            "Where one side of a pair holds such words, it is mostly the chosen one.",
            "a fixed judge.model, or another judge.rubric or judge.method",
            "no pair has them on just one side",
            ("one_side_flagged", at.MIN_PAIRS),
        ),
    )

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()
        self._flagged = set[str]()
        self._responses = self._pairs = self._chosen = self._wins = self._one_side = 0

    def response(self, response: Response) -> None:
        """What was found in it; only the ids of such responses are kept."""
        self._responses += 1
        if found := reasons(response.text):
            self._reasons.update(found)
            self._flagged.add(response.id)

    def pair(self, pair: PreferencePair) -> None:
        """Whether it helped."""
        # By their texts: a rule may reject what another model wrote, which is not among the responses.
        chosen, rejected = (bool(reasons(side[-1].content)) for side in (pair.chosen, pair.rejected))
        self._pairs += 1
        self._chosen += chosen
        if chosen != rejected:
            self._one_side += 1
            self._wins += chosen

    def figures(self) -> dict[str, Any]:
        """Nothing where there are no responses."""
        if not self._responses:
            return {}
        return {
            "one_side_flagged": self._one_side,
            "injection": {
                "reasons": dict(sorted(self._reasons.items())),
                "response_share": share(len(self._flagged), self._responses),
                "chosen_share": share(self._chosen, self._pairs),
                "wins": share(self._wins, self._one_side),
            },
        }
