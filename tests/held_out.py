"""Held-out rankings and opinions in a line each."""

from collections.abc import Mapping, Sequence

from selfreward.evaluation.rankings import Ranking, rankings
from selfreward.records import Judgment, Message, Ranked


def rows(prompt: str, *ranks: int | None, qualities: Sequence[float | None] = ()) -> list[Ranked]:
    """A prompt's responses, with ids such as ``a0``; each text is as long as its place, ``x`` to begin with."""
    return [
        Ranked(
            id=f"{prompt}{i}",
            prompt_id=prompt,
            messages=(Message(role="user", content=f"Why {prompt}?"),),
            response="x" * (i + 1),
            rank=rank,
            quality=qualities[i] if qualities else None,
            line=i + 1,
        )
        for i, rank in enumerate(ranks)
    ]


def ranking(prompt: str, *ranks: int | None) -> Ranking:
    """The one ranking of such rows."""
    (found,) = rankings(rows(prompt, *ranks))
    return found


def scored(scores: Mapping[str, float | None]) -> list[Judgment]:
    """A judgment of each response, unreadable where the score is None; the prompt is the id's first letter."""
    return [judgment((one,), score) for one, score in scores.items()]


def judgment(responses: tuple[str, ...], score: float | None, sample: int = 0) -> Judgment:
    return Judgment(
        id=f"j-{'-'.join(responses)}-{sample}",
        prompt_id=responses[0][0],
        response_ids=responses,
        method="pairwise" if len(responses) == 2 else "sampled",
        rubric="some@0",
        sample=sample,
        score=score,
        raw="",
        prompt_tokens=1,
        model="m",
    )
