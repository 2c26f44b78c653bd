"""SFT data: IFT and EFT seeds as chats, tokenised once, in random order, within a budget of tokens."""

import random
from collections import Counter
from collections.abc import Sequence

from selfreward.engines.chat import Chat
from selfreward.judges.protocol import Judge
from selfreward.objectives.sft import SFTConfig
from selfreward.records import EFTSeed, Example, IFTSeed, Message, content_id
from selfreward.stages.shard import Shard

VERSION = 1


def build_examples(
    ift: Sequence[IFTSeed],
    eft: Sequence[EFTSeed],
    judge: Judge,
    chat: Chat,
    context: int,
    config: SFTConfig,
    seed: int,
) -> Shard[Example]:
    """Examples in the order in which they will be drawn from.

    EFT seeds are written by the judge that will be used, so that training and judging never drift apart. An example
    that is too long is left out and counted, never cut: its score stands last. So is one that spells special tokens.
    """
    rows: list[tuple[IFTSeed | EFTSeed, tuple[Message, ...]]] = [(s, s.messages) for s in ift]
    rows += [(s, judge.example(s)) for s in eft]
    random.Random(seed).shuffle(rows)
    longest = min(context, config.max_length or context)
    counts: Counter[str] = Counter()
    examples: list[Example] = []
    tokenised = chat.encode_targets([messages for _, messages in rows])
    for (source, messages), (ids, start) in zip(rows, tokenised, strict=True):
        input_ids = _through_end_of_turn(ids, start, chat)
        reason = None
        if any(chat.spells_special(m.content) for m in messages):
            reason = "special_tokens"
        elif len(input_ids) > longest:
            reason = "too_long"
        elif counts["tokens.examples"] + len(input_ids) > (config.max_tokens or float("inf")):
            reason = "over_token_budget"
        if reason:
            counts[f"drop.{reason}"] += 1
            continue
        counts["tokens.examples"] += len(input_ids)
        examples.append(_example(source, messages, input_ids, start))
    counts.update(e.kind for e in examples)
    return Shard(examples, len(rows), counts)


def _through_end_of_turn(ids: list[int], start: int, chat: Chat) -> list[int]:
    """Without what the template writes after the end of the turn, which is never generated."""
    end = chat.tokenizer.eos_token_id
    return ids[: ids.index(end, start) + 1] if end in ids[start:] else ids


def _example(source: IFTSeed | EFTSeed, messages: tuple[Message, ...], input_ids: list[int], start: int) -> Example:
    return Example(
        id=content_id("ex", source.id),
        seed_id=source.id,
        kind="ift" if isinstance(source, IFTSeed) else "eft",
        messages=messages,
        input_ids=tuple(input_ids),
        response_start=start,
    )
