import itertools
import logging
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from fixture_endpoint import (
    HOW,
    MODEL,
    PATIENCE,
    Asked,
    Open,
    Opened,
    Reply,
    Start,
    echo,
    texts,
    user,
)

from selfreward.engines.driver import ask
from selfreward.engines.server import ServerConfig
from selfreward.errors import EngineError


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, None])
def test_what_may_pass_is_tried_again(start: Start, opened: Open, status: int | None) -> None:
    replies = iter([Reply({"error": {"message": "busy"}}, status)] * 3)
    engine = opened(start(lambda asked: next(replies, None) or echo(asked)), retries=3)
    assert texts(ask(engine.engine, [user("a")], HOW)) == [["<a>"]]
    assert len(engine.pauses) == 3
    for pause, most in zip(engine.pauses, (1.0, 2.0, 4.0), strict=True):
        assert most / 2 <= pause <= most
    assert len(engine.said) == 1, "a user is told once"
    assert "trying again" in engine.said[0]


def test_an_answer_that_does_not_come_is_asked_for_again(start: Start, opened: Open) -> None:
    given_up = threading.Event()
    tries = itertools.count()

    def first_hangs(asked: Asked) -> Reply:
        if next(tries) == 0:
            assert given_up.wait(PATIENCE)
        given_up.set()
        return echo(asked)

    engine = opened(start(first_hangs), timeout=0.2)
    assert texts(ask(engine.engine, [user("a")], HOW)) == [["<a>"]]
    assert engine.said[0].endswith("no answer within 0.2 s (engine.timeout); trying again")


@pytest.mark.parametrize("as_date", [False, True])
def test_the_endpoint_says_how_long_to_wait(start: Start, opened: Open, as_date: bool) -> None:
    def when() -> str:
        return format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True) if as_date else "100"

    replies = iter([429])
    script = lambda asked: Reply({}, 429, {"Retry-After": when()}) if next(replies, None) else echo(asked)  # noqa: E731
    engine = opened(start(script))
    ask(engine.engine, [user("a")], HOW)
    assert len(engine.pauses) == 1
    assert 60 < engine.pauses[0] <= 100  # a date has whole seconds


@pytest.mark.parametrize("value", ["soon", "-5", "", "nan"])
def test_a_retry_after_that_says_nothing_is_passed_over(start: Start, opened: Open, value: str) -> None:
    replies = iter([Reply({}, 503, {"Retry-After": value})])
    engine = opened(start(lambda asked: next(replies, None) or echo(asked)))
    ask(engine.engine, [user("a")], HOW)
    assert 0.5 <= engine.pauses[0] <= 1.0


def test_a_quota_that_is_used_up_stops_at_once(start: Start, opened: Open) -> None:
    engine = opened(start(lambda asked: Reply({"error": "quota"}, 429, {"Retry-After": "86400"})))
    with pytest.raises(EngineError, match=r"left alone for 86400 s \(HTTP 429: quota\).*Finished work is kept"):
        ask(engine.engine, [user("a")], HOW)
    assert engine.pauses == []


def test_after_the_last_try_it_says_what_went_wrong(start: Start, opened: Open) -> None:
    endpoint = start(lambda asked: Reply(b"<html>Bad\x1b[31m gateway</html>", 502))
    engine = opened(endpoint, retries=2)
    with pytest.raises(EngineError, match=r"3 tries failed, the last one with HTTP 502: <html>Bad \[31m gateway"):
        ask(engine.engine, [user("a")], HOW)
    assert len(endpoint.asked) == 3


def test_an_endpoint_that_is_not_there(start: Start, opened: Open) -> None:
    endpoint = start(echo)
    engine = opened(endpoint, retries=1)
    endpoint.close()
    with pytest.raises(EngineError, match=r"127.0.0.1:\d+/v1: 2 tries failed, .*ConnectError.*engine.url is right"):
        ask(engine.engine, [user("a")], HOW)


def test_a_refusal_is_not_tried_again(start: Start, opened: Open) -> None:
    endpoint = start(lambda asked: Reply({"error": {"message": "temperature must be 1"}}, 400))
    engine = opened(endpoint)
    with pytest.raises(EngineError, match="temperature must be 1"):
        ask(engine.engine, [user("a")], HOW)
    assert (len(endpoint.asked), engine.pauses) == (1, [])


def test_the_key_is_sent_and_nothing_else_has_it(
    start: Start, opened: Open, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint = start(echo)
    engine = opened(endpoint, api_key_env="ENDPOINT_KEY")
    ask(engine.engine, [user("a")], HOW)
    assert endpoint.asked[0].headers["Authorization"] == f"Bearer {key}"
    shown = [caplog.text, repr(engine.config), engine.config.model_dump_json(), repr(vars(engine.engine))]
    shown += [repr(engine.config.address()), repr(vars(engine.engine._line.endpoint))]  # type: ignore[union-attr]
    assert not [text for text in shown if key in text]


@pytest.mark.parametrize("status", [401, 403, 400, 500])
def test_an_endpoint_that_repeats_the_key(
    start: Start, opened: Open, key: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint = start(lambda asked: Reply({"error": {"message": f"bad key {key}", "got": dict(asked.headers)}}, status))
    engine = opened(endpoint, api_key_env="ENDPOINT_KEY", retries=1)
    with pytest.raises(EngineError, match=rf"HTTP {status}: bad key \[key\]") as caught:
        ask(engine.engine, [user("a")], HOW)
    assert ("environment variable ENDPOINT_KEY" in str(caught.value)) == (status in (401, 403))
    assert not [text for text in (str(caught.value), caplog.text, *engine.said) if key in text]


def test_a_key_that_is_asked_for(start: Start, opened: Open) -> None:
    with pytest.raises(EngineError, match=r"HTTP 401: who\?; name .* engine\.api_key_env"):
        ask(opened(start(lambda asked: Reply({"detail": "who?"}, 401))).engine, [user("a")], HOW)


@pytest.mark.parametrize(("value", "why"), [("", "is not set"), ("two words", "not shown"), ("ключ", "not shown")])
def test_a_variable_that_holds_no_key(value: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT_KEY", value)
    config = ServerConfig(url="http://127.0.0.1:1/v1", api_key_env="ENDPOINT_KEY")
    with pytest.raises(EngineError, match=f"ENDPOINT_KEY .*{why}") as caught:
        config.check(MODEL)
    assert not value or value not in str(caught.value)


def test_the_key_is_not_taken_to_another_place(start: Start, opened: Open, key: str) -> None:
    other = start(echo)
    endpoint = start(lambda asked: Reply({}, 307, {"Location": f"{other.url}/chat/completions"}))
    with pytest.raises(EngineError, match=r"HTTP 307: it sends to .*set engine\.url"):
        ask(opened(endpoint, api_key_env="ENDPOINT_KEY").engine, [user("a")], HOW)
    assert other.asked == []


def test_no_proxy_leads_to_this_machine_and_one_may_lead_elsewhere(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, proxy = start(echo), start(echo)
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for url in (endpoint.url, "http://endpoint.example/v1"):
        engine = Opened(url, tmp_path).engine
        assert texts(ask(engine, [user("a")], HOW)) == [["<a>"]]
        engine.close()
    assert [asked.path for asked in endpoint.asked] == ["/v1/chat/completions"]
    assert [asked.path for asked in proxy.asked] == ["http://endpoint.example/v1/chat/completions"]
