import os
import signal
import threading

import pytest
from fixture_endpoint import (
    HOW,
    PATIENCE,
    Asked,
    Open,
    Reply,
    Start,
    echo,
    texts,
    user,
)

from selfreward.engines.driver import ask
from selfreward.engines.protocol import Ask
from selfreward.errors import EngineError


def test_answers_are_in_the_order_of_requests_whatever_finishes_first(start: Start, opened: Open) -> None:
    last_is_done = threading.Event()

    def last_first(asked: Asked) -> Reply:
        if asked.body["messages"][0]["content"] == "4":
            last_is_done.set()
        else:
            assert last_is_done.wait(PATIENCE)
        return echo(asked)

    answers = ask(opened(start(last_first)).engine, [user(str(i)) for i in range(5)], HOW)
    assert texts(answers) == [[f"<{i}>"] for i in range(5)]


def test_an_ask_that_is_finished_first_is_collected_first(start: Start, opened: Open) -> None:
    collected = threading.Event()

    def slow(asked: Asked) -> Reply:
        assert asked.body["messages"][0]["content"] != "slow" or collected.wait(PATIENCE)
        return echo(asked)

    engine = opened(start(slow)).engine
    first = engine.submit(Ask([user("slow"), user("a")], HOW))
    second = engine.submit(Ask([user("b")], HOW))
    ticket, answers = engine.collect()
    assert (ticket, texts(answers)) == (second, [["<b>"]])
    collected.set()
    ticket, answers = engine.collect()
    assert (ticket, texts(answers)) == (first, [["<slow>"], ["<a>"]])


def test_as_many_requests_as_allowed_are_under_way_and_never_more(start: Start, opened: Open) -> None:
    together = threading.Barrier(3)
    lock, under_way, most = threading.Lock(), 0, 0

    def in_threes(asked: Asked) -> Reply:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        together.wait(PATIENCE)  # breaks where three are not under way at the same time
        with lock:
            under_way -= 1
        return echo(asked)

    engine = opened(start(in_threes), concurrency=3).engine
    for part in range(4):  # no ask alone has as many
        engine.submit(Ask([user(f"{part} {i}") for i in range(3)], HOW))
    assert len([engine.collect() for _ in range(4)]) == 4
    assert most == 3


def test_it_wants_more_until_there_is_enough_to_stay_busy(start: Start, opened: Open) -> None:
    go = threading.Event()

    def wait(asked: Asked) -> Reply:
        assert go.wait(PATIENCE)
        return echo(asked)

    engine = opened(start(wait), concurrency=2).engine
    submitted = 0
    while engine.wants_more():
        engine.submit(Ask([user(str(i)) for i in range(4)], HOW))
        submitted += 1
    assert submitted == 3
    go.set()
    engine.collect()
    assert engine.wants_more()


def test_an_ask_without_requests_is_finished(start: Start, opened: Open) -> None:
    assert ask(opened(start(echo)).engine, [], HOW) == []


def test_what_was_finished_before_a_failure_is_collected_before_it(start: Start, opened: Open) -> None:
    both_done = threading.Barrier(3)

    def script(asked: Asked) -> Reply:
        if asked.body["messages"][0]["content"] == "bad":
            both_done.wait(PATIENCE)
            return Reply({"error": {"message": "unfit"}}, 400)
        return echo(asked)

    engine = opened(start(script)).engine
    engine.submit(Ask([user("a")], HOW))
    assert texts(engine.collect()[1]) == [["<a>"]]
    engine.submit(Ask([user("bad"), user("bad")], HOW))
    engine.submit(Ask([user("b")], HOW))
    assert texts(engine.collect()[1]) == [["<b>"]]
    both_done.wait(PATIENCE)
    with pytest.raises(EngineError, match="refused with HTTP 400: unfit"):
        engine.collect()


def test_what_is_paused_is_dropped_and_asked_anew(start: Start, opened: Open) -> None:
    arrived, end = threading.Event(), threading.Event()

    def hang_once(asked: Asked) -> Reply:
        if asked.body["messages"][0]["content"] == "old":
            arrived.set()
            assert end.wait(PATIENCE)
        return echo(asked)

    engine = opened(start(hang_once), concurrency=1).engine
    engine.submit(Ask([user("old"), user("never asked")], HOW))
    assert arrived.wait(PATIENCE)
    engine.pause()
    assert not [t for t in threading.enumerate() if t.name == "selfreward-endpoint"]
    assert texts(ask(engine, [user("new")], HOW)) == [["<new>"]]
    end.set()
    engine.close()
    engine.close()


def test_ctrl_c_is_not_waited_with(start: Start, opened: Open) -> None:
    end = threading.Event()

    def interrupt(asked: Asked) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        assert end.wait(PATIENCE)
        return echo(asked)

    engine = opened(start(interrupt)).engine
    with pytest.raises(KeyboardInterrupt):
        ask(engine, [user("a")], HOW)
    engine.close()
    assert not [t for t in threading.enumerate() if t.name == "selfreward-endpoint"]
    end.set()
