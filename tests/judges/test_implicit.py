"""Implicit rewards: log-ratios of policy and reference, asked for in two asks of whole turns."""

import math
from typing import Any

import pytest

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Answer, Ask, Likelihood
from selfreward.judges import JudgeConfig, build_judge
from selfreward.judges.protocol import Candidate, Listener
from selfreward.records import Judgment

CANDIDATES = [
    Candidate("p-0", f"r-{i}", "What is tea?", text) for i, text in enumerate(("A drink.", "Leaves.", "long"))
]


def judge(
    chat: Chat, policy: list[tuple[float, ...]], reference: list[tuple[float, ...]], tmp_path: Any, **method: Any
) -> tuple[list[Judgment], list[Ask]]:
    """Of an engine that answers with these log-probabilities."""
    config = JudgeConfig.model_validate({"method": {"type": "implicit", **method}})
    listener = Listener(chat, 2048, tmp_path / "policy", tmp_path / "reference")
    piece = build_judge(config, ("<think>", "</think>")).judge(CANDIDATES, listener, "M2 against M1", 0)
    asks = [next(piece)]
    asks.append(piece.send([Answer(10, logprobs=one) for one in policy]))
    with pytest.raises(StopIteration) as done:
        piece.send([Answer(10, logprobs=one) for one in reference])
    return done.value.value, asks


POLICY = [(-1.0, -2.0), (-0.5,), ()]
REFERENCE = [(-2.0, -2.5), (-0.25,), ()]


def test_the_reward_is_beta_times_the_log_ratio(chat: Chat, tmp_path: Any) -> None:
    judgments, asks = judge(chat, POLICY, REFERENCE, tmp_path)
    assert [j.score for j in judgments] == [pytest.approx(0.1 * 1.5), pytest.approx(0.1 * -0.25), None]
    assert [ask.how for ask in asks] == [Likelihood(tmp_path / "policy"), Likelihood(tmp_path / "reference")]
    for ask in asks:
        assert [[m.content for m in r.messages] for r in ask.requests] == [[c.prompt, c.response] for c in CANDIDATES]
        assert {tuple(m.role for m in r.messages) for r in ask.requests} == {("user", "assistant")}
    assert {(j.method, j.rubric, j.model) for j in judgments} == {("implicit", "", "M2 against M1")}
    assert [j.response_ids for j in judgments] == [(c.response_id,) for c in CANDIDATES]
    assert len({j.id for j in judgments}) == 3


def test_beta_and_the_length_penalty_act(chat: Chat, tmp_path: Any) -> None:
    judgments, _ = judge(chat, POLICY, REFERENCE, tmp_path, beta=2.0, length_penalty=0.5)
    assert [j.score for j in judgments[:2]] == [pytest.approx(3.0 - 2 * 0.5), pytest.approx(-0.5 - 0.5)]


def test_what_is_not_a_number_is_unreadable(chat: Chat, tmp_path: Any) -> None:
    judgments, _ = judge(chat, [(-math.inf,), (math.nan,), (-1.0,)], [(-1.0,), (-1.0,), (-math.inf,)], tmp_path)
    assert [j.score for j in judgments] == [None, None, None]


def test_it_needs_an_engine_with_likelihoods() -> None:
    made = build_judge(JudgeConfig.model_validate({"method": "implicit"}), ("<think>", "</think>"))
    assert made.needs == {"likelihood"}
