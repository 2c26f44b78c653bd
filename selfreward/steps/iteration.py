"""How an iteration begins and ends: its manifest and its metrics."""

import json
from typing import Any

from selfreward.config import EvaluationConfig
from selfreward.diagnosis.pair_flags import VERSION as FLAGS_VERSION
from selfreward.diagnosis.pair_flags import PairFlags
from selfreward.engines import FixedModel
from selfreward.errors import ConfigError, StoreError
from selfreward.judges.fitting import check_can, check_fits
from selfreward.judges.reward_model import RewardModelConfig
from selfreward.objectives.installed import check_installed
from selfreward.pair_rules.settings import JudgedSettings
from selfreward.session import Session
from selfreward.steps.comparing import comparing_judge
from selfreward.steps.keys import made_from, meta_rubric_inputs
from selfreward.steps.metrics import FLAGS, VERSION, iteration_metrics
from selfreward.steps.reporting import report_iteration
from selfreward.storage.durable import TEMPORARY, write_text
from selfreward.storage.environment import describe
from selfreward.storage.iteration import IterationStore, StageKey
from selfreward.storage.tables import write_table
from selfreward.templates import load_prompt_template
from selfreward.tracking import check_trackers
from selfreward.training.launching import check_batches


def check_model(s: Session) -> None:
    """Whether the models and their engines can do what the recipe asks of them; needs no weights.

    Raises:
        EngineError: an engine is not installed or cannot do it, or the judge's scores are no tokens of its model.
        ConfigError: TRL lacks the objective, processes cannot share its batches, or responses are longer than the
            policy's context.
    """
    check_installed(s.config.objectives, s.config.lora)
    check_trackers(s.config.report_to)
    check_batches(s.config.accelerate_config, s.config.optimisers)
    s.engine_config.check(s.model)
    judge, writer = s.config.judge.model, s.config.prompts.model
    if writer is not None:
        s.engine_config_of(writer).check(writer, _engine_of(writer, "prompts.model"))
    if judge is not None:
        s.engine_config_of(judge).check(judge, _engine_of(judge, "judge.model"))
    if isinstance(s.config.pairs, JudgedSettings) or s.config.evaluation != EvaluationConfig():
        _check_judge(s)
    wanted = s.config.responses.max_tokens
    if wanted >= s.context:
        raise ConfigError(
            f"responses.max_tokens={wanted} leaves no room for a prompt in the {s.context} tokens of {s.model.name}; "
            "lower it"
        )


def _check_judge(s: Session) -> None:
    model = s.config.judge.model
    engine = s.engine_config if model is None else s.engine_config_of(model)
    setting = "engine" if model is None else _engine_of(model, "judge.model")
    chat = s.chat if model is None else engine.chat_of(model)
    tags = s.config.model.reasoning_tags
    for judge in s.config.judge.alone():
        if isinstance(judge.method, RewardModelConfig):
            root, rewards = judge.method.root(), judge.method.engine()
            rewards.check(root)
            check_fits(judge, tags, rewards, "judge.method", rewards.chat_of(root))
        else:
            check_fits(judge, tags, engine, setting, chat)
    if s.config.evaluation.prompts is not None:
        check_fits(comparing_judge(s), tags, engine, setting, chat)
    meta = s.config.meta_judge
    if meta is not None:
        reader, asks = meta.reader(tags), ("meta_judge.verdict.type", meta.verdict.type)
        check_can(reader, asks, s.engine_config, "engine", s.chat)


def _engine_of(model: FixedModel, setting: str) -> str:
    """Where the recipe sets what a fixed model answers through."""
    return "engine" if model.engine is None else f"{setting}.engine"


def begin_iteration(s: Session, t: int) -> IterationStore:
    """The iteration's directory and manifest."""

    def about() -> dict[str, Any]:
        return {
            "config": s.config.model_dump(mode="json"),
            "model": {"name": s.root.name, "revision": s.root.revision, "fingerprint": s.root.fingerprint},
            "templates": {
                **{setting: rubric.hash for setting, rubric in s.config.judge.rubrics().items()},
                "prompts.template": load_prompt_template(s.config.prompts.template).hash,
                **(meta_rubric_inputs(s.config.meta_judge) if s.config.meta_judge is not None else {}),
            },
            "environment": describe(),
        }

    it = s.store.begin_iteration(t, about)
    if it.manifest.model["fingerprint"] != s.root.fingerprint:  # a fork does not compare what it inherited
        raise StoreError(
            f"{it.path}: was made with the root model {it.manifest.model['name']}, which is not {s.root.name} as it is "
            "now: every adapter of a run belongs to one root model. Go back to it, or start a new run with --name NEW"
        )
    return it


def finish_iteration(s: Session, it: IterationStore) -> None:
    """metrics.json, and the word that the iteration is whole."""
    if it.manifest.finished:
        return
    of = made_from(it, *(name for name in it.manifest.stages if name != "metrics"))
    if not it.begin("metrics", StageKey(VERSION, {}, of)).finished:
        metrics, flags = it.path / f"{TEMPORARY}metrics.json", it.path / f"{TEMPORARY}{FLAGS}"
        flagged: list[PairFlags] = []
        found = iteration_metrics(s.store, it, flagged)
        write_text(metrics, json.dumps(found, indent=1) + "\n")
        made = {"metrics.json": metrics}
        if it.manifest.iteration:
            write_table(flags, flagged, PairFlags)
            made[FLAGS] = flags
        report_iteration(s, it, found)
        it.finish_with_files("metrics", made, counts={}, seconds=0.0, summary={"pair_flags": FLAGS_VERSION})
    it.close()
    s.events.write("iteration_finished", iteration=it.manifest.iteration)
