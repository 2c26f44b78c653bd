"""Judgments, and comparisons of judgments, in a line each."""

from selfreward.meta_judge.contested import Judged
from selfreward.records import Judgment, Prompt, Response


def judgment(name: str, score: float | None, raw: str = "", response: str = "r-0", sample: int = 0) -> Judgment:
    """A written judgment, whose text is its name where none is given."""
    return Judgment(
        id=name,
        prompt_id="p",
        response_ids=(response,),
        method="sampled",
        rubric="additive_5pt@00000000",
        sample=sample,
        score=score,
        raw=raw or f"{name}\nScore: {score}",
        prompt_tokens=1,
        model="M1",
    )


def comparison(first: str, second: str, first_wins: float | None) -> Judgment:
    """One order's verdict."""
    named = judgment(f"{first}-{second}", first_wins)
    return named.model_copy(update={"response_ids": (first, second), "rubric": "compare_judgments@00000000"})


def agreed(winner: str, loser: str) -> list[Judgment]:
    """Both orders prefer the same judgment."""
    return [comparison(winner, loser, 1.0), comparison(loser, winner, 0.0)]


def flipped(one: str, other: str) -> list[Judgment]:
    """The first place wins in both orders."""
    return [comparison(one, other, 1.0), comparison(other, one, 1.0)]


def response(index: int, text: str = "An answer.") -> Response:
    """Of the only prompt."""
    return Response(
        id=f"r-{index}",
        prompt_id="p",
        index=index,
        text=text,
        token_ids=(1, 2),
        finish_reason="stop",
        prompt_tokens=1,
        special_tokens=False,
        model="M1",
    )


def judged(scores: list[list[float | None]], prompt: str = "Why?", text: str = "An answer.") -> Judged:
    """A prompt whose responses have these scores; judgments are called j-RESPONSE-SAMPLE."""
    responses = [response(index, text) for index in range(len(scores))]
    judgments = [
        judgment(f"j-{i}-{k}", score, response=f"r-{i}", sample=k)
        for i, own in enumerate(scores)
        for k, score in enumerate(own)
    ]
    return Judged(Prompt(id="p", text=prompt, iteration=1), responses, judgments)
