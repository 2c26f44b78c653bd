"""vLLM itself with the real small model, against the transformers engine. One engine serves nearly all of the tests."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from selfreward.engines.driver import ask, work_through
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Answer, Ask, Asking, Engine, EngineRoom, NextToken, Request, Sampling
from selfreward.engines.transformers import TransformersConfig
from selfreward.engines.vllm import VllmConfig, VllmEngine
from selfreward.engines.vllm_checks import vllm_is_installed
from selfreward.judges import JudgeConfig, build_judge
from selfreward.judges.protocol import Candidate, Listener
from selfreward.records import Message

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not vllm_is_installed(), reason="vLLM is not installed here (see scripts/setup.sh)"),
    pytest.mark.usefixtures("the_only_vllm"),
]

GREEDY = Sampling(max_tokens=24, temperature=0.0)


def request(text: str) -> Request:
    return Request((Message(role="user", content=text),))


REQUESTS = [request(f"Write one sentence about {topic}.") for topic in ("rivers", "an old bridge", "tea", "x")]


@pytest.fixture(scope="module")
def model(builtin_model: Path) -> ModelConfig:
    return ModelConfig(name=str(builtin_model))


@pytest.fixture(scope="module")
def vllm(model: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    room = EngineRoom(tmp_path_factory.mktemp("engine"))
    engine = VllmEngine(model, VllmConfig(dtype="float32", max_model_len=1024, max_num_seqs=16), room)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def plain(model: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    config = TransformersConfig(dtype="float32", max_model_len=1024)
    engine = config.open(model, EngineRoom(tmp_path_factory.mktemp("engine")))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def adapters(builtin_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two LoRA adapters with random weights, and a DoRA one, which vLLM refuses."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    made = []
    for number, options in enumerate(({"r": 8}, {"r": 8}, {"r": 4, "use_dora": True})):
        torch.manual_seed(number)
        model = AutoModelForCausalLM.from_pretrained(builtin_model, dtype=torch.float32)
        lora = LoraConfig(
            lora_alpha=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM", **options
        )
        directory = tmp_path_factory.mktemp("adapters") / str(number)
        get_peft_model(model, lora).save_pretrained(directory)
        made.append(directory)
    return made


def rows(answers: Sequence[Answer]) -> list[tuple[int, ...]]:
    return [completion.token_ids for answer in answers for completion in answer.completions]


def scores(engine: Engine) -> list[float]:
    """Expected scores of a few answers."""
    texts = ["Tea is a drink made from leaves.", "I do not know.", "tea tea tea tea", "Score: 5", ""]
    candidates = [Candidate(f"p-{i}", f"r-{i}", "What is tea?", text) for i, text in enumerate(texts)]
    judge = build_judge(JudgeConfig.model_validate({"method": "expected"}), ("<think>", "</think>"))
    piece = judge.judge(candidates, Listener(engine.chat, engine.context), "M0", 0)
    (judgments,) = work_through(engine, [piece])
    assert all(j.mass is not None and 0.2 < j.mass <= 1.0001 for j in judgments)
    return [j.score for j in judgments if j.score is not None]


def assert_same_model(vllm: Engine, plain: Engine) -> None:
    assert scores(vllm) == pytest.approx(scores(plain), abs=1e-3)
    assert rows(ask(vllm, REQUESTS, GREEDY)) == rows(ask(plain, REQUESTS, GREEDY))


def test_the_root_model_answers_as_in_transformers(vllm: VllmEngine, plain: Engine) -> None:
    assert_same_model(vllm, plain)


def test_candidates_end_where_the_model_ended_them(vllm: VllmEngine) -> None:
    answers = ask(vllm, [*REQUESTS, request("Say yes.")], Sampling(max_tokens=40, n=3, temperature=0.9))
    assert [len(a.completions) for a in answers] == [3] * 5
    completions = [c for a in answers for c in a.completions]
    assert len({c.text for c in completions}) > 8
    eos = vllm.chat.tokenizer.eos_token_id
    for completion in completions:
        ended = completion.token_ids[-1] == eos
        assert completion.finish_reason == ("stop" if ended else "length")
        assert len(completion.token_ids) == 40 or ended
        assert eos not in completion.token_ids[:-1]
        assert completion.text == vllm.chat.decode(completion.token_ids)
    assert {c.finish_reason for c in completions} == {"stop", "length"}
    assert not any(c.special_tokens for c in completions)


def test_no_token_is_put_before_the_prompt(vllm: VllmEngine) -> None:
    expected = vllm.chat.encode([r.messages for r in REQUESTS])
    assert [a.prompt_tokens for a in ask(vllm, REQUESTS, NextToken((5,)))] == list(map(len, expected))


def test_a_stop_string_ends_the_text_before_it(vllm: VllmEngine) -> None:
    (whole,) = ask(vllm, REQUESTS[:1], GREEDY)[0].completions
    word = whole.text.split()[4]
    (cut,) = ask(vllm, REQUESTS[:1], Sampling(max_tokens=24, temperature=0.0, stop=(word,)))[0].completions
    assert cut.text == whole.text.partition(word)[0]
    assert cut.finish_reason == "stop"


def test_what_is_written_keeps_to_a_schema(vllm: VllmEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"good": {"type": "boolean"}, "score": {"type": "integer", "minimum": 0, "maximum": 5}},
        "required": ["good", "score"],
        "additionalProperties": False,
    }
    answers = ask(vllm, REQUESTS, Sampling(max_tokens=60, n=2, temperature=1.0, json_schema=schema))
    completions = [c for a in answers for c in a.completions if c.finish_reason == "stop"]
    assert completions
    for completion in completions:
        found = json.loads(completion.text)
        assert isinstance(found["good"], bool)
        assert found["score"] in range(6)


def test_a_stage_of_many_asks_comes_in_order(vllm: VllmEngine) -> None:
    def piece(number: int) -> Asking[tuple[int, list[Answer]]]:
        asked = [request(f"Count to {number + i}.") for i in range(5)]
        answers = yield Ask(asked, Sampling(max_tokens=6 + number, n=2))
        return number, answers

    done = list(work_through(vllm, (piece(n) for n in range(8))))
    assert [number for number, _ in done] == list(range(8))
    assert all(len(a.completions) == 2 for _, answers in done for a in answers)
    assert all(len(row) <= 6 + number for number, answers in done for row in rows(answers))


def test_trained_weights_are_served_and_not_stale_ones(vllm: VllmEngine, plain: Engine, adapters: list[Path]) -> None:
    """One process is handed a second adapter; its cache holds the same prompts, computed with the first."""
    first, second, _ = adapters
    root = scores(vllm)
    found = []
    for adapter in (first, second):
        vllm.use(adapter)
        plain.use(adapter)
        assert_same_model(vllm, plain)
        found.append((scores(vllm), vllm.processes()))
    (of_first, process), (of_second, same_process) = found
    assert process == same_process
    for one, other in ((root, of_first), (of_first, of_second), (root, of_second)):
        assert math.dist(one, other) > 0.01
    vllm.use(None)
    assert scores(vllm) == pytest.approx(root, abs=1e-3)
    assert vllm.processes() == process


def test_an_adapter_that_vllm_refuses_is_merged(vllm: VllmEngine, plain: Engine, adapters: list[Path]) -> None:
    vllm.use(adapters[2])
    plain.use(adapters[2])
    assert_same_model(vllm, plain)
    log = vllm._workers[0].child.log
    assert "the adapter is merged before it is served: vLLM does not yet support DoRA" in log.read_text()
    vllm.close()
    assert [path.name for path in log.parent.iterdir()] == [log.name]


@pytest.fixture(scope="module")
def whole(builtin_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model, as full fine-tuning makes it: the real one with other weights, in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_pretrained(builtin_model, dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1 + 0.05 * torch.randn_like(weight))
    directory = tmp_path_factory.mktemp("whole") / "model"
    model.save_pretrained(directory)
    AutoTokenizer.from_pretrained(builtin_model).save_pretrained(directory)
    return directory


def test_a_whole_model_is_loaded_in_the_place_of_the_root(vllm: VllmEngine, plain: Engine, whole: Path) -> None:
    """By a process of its own, so that nothing of the weights before is in its memory or in its cache."""
    vllm.use(None)
    root = scores(vllm)
    (before,) = vllm.processes()
    vllm.use(whole)
    plain.use(whole)
    assert_same_model(vllm, plain)
    assert math.dist(scores(vllm), root) > 0.01
    assert vllm.processes() != [before]
    vllm.use(None)
    assert scores(vllm) == pytest.approx(root, abs=1e-3)
