"""Which judgments agree with people, and how far a judge does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranked_responses import row

from selfreward.records import Ranked
from selfreward.seeding.agreement import KEEPS, agreement, contradicted, kept, preferred

THREE = [row("a", 0), row("b", 1), row("c", 2)]


@pytest.mark.parametrize(
    ("one", "other", "better"),
    [
        (row("x", 0), row("y", 1), "x"),
        (row("x", 3), row("y", 1), "y"),
        (row("x", 1), row("y", 1), None),
        (row("x", 1, 0.9), row("y", 0, 0.1), "y"),  # a rank goes before a quality
        (row("x", 1, 0.9), row("y", 1, 0.1), None),
        (row("x", None, 0.9), row("y", 0, 0.1), "x"),
        (row("x", None, 0.5), row("y", None, 0.5), None),
        (row("x", 0), row("y", None, 0.1), None),
    ],
)
def test_whom_people_prefer(one: Ranked, other: Ranked, better: str | None) -> None:
    assert [b.id for b, _ in preferred([one, other])] == ([better] if better else [])
    assert [b.id for b, _ in preferred([other, one])] == ([better] if better else [])


@pytest.mark.parametrize(
    ("scores", "strict", "pair"),
    [
        ({"a": 5, "b": 3, "c": 1}, "kkk", "kkk"),
        ({"a": 5, "b": 2, "c": 3}, "ddd", "kdd"),
        ({"a": 3, "b": 3, "c": 1}, "ddd", "ddk"),  # a tie of the judge is no agreement
        ({"a": 1, "b": 3, "c": 5}, "ddd", "ddd"),
        ({"a": 5, "b": 3}, "uuu", "kku"),
        ({"a": 3}, "uuu", "uuu"),
        ({}, "uuu", "uuu"),
    ],
)
def test_what_is_kept(scores: dict[str, float], strict: str, pair: str) -> None:
    names = {None: "k", "disagrees": "d", "unreadable": "u", "no_evidence": "n"}
    assert "".join(names[kept(THREE, scores, "strict")[r.id]] for r in THREE) == strict
    assert "".join(names[kept(THREE, scores, "pair")[r.id]] for r in THREE) == pair


def test_ties_of_people_are_no_evidence_either_way() -> None:
    rows = [row("a", 0), row("b", 0), row("c", 1)]
    assert set(kept(rows, {"a": 2, "b": 5, "c": 1}, "strict").values()) == {None}
    same = [row("a", 1), row("b", 1)]
    for keep in KEEPS:
        assert set(kept(same, {"a": 2, "b": 5}, keep).values()) == {"no_evidence"}


def test_agreement_counts_every_pair_once() -> None:
    found = agreement([THREE, [row("d", 0), row("e", 1)]], {"a": 5, "b": 2, "c": 3, "d": 1, "e": 1})
    assert (found.pairs, found.agree, found.tied, found.against, found.unreadable) == (4, 2, 1, 1, 0)
    assert (found.share, found.prompts, found.in_order) == (0.5, 2, 0)
    assert agreement([THREE], {"a": 2, "b": 1}).unreadable == 2
    assert agreement([], {}).share is None


RANKS = st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=5)
SCORES = st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=5, max_size=5)


@given(RANKS, SCORES)
def test_strict_keeps_nothing_that_pair_does_not(ranks: list[int | None], values: list[int | None]) -> None:
    rows = [row(str(i), rank, None if rank is not None else 0.1 * i) for i, rank in enumerate(ranks)]
    scores = {str(i): float(v) for i, v in enumerate(values) if v is not None and i < len(rows)}
    strict, pair = kept(rows, scores, "strict"), kept(rows, scores, "pair")
    assert set(strict) == set(pair) == {r.id for r in rows}
    for one in rows:
        others = [p for p in preferred(rows) if one in p]
        if strict[one.id] is None and others:
            assert pair[one.id] is None
        if pair[one.id] is None:
            assert one.id in scores
            assert one.id not in contradicted(rows, scores)
    found = agreement([rows], scores)
    assert found.pairs == found.agree + found.tied + found.against + found.unreadable == len(list(preferred(rows)))
    assert bool(found.in_order) == (bool(list(preferred(rows))) and found.agree == found.pairs)


@given(RANKS, SCORES)
def test_the_order_of_the_rows_does_not_matter(ranks: list[int | None], values: list[int | None]) -> None:
    rows = [row(str(i), rank, 0.5) for i, rank in enumerate(ranks)]
    scores = {str(i): float(v) for i, v in enumerate(values) if v is not None}
    for keep in KEEPS:
        assert kept(rows, scores, keep) == kept(rows[::-1], scores, keep)
    assert agreement([rows], scores) == agreement([rows[::-1]], scores)
