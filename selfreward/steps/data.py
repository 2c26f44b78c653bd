"""An iteration's data: prompts -> responses -> judgments."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from selfreward.engines.protocol import Asking
from selfreward.judges import JudgeConfig, build_judge
from selfreward.judges.mix import MixConfig
from selfreward.pair_rules.settings import JudgedSettings
from selfreward.records import EFTSeed, IFTSeed, Judgment, Prompt, Response, content_id, derive_seed, key_settings
from selfreward.session import Policy, Session, Stage, at_once, over
from selfreward.stages import judging, prompt_generation
from selfreward.stages.prompt_generation import PromptWriter, prompts_from_file, prompts_from_seeds
from selfreward.stages.responses import VERSION as RESPONSES_VERSION
from selfreward.stages.responses import generate_responses
from selfreward.stages.shard import Shard
from selfreward.steps.judge import judge_of
from selfreward.steps.keys import engine_settings, fixed_model_inputs, made_from, model_inputs
from selfreward.steps.mix import mix_key, mixed_shard
from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import IterationStore, StageKey, Stored
from selfreward.templates import load_prompt_template


def write_prompts(s: Session, it: IterationStore, policy: Policy) -> Stored[Prompt]:
    """New prompts by M_t or by a fixed model, or this iteration's share of a file or of the seeds."""
    config, t = s.config.prompts, it.manifest.iteration
    count = config.count
    if config.file is not None:
        path = Path(config.file)
        settings: dict[str, Any] = {"prompts": {"count": count}}
        share = prompts_from_file(path, count, t)
        # Of this iteration's share alone: rows that are added for later ones change nothing here.
        inputs = {"prompts.file": value_hash([[p.text, p.reference] if p.reference else p.text for p in share.records])}
        work = at_once(lambda: share)
    elif config.from_seeds:
        settings = {"seed": s.config.seed, "prompts": {"count": count}}
        inputs = made_from(s.store.iteration(0), "seeds_ift")
        work = at_once(lambda: _share_of_seeds(s, t))
    else:
        settings = {"seed": s.config.seed, "prompts": key_settings(config)}
        inputs = {"prompts.template": load_prompt_template(config.template).hash, **_earlier_inputs(s, t)}
        if config.model is None:
            settings |= engine_settings(s)
            inputs |= {"model": policy.digest, **model_inputs(s)}
        else:
            inputs |= fixed_model_inputs(s, config.model, "prompts.model")
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
        first = s.store.iteration(0)
        writer = PromptWriter(
            config=config,
            template=load_prompt_template(config.template),
            seeds=list(first.stored("seeds_ift", IFTSeed).records()),
            taken=[seed.instruction for seed in first.stored("seeds_eft", EFTSeed).records()],
            engine=s.engine(policy) if config.model is None else s.fixed_engine(config.model, "prompts.model"),
            chat=s.chat,
            model=policy.label if config.model is None else config.model.name,
            iteration=t,
            seed=derive_seed(s.config.seed, t, "prompts"),
        )
        yield from writer.rounds(earlier, list(stored.records()), stored.entry.inputs_done)

    return work


def _share_of_seeds(s: Session, t: int) -> Shard[Prompt]:
    seeds = list(s.store.iteration(0).stored("seeds_ift", IFTSeed).records())
    return prompts_from_seeds(seeds, s.config.prompts.count, t, derive_seed(s.config.seed, "prompts from seeds"))


def _earlier_inputs(s: Session, t: int) -> dict[str, str]:
    first = s.store.iteration(0)
    return made_from(first, "seeds_ift", "seeds_eft") | {
        f"prompts of iteration {u}": s.store.iteration(u).manifest.stages["prompts"].digest for u in range(1, t)
    }


def write_responses(s: Session, it: IterationStore, policy: Policy, prompts: Stored[Prompt]) -> Stored[Response]:
    """N responses to every prompt, by M_t."""
    return responses_by(s, it, policy, prompts, "responses")


def responses_by(
    s: Session, it: IterationStore, policy: Policy, prompts: Stored[Prompt], name: str, first: int = 0
) -> Stored[Response]:
    """N responses to every prompt as the stage ``name``, counted from ``first``."""
    config, t, tags = s.config.responses, it.manifest.iteration, s.config.model.reasoning_tags

    def answer(part: Sequence[Prompt], start: int) -> Asking[Shard[Response]]:
        seed = derive_seed(s.config.seed, t, name, start)
        return generate_responses(part, config, s.chat, policy.label, tags, seed, first)

    return s.run_stage(
        it,
        Stage(
            name,
            Response,
            StageKey(
                version=RESPONSES_VERSION,
                settings={
                    "seed": s.config.seed,
                    "model": {"reasoning_tags": list(tags)},
                    "responses": key_settings(config),
                    **engine_settings(s),
                },
                inputs={"model": policy.digest, **model_inputs(s), **made_from(it, "prompts")},
            ),
            total=prompts.entry.rows,
        ),
        over(list(prompts.records()), s.config.shard_size, answer, lambda: s.engine(policy)),
    )


def judge_responses(
    s: Session, it: IterationStore, policy: Policy, prompts: Stored[Prompt], responses: Stored[Response]
) -> Stored[Judgment] | None:
    """M_t judges its own responses, or whoever the recipe names; nobody where the pair rule looks at no verdicts."""
    if not isinstance(s.config.pairs, JudgedSettings):
        return None
    taught = s.config.judge.taught()
    if s.config.judge.model is None and taught is not None:
        _say_if_taught_otherwise(s, taught.method.type)
    return judgments_by(s, it, policy, prompts, responses, "judgments", "responses")


def judgments_by(
    s: Session,
    it: IterationStore,
    policy: Policy,
    prompts: Stored[Prompt],
    responses: Stored[Response],
    name: str,
    of: str,
) -> Stored[Judgment]:
    """Judgments of the responses of the stage ``of``, as the stage ``name``; those by the parts of a mix beside it."""
    by_id = {prompt.id: prompt for prompt in prompts.records()}

    def judged_by(config: JudgeConfig, stage: str) -> Stored[Judgment]:
        who = judge_of(s, policy, config)
        judge = build_judge(config, who.reasoning_tags)

        def verdicts(part: Sequence[Response], start: int) -> Asking[Shard[Judgment]]:
            seed = derive_seed(s.config.seed, it.manifest.iteration, stage, start)
            shard = yield from judging.judge_responses(part, by_id, config, judge, who.listener(), who.label, seed)
            return _of_stage(shard, stage)

        key = who.key(**made_from(it, "prompts", of))
        work = over(responses.records(), s.config.shard_size * s.config.responses.n, verdicts, who.engine)
        return s.run_stage(it, Stage(stage, Judgment, key, total=responses.entry.rows), work)

    method = s.config.judge.method
    if not isinstance(method, MixConfig):
        return judged_by(s.config.judge, name)
    parts = {part: judged_by(config, f"{name}_{part}") for part, config in s.config.judge.parts().items()}

    def whole() -> Shard[Judgment]:
        candidates = [judging.candidate(r, by_id[r.prompt_id], s.config.judge) for r in responses.records()]
        return _of_stage(mixed_shard(method, parts, candidates, policy.label), name)

    key = mix_key(method, {**made_from(it, of), **made_from(it, *(f"{name}_{part}" for part in parts))})
    return s.run_stage(it, Stage(name, Judgment, key, total=responses.entry.rows), at_once(whole))


def _of_stage(shard: Shard[Judgment], name: str) -> Shard[Judgment]:
    """Several judges may judge one response; each of their verdicts has an id of its own."""
    if name == "judgments":
        return shard
    own = [j.model_copy(update={"id": content_id("j", name, j.id)}) for j in shard.records]
    return replace(shard, records=own)


def _say_if_taught_otherwise(s: Session, method: str) -> None:
    examples = s.store.iteration(0).stage("examples")
    taught = examples.settings["judge"]["method"]["type"] if examples else method
    if taught != method:
        s.reporter.say(f"judging is {method}, but the EFT examples of iteration 0 taught the model to judge {taught}")
