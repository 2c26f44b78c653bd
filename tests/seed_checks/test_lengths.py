"""Lengths are those of the examples that SFT makes of the same seeds."""

import pytest

from selfreward.engines.chat import Chat
from selfreward.judges import JudgeConfig, build_judge
from selfreward.objectives.sft import SeedSFTConfig
from selfreward.records import EFTSeed, IFTSeed, Message
from selfreward.resources import find
from selfreward.seed_checks import lengths
from selfreward.seed_checks.lengths import measure
from selfreward.seeding.own_format import read_eft, read_ift
from selfreward.stages.sft_examples import build_examples
from selfreward.templates import load_rubric

TAGS = ("<think>", "</think>")


def test_they_are_what_sft_counts(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    ift = read_ift(find("seeds", "ift.jsonl"))[:20]
    eft = read_eft(find("seeds", "eft.jsonl"), load_rubric("additive_5pt").front.scale)[:20]
    seeds: list[IFTSeed | EFTSeed] = [*ift, *eft]
    judge = build_judge(JudgeConfig(), TAGS)
    monkeypatch.setattr(lengths, "AT_ONCE", 7)
    found, refused = measure(seeds, judge, chat, 400, "here")
    examples = build_examples(ift, eft, judge, chat, 400, SeedSFTConfig(), seed=0)
    assert found is not None
    assert refused == []
    assert len(found.left_out) == examples.counts["drop.too_long"] > 0
    kept = found.total - sum(row.tokens for row in found.left_out)
    assert kept == sum(len(example.input_ids) for example in examples.records)
    assert found.least <= found.median <= found.p95 <= found.most


def test_bars_cover_all_lengths(chat: Chat) -> None:
    texts = ["a", "word " * 60, "word " * 3_000]
    seeds = [
        IFTSeed(
            id=str(n),
            messages=(Message(role="user", content="Hi"), Message(role="assistant", content=text)),
            line=n,
        )
        for n, text in enumerate(texts)
    ]
    found, _ = measure(seeds, build_judge(JudgeConfig(), TAGS), chat, 8192, "here")
    assert found is not None
    assert [part.up_to for part in found.histogram[:4]] == [48, 64, 96, 128]
    assert found.histogram[-1].up_to >= found.most
    assert sum(part.rows for part in found.histogram) == 3


def test_no_seeds_have_no_lengths(chat: Chat) -> None:
    assert measure([], build_judge(JudgeConfig(), TAGS), chat, 100, "here") == (None, [])
