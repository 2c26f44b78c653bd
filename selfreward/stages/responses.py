"""Responses: N candidates for every prompt (Yuan et al. 2024, section 2.2)."""

from collections import Counter
from collections.abc import Sequence

from pydantic import Field

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Ask, Asking, Completion, Request, Sampling
from selfreward.reasoning import split_reasoning
from selfreward.records import Frozen, Message, Prompt, Response, content_id
from selfreward.stages.shard import Shard

VERSION = 1


class ResponsesConfig(Frozen):
    """How candidates are sampled."""

    n: int = Field(default=4, ge=1)
    """Candidates a prompt."""
    temperature: float = Field(default=0.7, gt=0)
    """Sampling temperature."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    """Nucleus of the sampling."""
    max_tokens: int = Field(default=1024, ge=1)
    """Most tokens of one response; a response that reaches it is truncated and never trained on."""


def generate_responses(
    prompts: Sequence[Prompt],
    config: ResponsesConfig,
    chat: Chat,
    model: str,
    reasoning_tags: tuple[str, str],
    seed: int,
    first: int = 0,
) -> Asking[Shard[Response]]:
    """``n`` responses to each prompt, in the prompts' order. A prompt that does not fit the context gives none.

    Those of a prompt are numbered from ``first``, so that several models' responses to it have ids of their own.
    """
    requests = [Request((Message(role="user", content=prompt.text),)) for prompt in prompts]
    sampling = Sampling(
        max_tokens=config.max_tokens,
        n=config.n,
        temperature=config.temperature,
        top_p=config.top_p,
        seed=seed,
    )
    answers = yield Ask(requests, sampling)
    counts: Counter[str] = Counter()
    records = []
    for i, prompt in enumerate(prompts):
        if not answers[i].completions:
            counts["drop.prompt_too_long"] += 1
        for index, completion in enumerate(answers[i].completions, first):
            counts["tokens.generated"] += len(completion.token_ids)
            counts["tokens.prompt"] += answers[i].prompt_tokens
            records.append(_response(prompt, index, completion, answers[i].prompt_tokens, model, reasoning_tags, chat))
    return Shard(records, len(prompts), counts)


def _response(
    prompt: Prompt,
    index: int,
    completion: Completion,
    prompt_tokens: int,
    model: str,
    tags: tuple[str, str],
    chat: Chat,
) -> Response:
    reasoning, text = split_reasoning(completion.text, tags)
    special = completion.special_tokens
    if not special and any(tag in completion.text for tag in tags):
        # Tags that stand elsewhere than around the reasoning are special tokens like all others.
        special = any(map(chat.spells_special, (text, reasoning or "")))
    return Response(
        id=content_id("r", prompt.id, index, completion.text),
        prompt_id=prompt.id,
        index=index,
        text=text,
        reasoning=reasoning,
        token_ids=completion.token_ids,
        finish_reason=completion.finish_reason,
        prompt_tokens=prompt_tokens,
        special_tokens=special,
        model=model,
    )
