"""Formats with all responses of a prompt in one row: UltraFeedback, its binarized form, distilabel."""

from typing import Any

import pytest
from seed_imports import Import

from selfreward.errors import SeedError

Row = dict[str, Any]


def completion(response: Any, *ratings: Any, **more: Any) -> Row:
    aspects = ("instruction_following", "honesty", "truthfulness", "helpfulness")
    notes = {a: {"Rating": r, "Rationale": f"{a} is {r}"} for a, r in zip(aspects, ratings, strict=False)}
    return {"response": response, "annotations": notes, **more}


def ultra(*completions: Row) -> Row:
    return {"source": "x", "instruction": "u", "models": [], "completions": list(completions)}


def test_ultrafeedback(import_rows: Import) -> None:
    row = ultra(
        completion("a", "4", "3", "N/A", "2", overall_score=9.0),
        completion("b", "5", "5", "5", "5", **{"fine-grained_score": 5.0}),
        completion("c", overall_score=7.5),
        completion(None, "5"),
        completion("e"),
    )
    assert import_rows([row], "ift").rows == [{"instruction": "u", "response": "b"}]
    done = import_rows([row], "ranked")
    assert [(r["response"], r["quality"], r["rank"]) for r in done.rows] == [
        ("a", 3, None),
        ("b", 5, None),
    ]
    assert done.reasons == [(1, "no_score"), (1, "no_text"), (1, "no_score")]
    done = import_rows([row], "eft", scale_from=(1, 5))
    assert [(r["response"], r["score"]) for r in done.rows] == [("a", 3), ("b", 5)]
    assert done.rows[0]["rationale"] == (
        "Instruction following: instruction_following is 4\nHonesty: honesty is 3\nHelpfulness: helpfulness is 2"
    )
    assert done.reasons == [(1, "no_score"), (1, "no_text"), (1, "no_score")]


def test_the_rationale_for_the_rating_comes_first(import_rows: Import) -> None:
    note = {"Rating": 3, "Type": "1", "Rationale": "why this type", "Rationale For Rating": "why this rating"}
    row = ultra({"response": "a", "annotations": {"helpfulness": note}})
    assert import_rows([row], "eft", scale_from=(1, 5)).rows[0]["rationale"] == "Helpfulness: why this rating"


def test_ultrafeedback_scores_are_never_taken_for_0_to_5(import_rows: Import) -> None:
    with pytest.raises(SeedError, match=r"from 1 to 5, the rubric's from 0 to 5; --scale-from 1 5 maps them"):
        import_rows([ultra(completion("a", "4"))], "eft")


@pytest.mark.parametrize("completions", [None, [], "x", [3], [{"response": "a"}, None]])
def test_bad_completions_are_named(completions: Any, import_rows: Import) -> None:
    rows = [ultra(completion("a", "4")), {"instruction": "u", "completions": completions}]
    assert import_rows(rows, "ift").reasons == [(2, "bad_list")]


def turns(*contents: str, system: str = "") -> list[Row]:
    first = [{"role": "system", "content": system}] if system else []
    return first + [{"role": ("user", "assistant")[i % 2], "content": c} for i, c in enumerate(contents)]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "u", "chosen": "a", "rejected": "b"},
        {
            "prompt": "u",
            "prompt_id": "x",
            "chosen": turns("u", "a"),
            "rejected": turns("u", "b"),
            "messages": turns("u", "a"),
        },
        {"prompt": turns("u"), "chosen": turns("u", "a")[1:], "rejected": turns("u", "b")[1:]},
        {"chosen": turns("u", "a"), "rejected": turns("u", "b")},
        {"chosen": str(turns("u", "a")), "rejected": str(turns("u", "b"))},
        {"instruction": "u", "chosen_response": "a", "rejected_response": "b", "chosen_avg_rating": None},
    ],
)
def test_chosen_and_rejected(row: Row, import_rows: Import) -> None:
    assert import_rows([row], "ift").rows == [{"instruction": "u", "response": "a"}]
    done = import_rows([row], "ranked")
    assert done.form == "preference"
    assert [(r["prompt"], r["response"], r["rank"], r["quality"]) for r in done.rows] == [
        ("u", "a", 0, None),
        ("u", "b", 1, None),
    ]


def test_pairs_without_scores_are_not_compared_with_each_other(import_rows: Import) -> None:
    rows = [{"prompt": "u", "chosen": "a", "rejected": "b"}, {"prompt": "u", "chosen": "c", "rejected": "d"}]
    assert len({r["prompt_id"] for r in import_rows(rows, "ranked").rows}) == 2
    scored = [{**row, "score_chosen": 4 - i, "score_rejected": 1} for i, row in enumerate(rows)]
    done = import_rows(scored, "ranked").rows
    assert len({r["prompt_id"] for r in done}) == 1
    assert [(r["rank"], r["quality"]) for r in done] == [(None, 4), (None, 1), (None, 3), (None, 1)]


def test_a_pair_keeps_its_turns_and_system_prompt(import_rows: Import) -> None:
    row = {"chosen": turns("u", "a", "v", "b", system="s"), "rejected": turns("u", "a", "v", "c", system="s")}
    assert import_rows([row], "ift").rows == [{"messages": row["chosen"]}]
    assert [r["messages"] for r in import_rows([row], "ranked").rows] == [row["chosen"][:-1]] * 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "u", "chosen": "a", "rejected": "b", "score_chosen": 3, "score_rejected": 3}, "not_better"),
        ({"prompt": "u", "chosen": "a", "rejected": "b", "chosen-rating": 2, "rejected-rating": 3}, "not_better"),
        ({"prompt": "u", "chosen": turns("u", "a"), "rejected": turns("other", "b")}, "other_prompt"),
        ({"prompt": "u", "chosen": turns("u"), "rejected": turns("u", "b")}, "bad_turns"),
        ({"prompt": "u", "chosen": "a", "rejected": None}, "no_text"),
        ({"prompt": None, "chosen": "a", "rejected": "b"}, "no_text"),
        ({"prompt": "u", "chosen": "a", "rejected": "b", "score_chosen": "x", "score_rejected": 3}, "no_score"),
    ],
)
def test_a_bad_pair_is_named(row: Row, reason: str, import_rows: Import) -> None:
    done = import_rows([{"prompt": "p", "chosen": "x", "rejected": "y"}, row], "ranked")
    assert (len(done.rows), done.reasons) == (2, [(2, reason)])


def distilled(**more: Any) -> Row:
    return {
        "instruction": "u",
        "generations": ["a", "b", "c"],
        "ratings": [2, 5, None],
        "rationales": ["x", "", "z"],
        **more,
    }


def test_distilabel(import_rows: Import) -> None:
    assert import_rows([distilled()], "ift").rows == [{"instruction": "u", "response": "b"}]
    done = import_rows([distilled()], "ranked")
    assert [(r["response"], r["quality"]) for r in done.rows] == [("a", 2), ("b", 5)]
    assert done.reasons == [(1, "no_score")]
    done = import_rows([distilled()], "eft")
    assert done.rows == [{"instruction": "u", "response": "a", "rationale": "x", "score": 2}]
    assert done.reasons == [(1, "no_rationale"), (1, "no_score")]


def test_distilabel_in_csv_and_under_its_older_names(import_rows: Import) -> None:
    row = {"input": "u", "generations": '["a", "b"]', "rating": "[1.0, 4.0]", "rationale": "['x', 'y']"}
    assert [(r["response"], r["score"]) for r in import_rows([row], "eft").rows] == [("a", 1), ("b", 4)]


def test_distilabel_without_ratings(import_rows: Import) -> None:
    one, two = (
        {"instruction": "u", "generations": ["a"]},
        {"instruction": "v", "generations": ["a", "b"], "ratings": None},
    )
    done = import_rows([one, two], "ift")
    assert (len(done.rows), done.reasons) == (1, [(2, "no_score")])


def test_a_system_prompt_is_kept(import_rows: Import) -> None:
    row = distilled(system_prompt="s")
    assert [turn["role"] for turn in import_rows([row], "ift").rows[0]["messages"]] == ["system", "user", "assistant"]
    assert [turn["role"] for turn in import_rows([row], "ranked").rows[0]["messages"]] == ["system", "user"]


@pytest.mark.parametrize(
    "change",
    [{"ratings": [1, 2]}, {"rationales": ["x"]}, {"generations": []}, {"generations": "text"}, {"generations": None}],
)
def test_lists_that_do_not_fit_together_are_named(change: Row, import_rows: Import) -> None:
    assert import_rows([distilled(), distilled(**change)], "ift").reasons == [(2, "bad_list")]
