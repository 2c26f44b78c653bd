"""The seed's response against the model's own: self-play fine-tuning (SPIN, Chen et al. 2024, arXiv 2401.01335)."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from selfreward.pair_rules.scored import untrainable
from selfreward.pair_rules.settings import RuleSettings
from selfreward.records import Response


class SpinConfig(RuleSettings):
    """The prompt's reference is chosen, and what M_t writes itself is rejected. Nothing is judged."""

    type: Literal["spin"] = "spin"

    def most_rows(self, prompts: int, responses: int) -> int:
        """Every response is rejected once."""
        return prompts * responses


def spin(reference: str | None, responses: Sequence[Response]) -> tuple[list[Response] | str, Counter[str]]:
    """What is rejected in favour of the reference, by index; beside it the responses that cannot be, by reason.

    Of the same text written twice the lowest index stands for all.

    Reasons for no pair: ``no_reference``, ``none_usable``, ``identical`` (the model writes the reference itself).
    Reasons of a response: as in :func:`~selfreward.pair_rules.scored.usable_responses`.
    """
    reasons = {response.id: untrainable(response) for response in responses}
    unusable = Counter(reason for reason in reasons.values() if reason)
    usable = sorted((r for r in responses if not reasons[r.id]), key=lambda r: r.index, reverse=True)
    if reference is None:
        return "no_reference", unusable
    if not usable:
        return "none_usable", unusable
    once = {response.text.strip(): response for response in usable}
    own = [once[text] for text in once if text != reference.strip()]
    return sorted(own, key=lambda r: r.index) or "identical", unusable
