"""Two iterations beside each other: joined by the prompt's text, worst first, with bars over one another."""

import pytest
from fixture_run import replace_stage

from selfreward.query.compare import compare
from selfreward.records import Judgment, Prompt
from selfreward.storage.run import RunStore


def same_prompts(run: RunStore) -> RunStore:
    """Iteration 2 answers what iteration 1 answered; its first prompt gets worse, its second better."""
    it = run.iteration(2)
    texts = [prompt.text for prompt in run.iteration(1).stored("prompts", Prompt).records()]
    prompts = list(it.stored("prompts", Prompt).records())
    judgments = list(it.stored("judgments", Judgment).records())
    moved = {prompts[0].id: -1.0, prompts[1].id: 0.5}
    replace_stage(
        it, "prompts", [p.model_copy(update={"text": t}) for p, t in zip(prompts, texts, strict=True)], Prompt
    )
    changed = [
        j if j.score is None else j.model_copy(update={"score": j.score + moved.get(j.prompt_id, 0)}) for j in judgments
    ]
    replace_stage(it, "judgments", changed, Judgment)
    return run


def test_the_same_prompts_worst_first(finished_run: RunStore) -> None:
    run = same_prompts(finished_run)
    found = compare((run, 1), (run, 2))
    assert [round(row.difference, 9) for row in found.rows] == [-1.0, 0.0, 0.5]
    assert (found.total, found.worse, found.same, found.better) == (3, 1, 1, 1)
    assert found.mean_difference == pytest.approx(-0.5 / 3)
    worst = found.rows[0]
    assert worst.prompt.startswith("Name a fruit")
    assert (worst.first_best, worst.second_best, worst.first_tokens) == (4.0, 3.0, 20.0)
    assert worst.first_prompt_id != worst.second_prompt_id
    page = compare((run, 1), (run, 2), offset=1, limit=1)
    assert [row.difference for row in page.rows] == [0.0]
    assert page.total == 3


def test_bars_of_both_stand_over_one_another(finished_run: RunStore) -> None:
    run = same_prompts(finished_run)
    found = compare((run, 1), (run, 2))
    assert [sum(series) for series in found.scores.series] == [8, 8]
    assert len({len(series) for series in found.scores.series}) == 1
    assert found.scores.edges[0] == 0.5


def test_iterations_without_a_prompt_in_common(finished_run: RunStore) -> None:
    found = compare((finished_run, 1), (finished_run, 2))
    assert (found.rows, found.total, found.mean_difference) == ((), 0, None)
    assert found.first.row.responses == 9


def test_other_judges_are_told(finished_run: RunStore) -> None:
    assert compare((finished_run, 1), (finished_run, 2)).comparable
    it = finished_run.iteration(2)
    it.manifest = it.manifest.model_copy(update={"templates": {"judge.rubric": "other"}})
    it.save()
    assert not compare((finished_run, 1), (finished_run, 2)).comparable


def test_an_iteration_without_responses_is_no_error(unfinished_run: RunStore) -> None:
    found = compare((unfinished_run, 0), (unfinished_run, 3))
    assert (found.total, found.scores.series) == (0, ((), ()))
