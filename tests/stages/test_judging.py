"""Judging: what the judge is shown, and what is counted."""

import math
from typing import Any

import pytest

from selfreward.engines.chat import Chat
from selfreward.judges import JudgeConfig, build_judge
from selfreward.judges.protocol import Listener
from selfreward.records import Judgment, Prompt, Response
from selfreward.stages.judging import judge_responses
from selfreward.stages.shard import Shard


def response(i: int, prompt_id: str, text: str = "An answer.", reasoning: str | None = None) -> Response:
    return Response(
        id=f"r-{i}",
        prompt_id=prompt_id,
        index=i,
        text=text,
        reasoning=reasoning,
        token_ids=(1, 2),
        finish_reason="stop",
        prompt_tokens=5,
        special_tokens=False,
        model="M1",
    )


def judge(engine: Any, responses: list[Response], seed: int = 1, **config: Any) -> Shard[Judgment]:
    settings = JudgeConfig.model_validate(config)
    prompts = {f"p-{i}": Prompt(id=f"p-{i}", text=f"The prompt of number {i}", iteration=1) for i in range(3)}
    made = build_judge(settings, ("<think>", "</think>"))
    listener = Listener(engine.chat, engine.context)
    return engine.finish(judge_responses(responses, prompts, settings, made, listener, "M1", seed))


def test_every_response_is_shown_beside_its_own_prompt(chat: Chat, fake_engine: Any) -> None:
    def write(request: Any, k: int, _: Any) -> str:
        text = request.messages[0].content
        match = [i for i in range(3) if f"prompt of number {i}" in text and f"answer to {i}" in text]
        return f"Score: {match[0]}" if match else "mismatch"

    places = (2, 0, 1, 0)
    responses = [response(i, f"p-{place}", f"an answer to {place}") for i, place in enumerate(places)]
    shard = judge(fake_engine(chat, write=write), responses, method={"type": "sampled", "samples": 2})
    assert [j.score for j in shard.records] == [2, 2, 0, 0, 1, 1, 0, 0]
    assert [j.response_ids for j in shard.records] == [(f"r-{i}",) for i in range(4) for _ in range(2)]
    assert [j.prompt_id for j in shard.records] == [f"p-{place}" for place in places for _ in range(2)]
    assert shard.inputs == 4


@pytest.mark.parametrize("sees", ["answer", "reasoning_and_answer"])
def test_the_recipe_says_whether_the_judge_sees_the_reasoning(chat: Chat, fake_engine: Any, sees: str) -> None:
    engine = fake_engine(chat, write=lambda *_: "Score: 3")
    judge(engine, [response(0, "p-0", "the answer", "the reasoning"), response(1, "p-0", "bare")], sees=sees)
    ((requests, _),) = engine.calls
    shown = [request.messages[0].content for request in requests]
    assert "the answer" in shown[0]
    assert ("the reasoning\n\nthe answer" in shown[0]) is (sees == "reasoning_and_answer")
    assert "<response>\nbare\n</response>" in shown[1]


def test_the_unreadable_and_the_shortened_are_counted(chat: Chat, fake_engine: Any) -> None:
    def write(request: Any, k: int, _: Any) -> str:
        return "Score: 3" if "readable" in request.messages[0].content else "?"

    responses = [response(0, "p-0", "readable"), response(1, "p-0", "odd"), response(2, "p-0", "readable " * 900)]
    engine = fake_engine(chat, write=write, context=800)
    method = {"type": "sampled", "samples": 2, "retries": 3}
    counts = judge(engine, responses, method=method).counts
    assert (counts["unreadable"], counts["asked_again"], counts["shortened"]) == (2, 6, 2)
    assert counts["tokens.prompt"] > 1000


def test_expected_scores_are_counted_too(chat: Chat, fake_engine: Any) -> None:
    engine = fake_engine(chat, logprobs=lambda _: [math.log(0.01)] * 6)
    shard = judge(engine, [response(0, "p-0")], method={"type": "expected"})
    assert (shard.counts["unreadable"], shard.counts["asked_again"]) == (1, 0)
    assert judge(engine, [response(0, "p-0")], method={"type": "expected", "min_mass": 0.05}).counts["unreadable"] == 0
