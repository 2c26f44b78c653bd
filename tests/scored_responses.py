"""Scored responses for the tests of pair rules."""

from hypothesis import strategies as st

from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import Choice
from selfreward.records import Response

SCORES = st.sampled_from([0.0, 1.0, 2.5, 4.9, 5.0])
CANDIDATES = st.lists(st.tuples(SCORES, st.sampled_from(["a", "b", "cc"])), max_size=7)
"""Score and text of each of a prompt's candidates."""
MARGINS = st.sampled_from([0.0, 0.1, 1.0, 2.5])


def scored(index: int, score: float, text: str | None = None, prompt_id: str = "p") -> Scored:
    response = Response(
        id=f"r-{prompt_id}-{index}",
        prompt_id=prompt_id,
        index=index,
        text=f"text {index}" if text is None else text,
        token_ids=(1,),
        finish_reason="stop",
        prompt_tokens=1,
        special_tokens=False,
        model="M1",
    )
    return Scored(response, score)


def all_scored(*scores: float) -> list[Scored]:
    return [scored(i, score) for i, score in enumerate(scores)]


def indices(found: Choice) -> list[tuple[int, int]] | str:
    """(chosen, rejected) by index, or the reason for none."""
    return found if isinstance(found, str) else [(c.response.index, r.response.index) for c, r in found]


def candidates(drawn: list[tuple[float, str]]) -> list[Scored]:
    return [scored(i, score, text) for i, (score, text) in enumerate(drawn)]
