"""The vLLM engine's own side, against child processes that are scripted: queue, restarts, settings. No vLLM needed."""

import signal
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, ClassVar

import pytest

from selfreward.engines import vllm, vllm_checks, vllm_worker
from selfreward.engines.driver import ask, work_through
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Ask, Asking, EngineRoom, NextToken, Request, Sampling
from selfreward.engines.vllm import VllmConfig, VllmEngine
from selfreward.engines.vllm_messages import Failed, Finished, Generate, Ready, Retire, Rows, Serve, Sleep, Start
from selfreward.errors import EngineError
from selfreward.records import Message, derive_seed, key_settings

Script = Callable[["ScriptedChild", Any], None]


def answers_all(child: "ScriptedChild", message: Any) -> None:
    """Ready at once, and everything answered in reverse order."""
    match message:
        case Start():
            child.say(Ready(message.arguments.get("max_num_seqs", 16)))
        case Sleep():
            child.say(Ready(16))
        case list():
            for work in reversed(message):
                child.say(Rows([finished(child, work)]))


def finished(child: "ScriptedChild", work: Generate) -> Finished:
    if work.logprobs_of:
        return Finished(work.key, logprobs=tuple(-float(token) for token in work.logprobs_of))
    return Finished(work.key, tuple((100 + k, child.eos) for k in range(work.n)))


class ScriptedChild:
    """Stands in for the process: keeps what it is sent, and says what its script says."""

    made: ClassVar[list[Any]] = []
    script: Script = staticmethod(answers_all)
    eos = 2

    def __init__(self, name: str, log: Path, environment: dict[str, str]) -> None:
        self.log, self.environment = log, environment
        self.connection, self._other = Pipe()
        self.messages: list[Any] = []
        self.ended = False
        self.pid = 1000 + len(self.made)
        self.made.append(self)

    def send(self, message: Any) -> None:
        self.messages.append(message)
        type(self).script(self, message)

    def say(self, message: Any) -> None:
        self._other.send(message)

    def die(self) -> None:
        self._other.close()

    def end(self, *, at_once: bool = False) -> None:
        self.ended = True

    def cause(self) -> str:
        return ""

    def how_it_ended(self) -> str:
        return f"was killed by signal {signal.SIGKILL:d}"

    def last_words(self) -> str:
        return "some words"

    @property
    def work(self) -> list[Generate]:
        return [work for message in self.messages if isinstance(message, list) for work in message]


Open = Callable[..., VllmEngine]


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedChild]:
    ScriptedChild.made = []
    ScriptedChild.script = staticmethod(answers_all)
    monkeypatch.setattr(vllm_worker, "Child", ScriptedChild)
    return ScriptedChild.made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def open_engine(children: list[ScriptedChild], builtin_model: Path, tmp_path: Path, said: list[str]) -> Open:
    def make(**config: Any) -> VllmEngine:
        model = ModelConfig(name=str(builtin_model))
        return VllmEngine(model, VllmConfig(**config), EngineRoom(tmp_path / "engine", say=said.append))

    return make


def requests(count: int) -> list[Request]:
    return [Request((Message(role="user", content=f"Say {i}."),)) for i in range(count)]


# --- what is asked, and what comes back


def test_token_ids_are_handed_over_and_answers_keep_the_requests_order(
    open_engine: Open, children: list[ScriptedChild]
) -> None:
    engine = open_engine()
    sampling = Sampling(max_tokens=9, n=2, temperature=0.3, top_p=0.8, stop=("!",), seed=5, json_schema={"a": 1})
    answers = ask(engine, requests(3), sampling)
    ids = engine.chat.encode([r.messages for r in requests(3)])
    work = children[0].work
    assert [list(w.prompt) for w in work] == ids
    assert [a.prompt_tokens for a in answers] == list(map(len, ids))
    assert [[c.token_ids for c in a.completions] for a in answers] == [[(100, 2), (101, 2)]] * 3
    assert {(w.max_tokens, w.n, w.temperature, w.top_p, w.stop) for w in work} == {(9, 2, 0.3, 0.8, ("!",))}
    assert [w.seed for w in work] == [derive_seed(5, i) for i in range(3)]
    assert all(w.json_schema == {"a": 1} for w in work)
    assert all(engine.chat.tokenizer.eos_token_id in w.stop_token_ids for w in work)


def test_log_probabilities_come_in_the_order_asked(open_engine: Open, children: list[ScriptedChild]) -> None:
    (answer,) = ask(open_engine(), requests(1), NextToken((7, 5, 6)))
    assert (answer.logprobs, answer.completions) == ((-7.0, -5.0, -6.0), ())
    assert (children[0].work[0].max_tokens, children[0].work[0].n) == (1, 1)


def test_it_knows_no_likelihood_of_whole_turns() -> None:
    assert "likelihood" not in VllmConfig().capabilities()


def test_what_does_not_fit_is_not_asked(open_engine: Open, children: list[ScriptedChild]) -> None:
    long = Request((Message(role="user", content="so " * 200),))
    engine = open_engine(max_model_len=100)
    answers = ask(engine, [*requests(1), long], Sampling(max_tokens=8))
    assert [bool(a.completions) for a in answers] == [True, False]
    assert answers[1].prompt_tokens > 200
    assert ask(engine, [long], NextToken((1,)))[0].logprobs == ()
    assert len(children[0].work) == 1


def test_the_queue_is_kept_longer_than_one_ask(open_engine: Open, children: list[ScriptedChild]) -> None:
    """While the first ask waits for its last completion, later ones are with vLLM already."""
    held: list[Generate] = []

    def holds_the_first_back(child: ScriptedChild, message: Any) -> None:
        if isinstance(message, list) and message[0].key[0] == 1:
            held.append(message.pop(0))
        answers_all(child, message)
        if held and isinstance(message, list) and message[0].key[0] == 3:
            child.say(Rows([finished(child, held.pop())]))

    ScriptedChild.script = staticmethod(holds_the_first_back)

    def piece(number: int) -> Asking[int]:
        answers = yield Ask(requests(4), Sampling(max_tokens=4, n=8))
        assert all(len(a.completions) == 8 for a in answers)
        return number

    engine = open_engine(max_num_seqs=2)
    assert list(work_through(engine, (piece(n) for n in range(6)))) == list(range(6))
    assert not held


def test_what_is_finished_is_stored_before_more_is_asked(open_engine: Open) -> None:
    """Else a stage of prompts that are all too long would be taken in whole before anything is stored."""
    engine = open_engine(max_model_len=16)
    begun: list[int] = []

    def piece(number: int) -> Asking[int]:
        begun.append(number)
        answers = yield Ask(requests(2), Sampling(max_tokens=8))
        assert not any(a.completions for a in answers)
        return number

    results = work_through(engine, (piece(n) for n in range(50)))
    assert next(results) == 0
    assert len(begun) == 1
    assert list(results) == list(range(1, 50))


def test_greedy_completions_are_written_once(open_engine: Open, children: list[ScriptedChild]) -> None:
    """vLLM refuses several greedy completions of one request; there is one to be had."""
    (answer,) = ask(open_engine(), requests(1), Sampling(max_tokens=4, n=3, temperature=0.0))
    assert [c.token_ids for c in answer.completions] == [(100, 2)] * 3
    assert children[0].work[0].n == 1


# --- when a process dies


def dies_after(rows: int, times: int) -> Script:
    """A child that answers so many requests and is gone; only the first ``times`` children do that."""

    def script(child: ScriptedChild, message: Any) -> None:
        if not isinstance(message, list) or ScriptedChild.made.index(child) >= times:
            return answers_all(child, message)
        for work in message[:rows]:
            child.say(Rows([finished(child, work)]))
        return child.die()

    return script


def test_a_dead_process_is_started_again_with_half_and_asked_only_what_is_left(
    open_engine: Open, children: list[ScriptedChild], said: list[str]
) -> None:
    ScriptedChild.script = staticmethod(dies_after(rows=3, times=1))
    answers = ask(open_engine(max_num_seqs=8), requests(10), Sampling(max_tokens=4))
    assert all(len(a.completions) == 1 for a in answers)
    first, second = children
    assert [w.key for w in second.work] == [w.key for w in first.work][3:]
    assert [w.seed for w in second.work] == [w.seed for w in first.work][3:]
    assert second.messages[0].arguments["max_num_seqs"] == 4
    assert first.ended
    assert said == [
        "vLLM died (its process was killed by signal 9); it is started again with max_num_seqs=4, and goes on"
    ]


def test_after_so_many_deaths_the_cause_and_the_way_out_are_said(
    open_engine: Open, children: list[ScriptedChild]
) -> None:
    ScriptedChild.script = staticmethod(dies_after(rows=1, times=9))
    engine = open_engine(max_num_seqs=8, restarts=2)
    with pytest.raises(EngineError, match=r"died after 2 restarts: .*signal 9.*--set engine\.max_num_seqs=1") as error:
        ask(engine, requests(10), Sampling(max_tokens=4))
    assert "some words" in str(error.value)
    assert len(children) == 3
    engine.close()
    assert all(child.ended for child in children)


def test_what_was_too_much_is_not_tried_again_after_a_pause(open_engine: Open, children: list[ScriptedChild]) -> None:
    ScriptedChild.script = staticmethod(dies_after(rows=1, times=1))
    engine = open_engine(max_num_seqs=8)
    ask(engine, requests(4), Sampling(max_tokens=4))
    engine.pause()
    ask(engine, requests(4), Sampling(max_tokens=4))
    assert [child.messages[0].arguments["max_num_seqs"] for child in children] == [8, 4, 4]


def test_a_process_that_never_got_ready_is_not_tried_again(open_engine: Open, children: list[ScriptedChild]) -> None:
    ScriptedChild.script = staticmethod(lambda child, message: child.die())
    with pytest.raises(EngineError, match="died while it was starting"):
        ask(open_engine(), requests(1), Sampling(max_tokens=4))
    assert len(children) == 1


def test_what_vllm_refuses_is_an_error_at_once(open_engine: Open, children: list[ScriptedChild]) -> None:
    ScriptedChild.script = staticmethod(lambda child, message: child.say(Failed("no such dtype", dead=False)))
    with pytest.raises(EngineError, match="vLLM refused: no such dtype"):
        ask(open_engine(), requests(1), Sampling(max_tokens=4))
    assert len(children) == 1


def test_copies_share_the_work_and_one_may_die(open_engine: Open, children: list[ScriptedChild]) -> None:
    ScriptedChild.script = staticmethod(dies_after(rows=1, times=1))
    answers = ask(open_engine(data_parallel_size=2, max_num_seqs=8), requests(10), Sampling(max_tokens=4, n=2))
    assert all(len(a.completions) == 2 for a in answers)
    assert [len(child.work) for child in children] == [5, 5, 4]
    assert [child.log.name for child in children] == ["vllm.log", "vllm-1.log", "vllm.log"]


# --- adapters, and memory


def test_a_running_process_is_told_of_a_new_adapter(open_engine: Open, children: list[ScriptedChild]) -> None:
    engine = open_engine()
    engine.use(Path("one"))
    ask(engine, requests(1), Sampling(max_tokens=4))
    engine.use(Path("one"))
    engine.use(Path("two"))
    engine.use(None)
    assert children[0].messages[0].serve == Serve("one", 1)
    assert [m for m in children[0].messages if isinstance(m, Serve)] == [Serve("two", 2), Serve(None, 3)]


def test_a_process_that_cannot_take_the_adapter_is_replaced(open_engine: Open, children: list[ScriptedChild]) -> None:
    def retires(child: ScriptedChild, message: Any) -> None:
        if isinstance(message, Serve):
            child.say(Retire())
        elif child is ScriptedChild.made[0] and child.work and any(isinstance(m, Serve) for m in child.messages):
            pass
        else:
            answers_all(child, message)

    ScriptedChild.script = staticmethod(retires)
    engine = open_engine(restarts=0)
    ask(engine, requests(1), Sampling(max_tokens=4))
    engine.use(Path("one"))
    assert len(ask(engine, requests(2), Sampling(max_tokens=4))) == 2
    assert children[0].ended
    assert children[1].messages[0].serve == Serve("one", 1)


def test_merging_asks_for_another_process(open_engine: Open, children: list[ScriptedChild]) -> None:
    engine = open_engine(merge_adapter=True)
    ask(engine, requests(1), Sampling(max_tokens=4))
    engine.use(Path("one"))
    assert children[0].ended
    ask(engine, requests(1), Sampling(max_tokens=4))
    assert children[1].messages[0].merge_adapter is True


@pytest.mark.parametrize("dead", [True, False])
def test_an_adapter_that_vllm_cannot_load_is_merged(
    open_engine: Open, children: list[ScriptedChild], said: list[str], dead: bool
) -> None:
    """Known only when vLLM tries: nothing in the adapter's config says so."""

    def cannot_load(child: ScriptedChild, message: Any) -> None:
        if isinstance(message, list) and not child.messages[0].merge_adapter and child.messages[0].serve.weights:
            return child.say(Failed("Call to add_lora method failed: LoRA modules not found", dead))
        return answers_all(child, message)

    ScriptedChild.script = staticmethod(cannot_load)
    engine = open_engine(restarts=0)
    engine.use(Path("one"))
    assert len(ask(engine, requests(2), Sampling(max_tokens=4))) == 2
    assert children[0].ended
    assert children[1].messages[0].merge_adapter is True
    engine.use(Path("two"))
    ask(engine, requests(2), Sampling(max_tokens=4))
    assert [child.messages[0].merge_adapter for child in children] == [False, True, True]
    assert len(said) == 1
    assert "LoRA modules not found" in said[0]
    copies = open_engine(restarts=0, data_parallel_size=2)
    copies.use(Path("one"))
    assert len(ask(copies, requests(4), Sampling(max_tokens=4))) == 4
    assert len(said) == 2, "said once, whichever copy found out first"


def test_a_pause_ends_the_processes_and_the_next_ask_starts_others(
    open_engine: Open, children: list[ScriptedChild]
) -> None:
    engine = open_engine()
    ask(engine, requests(1), Sampling(max_tokens=4))
    engine.pause()
    assert children[0].ended
    assert engine.processes() == []
    ask(engine, requests(1), Sampling(max_tokens=4))
    assert len(children) == 2


def test_a_pause_may_be_sleep(open_engine: Open, children: list[ScriptedChild]) -> None:
    engine = open_engine(sleep=True)
    ask(engine, requests(1), Sampling(max_tokens=4))
    engine.pause()
    engine.pause()
    assert [m for m in children[0].messages if isinstance(m, Sleep)] == [Sleep()]
    assert not children[0].ended
    ask(engine, requests(1), Sampling(max_tokens=4))
    assert len(children) == 1
    assert children[0].messages[0].arguments["enable_sleep_mode"] is True
    engine.close()
    assert children[0].ended


@pytest.mark.parametrize("answer", [Retire(), Failed("out of memory", dead=True), None])
def test_what_does_not_fall_asleep_is_ended(
    open_engine: Open, children: list[ScriptedChild], answer: Any, said: list[str]
) -> None:
    def restless(child: ScriptedChild, message: Any) -> None:
        if isinstance(message, Sleep) and child is ScriptedChild.made[1]:
            child.say(answer) if answer else child.die()
        else:
            answers_all(child, message)

    ScriptedChild.script = staticmethod(restless)
    engine = open_engine(sleep=True, data_parallel_size=2)
    ask(engine, requests(4), Sampling(max_tokens=4))
    engine.pause()
    assert [child.ended for child in children] == [True, True]
    assert (engine.processes(), said) == ([], [])
    ask(engine, requests(4), Sampling(max_tokens=4))
    assert len(children) == 4


def test_a_pause_in_the_middle_of_work_ends_even_sleepers(open_engine: Open, children: list[ScriptedChild]) -> None:
    ScriptedChild.script = staticmethod(lambda child, message: None)
    engine = open_engine(sleep=True)
    engine.submit(Ask(requests(1), Sampling(max_tokens=4)))
    engine.pause()
    assert children[0].ended
    assert engine.wants_more()


# --- settings


@pytest.mark.parametrize(
    ("setting", "argument", "value"),
    [
        ("tensor_parallel_size", "tensor_parallel_size", 2),
        ("gpu_memory_utilization", "gpu_memory_utilization", 0.5),
        ("max_num_seqs", "max_num_seqs", 7),
        ("max_model_len", "max_model_len", 123),
        ("dtype", "dtype", "float16"),
        ("quantization", "quantization", "fp8"),
        ("sleep", "enable_sleep_mode", True),
        ("extra", "swap_space", 3),
    ],
)
def test_settings_reach_vllm(
    open_engine: Open, children: list[ScriptedChild], setting: str, argument: str, value: Any
) -> None:
    config = {setting: {argument: value} if setting == "extra" else value}
    ask(open_engine(**config), requests(1), Sampling(max_tokens=4))
    ask(open_engine(), requests(1), Sampling(max_tokens=4))
    given, default = (child.messages[0].arguments for child in children)
    assert given[argument] == value
    assert default.get(argument) != value
    assert default["load_format"] == "safetensors"
    assert default["trust_remote_code"] is False
    assert None not in default.values()


def test_each_copy_sees_its_own_gpus(
    open_engine: Open, children: list[ScriptedChild], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    ask(open_engine(data_parallel_size=2, tensor_parallel_size=2), requests(2), Sampling(max_tokens=4))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    ask(open_engine(data_parallel_size=3), requests(3), Sampling(max_tokens=4))
    ask(open_engine(), requests(1), Sampling(max_tokens=4))
    seen = [child.environment.get("CUDA_VISIBLE_DEVICES") for child in children]
    assert seen == ["0,1", "2,3", "4", "5", "6", None]


def test_without_vllm_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_checks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"vLLM is not installed here; .*engine\.type=transformers"):
        VllmConfig().check(ModelConfig(name="m"))


def test_too_few_gpus_are_said_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(vllm, "vllm_is_installed", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    VllmConfig(tensor_parallel_size=2).check(ModelConfig(name="m"))
    with pytest.raises(EngineError, match=r"^judge\.model\.engine\.tensor_parallel_size times .* is 4, and 2 GPUs"):
        VllmConfig(tensor_parallel_size=2, data_parallel_size=2).check(ModelConfig(name="m"), "judge.model.engine")


def test_what_only_takes_memory_may_change_while_a_run_goes_on() -> None:
    plain = key_settings(VllmConfig(extra={"hf_overrides": {}}))
    spare = {"enforce_eager": True, "cpu_offload_gb": 4}
    assert key_settings(VllmConfig(extra={"hf_overrides": {}, **spare}, max_num_seqs=3)) == plain
    assert key_settings(VllmConfig(extra={"kv_cache_dtype": "fp8"})) != key_settings(VllmConfig())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ({"max_num_batched_tokens": 4096}, None),
        ({"max_num_batched_token": 1}, "no such argument; did you mean max_num_batched_tokens?"),
        ({"max_model_len": 5}, "max_model_len: follows from other settings"),
    ],
)
def test_extra_arguments_are_held_against_the_installed_vllm(extra: dict[str, Any], complaint: str | None) -> None:
    if not vllm_checks.vllm_is_installed():
        pytest.skip("vLLM is not installed here")
    config = VllmConfig(extra=extra)
    if complaint is None:
        config.check(ModelConfig(name="m"))
    else:
        with pytest.raises(EngineError, match="extra") as error:
            config.check(ModelConfig(name="m"))
        assert complaint in str(error.value)
