"""SFT data: IFT and EFT seeds as chats, tokenised once, in random order, within a budget of tokens."""

import random
from collections import Counter
from collections.abc import Sequence

from selfreward.engines.chat import Chat, Target
from selfreward.judges.protocol import Teachable
from selfreward.objectives.sft import SeedSFTConfig
from selfreward.records import EFTSeed, Example, IFTSeed, Message, content_id
from selfreward.stages.shard import Shard

VERSION = 1


def build_examples(
    ift: Sequence[IFTSeed],
    eft: Sequence[EFTSeed],
    judge: Teachable,
    chat: Chat,
    context: int,
    config: SeedSFTConfig,
    seed: int,
) -> Shard[Example]:
    """Examples in the order in which they will be drawn from.

    EFT seeds are written by the judge that will be used, so that training and judging never drift apart. An example
    that is too long is left out and counted, never cut: its score stands last. So is one that spells special tokens.
    """
    chats = as_chats([*ift, *eft], judge)
    random.Random(seed).shuffle(chats)
    longest = longest_example(context, config)
    counts: Counter[str] = Counter()
    examples: list[Example] = []
    for (source, messages), target in zip(chats, tokenise(chats, chat), strict=True):
        input_ids = target.ids
        reason = reason_to_leave_out(target, longest)
        if not reason and counts["tokens.examples"] + len(input_ids) > (config.max_tokens or float("inf")):
            reason = "over_token_budget"
        if reason:
            counts[f"drop.{reason}"] += 1
            continue
        counts["tokens.examples"] += len(input_ids)
        examples.append(_example(source, messages, input_ids, target.start))
    counts.update(e.kind for e in examples)
    return Shard(examples, len(chats), counts)


def as_chats(
    seeds: Sequence[IFTSeed | EFTSeed], judge: Teachable
) -> list[tuple[IFTSeed | EFTSeed, tuple[Message, ...]]]:
    """Each seed with the chat whose last message is learned from it."""
    return [(seed, seed.messages if isinstance(seed, IFTSeed) else judge.example(seed)) for seed in seeds]


def longest_example(context: int, config: SeedSFTConfig) -> int:
    """Most tokens that an example may have."""
    return min(context, config.max_length or context)


def tokenise(chats: Sequence[tuple[IFTSeed | EFTSeed, tuple[Message, ...]]], chat: Chat) -> list[Target]:
    """Each chat through the end of its last turn."""
    return chat.encode_targets([messages for _, messages in chats])


def reason_to_leave_out(target: Target, longest: int) -> str | None:
    """Why a chat can be no example, whatever the budget of tokens."""
    if target.spells_special:
        return "special_tokens"
    return "too_long" if len(target.ids) > longest else None


def _example(source: IFTSeed | EFTSeed, messages: tuple[Message, ...], input_ids: list[int], start: int) -> Example:
    return Example(
        id=content_id("ex", source.id),
        seed_id=source.id,
        kind="ift" if isinstance(source, IFTSeed) else "eft",
        messages=messages,
        input_ids=tuple(input_ids),
        response_start=start,
    )
