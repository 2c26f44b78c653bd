"""Iterations without verdicts, with labels in place of pairs, and with a judge that reads no rubric."""

import json

import pyarrow.parquet as pq
import pytest
from fixture_run import Command, replace_stage
from run_kinds import make_labelled, make_mix, make_spin

from selfreward.errors import StoreError
from selfreward.overriding import exclude, override_state, set_score
from selfreward.query.compare import compare
from selfreward.query.facts import iteration_facts
from selfreward.query.iterations import iteration_table
from selfreward.query.pair import pair_view
from selfreward.query.pairs import PAIR_SORTS, PairFilter, page_of_pairs
from selfreward.query.questions import questions_of
from selfreward.records import Judgment
from selfreward.storage.run import RunStore
from selfreward.templates import load_rubric
from selfreward.terminal.report import where_and_what_next
from selfreward.walk import PromptWalk, walk


def prompt_walk(run: RunStore, item: str) -> PromptWalk:
    found = walk(run, item)
    assert isinstance(found, PromptWalk)
    return found


@pytest.mark.parametrize("sort", PAIR_SORTS)
def test_pairs_without_scores_are_listed_in_every_order(finished_run: RunStore, sort: str) -> None:
    made = make_spin(finished_run)
    (row,) = page_of_pairs(finished_run, 1, sort=sort).rows  # type: ignore[arg-type]
    assert (row.id, row.margin, row.chosen_score, row.variance) == (made.id, None, None, None)


def test_verdicts_with_and_without_distributions(finished_run: RunStore) -> None:
    """As a pairwise judge that reads probabilities writes them: comparisons have a distribution, scores have none."""
    it = finished_run.iteration(1)
    (pair,) = page_of_pairs(finished_run, 1).rows
    (one, *_) = it.stored("judgments", Judgment).records()
    sides = (pair.chosen_id, pair.rejected_id)
    fields = [
        *({"response_ids": (side,), "score": 2.0, "distribution": None} for side in sides),
        *({"response_ids": (side, "r"), "score": 0.8, "distribution": (0.2, 0.8)} for side in sides),
    ]
    changed = [one.model_copy(update={"id": f"j-{i}", **update}) for i, update in enumerate(fields)]
    replace_stage(it, "judgments", changed, Judgment)
    assert page_of_pairs(finished_run, 1).rows[0].variance is None, "letters are no scores"

    owned = one.model_copy(update={"response_ids": (pair.chosen_id,), "score": 1.5, "distribution": (0.5, 0.0, 0.5)})
    replace_stage(it, "judgments", [owned, *changed[1:]], Judgment)
    assert page_of_pairs(finished_run, 1).rows[0].variance == pytest.approx(1.0)


def test_a_pair_without_scores_is_in_no_range_and_is_not_swapped(finished_run: RunStore) -> None:
    make_spin(finished_run)
    assert page_of_pairs(finished_run, 1, PairFilter(min_margin=-9)).total == 0
    assert "swapped" not in page_of_pairs(finished_run, 1).rows[0].flags


def test_a_pair_without_scores_whole(finished_run: RunStore) -> None:
    made = make_spin(finished_run)
    found = pair_view(finished_run, 1, made.id)
    assert [one.role for one in found.ranked] == ["rejected", None, None]
    assert found.questions.questions == ()
    assert iteration_table(finished_run)[1].mean_score is None
    facts = iteration_facts(finished_run, 1)
    assert (facts.length_and_score.candidates, sum(map(sum, facts.margins.series))) == (0, 0)


def test_unjudged_iterations_are_compared_by_figures_only(command: Command, finished_run: RunStore) -> None:
    make_spin(finished_run)
    assert not compare((finished_run, 1), (finished_run, 2)).judged
    code, out, err = command("compare", "small", "-i", "1", "-i", "2")
    assert (code, "one of the two was not judged" in " ".join(out.split())) == (0, True), err


def test_pairs_without_scores_in_the_terminal(command: Command, finished_run: RunStore) -> None:
    made = make_spin(finished_run)
    assert "not judged" in command("pairs", "small", "-i", "1")[1]
    code, out, err = command("show", "small", made.id, "--judge-prompt")
    assert (code, "chosen   ift-0" in out) == (0, True), err
    for form in ("jsonl", "parquet"):
        assert command("export", "small", "-i", "1", "-o", f"out.{form}")[0] == 0
    with open("out.jsonl", encoding="utf-8") as file:
        assert [json.loads(line)["margin"] for line in file] == [None]
    assert pq.read_table("out.parquet")["margin"].to_pylist() == [None]


def test_where_nothing_is_judged_a_pair_can_be_left_out_and_no_score_set(finished_run: RunStore) -> None:
    made = make_spin(finished_run)
    exclude(finished_run, made.id, "bad")
    assert len(override_state(finished_run, 1).pending) == 1
    with pytest.raises(StoreError, match="judges nothing"):
        set_score(finished_run, made.rejected_id, 2, "better")


def test_labels_stand_in_the_place_of_pairs(command: Command, finished_run: RunStore) -> None:
    wanted, unwanted = make_labelled(finished_run)
    row = iteration_table(finished_run)[1]
    assert (row.pairs, row.labelled) == (None, 2)
    with pytest.raises(StoreError, match="labels single responses and makes no pairs"):
        page_of_pairs(finished_run, 1)
    found = prompt_walk(finished_run, wanted.id)
    assert (found.kind, found.decision.outcome) == ("labelled", "labelled")
    assert [one.role for one in found.candidates] == ["wanted", "unwanted", None]
    code, out, err = command("show", "small", unwanted.id)
    assert (code, "UNWANTED" in out, "threshold" in out) == (0, True, True), err
    assert iteration_facts(finished_run, 1).row.labelled == 2


def test_the_end_of_a_run_says_where_labels_are(finished_run: RunStore) -> None:
    make_labelled(finished_run)
    said = list(where_and_what_next(finished_run.config(), finished_run))
    assert any(line.endswith("iter-001/labelled: 2 labelled responses (Parquet)") for line in said)


def test_a_score_for_a_labelled_response_waits_for_a_fork(finished_run: RunStore) -> None:
    wanted, _ = make_labelled(finished_run)
    set_score(finished_run, wanted.response_id, 0, "it is wrong")
    state = override_state(finished_run, 1)
    assert (state.built, len(state.pending)) == (True, 1)


def test_parts_of_a_mix_stand_beside_its_judgments_with_their_questions(finished_run: RunStore) -> None:
    parts = {"words": {"method": {"type": "sampled"}}, "checks": {"method": {"type": "implicit"}}}
    place = "judge.method.parts.words.rubric"
    mix = {"method": {"type": "mix", "parts": parts}}
    make_mix(finished_run, mix, {place: load_rubric("additive_5pt").hash})
    pair = page_of_pairs(finished_run, 1).rows[0]
    found = pair_view(finished_run, 1, pair.id)
    own = found.ranked[0].judgments
    assert sorted(one.method for one in own) == ["mix", "sampled", "sampled", "verifiable"]
    asked = [found.questions.about(one) for one in own]
    assert [one is not None for one in asked] == [judgment.method == "sampled" for judgment in own]
    assert "the method implicit reads no rubric" in found.questions.missing
    part = next(one for one in own if one.method == "sampled")
    assert prompt_walk(finished_run, part.id).kind == "judgment"
    assert not compare((finished_run, 1), (finished_run, 1)).comparable


def test_a_judge_without_a_rubric_was_asked_nothing_in_words(command: Command, finished_run: RunStore) -> None:
    it = finished_run.iteration(1)
    it.manifest = it.manifest.model_copy(update={"config": {"judge": {"method": {"type": "implicit"}}}})
    it.save()
    pair = page_of_pairs(finished_run, 1).rows[0]
    found = questions_of(finished_run, prompt_walk(finished_run, pair.id))
    assert (found.questions, found.method["type"]) == ((), "implicit")
    code, out, err = command("show", "small", pair.id, "--judge-prompt")
    assert (code, "reads no rubric" in " ".join(out.split())) == (0, True), err
