"""Whole models that were trained, in this process: answered with, asked about, and never two of them at once."""

from pathlib import Path
from typing import Any

import pytest

from selfreward.engines import weights as module
from selfreward.engines.driver import ask
from selfreward.engines.loading import ModelConfig, is_adapter, load_chat, load_merged, load_weights
from selfreward.engines.protocol import Likelihood, Request, Sampling
from selfreward.engines.transformers import TransformersConfig, TransformersEngine
from selfreward.records import Message

pytestmark = pytest.mark.slow
GREEDY = Sampling(max_tokens=12, temperature=0.0)
REQUESTS = [Request((Message(role="user", content=f"Tell me about {topic}."),)) for topic in ("rivers", "tea", "x")]
TURNS = [Request((*r.messages, Message(role="assistant", content="So it is."))) for r in REQUESTS]


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two whole models."""
    import torch

    made = []
    for number in range(2):
        torch.manual_seed(number)
        model: Any = load_weights(ModelConfig(name=str(tiny_model)), "float32")
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight))  # whatever it wrote before, it does no more
        directory = tmp_path_factory.mktemp("trained") / str(number)
        model.save_pretrained(directory)
        load_chat(ModelConfig(name=str(tiny_model))).tokenizer.save_pretrained(directory)
        made.append(directory)
    return made


def engine_of(model: Path) -> TransformersEngine:
    return TransformersEngine(ModelConfig(name=str(model)), TransformersConfig(dtype="float32"))


def rows(engine: TransformersEngine) -> list[tuple[int, ...]]:
    return [completion.token_ids for answer in ask(engine, REQUESTS, GREEDY) for completion in answer.completions]


def likelihoods(engine: TransformersEngine, weights: Path | None) -> list[tuple[float, ...]]:
    return [answer.logprobs for answer in ask(engine, TURNS, Likelihood(weights))]


def test_a_whole_model_answers_as_it_does_by_itself(tiny_model: Path, trained: list[Path]) -> None:
    engine, root = engine_of(tiny_model), rows(engine_of(tiny_model))
    for path in trained:
        engine.use(path)
        assert rows(engine) == rows(engine_of(path)) != root
    engine.use(None)
    assert rows(engine) == root


def test_likelihoods_are_those_of_the_model_that_is_asked_about(
    tiny_model: Path, trained: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Policy and reference take turns, and neither leaves the other its place while it has its own."""
    first, second = trained
    expected = {path: likelihoods(engine_of(path or tiny_model), None) for path in (first, second, None)}
    alive: list[Any] = []

    def load(*arguments: Any) -> Any:
        import weakref

        assert not [reference for reference in alive if reference() is not None], "another model is still there"
        model = load_weights(*arguments)
        alive.append(weakref.ref(model))
        return model

    monkeypatch.setattr(module, "load_weights", load)
    engine = engine_of(tiny_model)
    engine.use(first)
    written = rows(engine)
    for path in (first, second, None, first):
        for found, known in zip(likelihoods(engine, path), expected[path], strict=True):
            assert found == pytest.approx(known, abs=1e-5)
    assert rows(engine) == written, "it still writes as its own model"
    assert len(alive) == 4, "once for each change"
    engine.close()


def test_an_adapter_is_told_from_a_whole_model(tiny_model: Path, trained: list[Path], tmp_path: Path) -> None:
    import torch

    (tmp_path / "adapter_config.json").write_text("{}")
    assert [is_adapter(path) for path in (tmp_path, trained[0])] == [True, False]
    merged = load_merged(ModelConfig(name=str(tiny_model)), trained[0], "float32")
    alone = load_weights(ModelConfig(name=str(trained[0])), "float32")
    assert all(torch.equal(a, b) for a, b in zip(merged.parameters(), alone.parameters(), strict=True))
