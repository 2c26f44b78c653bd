"""Which candidate does best: wins and half of the ties, of what could be read, and of equals the earliest."""

from contests import unlike, verdicts, written

from selfreward.evaluation.candidates import Candidate, against, best
from selfreward.evaluation.contests import contests


def candidate(step: int, wins: int, ties: int, losses: int) -> Candidate:
    return Candidate(step=step, wins=wins, ties=ties, losses=losses, unreadable=0, win_rate=0.5)


def test_verdicts_are_counted_for_the_second_of_each_pair() -> None:
    pairs = unlike([(1, 2)] * 5)
    shown = [(0.9, 0.8), (0.9, 0.1), (0.1, 0.2), (0.3, 0.4), (0.9, None)]
    judgments = [j for pair, both in zip(pairs, shown, strict=True) for j in verdicts(pair, *both)]
    found = against(7, pairs, judgments)
    assert (found.step, found.wins, found.ties, found.losses, found.unreadable) == (7, 1, 1, 2, 1)
    assert found.win_rate == (1 + 0.5) / 4


def test_the_same_answer_is_a_tie_and_what_nobody_could_read_has_no_rate() -> None:
    same = contests(written("one", a="Yes."), written("two", a="Yes."))
    assert against(1, same, []).win_rate == 0.5
    unread = against(2, unlike([(1, 2)]), [])
    assert (unread.unreadable, unread.win_rate) == (1, None)
    assert best([unread]) is None
    assert best([]) is None


def test_ties_count_half_and_what_could_not_be_read_not_at_all() -> None:
    unread = Candidate(step=1, wins=0, ties=0, losses=0, unreadable=9, win_rate=None)
    found = best([unread, candidate(2, 2, 0, 2), candidate(3, 1, 3, 0), candidate(4, 2, 0, 1)])
    assert found is not None
    assert found.step == 4


def test_of_equals_the_earliest_is_taken_and_the_least_difference_counts() -> None:
    equal = best([candidate(9, 1, 0, 1), candidate(6, 0, 4, 0), candidate(8, 3, 0, 3)])
    assert equal is not None
    assert equal.step == 6
    close = best([candidate(2, 10_000, 0, 10_001), candidate(4, 10_001, 0, 10_001)])
    assert close is not None
    assert close.step == 4, "rounded they are the same"
