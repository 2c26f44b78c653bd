"""Each step of the loop, tied to a run: what is in its key, what it reads, and the stage that does the work."""

import json
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from selfreward.config import RunConfig
from selfreward.durable import TEMPORARY, file_hash, write_text
from selfreward.environment import describe
from selfreward.errors import SeedError, StoreError
from selfreward.grouping import Grouped
from selfreward.judges import build_judge
from selfreward.models import resolve_model
from selfreward.objectives import ObjectiveConfig
from selfreward.records import (
    EFTSeed,
    Example,
    IFTSeed,
    Judgment,
    PreferencePair,
    Prompt,
    Record,
    Response,
    derive_seed,
    key_settings,
)
from selfreward.seeding.own_format import read_eft, read_ift
from selfreward.session import Policy, Session, Stage, over
from selfreward.stages import judging, metrics, pairing, prompt_generation, sft_examples, training
from selfreward.stages import responses as response_stage
from selfreward.stages.prompt_generation import PromptWriter, prompts_from_file
from selfreward.stages.shard import Shard
from selfreward.stages.training import TrainingJob
from selfreward.store import IterationStore, StageKey, Stored
from selfreward.templates import load_prompt_template

R = TypeVar("R", bound=Record)


def read_seeds(config: RunConfig) -> tuple[list[IFTSeed], list[EFTSeed]]:
    """Both seed files, checked.

    Raises:
        SeedError: with the bad rows of both.
    """
    scale = config.judge.load_rubric().front.scale
    errors: list[str] = []

    def read(path: str | None, reader: Callable[[Path], list[R]]) -> list[R]:
        try:
            return reader(Path(path)) if path else []
        except SeedError as error:
            errors.append(str(error))
            return []

    ift = read(config.seeds.ift, read_ift)
    eft = read(config.seeds.eft, lambda path: read_eft(path, scale))
    if errors:
        raise SeedError("\n".join(errors))
    return ift, eft


def begin_iteration(s: Session, t: int) -> IterationStore:
    """The iteration's directory and manifest."""

    def about() -> dict[str, Any]:
        return {
            "config": s.config.model_dump(mode="json"),
            "model": {"name": s.root.name, "revision": s.root.revision, "fingerprint": s.root.fingerprint},
            "templates": {
                "judge.rubric": s.config.judge.load_rubric().hash,
                "prompts.template": load_prompt_template(s.config.prompts.template).hash,
            },
            "environment": describe(),
        }

    return s.store.begin_iteration(t, about)


def seeds(s: Session, it: IterationStore) -> tuple[list[IFTSeed], list[EFTSeed]]:
    """Seeds, kept in the run so that every prompt can be walked back to what bred it."""
    ift, eft = read_seeds(s.config)
    _store_seeds(s, it, "seeds_ift", ift, IFTSeed, s.config.seeds.ift)
    _store_seeds(s, it, "seeds_eft", eft, EFTSeed, s.config.seeds.eft)
    return ift, eft


def _store_seeds(
    s: Session, it: IterationStore, name: str, rows: Sequence[R], record: type[R], path: str | None
) -> None:
    s.run_stage(
        it,
        Stage(
            name,
            record,
            StageKey(
                version=1,
                settings={},
                inputs={name.replace("_", "."): file_hash(Path(path)) if path else "none"},
            ),
            total=len(rows),
            may_be_empty=True,
        ),
        over(rows, max(len(rows), 1), lambda part, _: Shard(list(part), len(part))),
    )


def examples(s: Session, it: IterationStore, ift: Sequence[IFTSeed], eft: Sequence[EFTSeed]) -> Stored[Example]:
    """SFT examples from both kinds of seeds."""
    config = s.config
    seed = derive_seed(config.seed, 0, "examples")
    judge = build_judge(config.judge, config.model.reasoning_tags[1])
    return s.run_stage(
        it,
        Stage(
            "examples",
            Example,
            StageKey(
                version=sft_examples.VERSION,
                settings={
                    "seed": config.seed,
                    "judge": key_settings(config.judge),
                    **_engine_settings(s),
                    "sft": {"max_length": config.sft.max_length, "max_tokens": config.sft.max_tokens},
                },
                inputs={**_model_inputs(s), **_rubric_inputs(s), **_made_from(it, "seeds_ift", "seeds_eft")},
            ),
            total=len(ift) + len(eft),
        ),
        over(
            [None],
            1,
            lambda *_: sft_examples.build_examples(ift, eft, judge, s.chat, s.context, config.sft, seed),
        ),
    )


def sft(s: Session, it: IterationStore, data: Stored[Example]) -> Policy:
    """M0 -> M1."""
    return _train(s, it, s.config.sft, Policy("M0", None, "root"), data, "examples")


def no_sft(it: IterationStore) -> None:
    """Raises StoreError where M1 was trained by an earlier start of the run and would now be M0."""
    if it.stage("adapter") is not None:
        raise StoreError(
            f"{it.path}: M1 was trained here, and the recipe now says sft.enabled: false or has no seeds. Go back to the "
            "old settings, or start a new run with --name NEW"
        )


def dpo(s: Session, it: IterationStore, policy: Policy, data: Stored[PreferencePair]) -> Policy:
    """M_t -> M_{t+1}."""
    return _train(s, it, s.config.dpo, policy, data, "pairs")


def _train(
    s: Session, it: IterationStore, objective: ObjectiveConfig, parent: Policy, data: Stored[Any], made_from: str
) -> Policy:
    t = it.manifest.iteration
    job = TrainingJob(
        objective=objective,
        model=s.config.model,
        adapter=str(parent.adapter) if parent.adapter else None,
        lora=s.config.lora,
        data=tuple(map(str, data.paths())),
        seed=derive_seed(s.config.seed, t, "training"),
    )
    settings = {
        "seed": s.config.seed,
        objective.type: key_settings(objective),
        **({} if parent.adapter else {"lora": key_settings(s.config.lora)}),
    }
    inputs = {"parent": parent.digest, **_model_inputs(s), **_made_from(it, made_from)}
    return s.run_training(it, job, StageKey(training.VERSION, settings, inputs))


def prompts(s: Session, it: IterationStore, policy: Policy) -> Stored[Prompt]:
    """New prompts by M_t or by a fixed model, or this iteration's share of a file."""
    config, t = s.config.prompts, it.manifest.iteration
    count = config.count
    if config.file is not None:
        path = Path(config.file)
        settings: dict[str, Any] = {"prompts": {"count": count}}
        inputs = {"prompts.file": file_hash(path)}
        work = over([None], 1, lambda *_: prompts_from_file(path, count, t))
    else:
        settings = {"seed": s.config.seed, "prompts": key_settings(config), **_engine_settings(s)}
        inputs = {"prompts.template": load_prompt_template(config.template).hash, **_earlier(s, t)}
        if config.model is None:
            inputs |= {"model": policy.digest, **_model_inputs(s)}
        else:
            inputs["prompts.model"] = resolve_model(config.model.name, config.model.revision).fingerprint
        work = _written_prompts(s, t, policy)
    stored = s.run_stage(
        it,
        Stage(
            "prompts",
            Prompt,
            StageKey(
                version=prompt_generation.VERSION,
                settings=settings,
                inputs=inputs,
            ),
            total=count,
            done=attrgetter("rows"),
        ),
        work,
    )
    if stored.entry.rows < count:
        s.reporter.say(f"{it.label} prompts: {stored.entry.rows} of the {count} wanted were found")
    return stored


def _written_prompts(s: Session, t: int, policy: Policy) -> Callable[[Stored[Prompt]], Iterator[Shard[Prompt]]]:
    config = s.config.prompts

    def work(stored: Stored[Prompt]) -> Iterator[Shard[Prompt]]:
        earlier = [p for u in range(1, t) for p in s.store.iteration(u).stored("prompts", Prompt).records()]
        writer = PromptWriter(
            config=config,
            template=load_prompt_template(config.template),
            seeds=list(s.store.iteration(0).stored("seeds_ift", IFTSeed).records()),
            engine=s.engine(policy) if config.model is None else s.fixed_engine(config.model),
            model=policy.label if config.model is None else config.model.name,
            iteration=t,
            seed=derive_seed(s.config.seed, t, "prompts"),
        )
        yield from writer.rounds(earlier, list(stored.records()), stored.entry.inputs_done)

    return work


def responses(s: Session, it: IterationStore, policy: Policy, asked: Stored[Prompt]) -> Stored[Response]:
    """N answers to every prompt, by M_t."""
    config, t, tags = s.config.responses, it.manifest.iteration, s.config.model.reasoning_tags

    def answer(part: Sequence[Prompt], start: int) -> Shard[Response]:
        seed = derive_seed(s.config.seed, t, "responses", start)
        return response_stage.generate_responses(part, config, s.engine(policy), policy.label, tags, seed)

    return s.run_stage(
        it,
        Stage(
            "responses",
            Response,
            StageKey(
                version=response_stage.VERSION,
                settings={
                    "seed": s.config.seed,
                    "model": {"reasoning_tags": list(tags)},
                    "responses": key_settings(config),
                    **_engine_settings(s),
                },
                inputs={"model": policy.digest, **_model_inputs(s), **_made_from(it, "prompts")},
            ),
            total=asked.entry.rows,
        ),
        over(list(asked.records()), s.config.shard_size, answer),
    )


def judgments(
    s: Session, it: IterationStore, policy: Policy, asked: Stored[Prompt], answers: Stored[Response]
) -> Stored[Judgment]:
    """M_t judges its own answers."""
    config, t = s.config.judge, it.manifest.iteration
    judge = build_judge(config, s.config.model.reasoning_tags[1])
    by_id = {prompt.id: prompt for prompt in asked.records()}

    def verdicts(part: Sequence[Response], start: int) -> Shard[Judgment]:
        seed = derive_seed(s.config.seed, t, "judgments", start)
        engine = s.engine(policy)
        return judging.judge_responses(part, by_id, config, judge, engine, policy.label, seed)

    return s.run_stage(
        it,
        Stage(
            "judgments",
            Judgment,
            StageKey(
                version=judging.VERSION,
                settings={"seed": s.config.seed, "judge": key_settings(config), **_engine_settings(s)},
                inputs={
                    "model": policy.digest,
                    **_model_inputs(s),
                    **_rubric_inputs(s),
                    **_made_from(it, "prompts", "responses"),
                },
            ),
            total=answers.entry.rows,
        ),
        over(answers.records(), s.config.shard_size * s.config.responses.n, verdicts),
    )


def pairs(
    s: Session,
    it: IterationStore,
    asked: Stored[Prompt],
    answers: Stored[Response],
    verdicts: Stored[Judgment],
) -> Stored[PreferencePair]:
    """Best against worst, where there is a difference worth learning."""
    tags = s.config.model.reasoning_tags

    def work(stored: Stored[PreferencePair]) -> Iterator[Shard[PreferencePair]]:
        by_prompt = Grouped(answers.records(), lambda r: r.prompt_id)
        judged = Grouped(verdicts.records(), lambda j: j.prompt_id)

        def build(part: Sequence[Prompt]) -> Shard[PreferencePair]:
            own_answers = [r for prompt in part for r in by_prompt.take(prompt.id)]
            own_verdicts = [j for prompt in part for j in judged.take(prompt.id)]
            return pairing.build_pairs(part, own_answers, own_verdicts, s.config.pairs, s.chat, tags)

        every = list(asked.records())
        done = stored.entry.inputs_done
        for prompt in every[:done]:
            by_prompt.take(prompt.id)
            judged.take(prompt.id)
        for start in range(done, len(every), s.config.shard_size):
            yield build(every[start : start + s.config.shard_size])
        by_prompt.close()
        judged.close()

    return s.run_stage(
        it,
        Stage(
            "pairs",
            PreferencePair,
            StageKey(
                version=pairing.VERSION,
                settings={"pairs": key_settings(s.config.pairs), "model": {"reasoning_tags": list(tags)}},
                inputs={**_model_inputs(s), **_made_from(it, "prompts", "responses", "judgments")},
            ),
            total=asked.entry.rows,
        ),
        work,
    )


def finish_iteration(s: Session, it: IterationStore) -> None:
    """metrics.json, and the word that the iteration is whole."""
    if it.manifest.finished:
        return
    temporary = it.path / f"{TEMPORARY}metrics.json"
    found = iteration_metrics(it)
    write_text(temporary, json.dumps(found, indent=1) + "\n")
    it.begin("metrics", StageKey(metrics.VERSION, {}, _made_from(it, *it.manifest.stages)))
    it.finish_with_files("metrics", {"metrics.json": temporary}, counts={}, seconds=0.0, summary={})
    it.close()
    s.events.write("iteration_finished", iteration=it.manifest.iteration)


def iteration_metrics(it: IterationStore) -> dict[str, Any]:
    """What metrics.json holds, computed from the stored records."""
    found: dict[str, Any] = {"iteration": it.manifest.iteration}
    if "responses" in it.manifest.stages:
        answers = it.stored("responses", Response)
        lengths = {r.id: len(r.token_ids) for r in answers.records()}
        asked = it.stored("prompts", Prompt).entry.rows
        found["prompts"] = asked
        found |= metrics.response_metrics(answers.records())
        found |= metrics.judgment_metrics(it.stored("judgments", Judgment).records(), lengths)
        found |= metrics.pair_metrics(it.stored("pairs", PreferencePair).records(), asked)
    found["counts"] = {name: dict(stage.counts) for name, stage in it.manifest.stages.items() if stage.counts}
    found["seconds"] = {name: stage.seconds for name, stage in it.manifest.stages.items()}
    training = it.stage("adapter")
    if training is not None:
        found["training"] = training.summary
    return found


def _engine_settings(s: Session) -> dict[str, Any]:
    return {"engine": key_settings(s.config.engine)}


def _model_inputs(s: Session) -> dict[str, str]:
    return {"root model": s.root.fingerprint, "chat template": s.chat.fingerprint}


def _rubric_inputs(s: Session) -> dict[str, str]:
    return {"judge.rubric": s.config.judge.load_rubric().hash}


def _made_from(it: IterationStore, *stages: str) -> dict[str, str]:
    return {name: it.manifest.stages[name].digest for name in stages}


def _earlier(s: Session, t: int) -> dict[str, str]:
    first = s.store.iteration(0)
    return {"seeds_ift": first.manifest.stages["seeds_ift"].digest} | {
        f"prompts of iteration {u}": s.store.iteration(u).manifest.stages["prompts"].digest for u in range(1, t)
    }
