"""Candidate responses from a fake engine."""

from typing import Any

import pytest

from selfreward.engines.chat import Chat
from selfreward.reasoning import split_reasoning
from selfreward.records import Prompt, Response
from selfreward.stages.responses import ResponsesConfig, generate_responses
from selfreward.stages.shard import Shard

TAGS = ("<think>", "</think>")


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt(id=f"p-{i}", text=text, iteration=1) for i, text in enumerate(texts)]


def answer(engine: Any, asked: list[Prompt], **config: Any) -> Shard[Response]:
    settings = ResponsesConfig.model_validate(config)
    return engine.finish(generate_responses(asked, settings, engine.chat, "M1", TAGS, 11))


@pytest.mark.parametrize(
    ("text", "reasoning", "answered"),
    [
        ("An answer.", None, "An answer."),
        ("  An answer.\n", None, "An answer."),
        ("", None, ""),
        ("<think>because</think>An answer.", "because", "An answer."),
        ("<think>\nbecause\n</think>\n\nAn answer.\n", "because", "An answer."),
        ("because</think>An answer.", "because", "An answer."),
        ("</think>An answer.", "", "An answer."),
        ("<think></think>", "", ""),
        ("<think>never closed", "never closed", ""),
        ("  \n<think> never closed", "never closed", ""),
        ("<think>a</think>b</think>An answer.", "a</think>b", "An answer."),
        ("An answer with <think> inside.", None, "An answer with <think> inside."),
        ("<THINK>x</THINK>An answer.", None, "<THINK>x</THINK>An answer."),
    ],
)
def test_split_reasoning(text: str, reasoning: str | None, answered: str) -> None:
    assert split_reasoning(text, TAGS) == (reasoning, answered)


def test_other_tags() -> None:
    assert split_reasoning("[T]why[/T] so", ("[T]", "[/T]")) == ("why", "so")
    assert split_reasoning("<think>why</think>so", ("[T]", "[/T]")) == (None, "<think>why</think>so")


def test_n_responses_a_prompt_in_the_prompts_order(chat: Chat, fake_engine: Any) -> None:
    engine = fake_engine(chat, write=lambda request, k, _: f" {request.messages[0].content} {k} ")
    shard = answer(engine, prompts("one", "two", "three"), n=3)
    assert [(r.prompt_id, r.index, r.text) for r in shard.records] == [
        (f"p-{i}", k, f"{text} {k}") for i, text in enumerate(("one", "two", "three")) for k in range(3)
    ]
    assert len({r.id for r in shard.records}) == 9
    assert shard.inputs == 3
    assert shard.counts["tokens.generated"] == sum(len(r.token_ids) for r in shard.records)
    assert all(r.reasoning is None and r.model == "M1" and r.finish_reason == "stop" for r in shard.records)
    assert {r.prompt_tokens for r in shard.records} == {len(engine.prompt_ids(engine.calls[0][0])[0])}


def test_equal_texts_have_different_ids_and_equal_runs_equal_ones(chat: Chat, fake_engine: Any) -> None:
    first, again = (answer(fake_engine(chat), prompts("one", "two"), n=4) for _ in range(2))
    assert first == again
    assert len({r.id for r in first.records}) == 8


def test_settings_reach_the_engine(chat: Chat, fake_engine: Any) -> None:
    engine = fake_engine(chat)
    answer(engine, prompts("one"), n=5, temperature=0.3, top_p=0.4, max_tokens=77)
    ((requests, sampling),) = engine.calls
    assert (sampling.n, sampling.temperature, sampling.top_p, sampling.max_tokens) == (5, 0.3, 0.4, 77)
    assert (sampling.seed, sampling.stop) == (11, ())
    assert [(m.role, m.content) for m in requests[0].messages] == [("user", "one")]


def test_a_prompt_over_the_context_is_counted_and_the_others_answered(chat: Chat, fake_engine: Any) -> None:
    engine = fake_engine(chat, context=200)
    shard = answer(engine, prompts("one", "long " * 300, "three"), n=2, max_tokens=50)
    assert [r.prompt_id for r in shard.records] == ["p-0", "p-0", "p-2", "p-2"]
    assert shard.counts["drop.prompt_too_long"] == 1
    assert shard.inputs == 3


def test_a_truncated_response_says_so(chat: Chat, fake_engine: Any) -> None:
    shard = answer(fake_engine(chat, finish_reason="length"), prompts("one"), n=2)
    assert {r.finish_reason for r in shard.records} == {"length"}


def test_reasoning_is_kept_apart(chat: Chat, fake_engine: Any) -> None:
    engine = fake_engine(chat, write=lambda *_: "<think>why</think>\nso")
    assert {(r.reasoning, r.text) for r in answer(engine, prompts("one")).records} == {("why", "so")}


@pytest.mark.parametrize("text", ["a <|im_end|> b", "<think>a <|im_end|></think>b"])
def test_special_tokens_are_seen(chat: Chat, fake_engine: Any, text: str) -> None:
    engine = fake_engine(chat, write=lambda *_: text)
    assert all(r.special_tokens for r in answer(engine, prompts("one")).records)
    assert not any(r.special_tokens for r in answer(fake_engine(chat), prompts("<|im_end|>")).records)
