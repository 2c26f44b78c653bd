"""Ranked responses put to a judge. Judgments are stored as they come, for they are what takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from selfreward.config import RunConfig, make_config
from selfreward.engines import AnyEngine, resolve_engine
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Asking, Engine, EngineRoom
from selfreward.engines.server import ServerConfig
from selfreward.errors import ConfigError, StoreError
from selfreward.judges import build_judge
from selfreward.judges.fitting import check_fits
from selfreward.judges.mix import MixConfig, mixed
from selfreward.judges.protocol import Candidate, Judge, Listener
from selfreward.models import resolve_model
from selfreward.progress import Reporter
from selfreward.records import Judgment, Ranked, derive_seed, key_settings
from selfreward.seeding.ranked import by_prompt
from selfreward.session import Stage, over
from selfreward.setting_names import parse_overrides
from selfreward.stages.judging import VERSION
from selfreward.stages.shard import Shard
from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import IterationStore, StageKey, check_file
from selfreward.storage.run import RunStore
from selfreward.verdicts.keeping import kept
from selfreward.verdicts.who import Reference, Who

PROMPTS_A_SAVE = 6
"""Some twenty responses: what a crash can lose, minutes on a CPU. Busy engines have several such parts under way."""
_WITHOUT_A_MODEL = ("implicit", "verifiable")
HELD_OUT = "heldout"
"""What random seeds of measuring are derived for, in a run and outside it. No iteration is in it, so that a
run's figures and those taken of it later are the same."""


def plain_config(model: str | None, overrides: Iterable[str]) -> RunConfig:
    """Settings for judging alone. A recipe wants seeds to write prompts after, and none are written here."""
    changes = parse_overrides(list(overrides))
    judge: dict[str, Any] = {"model": {"name": model}} if model else {}
    if changes.get("judge.method.type") == "reward_model" and model:
        judge = {"method": {"type": "reward_model", "model": model}}
    elif changes.get("judge.method.type") in _WITHOUT_A_MODEL:
        judge = {}
    data = {"model": model or "unnamed", "seeds": {"ift": "unused"}, "judge": judge}
    return make_config(data, changes, "--set")


def judging_alone(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings where nothing is trained: what pairs, training and gates ask of a judge is no matter then."""
    idle: dict[str, Any] = {"pairs": {}, "train": {}, "meta_judge": None, "stop_if": {}, "warn_if": {}}
    responses = {**recipe["responses"], "n": max(2, recipe["responses"]["n"])}  # that pairs need two is no matter too
    return {**recipe, **idle, "responses": responses, "name": None}


def named_model(config: RunConfig) -> Who:
    """The model that a recipe names: its judge, else its root model."""
    judge = config.judge.model
    if judge is None:
        return Who(config, config.model, resolve_engine(config.engine), config.model.name)
    plain = ModelConfig(**{name: getattr(judge, name) for name in ModelConfig.model_fields})
    setting = "judge.model.engine" if judge.engine else "engine"
    return Who(config, plain, resolve_engine(judge.engine or config.engine), judge.name, setting=setting)


def model_of_run(run: RunStore, t: int | None, config: RunConfig) -> Who:
    """M_t of a run, the last one where ``t`` is not said, with the models that it can be held against.

    Raises:
        StoreError: the run has not trained it, or its root model is not what it was.
    """
    who, t = _model_of_run(run, t, config)
    if not t or not config.judge.asks("policy"):
        return who
    before = _model_of_run(run, t - 1, config)[0]
    return replace(
        who,
        references={
            "initial": Reference("M0", None, "root"),
            "previous": Reference(f"M{t - 1}", before.weights, before.digest),
        },
    )


def _model_of_run(run: RunStore, t: int | None, config: RunConfig) -> tuple[Who, int]:
    """M_t alone, and t.

    Raises:
        StoreError: the run has not trained it, or its root model is not what it was.
    """
    trained = trained_models(run)
    t = max(trained, default=0) if t is None else t
    if t and t not in trained:
        has = ", ".join(f"M{k}" for k in (0, *sorted(trained)))
        raise StoreError(f"{run.path}: has no M{t}; it has {has}. Name one with -i, or go on with the run first")
    who = Who(config, config.model, resolve_engine(config.engine), f"M{t} of {run.path.name}")
    if t == 0:
        return who, t
    it = trained[t]
    root = resolve_model(config.model.name, config.model.revision)
    if it.manifest.model["fingerprint"] != root.fingerprint:
        raise StoreError(f"{it.path}: its model belongs to another root model than {config.model.name} as it is now")
    entry = it.trained
    if entry is None:  # M1 is M0 where SFT was left out
        return who, t
    for file in entry.files:
        check_file(it.path, file)
    return replace(who, weights=it.weights, digest=entry.digest), t


def trained_models(run: RunStore) -> dict[int, IterationStore]:
    """By t of M_t, the iterations that a run has finished training in."""
    return {k + 1: run.iteration(k) for k in run.iterations() if _gives_a_model(run.iteration(k))}


def _gives_a_model(it: IterationStore) -> bool:
    entry = it.trained
    return it.manifest.finished if entry is None else entry.finished


class OpenEngine:
    """The engine of whoever judges now: opened when first asked for, and kept while the same root model goes on."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._room = EngineRoom(directory, say=say)
        self._open: tuple[ModelConfig, AnyEngine, Engine] | None = None

    def of(self, who: Who) -> Engine:
        """An engine that answers as this very model."""
        if self._open is None or self._open[:2] != (who.model, who.engine):
            self.close()
            self._open = who.model, who.engine, who.engine.open(who.model, replace(self._room, setting=who.setting))
        engine = self._open[2]
        engine.use(who.weights)
        return engine

    def close(self) -> None:
        """Give all memory back."""
        if self._open is not None:
            self._open[2].close()
            self._open = None


def judged(
    who: Who, rows: Sequence[Ranked], work: Path, reporter: Reporter, purpose: str, engine: OpenEngine
) -> list[Judgment]:
    """All judgments of the responses, prompt by prompt; what ``work`` has of an earlier try is not asked again.

    ``purpose`` is what random seeds are derived for.

    Raises:
        SelfRewardError: the engine or its model cannot judge in this way, or it cannot go on.
    """
    config = who.config.judge
    if asks := config.needs_references():
        raise ConfigError(f"{asks}, which ranked responses have not; judge them in another way")
    if isinstance(config.method, MixConfig):
        parts = {
            name: judged(who.alone(part), rows, work, reporter, purpose, engine)
            for name, part in config.parts().items()
        }
        return mixed(config.method.weights, parts, candidates_of(rows), who.label)
    tags = who.model.reasoning_tags
    who.engine.check(who.model, who.setting)
    check_fits(config, tags, who.engine, who.setting, who.chat)
    prompts = list(by_prompt(list(rows)).values())
    judge = build_judge(config, tags)
    opened = cache(lambda: engine.of(who))  # once, and not where nothing is left to do

    def verdicts(part: Sequence[Sequence[Ranked]], start: int) -> Asking[Shard[Judgment]]:
        seed = derive_seed(who.config.seed, purpose, start)
        return verdicts_on(part, judge, who.listener(opened()), who.label, seed)

    stage = Stage("judgments", Judgment, _key(who, rows), total=len(prompts))
    work_on = over(prompts, PROMPTS_A_SAVE, verdicts, opened)
    return kept(work, stage, f"prompts judged by {who.label}", reporter, work_on)


def verdicts_on(
    part: Sequence[Sequence[Ranked]], judge: Judge, listener: Listener, label: str, seed: int
) -> Asking[Shard[Judgment]]:
    """Some prompts' responses, put to a judge."""
    found = yield from judge.judge(candidates_of(r for group in part for r in group), listener, label, seed)
    return Shard(found, len(part))


def candidates_of(rows: Iterable[Ranked]) -> list[Candidate]:
    """Ranked responses as a judge is given them."""
    return [Candidate(r.prompt_id, r.id, r.prompt or "", r.response) for r in rows]


def who_settings(who: Who) -> dict[str, Any]:
    """What a key holds of a model's engine and of how it thinks aloud."""
    return {"engine": key_settings(who.engine), "reasoning_tags": list(who.model.reasoning_tags)}


def who_inputs(who: Who) -> dict[str, str]:
    """What a key holds of a model itself."""
    chat = who.chat
    endpoint = isinstance(who.engine, ServerConfig)
    return {
        "model": who.model.name if endpoint else resolve_model(who.model.name, who.model.revision).fingerprint,
        "trained weights": who.digest,
        "chat template": chat.fingerprint if chat else "none",
    }


def _key(who: Who, rows: Sequence[Ranked]) -> StageKey:
    config = who.config
    return StageKey(
        version=VERSION,
        settings={"seed": config.seed, "judge": key_settings(config.judge), **who_settings(who)},
        inputs={
            **who_inputs(who),
            **who.inputs(),
            "responses": value_hash([[r.id, r.prompt, r.response] for r in rows]),
        },
    )
