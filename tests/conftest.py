"""What many tests need: a real tokenizer, a tiny model with random weights, and recipes for it."""

import math
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
import yaml
from filelock import FileLock

from selfreward.engines.chat import Chat
from selfreward.engines.driver import work_through
from selfreward.engines.loading import ModelConfig, load_chat
from selfreward.engines.protocol import Answer, Ask, Asking, Completion, NextToken, Request, Sampling
from selfreward.errors import ModelError
from selfreward.models import resolve_model
from selfreward.resources import find

# On a busy machine any example may take long; speed is no matter for tests.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what it starts in the background ignore Ctrl-C, and every process that we start would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["fixture_run", "fixture_endpoint", "fixture_judged_run", "training_jobs"]
T = TypeVar("T")
BUILTIN = "builtin:smollm2-135m-instruct"


@pytest.fixture(scope="session")
def builtin_model() -> Path:
    """Directory of the real small model."""
    try:
        return Path(resolve_model(BUILTIN).path)
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def the_only_vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Lets one test process at a time run vLLM: two of them would fight over the cores and the memory."""
    with FileLock(tmp_path_factory.getbasetemp().parent / "vllm.lock"):
        yield


@pytest.fixture(scope="session")
def chat(builtin_model: Path) -> Chat:
    """The real small model's tokenizer and chat template."""
    return load_chat(ModelConfig(name=str(builtin_model)))


@pytest.fixture(scope="session")
def tiny_model(builtin_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a Llama of two layers with random weights and a real tokenizer.

    The first dimension of every embedding is a large constant, so that the first column of the output layer acts as a
    bias: it makes English words and the end of a turn likely, and prompts and responses come out as short word soup.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(builtin_model)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        head_dim=32,  # the smallest that vLLM computes on a CPU
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(0, 0.5)
        model.model.embed_tokens.weight[:, 0] = 4.0
        model.lm_head.weight.normal_(0, 0.3)
        model.lm_head.weight[:, 0] = torch.tensor(_word_prior(tokenizer)) / 4.6
    directory = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _word_prior(tokenizer: Any) -> list[float]:
    text = find("seeds", "ift.jsonl").read_text(encoding="utf-8")
    words = re.findall(r" [a-z]{2,}", text)
    counts = Counter(i for ids in tokenizer(words, add_special_tokens=False)["input_ids"] for i in ids if len(ids) == 1)
    prior = [-16.0] * len(tokenizer)
    for token, count in counts.items():
        prior[token] = math.log(count / counts.total())
    for digit in range(6):
        prior[tokenizer.convert_tokens_to_ids(str(digit))] = -6.0
    prior[tokenizer.eos_token_id] = math.log(0.08)
    return prior


MakeRecipe = Callable[..., Path]


@pytest.fixture(scope="session")
def make_recipe(tiny_model: Path) -> MakeRecipe:
    """Writes a recipe of two iterations on the tiny model into a directory; dotted changes go on top."""

    def make(directory: Path, **changes: Any) -> Path:
        path = directory / "tiny.yaml"
        recipe = {**_TINY_RECIPE, "model": str(tiny_model), "runs_dir": str(directory / "runs"), **changes}
        path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
        return path

    return make


_TINY_RECIPE = {
    "iterations": 2,
    "shard_size": 3,
    "seeds": {"ift": str(find("seeds", "ift.jsonl")), "eft": str(find("seeds", "eft.jsonl"))},
    "engine": {"type": "transformers", "batch_size": 8},
    "lora": {"r": 4, "alpha": 8},
    "sft": {"max_tokens": 3000, "batch_size": 4, "learning_rate": 1.0e-3},
    "prompts": {"count": 6, "max_tokens": 16, "temperature": 1.0, "top_p": 1.0},
    "responses": {"n": 3, "max_tokens": 48, "temperature": 1.0, "top_p": 1.0},
    "judge": {"method": {"type": "expected", "min_mass": 0.0}},
    "train": {"batch_size": 2, "micro_batch_size": 2, "learning_rate": 1.0e-3, "epochs": 2},
}


Write = Callable[[Request, int, Sampling], str]


class FakeEngine:
    """An engine with a real tokenizer whose words and log-probabilities are a test's own functions.

    Of two asks in its queue the later one is finished first, as in a real engine; ``calls`` keeps what was asked.
    """

    def __init__(
        self,
        chat: Chat,
        write: Write = lambda request, k, sampling: "Fine.",
        logprobs: Callable[[Request], Sequence[float]] = lambda request: (),
        context: int = 2048,
        finish_reason: str = "stop",
    ) -> None:
        self.chat, self.context = chat, context
        self._write, self._logprobs, self._finish_reason = write, logprobs, finish_reason
        self.calls: list[tuple[list[Request], Sampling | NextToken]] = []
        self._queue: list[tuple[int, Ask]] = []

    def prompt_ids(self, requests: Sequence[Request]) -> list[list[int]]:
        return self.chat.encode([r.messages for r in requests], [r.prefill for r in requests])

    def use(self, adapter: Path | None) -> None:
        pass

    def wants_more(self) -> bool:
        return len(self._queue) < 2

    def submit(self, ask: Ask) -> int:
        self.calls.append((list(ask.requests), ask.how))
        self._queue.append((len(self.calls), ask))
        return len(self.calls)

    def collect(self) -> tuple[int, list[Answer]]:
        ticket, ask = self._queue.pop()
        ids = self.prompt_ids(ask.requests)
        pairs = zip(ask.requests, ids, strict=True)
        return ticket, [self._answer(request, len(own), ask.how) for request, own in pairs]

    def finish(self, piece: Asking[T]) -> T:
        """What comes of a piece of work."""
        (result,) = work_through(self, [piece])
        return result

    def pause(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _answer(self, request: Request, prompt_tokens: int, how: Sampling | NextToken) -> Answer:
        new_tokens = how.max_tokens if isinstance(how, Sampling) else 1
        if prompt_tokens + new_tokens > self.context:
            return Answer(prompt_tokens)
        if isinstance(how, NextToken):
            return Answer(prompt_tokens, logprobs=tuple(self._logprobs(request)))
        texts = [self._write(request, k, how) for k in range(how.n)]
        return Answer(prompt_tokens, tuple(map(self._completion, texts)))

    def _completion(self, text: str) -> Completion:
        end = (self.chat.tokenizer.eos_token_id,) if self._finish_reason == "stop" else ()
        return Completion(
            text=text,
            token_ids=(*self.chat.plain_ids(text), *end),
            finish_reason=self._finish_reason,  # type: ignore[arg-type]
            special_tokens=self.chat.spells_special(text),
        )


@pytest.fixture(scope="session")
def fake_engine() -> type[FakeEngine]:
    """The class of engines that say what a test tells them to."""
    return FakeEngine
