"""A run under way: its store, its one engine, and how a stage is run, stored and continued."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Generic, TypeVar

from selfreward.config import RunConfig
from selfreward.engines import AnyEngine, FixedModel, ResolvedEngine, resolve_engine
from selfreward.engines.chat import Chat
from selfreward.engines.driver import work_through
from selfreward.engines.loading import ModelConfig, context_length, load_chat
from selfreward.engines.protocol import Asking, Engine, EngineRoom
from selfreward.engines.reward import RewardEngineConfig
from selfreward.errors import StageError
from selfreward.models import ModelRef, resolve_model
from selfreward.progress import Advance, Reporter
from selfreward.records import Record
from selfreward.stages.shard import Shard
from selfreward.storage.durable import discard, file_hash, value_hash
from selfreward.storage.iteration import IterationStore, StageKey, Stored
from selfreward.storage.manifest import StageEntry
from selfreward.storage.run import ENGINE, TENSORBOARD, TRAINING, RunStore
from selfreward.tracking import LoopTrackers, Tracking
from selfreward.training.cost import COST
from selfreward.training.job import LOG, TrainingJob
from selfreward.training.process import train

R = TypeVar("R", bound=Record)
T = TypeVar("T")
Work = Callable[[Stored[R]], Iterable[Shard[R]]]
"""Given what a stage has stored so far, the shards that are still to do."""


@dataclass(frozen=True)
class Stage(Generic[R]):
    """What a stage is, apart from its work."""

    name: str
    record: type[R]
    key: StageKey
    total: int
    """When its progress is complete."""
    done: Callable[[StageEntry], int] = attrgetter("inputs_done")
    """Its progress so far."""
    may_be_empty: bool = False


@dataclass(frozen=True)
class Policy:
    """The model of one iteration."""

    label: str
    """M0, M1, …"""
    weights: Path | None
    """What was trained: an adapter over the root model, or a whole model; None where it is the root model."""
    digest: str
    """Hash of their files; ``root`` where there are none."""

    @classmethod
    def root(cls, label: str) -> Policy:
        """The root model alone."""
        return cls(label, None, "root")


class Session:
    """What the loop works with."""

    def __init__(self, config: RunConfig, store: RunStore, reporter: Reporter) -> None:
        self.config, self.store, self.reporter = config, store, reporter
        self.events = store.events()
        self.tracking = Tracking(
            trackers=config.report_to, project=store.path.name, directory=str(store.path / TENSORBOARD)
        )
        self.trackers = LoopTrackers(self.tracking)
        self._engines: list[tuple[ModelConfig, AnyEngine, Engine]] = []

    @cached_property
    def root(self) -> ModelRef:
        """The root model, found or fetched."""
        return resolve_model(self.config.model.name, self.config.model.revision)

    @cached_property
    def model(self) -> ModelConfig:
        """The root model's settings, held to the very commit that was found: a branch may move while a run goes on."""
        return self.config.model.model_copy(update={"revision": self.root.revision})

    @cached_property
    def chat(self) -> Chat:
        """The policy's tokenizer and chat template; needs no weights."""
        chat = load_chat(self.model)
        if not self._engines:
            # What came with it (torch, transformers) stays: to look for garbage in it over and over took a third of the
            # time outside engines. No weights are loaded yet, which have to be found when they are garbage.
            gc.freeze()
        return chat

    @cached_property
    def context(self) -> int:
        """Most tokens that the policy can take at once."""
        return context_length(self.model, self.config.engine.max_model_len)

    @cached_property
    def engine_config(self) -> ResolvedEngine:
        """The policy's engine, as ``auto`` comes out here."""
        return resolve_engine(self.config.engine)

    def engine_config_of(self, model: FixedModel) -> ResolvedEngine:
        """The engine of a model that is not trained: its own, or the policy's."""
        return self.engine_config if model.engine is None else resolve_engine(model.engine)

    def engine(self, policy: Policy) -> Engine:
        """The engine that answers as this policy; opened once, whatever stages ask for it."""
        engine = self._engine(self.model, self.engine_config, "engine")
        engine.use(policy.weights)
        return engine

    def likelihood_engine(self, policy: Policy, config: AnyEngine) -> Engine:
        """The engine that computes this policy's own probabilities; it may answer through another one."""
        engine = self._engine(self.model, config, "engine" if config == self.engine_config else "judge.method")
        engine.use(policy.weights)
        return engine

    def fixed_engine(self, model: FixedModel, setting: str) -> Engine:
        """The engine of a model that is not trained; ``setting`` is where the recipe names it."""
        plain = ModelConfig(**{name: getattr(model, name) for name in ModelConfig.model_fields})
        engine = self._engine(plain, self.engine_config_of(model), f"{setting}.engine" if model.engine else "engine")
        engine.use(None)  # it may be the policy's own, where both are the same root model
        return engine

    def reward_engine(self, model: ModelConfig, config: RewardEngineConfig) -> Engine:
        """The engine of a reward model."""
        return self._engine(model, config, "judge.method")

    def _engine(self, model: ModelConfig, config: AnyEngine, setting: str) -> Engine:
        """Only one has memory at a time."""
        wanted = None
        for other_model, other_config, engine in self._engines:
            if (other_model, other_config) == (model, config):
                wanted = engine
            else:
                engine.pause()
        if wanted is None:
            wanted = config.open(model, EngineRoom(self.store.path / ENGINE, setting, self.reporter.say))
            self._engines.append((model, config, wanted))
        return wanted

    def close(self) -> None:
        """Give all memory back, for good, and end what trackers are told."""
        while self._engines:
            self._engines.pop()[2].close()
        gc.unfreeze()
        self.trackers.close()

    def run_stage(self, iteration: IterationStore, stage: Stage[R], work: Work[R]) -> Stored[R]:
        """A stage's records: from disk where it is finished, else what is missing is made, shard by shard.

        Raises:
            StoreError: it was begun with other settings or on other inputs.
            StageError: it made nothing at all; then it stays open, and its settings may change.
        """
        name, record = stage.name, stage.record
        entry = iteration.begin(name, stage.key)
        if entry.finished:
            return iteration.stored(name, record)
        with self.reported(iteration, name, stage.total, stage.done(entry)) as advance:
            clock = time.monotonic()
            for shard in work(iteration.stored(name, record)):
                now = time.monotonic()
                iteration.add_shard(name, shard, record, seconds=now - clock)
                clock = now
                entry = iteration.manifest.stages[name]
                advance(stage.done(entry))
            if not entry.rows and not stage.may_be_empty:
                raise StageError(_came_out_empty(iteration, name, entry))
            iteration.finish(name)
        return iteration.stored(name, record)

    def run_training(self, iteration: IterationStore, job: TrainingJob, key: StageKey) -> StageEntry:
        """What training made: on disk where it is finished, else it is trained in a process of its own."""
        name = job.makes
        entry = iteration.begin_training(name, key)
        scratch = iteration.path / TRAINING
        if not entry.finished:
            for _, _, engine in self._engines:
                engine.pause()  # training needs the memory
            with self.reported(iteration, name, 1, 0) as advance:
                clock = time.monotonic()
                result = train(
                    job, _goes_on_with(job, key), scratch, lambda step, steps: advance(step / steps), self.reporter.say
                )
                iteration.finish_with_files(
                    name,
                    {made: scratch / made for made in (name, LOG, COST)},
                    timings={COST},
                    counts=result.counts,
                    seconds=time.monotonic() - clock,
                    summary=result.summary(),
                )
            entry = iteration.manifest.stages[name]
        discard(scratch)
        return entry

    @contextmanager
    def reported(self, iteration: IterationStore, name: str, total: int, done: int) -> Iterator[Advance]:
        """Say that a stage begins, how far it is, and what it came to, wherever somebody listens."""
        self.trackers.open()
        self.store.save_config(self.config)  # only now is it known that no finished work contradicts it
        place = {"iteration": iteration.manifest.iteration, "stage": name}
        self.events.write("stage_started", **place, done=done, total=total)
        with self.reporter.stage(f"{iteration.label} {name}", total, done) as show:

            def advance(completed: float) -> None:
                self.events.write("progress", **place, done=completed, total=total)
                show(completed)

            yield advance
        entry = iteration.manifest.stages[name]
        self.events.write("stage_finished", **place, rows=entry.rows, seconds=entry.seconds)


def _goes_on_with(job: TrainingJob, key: StageKey) -> str:
    """Hash of what a checkpoint is good for: the same training, by processes that hold it in the same way."""
    launch = job.accelerate_config
    return value_hash([key.version, key.settings, key.inputs, file_hash(Path(launch)) if launch else None])


def _came_out_empty(iteration: IterationStore, name: str, entry: StageEntry) -> str:
    counts = {what.removeprefix("drop."): n for what, n in entry.counts.items() if n and not what.startswith("tokens")}
    counted = ", ".join(f"{what}: {n}" for what, n in sorted(counts.items())) or "nothing was counted"
    return (
        f"{iteration.path}: {name} came out empty ({counted}). Earlier stages are kept; change the settings of {name} "
        "and run the same command again"
    )


def at_once(make: Callable[[], Shard[R]]) -> Work[R]:
    """Work that is one shard, all or nothing."""

    def work(stored: Stored[R]) -> Iterator[Shard[R]]:
        if not stored.entry.files:
            yield make()

    return work


def over(
    inputs: Iterable[T], size: int, step: Callable[[Sequence[T], int], Asking[Shard[R]]], engine: Callable[[], Engine]
) -> Work[R]:
    """Work through inputs in order, ``size`` at a time and as many parts at once as keep the engine busy.

    ``step`` is told where its part begins.
    """

    def parts(start: int) -> Iterator[Asking[Shard[R]]]:
        left = islice(inputs, start, None)
        while part := list(islice(left, size)):
            yield step(part, start)
            start += len(part)

    def work(stored: Stored[R]) -> Iterator[Shard[R]]:
        yield from work_through(engine(), parts(stored.entry.inputs_done))

    return work
