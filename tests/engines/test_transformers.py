"""The transformers engine on a tiny model: repeatable, and batches and shared prefixes change nothing but speed."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfreward.engines import transformers as module
from selfreward.engines import weights
from selfreward.engines.chat import Chat
from selfreward.engines.driver import ask
from selfreward.engines.loading import ModelConfig, load_weights
from selfreward.engines.protocol import Answer, Likelihood, NextToken, Request, Sampling
from selfreward.engines.transcribing import Transcriber
from selfreward.engines.transformers import TransformersConfig, TransformersEngine
from selfreward.errors import EngineError
from selfreward.records import Message

pytestmark = pytest.mark.slow

TOPICS = ["rivers", "a much longer question about the history of bridges", "x", "lemons and candles", "tea"] * 2


def request(text: str, prefill: Sequence[int] = ()) -> Request:
    return Request((Message(role="user", content=text),), tuple(prefill))


REQUESTS = [request(f"Tell me about {topic}, number {i}.") for i, topic in enumerate(TOPICS)]


def load(model: Path, adapter: Path | None = None, *, ends: bool = True, **config: Any) -> TransformersEngine:
    """``ends=False``: the end of a turn is unlikely and every word hangs on the whole prompt, in greedy output too."""
    import torch

    engine = TransformersEngine(ModelConfig(name=str(model)), TransformersConfig.model_validate(config))
    engine.use(adapter)
    if not ends:
        with torch.no_grad():
            engine._model.lm_head.weight[:, 0] /= 4
            engine._model.lm_head.weight[engine.chat.tokenizer.eos_token_id, 0] = -9.0
            for layer in engine._model.model.layers:
                for weight in layer.parameters():
                    weight.mul_(1 if weight.ndim == 1 else 20)
    return engine


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> TransformersEngine:
    return load(tiny_model, batch_size=4, judge_batch_size=3)


@pytest.fixture(scope="module")
def endless(tiny_model: Path) -> TransformersEngine:
    return load(tiny_model, ends=False, batch_size=4, judge_batch_size=3)


def generate(engine: TransformersEngine, requests: Sequence[Request] = REQUESTS, **sampling: Any) -> list[Answer]:
    return ask(engine, requests, Sampling(**{"max_tokens": 24, **sampling}))


def next_token(engine: TransformersEngine, requests: Sequence[Request], ids: Sequence[int]) -> list[Answer]:
    return ask(engine, requests, NextToken(tuple(ids)))


def rows(answers: Sequence[Answer]) -> list[tuple[int, ...]]:
    return [completion.token_ids for answer in answers for completion in answer.completions]


def logprobs(found: Sequence[Answer]) -> list[float]:
    return [value for one in found for value in one.logprobs]


@pytest.fixture
def no_sharing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_SHORTEST_SHARED_PREFIX", 1 << 30)
    return


def test_equal_seeds_give_equal_completions_and_others_do_not(engine: TransformersEngine) -> None:
    first, again, other = (generate(engine, n=2, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert rows(first) != rows(other)
    assert len(set(rows(first))) > 10


def test_the_global_generator_is_left_alone(engine: TransformersEngine) -> None:
    import torch

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = generate(engine, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(6)
    assert generate(engine, seed=1) == first


def test_n_completions_a_request(engine: TransformersEngine) -> None:
    answers = generate(engine, n=3)
    assert [len(a.completions) for a in answers] == [3] * len(REQUESTS)
    assert any(len({c.token_ids for c in a.completions}) == 3 for a in answers)
    assert [len(a.completions) for a in generate(engine, n=9)] == [9] * len(REQUESTS)


def test_prompt_tokens_are_those_of_the_chat(engine: TransformersEngine) -> None:
    lengths = [len(ids) for ids in engine.chat.encode([r.messages for r in REQUESTS])]
    assert [a.prompt_tokens for a in generate(engine)] == lengths
    assert [f.prompt_tokens for f in next_token(engine, REQUESTS, [5])] == lengths


def test_greedy_is_one_answer_whatever_the_seed(endless: TransformersEngine) -> None:
    first = generate(endless, temperature=0.0, n=2, seed=1)
    assert all(a.completions[0] == a.completions[1] for a in first)
    assert rows(generate(endless, temperature=0.0, n=2, seed=2)) == rows(first)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_do_not_change_greedy_output(tiny_model: Path, endless: TransformersEngine, batch_size: int) -> None:
    other = load(tiny_model, ends=False, batch_size=batch_size)
    assert rows(generate(other, temperature=0.0)) == rows(generate(endless, temperature=0.0))


@pytest.mark.usefixtures("no_sharing")
def test_a_shared_prefix_does_not_change_greedy_output(endless: TransformersEngine) -> None:
    apart = generate(endless, temperature=0.0)
    assert len(set(rows(apart))) > 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SHORTEST_SHARED_PREFIX", 16)
        patch.setattr(endless, "_forward_prefix", counted := _Counted(endless._forward_prefix))
        assert generate(endless, temperature=0.0) == apart
    assert counted.calls == 1


class _Counted:
    def __init__(self, function: Any) -> None:
        self.calls, self._function = 0, function

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self._function(*args)


@pytest.mark.usefixtures("no_sharing")
def test_a_shared_prefix_does_not_change_the_next_token(endless: TransformersEngine) -> None:
    digits = endless.chat.plain_ids("012345")
    apart = logprobs(next_token(endless, REQUESTS, digits))
    assert max(apart[::6]) - min(apart[::6]) > 0.1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SHORTEST_SHARED_PREFIX", 16)
        assert logprobs(next_token(endless, REQUESTS, digits)) == pytest.approx(apart, abs=1e-4)
        # One request alone shares nothing; two equal ones share all but the last token.
        assert logprobs(next_token(endless, REQUESTS[:1], digits)) == pytest.approx(apart[:6], abs=1e-4)
        assert logprobs(next_token(endless, [REQUESTS[0]] * 2, digits)) == pytest.approx(apart[:6] * 2, abs=1e-4)


def test_next_token_agrees_with_the_models_own_forward_pass(endless: TransformersEngine) -> None:
    import torch

    digits = endless.chat.plain_ids("012345")
    prefill = endless.chat.plain_ids("Score: ")
    asked = [Request(r.messages, tuple(prefill)) for r in REQUESTS]
    for found, ids in zip(
        next_token(endless, asked, digits), endless.chat.encode([r.messages for r in REQUESTS]), strict=True
    ):
        with torch.inference_mode():
            logits = endless._model(input_ids=torch.tensor([[*ids, *prefill]])).logits[0, -1]
        assert list(found.logprobs) == pytest.approx(logits.log_softmax(-1)[digits].tolist(), abs=1e-4)


def test_a_prefill_is_continued_and_not_repeated(endless: TransformersEngine) -> None:
    prefill = tuple(endless.chat.plain_ids("Once upon a"))
    plain, opened = (generate(endless, [request("Hi", p)], temperature=0.0)[0] for p in ((), prefill))
    assert opened.prompt_tokens == plain.prompt_tokens + len(prefill)
    assert "Once upon a" not in opened.completions[0].text


@pytest.mark.parametrize("where", ["alone", "among others"])
def test_a_request_over_the_context_gives_no_completions(tiny_model: Path, where: str) -> None:
    small = load(tiny_model, max_model_len=100, batch_size=2)
    assert small.context == 100
    long = request("long " * 200)
    requests = [long] if where == "alone" else [REQUESTS[0], long, REQUESTS[2]]
    position = requests.index(long)
    answers, found = generate(small, requests), next_token(small, requests, [5, 6])
    assert (answers[position].completions, found[position].logprobs) == ((), ())
    assert answers[position].prompt_tokens == found[position].prompt_tokens > 200
    assert all(len(a.completions) == 1 for i, a in enumerate(answers) if i != position)
    assert all(len(f.logprobs) == 2 for i, f in enumerate(found) if i != position)


def test_the_context_is_used_to_its_last_token(tiny_model: Path, engine: TransformersEngine) -> None:
    length = len(engine.chat.encode([REQUESTS[0].messages])[0])
    for room, fits in ((8, True), (7, False)):
        small = load(tiny_model, max_model_len=length + room)
        assert bool(generate(small, REQUESTS[:1], max_tokens=8)[0].completions) is fits


def test_no_requests_no_answers(engine: TransformersEngine) -> None:
    assert generate(engine, []) == []
    assert next_token(engine, [], [5]) == []


def test_an_end_of_turn_ends_a_completion(engine: TransformersEngine) -> None:
    eos = engine.chat.tokenizer.eos_token_id
    completions = [c for a in generate(engine, n=8, max_tokens=24) for c in a.completions]
    assert {c.finish_reason for c in completions} == {"stop", "length"}
    for completion in completions:
        ended = completion.finish_reason == "stop"
        assert (completion.token_ids[-1] == eos) is ended
        assert completion.token_ids.count(eos) == int(ended)
        assert len(completion.token_ids) == 24 or ended
        assert completion.text == engine.chat.decode(completion.token_ids)
        assert "<|im_end|>" not in completion.text


def test_a_stop_string_is_cut_off(endless: TransformersEngine) -> None:
    plain = [c for a in generate(endless, temperature=0.0, max_tokens=40) for c in a.completions]
    stop = next(word for c in plain for word in c.text.split()[2:3])
    stopped = [c for a in generate(endless, temperature=0.0, max_tokens=40, stop=(stop,)) for c in a.completions]
    assert any(stop in c.text for c in plain)
    for before, after in zip(plain, stopped, strict=True):
        assert after.text == before.text.partition(stop)[0]
        assert after.finish_reason == ("stop" if stop in before.text else before.finish_reason)


def test_what_pads_a_stopped_row_is_none_of_its_tokens(tiny_model: Path, endless: TransformersEngine) -> None:
    """Where the padding token is no end of turn, as in many models, it must not pass for something written."""
    other = load(tiny_model, ends=False, batch_size=64)
    other.chat.tokenizer.pad_token = "<|endoftext|>"
    pad = other.chat.tokenizer.pad_token_id
    assert pad not in other._transcriber.eos
    plain = [c for a in generate(endless, temperature=0.0, max_tokens=40) for c in a.completions]
    stop = next(word for c in plain for word in c.text.split()[2:3])
    for sampling in ({"stop": (stop,)}, {}):
        completions = [c for a in generate(other, temperature=0.0, max_tokens=40, **sampling) for c in a.completions]
        assert [c.text for c in completions] == [c.text.partition(stop)[0] if sampling else c.text for c in plain]
        assert not any(pad in c.token_ids for c in completions)
        assert not any(c.special_tokens for c in completions)


def test_a_models_own_defaults_do_not_leak(tiny_model: Path, endless: TransformersEngine, tmp_path: Path) -> None:
    biased = tmp_path / "biased"
    shutil.copytree(tiny_model, biased)
    path = biased / "generation_config.json"
    own = json.loads(path.read_text(encoding="utf-8"))
    own |= {"top_k": 1, "temperature": 0.01, "top_p": 0.1, "repetition_penalty": 9.0, "do_sample": True}
    own |= {"max_new_tokens": 2, "no_repeat_ngram_size": 1, "min_new_tokens": 20}
    path.write_text(json.dumps(own), encoding="utf-8")
    other = load(biased, ends=False, batch_size=4)
    assert generate(other, n=2, seed=3) == generate(endless, n=2, seed=3)
    assert generate(other, temperature=0.0) == generate(endless, temperature=0.0)


def test_temperature_and_top_p_act(endless: TransformersEngine) -> None:
    greedy = rows(generate(endless, temperature=0.0))
    assert rows(generate(endless, top_p=1e-6, seed=1)) == greedy
    assert rows(generate(endless, temperature=1e-4, seed=1)) == greedy
    assert rows(generate(endless, temperature=1.0, seed=1)) != greedy


def test_special_tokens_inside_a_completion_are_seen(engine: TransformersEngine) -> None:
    chat = engine.chat
    eos, word = chat.tokenizer.eos_token_id, chat.plain_ids("word")
    start = chat.tokenizer.convert_tokens_to_ids("<|im_start|>")
    spelled = chat.plain_ids("a <|im_start|>")
    assert not engine._transcriber.completion([*word, eos], ()).special_tokens
    assert not engine._transcriber.completion([*word], ()).special_tokens
    assert engine._transcriber.completion([*word, start, *word, eos], ()).special_tokens
    assert engine._transcriber.completion([*spelled, eos], ()).special_tokens
    assert not engine._transcriber.completion([eos], ()).special_tokens


def test_reasoning_tags_are_no_special_tokens_to_drop(tiny_model: Path) -> None:
    """In many models the tags are added tokens; a model that thinks aloud would never be trained on otherwise."""
    thinking = load(tiny_model)
    chat = thinking.chat
    chat.tokenizer.add_tokens(["<think>", "</think>"])
    transcriber = Transcriber(Chat(chat.tokenizer, {}), ("<think>", "</think>"), thinking._transcriber.eos)
    eos, word = chat.tokenizer.eos_token_id, chat.plain_ids("word")
    opening, closing = chat.tokenizer.convert_tokens_to_ids(["<think>", "</think>"])
    start = chat.tokenizer.convert_tokens_to_ids("<|im_start|>")
    aloud = transcriber.completion([opening, *word, closing, *word, eos], ())
    assert (aloud.text, aloud.special_tokens) == ("<think>word</think>word", False)
    assert transcriber.completion([opening, *word, start, closing, *word, eos], ()).special_tokens


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter with random weights."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    directory = tmp_path_factory.mktemp("adapter") / "random"
    get_peft_model(model, lora).save_pretrained(directory)
    return directory


def test_an_adapter_acts_and_merging_it_changes_nothing(
    tiny_model: Path, engine: TransformersEngine, adapter: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    digits = engine.chat.plain_ids("012345")
    adapted = load(tiny_model, adapter, judge_batch_size=3)
    with_adapter = next_token(adapted, REQUESTS, digits)
    assert logprobs(with_adapter) != pytest.approx(logprobs(next_token(engine, REQUESTS, digits)), abs=1e-2)
    root = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    unmerged = PeftModel.from_pretrained(root, adapter).eval()
    for found, ids in zip(with_adapter, engine.chat.encode([r.messages for r in REQUESTS]), strict=True):
        with torch.inference_mode():
            logits = unmerged(input_ids=torch.tensor([ids])).logits[0, -1]
        assert list(found.logprobs) == pytest.approx(logits.log_softmax(-1)[digits].tolist(), abs=1e-4)
    adapted.close()


TURNS = [
    Request((*r.messages, Message(role="assistant", content=text)))
    for r, text in zip(
        REQUESTS, ["Water.", "A long tale of stone and steel and rope.", "", "So <|im_end|> what?"], strict=False
    )
]


def plain_turns(model: Any, engine: TransformersEngine) -> list[list[float]]:
    """By one forward pass over each chat, with nothing but transformers."""
    import torch

    found = []
    for ids, start, _ in engine.chat.encode_targets([r.messages for r in TURNS]):
        assert engine.chat.tokenizer.eos_token_id == ids[-1]
        with torch.inference_mode():
            logprobs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        found.append([float(logprobs[place - 1, ids[place]]) for place in range(start, len(ids))])
    return found


def test_likelihoods_are_the_models_own_by_whatever_adapter_is_asked_about(
    tiny_model: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One copy of the root model serves the policy, its reference and the root, in any order, between other work."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    def root() -> Any:
        return AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)

    torch.manual_seed(2)
    lora = LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    other = tmp_path / "other"
    get_peft_model(root(), lora).save_pretrained(other)
    engine = load(tiny_model, adapter, judge_batch_size=2)
    expected = {path: plain_turns(PeftModel.from_pretrained(root(), path).eval(), engine) for path in (adapter, other)}
    expected[None] = plain_turns(root(), engine)  # type: ignore[index]
    assert expected[adapter][1] != pytest.approx(expected[other][1], abs=1e-2)
    loaded = []
    monkeypatch.setattr(weights, "load_weights", lambda *a: loaded.append(a) or load_weights(*a))
    before = rows(generate(engine, temperature=0.0))
    assert len(loaded) == 1, "merged, to write faster"
    for path in (adapter, other, None, adapter):
        found = ask(engine, TURNS, Likelihood(path))
        for answer, turn, target in zip(
            found,
            expected[path],
            engine.chat.encode_targets([r.messages for r in TURNS]),
            strict=True,  # type: ignore[index]
        ):
            assert list(answer.logprobs) == pytest.approx(turn, abs=1e-4)
            assert (answer.prompt_tokens, answer.completions) == (len(target.ids), ())
    assert rows(generate(engine, temperature=0.0)) == before, "it still writes as its own adapter"
    assert len(loaded) == 2, "and once more with all adapters beside each other"
    engine.close()


def test_a_turn_over_the_context_has_no_likelihood(tiny_model: Path) -> None:
    engine = load(tiny_model, max_model_len=64)
    long = Request((Message(role="user", content="Hi."), Message(role="assistant", content="so " * 100)))
    short, none = ask(engine, [TURNS[0], long], Likelihood(None))
    assert short.logprobs
    assert (none.logprobs, none.prompt_tokens > 100) == ((), True)


def test_rows_that_ended_leave_their_batch(tiny_model: Path) -> None:
    """And what the others write stays what it was without them."""
    engine = load(tiny_model, ends=False, batch_size=12)
    alone = load(tiny_model, ends=False, batch_size=1)
    asked = [request(f"Tell me about {topic}.") for topic in TOPICS for _ in range(2)]
    widths: list[int] = []
    hook = engine._model.register_forward_pre_hook(
        lambda _, args, kwargs: widths.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    eos = set(engine._transcriber.eos)
    for kind in (engine, alone):  # every 20th token ends a turn, so that rows end here and there
        kind._transcriber = replace(kind._transcriber, eos=tuple(sorted(eos | set(range(20, 4096, 20)))))
    found = generate(engine, asked, temperature=0.0, max_tokens=70)
    hook.remove()
    expected = generate(alone, asked, temperature=0.0, max_tokens=70)
    assert [c.token_ids for a in found for c in a.completions] == [c.token_ids for a in expected for c in a.completions]
    lengths = {len(c.token_ids) for a in found for c in a.completions}
    assert len(lengths) > 2
    assert len(set(widths)) > 2, "the batch grew narrower"
    assert widths[-1] < 12


def test_out_of_memory_names_the_setting_to_lower(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    engine = TransformersEngine(ModelConfig(name=str(tiny_model)), TransformersConfig(batch_size=8))

    def no_memory(*arguments: object, **options: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(engine._model, "generate", no_memory)
    with pytest.raises(EngineError, match=r"engine\.batch_size=1 \(finished work is kept\)"):
        generate(engine, REQUESTS[:2], max_tokens=4)
    monkeypatch.setattr(engine._model, "forward", no_memory)
    with pytest.raises(EngineError, match=r"engine\.judge_batch_size=1"):
        next_token(engine, REQUESTS[:1], [5, 6])
