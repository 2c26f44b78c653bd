"""Comparing judgments: of each prompt those of its most contested response, every two of them in both orders."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Asking
from selfreward.judges import JudgeConfig
from selfreward.judges.protocol import Comparison, Listener, Reader
from selfreward.judges.sampled import SampledConfig
from selfreward.meta_judge.contested import Contested, Judged, most_contested, question
from selfreward.records import Judgment
from selfreward.stages.shard import Shard
from selfreward.templates import Rubric

VERSION = 1


def compare_judgments(
    part: Sequence[Judged],
    config: JudgeConfig,
    rubric: Rubric,
    reader: Reader,
    chat: Chat,
    listener: Listener,
    model: str,
    seed: int,
) -> Asking[Shard[Judgment]]:
    """Verdicts on pairs of judgments, whose score is the chance of the first one shown to be better.

    ``config`` and ``rubric`` are the judge's, ``reader`` is the meta-judge. Why nothing of a prompt is compared is
    counted as ``drop.<reason>``, and why a judgment cannot be used as ``unusable.<reason>``.
    """
    unusable = _unusable([judgment for judged in part for judgment in judged.judgments], config, chat)
    counts = Counter(f"unusable.{reason}" for reason in unusable.values())
    asked: list[Comparison] = []
    for judged in part:
        found = most_contested(judged, unusable)
        if isinstance(found, Contested):
            words = question(rubric, config, judged.prompt, found.response).content
            if chat.spells_special(words):
                found = "special_tokens"
            else:
                asked += _both_orders(found, words)
        if isinstance(found, str):
            counts[f"drop.{found}"] += 1
    judgments = (yield from reader.judge(asked, listener, model, seed)) if asked else []
    counts.update(
        {
            "compared": len(asked) // 2,
            "unreadable": sum(j.score is None for j in judgments),
            "asked_again": sum(len(j.unreadable) for j in judgments),
            "shortened": sum(j.shortened for j in judgments),
            "tokens.prompt": sum(j.prompt_tokens for j in judgments),
        }
    )
    return Shard(judgments, len(part), counts)


def _unusable(judgments: Sequence[Judgment], config: JudgeConfig, chat: Chat) -> dict[str, str]:
    """By the judgment's id, why it can be in no pair: ``unreadable``, ``shortened`` (it judged a response with its
    middle left out), ``special_tokens``, ``cut_off`` (it is as long as a judgment may be), ``repeated`` (an earlier one
    of the response says the same)."""
    assert isinstance(config.method, SampledConfig)  # the recipe is refused otherwise
    special = chat.which_spell_special([judgment.raw for judgment in judgments])
    found: dict[str, str] = {}
    said: set[tuple[str, str]] = set()
    for judgment, is_special in zip(judgments, special, strict=True):
        if judgment.score is None:
            found[judgment.id] = "unreadable"
        elif judgment.shortened:
            found[judgment.id] = "shortened"
        elif is_special:
            found[judgment.id] = "special_tokens"
        elif len(chat.plain_ids(judgment.raw)) >= config.method.max_tokens:
            found[judgment.id] = "cut_off"
        elif (text := (judgment.response_ids[0], judgment.raw.strip())) in said:
            found[judgment.id] = "repeated"
        else:
            said.add(text)
    return found


def _both_orders(found: Contested, words: str) -> list[Comparison]:
    return [
        Comparison(found.response.prompt_id, (first.id, second.id), words, (first.raw, second.raw))
        for one, other in combinations(found.judgments, 2)
        for first, second in ((one, other), (other, one))
    ]
