"""Questions to a run's Parquet files, and the walk behind `show`."""

import pytest
from fixture_run import NASTY, add

from selfreward.errors import StoreError
from selfreward.query import PAIR_SORTS, IterationRow, find_item, iteration_table, page_of_pairs
from selfreward.query.judgment_pairs import page_of_judgment_pairs
from selfreward.records import IFTSeed, Judgment, Message, PreferencePair, Prompt, Record, Response
from selfreward.storage.iteration import Stored
from selfreward.storage.run import RunStore
from selfreward.walk import PromptWalk, SeedWalk, walk


def stored(run: RunStore, t: int, stage: str, record: type[Record]) -> Stored[Record]:
    return run.iteration(t).stored(stage, record)


def ids(run: RunStore, t: int, stage: str, record: type[Record]) -> list[str]:
    return [r.id for r in stored(run, t, stage, record).records()]


def prompt_walk(run: RunStore, item: str) -> PromptWalk:
    found = walk(run, item)
    assert isinstance(found, PromptWalk)
    return found


@pytest.fixture
def many_pairs(unfinished_run: RunStore) -> RunStore:
    """Iteration 3 has four pairs, whose every number differs."""
    (pair,) = stored(unfinished_run, 1, "pairs", PreferencePair).records()
    pairs = [
        pair.model_copy(
            update={
                "id": f"pair-{i}",
                "prompt": (Message(role="user", content="dbca"[i]),),
                "margin": (0.3, 0.1, 0.4, 0.2)[i],
                "chosen_score": (1.0, 3.0, 2.0, 4.0)[i],
                "rejected_score": (2.0, 1.0, 4.0, 3.0)[i],
                "chosen_token_ids": tuple(range((3, 1, 4, 2)[i])),
                "rejected_token_ids": tuple(range((1, 8, 3, 9)[i])),
            }
        )
        for i in range(4)
    ]
    it = unfinished_run.iteration(3)
    add(it, "pairs", pairs, PreferencePair)
    return unfinished_run


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("margin", "2031"),
        ("chosen_score", "3120"),
        ("rejected_score", "2301"),
        ("variance", "0123"),
        ("length", "2031"),
        ("length_difference", "0213"),
        ("length_ratio", "0231"),
        ("prompt", "3120"),
        ("order", "0123"),
    ],
)
def test_pairs_are_sorted(many_pairs: RunStore, sort: str, order: str) -> None:
    assert sort in PAIR_SORTS
    found = [row.id.removeprefix("pair-") for row in page_of_pairs(many_pairs, 3, sort=sort).rows]  # type: ignore[arg-type]
    assert "".join(found) == order


def test_every_sort_is_tested() -> None:
    (mark,) = (m for m in test_pairs_are_sorted.pytestmark if m.name == "parametrize")
    assert {sort for sort, _ in mark.args[1]} == set(PAIR_SORTS)


def test_pairs_direction_and_limit(many_pairs: RunStore) -> None:
    assert [row.margin for row in page_of_pairs(many_pairs, 3, sort="margin", ascending=True).rows] == [
        0.1,
        0.2,
        0.3,
        0.4,
    ]
    assert [row.prompt for row in page_of_pairs(many_pairs, 3, sort="prompt", ascending=False, limit=2).rows] == [
        "d",
        "c",
    ]


def test_pair_rows_hold_texts_and_lengths(finished_run: RunStore) -> None:
    (row,) = page_of_pairs(finished_run, 1).rows
    assert row.prompt == f"Name a fruit that is {NASTY}, please, round 1."
    assert (row.chosen, row.rejected) == (f"answer 0 {NASTY}", f"answer 1 {NASTY}")
    assert (row.chosen_tokens, row.rejected_tokens, row.margin) == (10, 20, 2.5)


def test_iteration_0_has_no_pairs(finished_run: RunStore) -> None:
    with pytest.raises(StoreError, match="iteration 0 is supervised fine-tuning"):
        page_of_pairs(finished_run, 0)


def test_pairs_of_judgments_are_there_only_where_the_recipe_asks_for_them(finished_run: RunStore) -> None:
    with pytest.raises(StoreError, match="has no pairs of judgments; an iteration of a recipe with meta_judge"):
        page_of_judgment_pairs(finished_run, 1)


def test_pairs_that_are_not_begun(unfinished_run: RunStore) -> None:
    with pytest.raises(StoreError, match="has no pairs yet"):
        page_of_pairs(unfinished_run, 3)


def test_iteration_table(unfinished_run: RunStore) -> None:
    zero, one, two, three = iteration_table(unfinished_run)
    assert (zero.model, zero.loss, zero.prompts, zero.mean_score) == ("M1", (2.0, 1.5), None, None)
    assert (one.prompts, one.responses, one.pairs, one.reward_margins) == (3, 9, 1, (0.0, 0.25))
    assert one.mean_score == pytest.approx((4 + 1 + 2 + 3 + 3 + 12 + 10 + 2) / 15)
    assert one.seconds == 4 * 1.5 + 20
    assert two.weights == str(unfinished_run.path / "iter-002" / "adapter")
    assert three == IterationRow(
        iteration=3,
        finished=False,
        model="M4",
        prompts=3,
        responses=None,
        pairs=None,
        labelled=None,
        judgment_pairs=None,
        gates=(),
        mean_score=None,
        mean_tokens=None,
        tie_share=None,
        unreadable_share=None,
        drops={"prompts": {"drop.tie": 1}},
        comparison=None,
        judge_accuracy=None,
        loss=None,
        reward_margins=None,
        cost=None,
        seconds=1.5,
        weights=None,
    )


def test_item_is_found_by_its_whole_id_and_by_a_prefix(finished_run: RunStore) -> None:
    for stage, record in (("prompts", Prompt), ("responses", Response), ("judgments", Judgment)):
        for item in ids(finished_run, 2, stage, record):
            assert find_item(finished_run, item).iteration == 2
            assert find_item(finished_run, item[:-2]).id == item


def test_whole_id_wins_over_longer_ones(finished_run: RunStore) -> None:
    it = finished_run.begin_iteration(3, lambda: {"config": {}, "model": {}, "templates": {}, "environment": {}})
    (prompt, *_) = stored(finished_run, 1, "prompts", Prompt).records()
    add(it, "prompts", [prompt.model_copy(update={"id": f"{prompt.id}0"})], Prompt)
    assert find_item(finished_run, prompt.id).iteration == 1


def test_ambiguous_item_names_some(finished_run: RunStore) -> None:
    with pytest.raises(StoreError, match=r"r-: more than one item begins so: r-\w+, .*, …"):
        find_item(finished_run, "r-")


def test_unknown_item_names_the_closest(finished_run: RunStore) -> None:
    (pair_id,) = ids(finished_run, 1, "pairs", PreferencePair)
    with pytest.raises(StoreError, match=f"closest: {pair_id}"):
        find_item(finished_run, f"{pair_id[:-1]}x")
    for item in ("", "no such thing", "' OR 1=1 --"):
        with pytest.raises(StoreError, match="no such item"):
            find_item(finished_run, item)


def test_missing_file_is_said_and_leads_to_verify(finished_run: RunStore) -> None:
    (finished_run.path / "iter-001" / "pairs" / "00000.parquet").unlink()
    with pytest.raises(StoreError, match=r"iter-001/pairs: cannot be read.*selfreward verify"):
        page_of_pairs(finished_run, 1)


def test_names_with_wildcards_are_taken_literally(finished_run: RunStore) -> None:
    odd = finished_run.path.rename(finished_run.path.parent / "sm[a]l*l?")
    assert page_of_pairs(RunStore(odd), 1).total == 1


def test_pair_walks_back_to_the_seeds(finished_run: RunStore) -> None:
    (pair_id,) = ids(finished_run, 2, "pairs", PreferencePair)
    found = prompt_walk(finished_run, pair_id)
    assert (found.item, found.kind, found.iteration) == (pair_id, "pair", 2)
    assert [(shot.kind, shot.iteration, shot.id) for shot in found.few_shot] == [
        ("seed", 0, "ift-0"),
        ("prompt", 1, ids(finished_run, 1, "prompts", Prompt)[0]),
    ]
    assert found.few_shot[0].text == "Name a colour."
    assert found.prompt.raw == f" Task 9: {found.prompt.text}"
    assert [c.role for c in found.candidates] == ["chosen", "rejected", None]
    assert [c.score for c in found.candidates] == [4.0, 1.5, 3.0]
    assert found.candidates[0].judgments[1].score is None
    assert found.candidates[0].judgments[1].unreadable == ("I would rather not.",)
    assert (found.decision.outcome, found.decision.difference) == ("pair", 2.5)
    assert found.decision.rule["min_margin"] == 0.5


def test_every_item_of_a_prompt_leads_to_the_same_walk(finished_run: RunStore) -> None:
    prompt, *_ = ids(finished_run, 1, "prompts", Prompt)
    expected = prompt_walk(finished_run, prompt)
    for candidate in expected.candidates:
        for kind, item in [("response", candidate.response.id), *(("judgment", j.id) for j in candidate.judgments)]:
            found = prompt_walk(finished_run, item)
            assert found == expected.model_copy(update={"item": item, "kind": kind})


def test_why_there_is_no_pair(finished_run: RunStore) -> None:
    _, tie, unusable = (prompt_walk(finished_run, p) for p in ids(finished_run, 1, "prompts", Prompt))
    assert (tie.decision.outcome, tie.decision.reason, tie.decision.difference) == ("no_pair", "tie", 0.0)
    assert unusable.decision.reason == "too_few_usable"
    assert [c.unusable for c in unusable.candidates] == [None, "unjudged", "truncated"]
    assert unusable.candidates[1].score is None


def test_prompt_before_its_pairs_is_open(unfinished_run: RunStore) -> None:
    found = prompt_walk(unfinished_run, ids(unfinished_run, 3, "prompts", Prompt)[0])
    assert (found.candidates, found.pair, found.decision.outcome) == ((), None, "open")


def test_seed_walks_forward(finished_run: RunStore) -> None:
    found = walk(finished_run, "ift-0")
    assert isinstance(found, SeedWalk)
    assert isinstance(found.seed, IFTSeed)
    assert found.trained_on
    assert [p.iteration for p in found.prompts] == [1, 1, 1, 2, 2, 2]
    unused = walk(finished_run, "eft-0")
    assert isinstance(unused, SeedWalk)
    assert (unused.trained_on, unused.prompts) == (False, ())
