"""How a stage is run, stored and continued; no engine is opened here."""

import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selfreward.config import RunConfig, make_config
from selfreward.engines import FixedModel
from selfreward.engines.protocol import Answer, Ask, Asking, NextToken
from selfreward.errors import StageError, StoreError
from selfreward.progress import Reporter
from selfreward.records import Prompt
from selfreward.session import Policy, Session, Stage, over
from selfreward.stages.shard import Shard
from selfreward.storage.events import read_events
from selfreward.storage.iteration import IterationStore, StageKey
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify


class Crash(Exception):
    pass


class OneAtATime:
    """An engine that answers nothing, one ask after the other."""

    def __init__(self) -> None:
        self._asked = 0
        self._waiting = False

    def wants_more(self) -> bool:
        return not self._waiting

    def submit(self, ask: Ask) -> int:
        self._asked += 1
        self._waiting = True
        return self._asked

    def collect(self) -> tuple[int, list[Answer]]:
        self._waiting = False
        return self._asked, []

    def close(self) -> None:
        pass


def engine() -> Any:
    return OneAtATime()


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    data = {"name": "r", "runs_dir": str(tmp_path), "model": "m", "prompts": {"file": "p.txt"}}
    return make_config(data, {}, "test")


@pytest.fixture
def session(config: RunConfig) -> Session:
    config.run_dir.mkdir()
    return Session(config, RunStore.create(config.run_dir), Reporter())


@pytest.fixture
def iteration(session: Session) -> IterationStore:
    about: dict[str, Any] = {"config": {}, "model": {}, "templates": {}, "environment": {}}
    return session.store.begin_iteration(0, lambda: about)


def _stage(**settings: Any) -> Stage[Prompt]:
    return Stage("prompts", Prompt, StageKey(1, settings, {}), total=5)


def _echo(part: Any, start: int) -> Asking[Shard[Prompt]]:
    yield Ask([], NextToken(()))
    records = [Prompt(id=f"p{start + i}", text=word, iteration=0) for i, word in enumerate(part)]
    return Shard(records, len(part), Counter(asked=len(part)))


def test_a_stage_that_died_goes_on_after_its_last_shard(session: Session, iteration: IterationStore) -> None:
    starts = []

    def dies(part: Any, start: int) -> Asking[Shard[Prompt]]:
        starts.append(start)
        if start == 4:
            raise Crash
        return (yield from _echo(part, start))

    with pytest.raises(Crash):
        session.run_stage(iteration, _stage(), over("abcde", 2, dies, engine))
    again = session.store.iteration(0)
    with pytest.raises(Crash):  # another size of shard goes on at the same place
        session.run_stage(again, _stage(), over("abcde", 3, dies, engine))
    assert starts == [0, 2, 4, 4]
    stored = session.run_stage(session.store.iteration(0), _stage(), over("abcde", 2, _echo, engine))
    assert [(p.id, p.text) for p in stored.records()] == [(f"p{i}", word) for i, word in enumerate("abcde")]
    assert stored.entry.counts == {"asked": 5}
    assert verify(session.store.path) == []


def test_a_finished_stage_is_not_worked_on_again(session: Session, iteration: IterationStore) -> None:
    session.run_stage(iteration, _stage(), over("ab", 2, _echo, engine))

    def never(part: Any, start: int) -> Asking[Shard[Prompt]]:
        pytest.fail("worked on a finished stage")

    stored = session.run_stage(session.store.iteration(0), _stage(), over("ab", 2, never, engine))
    assert stored.entry.rows == 2


def test_a_stage_that_comes_out_empty_stays_open(session: Session, iteration: IterationStore) -> None:
    def nothing(part: Any, start: int) -> Asking[Shard[Prompt]]:
        yield Ask([], NextToken(()))
        return Shard([], len(part), Counter({"drop.tie": len(part)}))

    with pytest.raises(StageError, match=r"prompts came out empty \(tie: 2\)"):
        session.run_stage(iteration, _stage(margin=1), over("ab", 2, nothing, engine))
    stored = session.run_stage(session.store.iteration(0), _stage(margin=0), over("ab", 2, _echo, engine))
    assert stored.entry.rows == 2
    assert stored.entry.settings == {"margin": 0}


def test_a_refused_start_leaves_the_config_alone(
    session: Session, iteration: IterationStore, config: RunConfig
) -> None:
    session.run_stage(iteration, _stage(n=1), over("ab", 2, _echo, engine))
    other = Session(config.model_copy(update={"seed": 9}), session.store, Reporter())
    with pytest.raises(StoreError, match="n: 1 -> 2"):
        other.run_stage(session.store.iteration(0), _stage(n=2), over("ab", 2, _echo, engine))
    assert session.store.config().seed == config.seed


def test_events_tell_the_story(session: Session, iteration: IterationStore) -> None:
    session.run_stage(iteration, _stage(), over("abcde", 2, _echo, engine))
    events = list(read_events(session.store.path / "events.jsonl"))
    assert [e["event"] for e in events] == ["stage_started", *["progress"] * 3, "stage_finished"]
    assert [e["done"] for e in events if e["event"] == "progress"] == [2, 4, 5]


def test_over_takes_any_iterable_and_skips_what_is_done(session: Session, iteration: IterationStore) -> None:
    def letters() -> Iterator[str]:
        yield from "abc"

    work = over(letters(), 2, _echo, engine)
    iteration.begin("prompts", StageKey(1, {}, {}))
    iteration.add_shard("prompts", Shard([Prompt(id="p0", text="a", iteration=0)], 1), Prompt, seconds=0)
    shards = list(work(iteration.stored("prompts", Prompt)))
    assert [(p.id, p.text) for shard in shards for p in shard.records] == [("p1", "b"), ("p2", "c")]


class Noting:
    """An engine's config and its engine, which notes what it is told to use."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.used: list[Any] = []

    def open(self, model: Any, room: Any) -> "Noting":
        self.opened.append((model, room.setting))
        return self

    def use(self, adapter: Path | None) -> None:
        self.used.append(adapter)

    def pause(self) -> None:
        pass


def test_a_fixed_model_that_is_the_root_model_answers_without_the_policys_adapter(
    session: Session, tmp_path: Path
) -> None:
    """Both are served by one engine, and a judge that is meant to stay M0 must not become M_t."""
    engine = Noting()
    session.__dict__.update(model=session.config.model, engine_config=engine)
    session.engine(Policy("M1", tmp_path / "adapter", "d"))
    session.fixed_engine(FixedModel(name=session.config.model.name), "judge.model")
    assert engine.opened == [(session.config.model, "engine")]
    assert engine.used == [tmp_path / "adapter", None]


def test_what_is_loaded_before_any_engine_is_not_searched_for_garbage_until_engines_are_closed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.__dict__["model"] = session.config.model
    monkeypatch.setattr("selfreward.session.load_chat", lambda model: object())
    assert session.chat
    assert gc.get_freeze_count() > 0
    session.close()
    assert gc.get_freeze_count() == 0
    del session.__dict__["chat"]
    session._engines.append((session.config.model, session.config.engine, engine()))
    assert session.chat
    assert gc.get_freeze_count() == 0  # the engine may have loaded weights, which become garbage
    session.close()
