"""Comparing: two models' responses to the same prompts are put to a judge, in both orders."""

from collections import Counter
from collections.abc import Mapping, Sequence

from selfreward.engines.protocol import Asking
from selfreward.evaluation.contests import Contest
from selfreward.judges import JudgeConfig
from selfreward.judges.protocol import Comparison, Listener, Reader
from selfreward.records import Judgment, Prompt
from selfreward.stages.shard import Shard

VERSION = 1


def compare_responses(
    prompts: Sequence[Prompt],
    pairs: Mapping[str, Sequence[Contest]],
    config: JudgeConfig,
    reader: Reader,
    listener: Listener,
    model: str,
    seed: int,
) -> Asking[Shard[Judgment]]:
    """Verdicts on these prompts' pairs, which are by the prompt's id; where both wrote the same nobody is asked."""
    own = [(prompt.text, pair) for prompt in prompts for pair in pairs.get(prompt.id, ())]
    asked = [_shown(text, pair, config, turned) for text, pair in own if not pair.identical for turned in (0, 1)]
    judgments = (yield from reader.judge(asked, listener, model, seed)) if asked else []
    counts = Counter(
        {
            "identical": sum(pair.identical for _, pair in own),
            "unreadable": sum(j.score is None for j in judgments),
            "asked_again": sum(len(j.unreadable) for j in judgments),
            "shortened": sum(j.shortened for j in judgments),
            "tokens.prompt": sum(j.prompt_tokens for j in judgments),
        }
    )
    return Shard(judgments, len(prompts), counts)


def _shown(prompt: str, pair: Contest, config: JudgeConfig, turned: int) -> Comparison:
    first, second = (pair.second, pair.first) if turned else (pair.first, pair.second)
    texts = (config.shown(first), config.shown(second))
    return Comparison(pair.prompt_id, (first.id, second.id), prompt, texts)
