"""The length-balanced part: equal numbers, the same for every order of the file."""

from held_out import ranking, rows
from hypothesis import given
from hypothesis import strategies as st

from selfreward.evaluation.length_balance import length_balanced
from selfreward.evaluation.rankings import rankings
from selfreward.evaluation.report import length_only
from selfreward.evaluation.sums import added, judged

prompts = st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=5), min_size=1, max_size=8)


def test_the_rarer_kind_is_taken_whole() -> None:
    # The longer one is better in a (0 2 1: one of three pairs), b (three of three) and c (one of one).
    people = [ranking("a", 1, 2, 0), ranking("b", 2, 1, 0), ranking("c", 1, 0)]
    longer = sum(len(r.responses[b]) > len(r.responses[w]) for r in people for b, w in r.pairs)
    assert (longer, sum(len(r.pairs) for r in people)) == (6, 7)
    found = length_balanced(people, seed=0)
    assert [len(r.pairs) for r in found] == [1, 1]
    assert ("a", (("a0", "a1"),)) in [(r.prompt_id, r.pairs) for r in found]


def test_equal_lengths_are_in_none() -> None:
    same = [row.model_copy(update={"response": "same"}) for row in rows("a", 0, 1)]
    assert length_balanced(rankings(same), seed=0) == []


def test_another_seed_draws_others() -> None:
    people = [ranking(p, 3, 2, 1, 0) for p in "abcdef"] + [ranking("g", 0, 1)]
    drawn = {tuple(r.pairs for r in length_balanced(people, seed)) for seed in range(8)}
    assert len(drawn) > 1


@given(prompts, st.integers(0, 3), st.randoms(use_true_random=False))
def test_length_is_at_chance_and_order_moves_nothing(ranks: list[list[int]], seed: int, order: object) -> None:
    lines = [row for name, own in zip("abcdefgh", ranks, strict=False) for row in rows(name, *own)]
    people = rankings(lines)
    found = length_balanced(people, seed)
    if found:
        right, pairs = added([judged(r, length_only(people), None) for r in found])["pairwise_accuracy"]
        assert (right / pairs, pairs) == (0.5, len(found))
    order.shuffle(lines)  # type: ignore[attr-defined]
    assert length_balanced(rankings(lines), seed) == found
