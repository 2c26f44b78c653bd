"""From judgments and ranks to EFT rows, without a model."""

from collections.abc import Sequence
from pathlib import Path

from selfreward.eft.building import (
    Built,
    Choices,
    Parts,
    finish,
    from_judgments,
    from_ranks,
    from_scores,
    heldout_path,
    heldout_row,
    split,
    worth_judging,
)
from selfreward.records import Judgment, Message, Ranked
from selfreward.seeding.draws import is_held_out
from selfreward.seeding.targets import Target
from selfreward.templates import load_rubric

RUBRIC = load_rubric("additive_5pt")
TAGS = ("<think>", "</think>")
NO_THIN = Choices(thin=False, heldout=0.0)


def ranked(prompt: str, *ranks: int) -> list[Ranked]:
    return [
        Ranked(
            id=f"{prompt}{i}",
            prompt_id=prompt,
            messages=(Message(role="user", content=f"Why {prompt}?"),),
            response=f"response {i}",
            rank=rank,
            quality=None,
            line=10 * ord(prompt) + i,
        )
        for i, rank in enumerate(ranks)
    ]


def judgments(rows: Sequence[Ranked], *scores: Sequence[int | None]) -> list[Judgment]:
    return [
        Judgment(
            id=f"{row.id}-{k}",
            prompt_id=row.prompt_id,
            response_ids=(row.id,),
            method="sampled",
            rubric=RUBRIC.label,
            sample=k,
            score=score,
            raw=f"Sample {k}.\nScore: {score}",
            prompt_tokens=9,
            model="m",
        )
        for row, own in zip(rows, scores, strict=True)
        for k, score in enumerate(own)
    ]


def build(rows: list[Ranked], *scores: Sequence[int | None], choices: Choices = NO_THIN) -> Built:
    built = from_judgments(
        Parts(rows, [], []), judgments(rows, *scores), RUBRIC, TAGS, lambda text: "Sample 7" in text, choices
    )
    finish(built, choices)
    return built


def test_what_agrees_is_written_with_the_judges_own_words() -> None:
    rows = ranked("a", 0, 1) + ranked("b", 0, 1) + ranked("c", 0, 1)
    built = build(rows, [5, 4], [1, 1], [2, 2], [3, 3], [None, None], [1, 1])
    assert built.rows() == [
        {"instruction": "Why a?", "response": "response 0", "rationale": "Sample 0.", "score": 5},
        {"instruction": "Why a?", "response": "response 1", "rationale": "Sample 0.", "score": 1},
    ]
    facts = built.facts
    assert facts["left_out"] == {"disagrees": 2, "unreadable": 2}
    assert (facts["judgments"], facts["unreadable"], facts["written"]) == (12, 2, 2)
    assert (facts["before"].agree, facts["before"].against, facts["before"].unreadable) == (1, 1, 1)
    assert (facts["after"].share, facts["after"].in_order) == (1.0, 1)
    assert facts["judged_scores"] == {1: 4, 2: 2, 3: 2, 4: 1, 5: 1}
    assert [item.line for item in built.left_out] == sorted(item.line for item in built.left_out)


def test_a_target_never_goes_against_people() -> None:
    """The means are 3.5 and 3; what would be taught of them is 2 and 3."""
    built = build(ranked("a", 0, 1), [2, 5], [3, 3])
    assert built.rows() == []
    assert built.facts["left_out"] == {"target_disagrees": 2}


def test_keep_pair() -> None:
    rows = ranked("a", 0, 1, 2)
    assert build(rows, [5], [2], [3]).rows() == []
    built = build(rows, [5], [2], [3], choices=Choices(keep="pair", thin=False))
    assert [row["response"] for row in built.rows()] == ["response 0"]


def test_thinning_is_counted_and_listed() -> None:
    rows = [row for name in "abcd" for row in ranked(name, 0, 1)]
    scores = [[5], [1], [5], [2], [5], [3], [5], [1]]
    assert build(rows, *scores).facts["scores"] == {1: 2, 2: 1, 3: 1, 5: 4}
    built = build(rows, *scores, choices=Choices(heldout=0.0))
    assert built.facts["kept_scores"] == {1: 2, 2: 1, 3: 1, 5: 4}
    assert built.facts["scores"] == {1: 2, 2: 1, 3: 1, 5: 2}
    assert built.facts["left_out"] == {"thinned": 2}
    assert len(built.rows()) == built.facts["written"] == 6


def test_rows_that_repeat_each_other_are_thinned_out_one_by_one() -> None:
    """As where a file to convert has several judgments of one response."""
    (one,) = ranked("a", 0)
    same = [one.model_copy(update={"id": f"s{i}", "line": i}) for i in range(6)]
    rows = [*same, *ranked("b", 0, 1)]
    targets = {row.id: Target(5 if row in same else 1, "So." if row.line % 2 else "Thus.") for row in rows}
    built = from_scores(Parts(rows, [], []), targets)
    finish(built, Choices(heldout=0.0))
    assert built.facts["scores"] == {1: 2, 5: 2}
    assert built.facts["left_out"] == {"thinned": 4}


def test_a_prompt_is_wholly_on_one_side() -> None:
    rows = [row for i in range(400) for row in ranked(chr(200 + i), 0, 1)]
    parts = split(rows, Choices(heldout=0.25))
    assert {r.prompt_id for r in parts.training}.isdisjoint(r.prompt_id for r in parts.heldout)
    assert 120 < len(parts.heldout) < 280
    assert len(parts.training) + len(parts.heldout) == len(rows)
    assert all(is_held_out(r.messages, 0.25, 0) for r in parts.heldout)
    more = split(rows[100:] + ranked("z", 0, 1), Choices(heldout=0.25))
    assert {r.id for r in rows[100:]} & {r.id for r in more.heldout} == {r.id for r in parts.heldout if r in rows[100:]}


def test_conversations_are_left_out_and_said() -> None:
    (one, two) = ranked("a", 0, 1)
    talk = tuple(Message(role=r, content="x") for r in ("user", "assistant", "user"))
    parts = split([one, two.model_copy(update={"messages": talk})], NO_THIN)
    assert parts.training == [one]
    assert [(item.line, item.reason) for item in parts.left_out] == [(two.line, "not_one_turn")]


def test_what_gives_no_evidence_is_not_judged() -> None:
    rows = ranked("a", 0, 0) + ranked("b", 0, 1, 1) + ranked("c", 3)
    assert [r.prompt_id for r in worth_judging(rows)] == ["b"] * 3


def test_scores_from_ranks_have_no_rationale() -> None:
    built = from_ranks(Parts(ranked("a", 0, 1) + ranked("b", 1, 1), [], []), RUBRIC, NO_THIN)
    finish(built, NO_THIN)
    assert built.rows()[0] == {"instruction": "Why a?", "response": "response 0", "score": 5}
    assert built.facts["left_out"] == {"no_evidence": 2}
    quality = Choices(spread="quality", thin=False)
    built = from_ranks(Parts(ranked("a", 0, 1), [], []), RUBRIC, quality)
    finish(built, quality)
    assert built.facts["left_out"] == {"no_quality": 2}


def test_the_held_out_part_is_ranked_rows() -> None:
    (row,) = ranked("a", 2)
    assert heldout_row(row) == {
        "prompt_id": "a",
        "prompt": "Why a?",
        "response": "response 0",
        "rank": 2,
        "quality": None,
    }
    assert heldout_path(Path("mine/eft.jsonl")) == Path("mine/eft.heldout.jsonl")
