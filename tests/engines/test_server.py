import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixture_endpoint import (
    KEY,
    MODEL,
    Asked,
    Reply,
    Start,
    answers_models,
    echo,
    written,
)

from selfreward.config import RunConfig, load_config, make_config
from selfreward.engines.loading import ModelConfig
from selfreward.engines.server import ServerConfig
from selfreward.errors import ConfigError, EngineError
from selfreward.records import key_settings


def test_a_url_with_a_slash_at_its_end_is_the_same() -> None:
    assert ServerConfig(url="http://127.0.0.1:8000/v1/").url == "http://127.0.0.1:8000/v1"


def test_a_model_that_is_listed_is_served(start: Start) -> None:
    endpoint = start(answers_models(echo))
    ServerConfig(url=endpoint.url).check(MODEL)
    assert [(asked.method, asked.path) for asked in endpoint.asked] == [("GET", "/v1/models")]


@pytest.mark.parametrize("listed", [Reply({"data": [{"id": "other"}]}), Reply({}, 404), Reply({"data": None})])
@pytest.mark.parametrize("answer", [written("ok"), Reply({"error": {"message": "max_tokens is too small"}}, 400)])
def test_a_model_that_is_not_listed_is_asked_for_a_token(start: Start, listed: Reply, answer: Reply) -> None:
    endpoint = start(lambda asked: listed if asked.method == "GET" else answer)
    ServerConfig(url=endpoint.url).check(MODEL)
    assert [body["max_tokens"] for body in endpoint.bodies()] == [1]


@pytest.mark.parametrize("status", [404, 400])
def test_a_model_that_is_not_served(start: Start, status: int) -> None:
    listed = Reply({"data": [{"id": "small"}, {"id": "large"}]})
    unknown = Reply({"error": {"message": "The model `judge-large` does not exist."}}, status)
    endpoint = start(lambda asked: listed if asked.method == "GET" else unknown)
    with pytest.raises(EngineError, match=r"`judge-large` does not exist.*It serves: small, large"):
        ServerConfig(url=endpoint.url).check(MODEL)


def test_a_base_that_is_wrong(start: Start) -> None:
    endpoint = start(lambda asked: Reply({"detail": "Not Found"}, 404))
    with pytest.raises(EngineError, match=r"HTTP 404: Not Found; .*end in /v1"):
        ServerConfig(url=endpoint.url).check(MODEL)


def test_a_key_that_is_not_taken_is_said_before_the_run(start: Start, key: str) -> None:
    endpoint = start(lambda asked: Reply({"error": {"message": "no"}}, 401))
    with pytest.raises(EngineError, match="HTTP 401: no; see that the environment variable ENDPOINT_KEY"):
        ServerConfig(url=endpoint.url, api_key_env="ENDPOINT_KEY").check(MODEL)


@pytest.mark.parametrize("setting", [{"revision": "main"}, {"chat_template": "x.jinja"}])
def test_settings_that_only_token_ids_have_a_use_for(setting: dict[str, str]) -> None:
    with pytest.raises(EngineError, match=rf"model\.{next(iter(setting))} has no effect with engine\.api=chat"):
        ServerConfig(url="http://127.0.0.1:1/v1").check(ModelConfig(name="x", **setting))


def test_nothing_is_looked_up_on_the_hub(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from selfreward import models
    from selfreward.engines import FixedModel
    from selfreward.steps.keys import fixed_model_inputs

    def never(*arguments: Any) -> Path:
        raise AssertionError(f"looked for {arguments}")

    monkeypatch.setattr(models, "resolve_model", never)
    monkeypatch.setattr(models, "_download", never)
    endpoint = start(answers_models(echo))
    fixed = FixedModel(name=MODEL.name, engine=ServerConfig(url=endpoint.url))

    class Session:
        def engine_config_of(self, model: FixedModel) -> Any:
            return model.engine

    ServerConfig(url=endpoint.url).check(fixed)
    inputs = fixed_model_inputs(Session(), fixed, "judge.model")  # type: ignore[arg-type]
    assert set(inputs) == {"judge.model", "judge.model.engine"}
    other = fixed.model_copy(update={"chat_template_kwargs": {"enable_thinking": False}})
    assert fixed_model_inputs(Session(), other, "judge.model")["judge.model"] != inputs["judge.model"]  # type: ignore[arg-type]


def test_what_it_can_do_depends_on_the_api() -> None:
    assert ServerConfig(url="http://h/v1").capabilities() == {"json_schema"}
    assert ServerConfig(url="http://h/v1", api="completions").capabilities() == {"prefill", "next_token", "json_schema"}


def test_only_what_changes_the_question_is_in_the_key() -> None:
    assert set(key_settings(ServerConfig(url="http://h/v1"))) == {"type", "api", "tokenizer", "max_model_len"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"url": f"http://user:{KEY}@host/v1"}, r"engine\.url: holds a user or a key.*api_key_env"),
        ({"url": f"https://host/v1?key={KEY}"}, r"engine\.url: has a query"),
        ({"url": f"host/{KEY}"}, r"engine\.url: not the address of an endpoint; expected one such as http"),
        ({"url": f"http://host:{KEY}/v1"}, r"engine\.url: not the address"),
        ({"api_key_env": KEY}, r"engine\.api_key_env: expected the name of an environment variable"),
        ({"tokenizer": "org/model"}, "tokenizer is for api: completions"),
        ({"max_model_len": 512}, "max_model_len is for api: completions"),
        ({"concurrency": 0}, "concurrency"),
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
    ],
)
def test_settings_that_cannot_work(setting: dict[str, Any], message: str) -> None:
    engine = {"type": "server", "url": "http://127.0.0.1:8000/v1", **setting}
    recipe = {"model": {"name": "x"}, "prompts": {"file": "p"}, "judge": {"model": {"name": "large", "engine": engine}}}
    with pytest.raises(ConfigError, match=message) as caught:
        make_config(recipe, {}, "recipe.yaml")
    assert KEY not in str(caught.value)
    assert KEY not in str(caught.value.__cause__)


def test_it_cannot_become_the_next_model() -> None:
    recipe = {"model": "x", "prompts": {"file": "p"}, "engine": {"type": "server", "url": "http://h/v1"}}
    with pytest.raises(ConfigError, match=r"engine\.type=server answers as one fixed model .* judge\.model\.engine"):
        make_config(recipe, {}, "recipe.yaml")


def test_expected_scores_need_token_ids(start: Start, make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    from selfreward import loop

    endpoint = start(answers_models(echo))
    judge = {"model": {"name": MODEL.name, "engine": {"type": "server", "url": endpoint.url}}}
    path = make_recipe(tmp_path, judge={"method": {"type": "expected"}, **judge})
    with pytest.raises(EngineError, match=r"needs an engine with next_token, prefill, .*judge\.model\.engine"):
        loop.run(load_config(path))


def test_a_tokenizers_path_is_relative_to_the_recipe(tmp_path: Path) -> None:
    engine = "{type: server, url: 'http://h/v1', api: completions, tokenizer: ./tokenizer}"
    (tmp_path / "r.yaml").write_text(
        f"model: x\nprompts: {{file: p}}\njudge: {{model: {{name: gpt-4o-mini, engine: {engine}}}}}"
    )
    judge = load_config(tmp_path / "r.yaml").judge.model
    assert judge is not None
    assert isinstance(judge.engine, ServerConfig)
    assert judge.engine.tokenizer == str(tmp_path / "tokenizer")
    assert judge.name == "gpt-4o-mini"


@pytest.mark.slow
def test_a_run_whose_prompts_and_verdicts_come_from_an_endpoint(
    start: Start, key: str, make_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    from selfreward import loop
    from selfreward.api import open_run

    count = itertools.count()

    def script(asked: Asked) -> Reply:
        number = next(count)
        if asked.body["model"] == "writer":
            return written(
                f"Explain why {number} {'very ' * (number % 5)}green apples weigh more than {number + 7} stones."
            )
        return written(*(f"It is on topic.\nScore: {(number + k) % 6}" for k in range(asked.body["n"])))

    models = Reply({"data": [{"id": "writer"}, {"id": "judge"}]})
    endpoint = start(lambda asked: models if asked.method == "GET" else script(asked))
    engine = {"type": "server", "url": endpoint.url, "api_key_env": "ENDPOINT_KEY"}
    recipe = make_recipe(
        tmp_path,
        iterations=1,
        prompts={"count": 6, "max_tokens": 32, "model": {"name": "writer", "engine": engine}},
        judge={"method": {"type": "sampled", "samples": 2}, "model": {"name": "judge", "engine": engine}},
    )
    store = loop.run(load_config(recipe))
    run = open_run(store.path)
    assert set(run.iteration(1).prompts["model"]) == {"writer"}
    assert set(run.iteration(1).judgments["model"]) == {"judge"}
    assert not [score for score in run.iteration(1).judgments["score"] if score is None]
    assert len(run.iteration(1).pairs) > 0
    assert all(asked.headers["Authorization"] == f"Bearer {key}" for asked in endpoint.asked)
    assert not [path for path in store.path.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    config: RunConfig = run.config
    assert config.judge.model is not None
    endpoint.asked.clear()
    moved = start(lambda asked: models if asked.method == "GET" else Reply({}, 500))
    changes = [f"{part}.model.engine.url={moved.url}" for part in ("prompts", "judge")]
    loop.run(load_config(recipe, changes))
    assert moved.bodies() == [], "a finished run has nothing to ask, wherever its endpoint is now"
