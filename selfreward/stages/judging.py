"""Judging: every response is put to the judge, beside its prompt (LLM-as-a-Judge)."""

from collections import Counter
from collections.abc import Mapping, Sequence

from selfreward.engines.protocol import Asking
from selfreward.judges import JudgeConfig
from selfreward.judges.protocol import Candidate, Judge, Listener
from selfreward.records import Judgment, Prompt, Response
from selfreward.stages.shard import Shard

VERSION = 3


def judge_responses(
    responses: Sequence[Response],
    prompts: Mapping[str, Prompt],
    config: JudgeConfig,
    judge: Judge,
    listener: Listener,
    model: str,
    seed: int,
) -> Asking[Shard[Judgment]]:
    """All judgments of the responses, in the responses' order. ``prompts`` are by id."""
    candidates = [candidate(r, prompts[r.prompt_id], config) for r in responses]
    judgments = yield from judge.judge(candidates, listener, model, seed)
    counts = Counter(
        {
            "unreadable": sum(j.score is None for j in judgments),
            "asked_again": sum(len(j.unreadable) for j in judgments),
            "shortened": sum(j.shortened for j in judgments),
            "tokens.prompt": sum(j.prompt_tokens for j in judgments),
        }
    )
    return Shard(judgments, len(responses), counts)


def candidate(response: Response, prompt: Prompt, config: JudgeConfig) -> Candidate:
    """What a judge is given of a response."""
    return Candidate(prompt.id, response.id, prompt.text, config.shown(response), prompt.reference)
