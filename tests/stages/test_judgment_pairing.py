"""Pairs of judgments: what they hold, which are left out, and that both passes over them agree."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_judgments import agreed, flipped, judged

from selfreward.engines.chat import Chat
from selfreward.judges import JudgeConfig
from selfreward.judges.asking import ask
from selfreward.meta_judge.contested import Judged
from selfreward.records import Judgment, Message
from selfreward.stages.judgment_pairing import PairMaker


def compared(*comparisons: list[Judgment]) -> Judged:
    return replace(judged([[3, 3], [1, 5, 4]]), comparisons=[one for two in comparisons for one in two])


def maker(chat: Chat, **changes: Any) -> PairMaker:
    config = JudgeConfig()
    limits = {"max_judgment_tokens": None, "max_length": 1024, **changes}
    return PairMaker(config, config.load_rubric(), chat, **limits)


DECIDED = compared(agreed("j-1-2", "j-1-1"), agreed("j-1-2", "j-1-0"), agreed("j-1-1", "j-1-0"))


def test_a_pair_answers_the_judges_own_question_with_raw_judgments(chat: Chat) -> None:
    shard = maker(chat).pairs([DECIDED], {})
    (pair,) = shard.records
    raws = {judgment.id: judgment.raw for judgment in DECIDED.judgments}
    assert pair.prompt == ask(JudgeConfig().load_rubric(), "Why?", "An answer.")
    assert (pair.chosen_id, pair.rejected_id, pair.prompt_id) == ("j-1-2", "j-1-0", "p")
    assert pair.chosen == (Message(role="assistant", content=raws["j-1-2"]),)
    assert pair.rejected == (Message(role="assistant", content=raws["j-1-0"]),)
    assert pair.margin == pair.chosen_score - pair.rejected_score > 0
    assert chat.decode(pair.chosen_token_ids).strip() == raws["j-1-2"]
    (outline,) = maker(chat).outlines([DECIDED])
    assert (outline.pair_id, outline.score, outline.margin) == (pair.id, 4.0, pair.margin)


@pytest.mark.parametrize(
    ("one", "changes", "reason"),
    [
        (judged([[1, 5]]), {}, "not_compared"),
        (compared(flipped("j-1-0", "j-1-1")), {}, "no_agreement"),
        (DECIDED, {"max_judgment_tokens": 3}, "long_judgment"),
        (DECIDED, {"max_length": 64}, "too_long"),
    ],
)
def test_why_there_is_none_is_counted(chat: Chat, one: Judged, changes: dict[str, Any], reason: str) -> None:
    shard = maker(chat, **changes).pairs([one], {})
    assert (shard.records, shard.counts, shard.inputs) == ([], {f"drop.{reason}": 1}, 1)
    assert maker(chat, **changes).outlines([one]) == []


def test_what_the_whole_iteration_drops_is_counted_by_its_reason(chat: Chat) -> None:
    (pair,) = maker(chat).pairs([DECIDED], {}).records
    shard = maker(chat).pairs([DECIDED], {pair.id: "over_share"})
    assert (shard.records, shard.counts["drop.over_share"]) == ([], 1)


@given(st.lists(st.sampled_from(["01", "10", "02", "20", "12", "21"]), max_size=3))
def test_a_pair_never_crosses_responses_and_is_in_order(chat: Chat, won: list[str]) -> None:
    one = compared(*(agreed(f"j-1-{w}", f"j-1-{loser}") for w, loser in won))
    shard = maker(chat).pairs([one], {})
    assert len(shard.records) + sum(shard.counts.values()) == 1
    for pair in shard.records:
        assert pair.chosen_score > pair.rejected_score
        assert pair.chosen != pair.rejected
        assert {pair.chosen_id[:4], pair.rejected_id[:4]} == {"j-1-"}
