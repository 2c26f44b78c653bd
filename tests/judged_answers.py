"""Responses and judgments for steps that build pairs, with token ids that a real tokenizer gives."""

from selfreward.engines.chat import Chat
from selfreward.records import Judgment, Prompt, Response


def response_of(chat: Chat, prompt: Prompt, index: int) -> Response:
    return Response(
        id=f"r-{prompt.id}-{index}",
        prompt_id=prompt.id,
        index=index,
        text=f"answer {index}",
        token_ids=(*chat.plain_ids(f"answer {index}"), chat.tokenizer.eos_token_id),
        finish_reason="stop",
        prompt_tokens=1,
        special_tokens=False,
        model="M1",
    )


def judgment_of(of: Response, score: float) -> Judgment:
    return Judgment(
        id=f"j-{of.id}",
        prompt_id=of.prompt_id,
        response_ids=(of.id,),
        method="sampled",
        rubric="x@1",
        sample=0,
        score=score,
        raw="",
        prompt_tokens=1,
        model="M1",
    )
