"""`selfreward override`: each decision, what it says of its use, and what it refuses."""

import json

import pytest
from fixture_run import Command

from selfreward.records import PreferencePair
from selfreward.storage.overrides import read_overrides
from selfreward.storage.run import RunStore


def pair_of(run: RunStore) -> PreferencePair:
    (pair,) = run.iteration(1).stored("pairs", PreferencePair).records()
    return pair


def test_every_decision_is_written_down(command: Command, finished_run: RunStore) -> None:
    pair = pair_of(finished_run)
    for options in (
        ("--exclude",),
        ("--swap",),
        ("--score", f"{pair.rejected_id}=3.5", "--who", "Ada"),
        ("--withdraw",),
    ):
        code, out, err = command("override", "small", pair.id, *options, "--reason", "so it is")
        assert (code, out) == (0, "")
        assert "is written down" in err
    overrides = read_overrides(finished_run.path)
    assert [o.action for o in overrides] == ["exclude", "swap", "score", "withdraw"]
    assert [o.who == "Ada" for o in overrides] == [False, False, True, False]
    assert {o.reason for o in overrides} == {"so it is"}


def test_it_says_that_training_used_the_pair(command: Command, finished_run: RunStore) -> None:
    _, out, err = command("override", "small", pair_of(finished_run).id, "--exclude", "--reason", "bad", "--json")
    assert json.loads(out)["action"] == "exclude"
    assert "the pairs a model was trained on stay as they are" in err
    assert "selfreward fork runs/small --from-pairs 1 --name NEW" in err


def test_a_fork_from_pairs_takes_it_along(command: Command, finished_run: RunStore) -> None:
    command("override", "small", pair_of(finished_run).id, "--exclude", "--reason", "bad")
    code, _, err = command("fork", "small", "--from-pairs", "1", "--name", "anew")
    assert code == 0
    assert "shares iterations 0 to 0 and the judgments of iteration 1" in err
    assert command("verify", "anew")[0] == 0
    made = RunStore(finished_run.path.parent / "anew")
    assert list(made.iteration(1).manifest.stages) == ["prompts", "responses", "judgments"]
    assert len(read_overrides(made.path)) == 1


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--exclude", "--swap"), 2, "give one of"),
        ((), 2, "give one of"),
        (("--score", "r-1"), 2, "expected RESPONSE_ID=N"),
        (("--score", "=3"), 2, "expected RESPONSE_ID=N"),
        (("--score", "r-1=many"), 2, "expected RESPONSE_ID=N"),
        (("--score", "nothing=3"), 1, "no such item"),
        (("--withdraw",), 1, "nothing is decided about it"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    command: Command, finished_run: RunStore, options: tuple[str, ...], code: int, said: str
) -> None:
    found = command("override", "small", pair_of(finished_run).id, *options, "--reason", "x")
    assert found[0] == code
    assert said in " ".join(found[2].replace("│", " ").split())
    assert read_overrides(finished_run.path) == []


def test_a_score_belongs_to_the_pairs_prompt(command: Command, finished_run: RunStore) -> None:
    (other,) = finished_run.iteration(2).stored("pairs", PreferencePair).records()
    score = f"{other.chosen_id}=1"
    code, _, err = command("override", "small", pair_of(finished_run).id, "--score", score, "--reason", "x")
    assert (code, "answers another prompt" in err) == (1, True)
