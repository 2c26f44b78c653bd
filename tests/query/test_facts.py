"""An iteration in figures: histograms, scatter, curves, ties; and what is kept of them."""

import json
from statistics import correlation

import pytest
from fixture_run import add

from selfreward.query import facts
from selfreward.query.facts import iteration_facts
from selfreward.query.histograms import Histogram, histogram, nice_width
from selfreward.query.iterations import iteration_table
from selfreward.query.kept import kept
from selfreward.query.lineage import lineage
from selfreward.records import Judgment, Response
from selfreward.stages.shard import Shard
from selfreward.storage.iteration import StageKey
from selfreward.storage.run import RunStore
from selfreward.training.cost import COST


def filled(histogram: Histogram) -> dict[float, int]:
    (series,) = histogram.series
    return {edge: n for edge, n in zip(histogram.edges, series, strict=False) if n}


def test_scores_margins_and_lengths(finished_run: RunStore) -> None:
    found = iteration_facts(finished_run, 1)
    # Means of the candidates' readable verdicts: 4, 1.5, 3, 2, 2, 2, 5, 1; one was never readable.
    assert filled(found.scores) == {4.0: 1, 1.5: 1, 3.0: 1, 2.0: 3, 5.0: 1, 1.0: 1}
    assert filled(found.margins) == {2.0: 1}, "one number alone has a bar of width 1"
    assert filled(found.length_differences) == {-10.0: 1}
    assert found.length_and_score.candidates == len(found.length_and_score.points) == 8
    assert (10, 4.0) in found.length_and_score.points
    tokens, scores = zip(*found.length_and_score.points, strict=True)
    assert found.length_and_score.correlation == pytest.approx(correlation(tokens, scores))


def test_shares_of_the_table(finished_run: RunStore) -> None:
    _, row, _ = iteration_table(finished_run)
    # Ties: the second prompt's three pairs of candidates, of 3 + 3 + 1 with scores.
    assert row.tie_share == pytest.approx(3 / 7)
    assert row.unreadable_share == pytest.approx(3 / 18)
    assert row.mean_tokens == pytest.approx(20)
    assert row.drops["pairs"] == {"drop.tie": 1}


def test_iteration_0_has_training_alone(finished_run: RunStore) -> None:
    found = iteration_facts(finished_run, 0)
    assert found.scores.series == ((),)
    assert found.length_and_score.correlation is None
    assert found.diagnosis is not None
    assert found.diagnosis.findings == ()


def test_training_curves(unfinished_run: RunStore) -> None:
    it = unfinished_run.iteration(3)
    log = it.path / ".tmp-training.jsonl"
    steps = [{"loss": 1 - i / 4, "epoch": i, "step": i + 1, "note": "x"} for i in range(3)]
    log.write_text("".join(json.dumps(step) + "\n" for step in steps), encoding="utf-8")
    it.begin("adapter", StageKey(version=1, settings={}, inputs={}))
    it.finish_with_files("adapter", {"training.jsonl": log}, counts={}, seconds=1.0, summary={})
    (curve,) = iteration_facts(unfinished_run, 3).training
    assert (curve.name, curve.points) == ("loss", ((1, 1), (2, 0.75), (3, 0.5)))


def test_what_training_cost_is_drawn_too(unfinished_run: RunStore) -> None:
    it = unfinished_run.iteration(3)
    cost = it.path / ".tmp-cost"
    cost.write_text("".join(f'{{"step": {n}, "tokens_per_second": {n * 10}}}\n' for n in (1, 2)), encoding="utf-8")
    it.begin("adapter", StageKey(version=1, settings={}, inputs={}))
    it.finish_with_files("adapter", {COST: cost}, counts={}, seconds=1.0, summary={}, timings={COST})
    (curve,) = iteration_facts(unfinished_run, 3).training
    assert (curve.name, curve.points) == ("tokens_per_second", ((1, 10), (2, 20)))


def test_curves_and_scatters_are_bounded(finished_run: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "MOST_POINTS", 3)
    found = iteration_facts(finished_run, 1).length_and_score
    assert (len(found.points), found.candidates) == (3, 8)
    (curve,) = facts._curves([{"loss": i} for i in range(10)])
    assert [step for step, _ in curve.points] == [1, 5, 9]


def test_a_large_iteration_without_metrics_waits_for_diagnose(
    finished_run: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MOST_DIAGNOSED", 1)
    assert iteration_facts(finished_run, 1).diagnosis is None


def test_answers_follow_a_run_under_way(unfinished_run: RunStore) -> None:
    assert iteration_facts(unfinished_run, 3).row.mean_score is None
    it = unfinished_run.iteration(3)
    responses = list(unfinished_run.iteration(1).stored("responses", Response).records())
    judgments = list(unfinished_run.iteration(1).stored("judgments", Judgment).records())
    add(it, "responses", responses, Response, finished=False)
    add(it, "judgments", judgments[:2], Judgment, finished=False)
    assert iteration_facts(unfinished_run, 3).row.mean_score == 4
    it.add_shard("judgments", Shard(judgments[2:4], 1), Judgment, seconds=0.0)
    assert iteration_facts(unfinished_run, 3).row.mean_score == pytest.approx((4 + 1 + 2) / 3)


def test_what_has_not_changed_is_not_asked_again(finished_run: RunStore) -> None:
    it, other = finished_run.iteration(1), finished_run.iteration(2)
    answers = iter(range(9))
    asked = [kept(it, "x", lambda: next(answers), other) for _ in range(3)]
    it.summarise("pairs", {"changed": True})
    assert [*asked, kept(it, "x", lambda: next(answers), other)] == [0, 0, 0, 1]


@pytest.mark.parametrize(("spread", "width"), [(0, 1), (5, 0.25), (23, 1), (24, 2), (1000, 50), (0.9, 0.05)])
def test_bars_are_as_wide_as_reads_well(spread: float, width: float) -> None:
    assert nice_width(spread) == pytest.approx(width)


def test_few_different_numbers_have_a_bar_each() -> None:
    thirds = "(SELECT i / 3 AS value FROM range(16) t(i))"
    found = histogram([thirds], "value")
    assert (found.series, round(found.width, 6)) == (((1,) * 16,), 0.333333)
    many = "(SELECT i / 10 AS value FROM range(100) t(i))"
    assert sum(histogram([thirds, many], "value").series[1]) == 100
    assert histogram([many], "value").width == 0.5


def test_lineage_names_models_and_changes(finished_run: RunStore) -> None:
    it = finished_run.iteration(2)
    config = {"seed": 3, "name": "other", "judge": {"rubric": "mine"}}
    changes = {"config": config, "templates": {"judge.rubric": "f" * 40}, "environment": {"python": "3.12"}}
    it.manifest = it.manifest.model_copy(update=changes)
    it.save()
    zero, one, two = lineage(finished_run)
    assert [(step.parent, step.model) for step in (zero, one, two)] == [("M0", "M1"), ("M1", "M2"), ("M2", "M3")]
    assert (zero.changes, one.changes) == ((), ())
    assert two.changes == (
        "judge: None -> {'rubric': 'mine'}",
        "seed: None -> 3",
        "template judge.rubric: nothing -> ffffffffffff",
        "python: nothing -> 3.12",
    )
    assert (two.manifest, one.parent_seal) == ("iter-002/manifest.json", zero.seal)
    assert {stage.name: stage.rows for stage in one.stages}["judgments"] == 18
