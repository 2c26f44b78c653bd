"""Gates: which figure trips which, and where the limit is."""

from typing import Any

import pytest
from pydantic import ValidationError

from selfreward.diagnosis.gates import After, GateLimits, tripped

NOW: dict[str, Any] = {
    "response_tokens": {"mean": 150.0},
    "judge_quality": {"whole": {"judge": {"pairwise_accuracy": {"value": 0.6, "low": 0.52, "high": 0.7}}}},
    "unreadable_share": 0.3,
    "tie_share": 0.4,
    "top_score_share": 0.7,
    "pairs_per_prompt": 0.5,
}
BEFORE = {"response_tokens": {"mean": 100.0}}


@pytest.mark.parametrize(
    ("name", "after", "reached", "not_reached"),
    [
        ("length_growth", "responses", 1.5, 1.6),
        ("judge_accuracy_low", "judgments", 0.52, 0.51),
        ("unreadable_share", "judgments", 0.3, 0.31),
        ("tie_share", "judgments", 0.4, 0.41),
        ("top_score_share", "judgments", 0.7, 0.71),
        ("pairs_per_prompt", "pairs", 0.5, 0.49),
    ],
)
def test_a_gate_trips_where_its_figure_reaches_the_limit(
    name: str, after: After, reached: float, not_reached: float
) -> None:
    limits = GateLimits.model_validate({name: reached})
    (gate,) = tripped(limits, after, NOW, BEFORE)
    assert (gate.name, gate.limit) == (name, reached)
    assert gate.advice
    assert limits.wants(after)
    assert not list(tripped(GateLimits.model_validate({name: not_reached}), after, NOW, BEFORE))
    others: set[After] = {"responses", "judgments", "pairs"} - {after}
    assert not any(list(tripped(limits, other, NOW, BEFORE)) or limits.wants(other) for other in others)


def test_every_gate_says_what_happened_in_a_sentence() -> None:
    limits = {
        "length_growth": "the responses' mean length over that of the iteration before is 1.5",
        "judge_accuracy_low": "the lower end of the 95% interval of the judge's accuracy on held-out pairs is 0.52",
        "unreadable_share": "the share of verdicts that cannot be read is 0.3",
        "tie_share": "the share of ties between two responses to a prompt is 0.4",
        "top_score_share": "the share of verdicts with the highest score is 0.7",
        "pairs_per_prompt": "the number of pairs for each prompt is 0.5",
    }
    assert set(limits) == set(GateLimits.model_fields)
    afters: tuple[After, ...] = ("responses", "judgments", "pairs")
    for name, says in limits.items():
        limit = 1.2 if name == "length_growth" else 0.6 if name in ("judge_accuracy_low", "pairs_per_prompt") else 0.25
        gates = GateLimits.model_validate({name: limit})
        (gate,) = (gate for after in afters for gate in tripped(gates, after, NOW, BEFORE))
        assert gate.words == f"{says}, and the recipe's limit is {limit:g}"


def test_nothing_is_looked_at_unless_set_and_no_figure_trips_nothing() -> None:
    afters: tuple[After, ...] = ("responses", "judgments", "pairs")
    assert not any(GateLimits().wants(after) for after in afters)
    limits = GateLimits(length_growth=1.1, tie_share=0.1, pairs_per_prompt=9)
    assert [list(tripped(limits, after, {}, {})) for after in afters] == [[], [], []]
    assert not list(tripped(limits, "responses", NOW, {})), "the first iteration has none before it"


@pytest.mark.parametrize("wrong", [{"length_growth": 1.0}, {"tie_share": 0}, {"tie_share": 1.5}, {"nonsense": 1}])
def test_limits_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        GateLimits.model_validate(wrong)


def test_gates_that_could_never_trip_are_named() -> None:
    assert "evaluation.judge_data" in (GateLimits(judge_accuracy_low=0.5).problem(False, True, True, True) or "")
    assert "no scale" in (GateLimits(top_score_share=0.5).problem(True, False, True, True) or "")
    assert "makes no pairs" in (GateLimits(pairs_per_prompt=0.5).problem(True, True, False, True) or "")
    assert GateLimits(judge_accuracy_low=0.5, top_score_share=0.5).problem(True, True, True, True) is None
    for name in ("unreadable_share", "tie_share", "top_score_share"):
        limits = GateLimits.model_validate({name: 0.5})
        assert f"{name}: with this pairs.type no response is judged" in (limits.problem(True, True, True, False) or "")
    assert GateLimits(judge_accuracy_low=0.5, length_growth=2).problem(True, True, True, False) is None
