"""What people say, as a yardstick."""

from held_out import ranking, rows

from selfreward.evaluation.rankings import rankings


def test_pairs_leave_out_what_people_rank_equal() -> None:
    found = ranking("a", 0, 1, 1)
    assert found.pairs == (("a0", "a1"), ("a0", "a2"))
    assert found.best == {"a0"}
    assert found.standing == {"a0": 0, "a1": -1, "a2": -1}


def test_two_may_be_best() -> None:
    assert ranking("a", 0, 0, 2).best == {"a0", "a1"}


def test_prompts_without_a_preference_are_left_out() -> None:
    assert rankings([*rows("a", 1, 1), *rows("b", 0), *rows("c", 1, 0)]) == [ranking("c", 1, 0)]


def test_mixed_evidence_gives_pairs_and_no_standing() -> None:
    (found,) = rankings(rows("a", 0, 1, None, qualities=(None, 0.5, 0.1)))
    assert found.pairs == (("a0", "a1"), ("a1", "a2"))
    assert found.standing == {}
    assert found.best == {"a0"}


def test_the_files_order_moves_nothing() -> None:
    one, other = rows("a", 0, 1, 2), rows("b", 1, 0)
    assert rankings([*one, *other]) == rankings([*reversed(other), *reversed(one)])


def test_a_pair_is_a_ranking_of_two() -> None:
    pair = ranking("a", 1, 0, 2).of_pair(("a1", "a2"))
    assert (dict(pair.responses), pair.pairs) == ({"a1": "xx", "a2": "xxx"}, (("a1", "a2"),))
    assert (pair.best, dict(pair.standing)) == ({"a1"}, {"a1": 1.0, "a2": 0.0})
