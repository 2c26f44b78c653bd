"""Every field of a filter acts, every sort has its neighbours, and a search says when it was cut."""

import math

import pytest
from fixture_run import add
from pydantic import ValidationError

from selfreward.diagnosis.pair_flags import PAIR_FLAGS
from selfreward.overriding import exclude, set_score
from selfreward.query import ordering
from selfreward.query.pairs import PAIR_SORTS, PairFilter, neighbours, ordered_places, page_of_pairs
from selfreward.records import Judgment, Message, PreferencePair, Response
from selfreward.storage.run import RunStore

TEXTS = ("A plain answer.", "I'm sorry, but I can't help.", "Score: 5", "no " * 100)


def pairs_of(run: RunStore) -> list[PreferencePair]:
    (pair,) = run.iteration(1).stored("pairs", PreferencePair).records()
    return [
        pair.model_copy(
            update={
                "id": f"pair-{i}",
                "prompt_id": f"p-{i // 2}",
                "chosen_id": f"r-{i}",
                "rejected_id": f"x-{i}",
                "prompt": (Message(role="user", content=f"Question {i}, straße"),),
                "chosen": (Message(role="assistant", content=TEXTS[i]),),
                "rejected": (Message(role="assistant", content="Something else, of other words."),),
                "chosen_score": 2.0 + i,
                "rejected_score": 1.0 - i,
                "margin": 1.0 + 2 * i,
                "chosen_token_ids": tuple(range(10 * (i + 1))),
                "rejected_token_ids": tuple(range(20)),
            }
        )
        for i in range(4)
    ]


@pytest.fixture
def run(unfinished_run: RunStore) -> RunStore:
    """Iteration 3 has four pairs; the verdicts on the chosen side of pair i are 0 and i."""
    it = unfinished_run.iteration(3)
    (response, *_) = it_responses(unfinished_run)
    (judgment, *_) = unfinished_run.iteration(1).stored("judgments", Judgment).records()
    pairs = pairs_of(unfinished_run)
    made = [
        response.model_copy(update={"id": one, "prompt_id": pair.prompt_id})
        for pair in pairs
        for one in (pair.chosen_id, pair.rejected_id)
    ]
    verdicts = [
        judgment.model_copy(
            update={"id": f"j-{i}-{k}", "prompt_id": p.prompt_id, "response_ids": (p.chosen_id,), "score": float(i * k)}
        )
        for i, p in enumerate(pairs)
        for k in range(2)
    ]
    add(it, "responses", made, Response)
    add(it, "judgments", verdicts, Judgment)
    add(it, "pairs", pairs, PreferencePair, finished=False)
    return unfinished_run


def it_responses(run: RunStore) -> list[Response]:
    return list(run.iteration(1).stored("responses", Response).records())


def found(run: RunStore, **fields: object) -> str:
    page = page_of_pairs(run, 3, PairFilter(**fields), "order")  # type: ignore[arg-type]
    return "".join(row.id.removeprefix("pair-") for row in page.rows)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "0123"),
        ({"min_chosen": 3}, "123"),
        ({"max_chosen": 3}, "01"),
        ({"min_rejected": 0}, "01"),
        ({"max_rejected": -1}, "23"),
        ({"min_margin": 5}, "23"),
        ({"max_margin": 3}, "01"),
        ({"min_variance": 1.0}, "23"),
        ({"max_variance": 0.25}, "01"),
        ({"min_length_ratio": 1.5}, "23"),
        ({"max_length_ratio": 0.5}, "0"),
        ({"flags": ("refusal",)}, "1"),
        ({"flags": ("refusal", "repetition")}, "13"),
        ({"flags": ("length",)}, "3"),
        ({"text": "SORRY"}, "1"),
        ({"text": "question 2"}, "2"),
        ({"text": "of other words"}, "0123"),
        ({"text": "STRASSE"}, ""),
        ({"text": "%"}, ""),
        ({"text": "' OR 1=1 --"}, ""),
        ({"prompt_id": "p-1"}, "23"),
        ({"min_margin": 2, "flags": ("refusal", "injection")}, "12"),
        ({"overridden": False}, "0123"),
        ({"overridden": True}, ""),
    ],
)
def test_every_field_acts(run: RunStore, fields: dict[str, object], expected: str) -> None:
    assert found(run, **fields) == expected


def test_every_field_is_tested() -> None:
    (mark,) = (m for m in test_every_field_acts.pytestmark if m.name == "parametrize")
    assert {name for fields, _ in mark.args[1] for name in fields} == set(PairFilter.model_fields)


def test_overridden_pairs_and_scores(run: RunStore) -> None:
    exclude(run, "pair-1", "bad")
    set_score(run, "x-2", 3, "better")
    assert found(run, overridden=True) == "12"
    assert found(run, overridden=False) == "03"
    assert [row.overridden for row in page_of_pairs(run, 3, sort="order").rows] == [False, True, True, False]


@pytest.mark.parametrize(
    "fields",
    [{"min_margin": math.nan}, {"max_margin": math.inf}, {"flags": ("evil",)}, {"text": "x" * 201}, {"colour": 1}],
)
def test_what_is_no_filter_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PairFilter(**fields)  # type: ignore[arg-type]


def test_pages(run: RunStore) -> None:
    page = page_of_pairs(run, 3, PairFilter(min_margin=2), "margin", offset=1, limit=1)
    assert ([row.id for row in page.rows], page.total, page.pairs, page.offset) == (["pair-2"], 3, 4, 1)
    assert (page.finished, page.cut) == (False, None)
    beyond = page_of_pairs(run, 3, offset=9)
    assert (beyond.rows, beyond.total) == ((), 4)


def test_a_search_is_bounded_and_says_so(run: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "SEARCHED", 2)
    page = page_of_pairs(run, 3, PairFilter(text="question"), "margin", False)
    assert ([row.id for row in page.rows], page.cut) == (["pair-3", "pair-2"], 2)
    page = page_of_pairs(run, 3, PairFilter(text="question", max_margin=3), "margin", False)
    assert ([row.id for row in page.rows], page.cut) == (["pair-1", "pair-0"], None)


@pytest.mark.parametrize("sort", PAIR_SORTS)
def test_neighbours_are_those_of_the_list(run: RunStore, sort: str) -> None:
    order = [row.id for row in page_of_pairs(run, 3, sort=sort).rows]  # type: ignore[arg-type]
    for i, pair in enumerate(order):
        beside = neighbours(run, 3, pair, sort=sort)  # type: ignore[arg-type]
        assert (beside.position, beside.total) == (i + 1, 4)
        assert beside.previous == (order[i - 1] if i else None)
        assert beside.next == (order[i + 1] if i < 3 else None)


def test_a_pair_outside_the_list_has_no_neighbours(run: RunStore) -> None:
    beside = neighbours(run, 3, "pair-0", PairFilter(min_margin=2))
    assert (beside.previous, beside.next, beside.position, beside.total) == (None, None, None, 3)
    assert neighbours(run, 3, "nothing").position is None


def test_new_pairs_of_a_run_under_way_appear(run: RunStore) -> None:
    from selfreward.stages.shard import Shard

    assert page_of_pairs(run, 3, PairFilter(flags=PAIR_FLAGS)).total == 3
    it = run.iteration(3)
    (pair, *_) = pairs_of(run)
    late = pair.model_copy(update={"id": "pair-4", "margin": -9.0})
    it.add_shard("pairs", Shard([late], 1), PreferencePair, seconds=0.0)
    assert page_of_pairs(run, 3).total == 5
    assert page_of_pairs(run, 3, PairFilter(flags=PAIR_FLAGS)).total == 4
    assert len(ordered_places(run, 3)) == 5
    it.finish("pairs")
    assert page_of_pairs(run, 3).finished
