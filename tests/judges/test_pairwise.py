"""Pairwise verdicts: both orders of every two, strengths from them, and how often the place decides."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfreward.diagnosis.families import record_figures
from selfreward.engines.chat import Chat
from selfreward.engines.protocol import NextToken, Request, Sampling
from selfreward.errors import ConfigError
from selfreward.judges import JudgeConfig, build_judge
from selfreward.judges.asking import OMISSION
from selfreward.judges.bradley_terry import strengths
from selfreward.judges.pairwise import PairwiseConfig
from selfreward.judges.protocol import Candidate, Listener
from selfreward.records import EFTSeed, Judgment
from selfreward.templates import load_rubric

ONE_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
_SHOWN = re.compile(r"<response_([ab])>\n(.*?)\n</response_\1>", re.DOTALL)


def shown(request: Request) -> tuple[str, str]:
    found = dict(_SHOWN.findall(request.messages[0].content))
    return found["a"], found["b"]


def candidates(*qualities: float, prompt: str = "p") -> list[Candidate]:
    """Responses that say how good they are."""
    return [Candidate(prompt, f"{prompt}-r{i}", "What is a fjord?", str(q)) for i, q in enumerate(qualities)]


def reads_quality(bias: float = 0.0) -> Callable[[Request], Sequence[float]]:
    """Log-probabilities of B and of A: logistic in the difference, and leaning to the first place by ``bias``."""

    def logprobs(request: Request) -> Sequence[float]:
        a, b = map(float, shown(request))
        first = 1 / (1 + math.exp(b - a - bias))
        return [math.log(1 - first), math.log(first)]

    return logprobs


def judge_all(engine: Any, found: Sequence[Candidate], **config: Any) -> list[Judgment]:
    method = {"type": "pairwise", **config}
    judge = build_judge(JudgeConfig.model_validate({"method": method}), ("<think>", "</think>"))
    return engine.finish(judge.judge(found, Listener(engine.chat, engine.context), "M1", 7))


def scores(judgments: Sequence[Judgment]) -> dict[str, float | None]:
    return {j.response_ids[0]: j.score for j in judgments if len(j.response_ids) == 1}


def test_every_two_are_compared_in_both_orders(chat: Chat, fake_engine: Any) -> None:
    engine = fake_engine(chat, logprobs=reads_quality())
    found = judge_all(engine, [*candidates(1, 2, 3), *candidates(5, 4, prompt="q")])
    ids = [j.response_ids for j in found if len(j.response_ids) == 2]
    of_p = {(f"p-r{i}", f"p-r{j}") for i in range(3) for j in range(3) if i != j}
    assert set(ids) == of_p | {("q-r0", "q-r1"), ("q-r1", "q-r0")}
    assert len(ids) == len(set(ids))
    assert [j.prompt_id for j in found] == ["p"] * 9 + ["q"] * 4
    assert len({j.id for j in found}) == len(found)
    assert len(engine.calls) == 1, "all comparisons go to the engine together"


@pytest.mark.parametrize("bias", [0.0, 1.5, -4.0])
def test_strengths_are_what_they_were_whatever_place_is_favoured(chat: Chat, fake_engine: Any, bias: float) -> None:
    found = scores(judge_all(fake_engine(chat, logprobs=reads_quality(bias)), candidates(0.5, -0.5, 0.0)))
    first, last, middle = (found[f"p-r{i}"] for i in range(3))
    assert first is not None
    assert last is not None
    assert middle == pytest.approx(0, abs=1e-3)
    assert first == pytest.approx(-last, abs=1e-3)
    if bias == 0.0:
        assert first - last == pytest.approx(1.0, abs=0.02)
    assert first > 0.01


@pytest.mark.parametrize(("bias", "qualities", "flipped"), [(0, (1, 2, 3), 0), (9, (1, 2, 3), 3), (1.5, (1, 2, 4), 1)])
def test_the_same_place_winning_both_orders_is_a_flip(
    chat: Chat, fake_engine: Any, bias: float, qualities: tuple[float, ...], flipped: int
) -> None:
    found = judge_all(fake_engine(chat, logprobs=reads_quality(bias)), candidates(*qualities))
    metrics = record_figures([], [], found, [])
    assert (metrics["judgments"], metrics["comparisons"], metrics["unreadable_share"]) == (3, 6, 0.0)
    assert metrics["swap_flip_share"] == pytest.approx(flipped / 3, abs=1e-4)


def test_equal_responses_get_equal_strengths(chat: Chat, fake_engine: Any) -> None:
    found = scores(judge_all(fake_engine(chat, logprobs=reads_quality(2.0)), candidates(1, 1, 1)))
    assert list(found.values()) == pytest.approx([0, 0, 0], abs=1e-9)


def test_a_comparison_counts_only_if_both_orders_could_be_read(chat: Chat, fake_engine: Any) -> None:
    def logprobs(request: Request) -> Sequence[float]:
        if shown(request) == ("1", "3"):
            return [math.log(0.01), math.log(0.01)]  # nearly all probability is on other tokens
        return reads_quality()(request)

    found = judge_all(fake_engine(chat, logprobs=logprobs), candidates(1, 3))
    assert [j.score is None for j in found] == [True, False, True, True]
    found = judge_all(fake_engine(chat, logprobs=logprobs), candidates(1, 3, 2))
    assert scores(found)["p-r1"] > scores(found)["p-r2"] > scores(found)["p-r0"]  # type: ignore[operator]


def test_a_lone_response_has_no_strength(chat: Chat, fake_engine: Any) -> None:
    (judgment,) = judge_all(fake_engine(chat, logprobs=reads_quality()), candidates(4))
    assert (judgment.score, judgment.response_ids) == (None, ("p-r0",))


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_a_knockout_finds_the_best_with_one_comparison_less_than_responses(
    chat: Chat, fake_engine: Any, count: int
) -> None:
    engine = fake_engine(chat, logprobs=reads_quality())
    qualities = [(7 * i) % count for i in range(count)]
    found = judge_all(engine, candidates(*qualities), plan="knockout")
    assert sum(len(j.response_ids) == 2 for j in found) == 2 * (count - 1)
    assert max(scores(found).items(), key=lambda item: item[1] or 0)[0] == f"p-r{qualities.index(count - 1)}"
    assert len(engine.calls) == math.ceil(math.log2(count)), "a round of all prompts goes to the engine together"


def test_written_verdicts_are_read_by_their_letter(chat: Chat, fake_engine: Any) -> None:
    def write(request: Request, k: int, sampling: Sampling) -> str:
        a, b = map(float, shown(request))
        return f"It says 'Verdict: B'.\nVerdict: {'A' if (a > b) != (k == 2) else 'B'}"

    method = {"type": "sampled", "samples": 3, "max_tokens": 64}
    found = judge_all(fake_engine(chat, write), candidates(1, 2), verdict=method)
    assert [(j.response_ids, j.score) for j in found if len(j.response_ids) == 2] == [
        (("p-r0", "p-r1"), 0.0),
        (("p-r0", "p-r1"), 0.0),
        (("p-r0", "p-r1"), 1.0),
        (("p-r1", "p-r0"), 1.0),
        (("p-r1", "p-r0"), 1.0),
        (("p-r1", "p-r0"), 0.0),
    ]
    better = scores(found)["p-r1"]
    assert better is not None
    assert better > 0


def test_the_letters_are_asked_for_in_one_forward_pass(chat: Chat, fake_engine: Any) -> None:
    engine = fake_engine(chat, logprobs=reads_quality())
    judge_all(engine, candidates(1, 2))
    ((requests, how),) = engine.calls
    assert isinstance(how, NextToken)
    assert [chat.decode([token]).strip() for token in how.token_ids] == ["B", "A"]
    assert chat.decode(requests[0].prefill).strip() == "Verdict:"


def test_the_longer_response_gives_way_where_both_do_not_fit(chat: Chat, fake_engine: Any) -> None:
    engine = fake_engine(chat, logprobs=lambda _: [math.log(0.5)] * 2, context=700)
    found = [Candidate("p", "r0", "Why?", "short words"), Candidate("p", "r1", "Why?", "many long words " * 300)]
    judgments = judge_all(engine, found)
    ((requests, _),) = engine.calls
    for request in requests:
        texts = shown(request)
        assert "short words" in texts
        assert any(OMISSION.strip() in text for text in texts)
        assert len(chat.encode([request.messages])[0]) <= 700
    assert [j.shortened for j in judgments] == [True, True, False, False]
    both = [Candidate("p", f"r{i}", "Why?", "many long words " * 300) for i in range(2)]
    engine.calls.clear()
    judge_all(engine, both)
    assert all(OMISSION.strip() in text for request in engine.calls[0][0] for text in shown(request))


def test_a_rubric_for_one_response_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"two responses, and .*leave judge\.rubric out for pairwise",
    ):
        JudgeConfig.model_validate({"rubric": "additive_5pt", "method": "pairwise"}).load_rubric()
    with pytest.raises(ConfigError, match=r"sampled shows the judge one response, and .*pairwise\.md"):
        JudgeConfig.model_validate({"rubric": "pairwise"}).load_rubric()


def test_an_eft_seed_cannot_teach_it() -> None:
    judge = PairwiseConfig().build(load_rubric("pairwise"), ("<think>", "</think>"))
    with pytest.raises(ConfigError, match="an EFT seed judges one response"):
        judge.example(EFTSeed(id="s", instruction="i", response="r", rationale="", score=1, line=1))


# --- Bradley-Terry


def test_two_items() -> None:
    better, worse = strengths(2, {(0, 1): 0.75, (1, 0): 0.25})
    assert better is not None
    assert worse is not None
    assert better - worse == pytest.approx(math.log(3), abs=0.02)
    assert strengths(3, {}) == [None, None, None]
    assert strengths(3, {(0, 2): 1.0, (2, 0): 0.0})[1] is None


@pytest.mark.parametrize("count", range(2, 9))
def test_even_comparisons_are_exact_ties(count: int) -> None:
    even = {(i, j): 0.5 for i in range(count) for j in range(count) if i != j}
    assert strengths(count, even) == [0.0] * count


def test_only_what_comparisons_connect_is_compared() -> None:
    won = {(0, 1): 1.0, (1, 0): 0.0, (2, 3): 0.6, (3, 2): 0.4, (3, 4): 0.6, (4, 3): 0.4}
    found = strengths(5, won)
    assert found[:2] == [None, None]
    assert None not in found[2:]
    assert strengths(4, {(0, 1): 1.0, (1, 0): 0.0, (2, 3): 0.6, (3, 2): 0.4})[2:] == [None, None]


@ONE_FIXTURE
@given(st.lists(st.floats(-2, 2), min_size=2, max_size=8, unique_by=lambda q: round(q, 1)), st.randoms())
def test_strengths_put_items_in_order_whatever_order_they_came_in(qualities: list[float], random: Any) -> None:
    def win(i: int, j: int) -> float:
        return 1 / (1 + math.exp(qualities[j] - qualities[i]))

    pairs = [(i, j) for i in range(len(qualities)) for j in range(len(qualities)) if i != j]
    found = strengths(len(qualities), {pair: win(*pair) for pair in pairs})
    assert sorted(range(len(qualities)), key=lambda i: found[i] or 0) == sorted(
        range(len(qualities)), key=qualities.__getitem__
    )
    random.shuffle(pairs)
    again = strengths(len(qualities), {pair: win(*pair) for pair in pairs})
    assert again == pytest.approx(found)
