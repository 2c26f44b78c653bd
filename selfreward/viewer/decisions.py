"""What was decided about a prompt's pairs and candidates, in words."""

from __future__ import annotations

from collections.abc import Sequence

from selfreward.storage.overrides import Override, Sides
from selfreward.viewer.rendering import number
from selfreward.walk import Candidate

Decisions = list[tuple[Override, str]]


def in_words(overrides: Sequence[Override], shown: Sequence[Candidate]) -> Decisions:
    """Decisions with a sentence each; candidates are numbered as they are shown."""
    places = {one.response.id: place for place, one in enumerate(shown, 1)}
    return [(override, _sentence(override, places)) for override in overrides]


def _sentence(override: Override, places: dict[str, int]) -> str:
    candidate = f"Candidate {places.get(override.response_id or '', '?')}"
    match override.action:
        case "exclude":
            return "The pair is left out."
        case "swap":
            return "Chosen and rejected are swapped."
        case "withdraw":
            return f"{candidate}: taken back." if override.response_id else "Taken back."
        case "score":
            was = "no score" if isinstance(override.old, Sides) else number(override.old)
            new = number(override.new) if isinstance(override.new, float) else "no score"
            return f"{candidate}: score {new} instead of {was}."
