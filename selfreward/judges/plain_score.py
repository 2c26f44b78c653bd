"""The record of a judge that reads no rubric: one score a response."""

from selfreward.judges.protocol import Candidate
from selfreward.records import AspectScore, Judgment, content_id


def plain_score(
    candidate: Candidate,
    score: float | None,
    *,
    method: str,
    model: str,
    raw: str = "",
    prompt_tokens: int = 0,
    shortened: bool = False,
    aspects: tuple[AspectScore, ...] | None = None,
) -> Judgment:
    """The only judgment of this response; ``raw`` says why it has no score."""
    return Judgment(
        id=content_id("j", candidate.response_id, method, 0),
        prompt_id=candidate.prompt_id,
        response_ids=candidate.response_ids,
        method=method,
        rubric="",
        sample=0,
        score=score,
        aspects=aspects,
        raw=raw,
        shortened=shortened,
        prompt_tokens=prompt_tokens,
        model=model,
    )
