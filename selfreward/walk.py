"""The whole way of one item of a run: what bred it, what was answered, how it was judged, who was chosen and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal, TypeVar

from selfreward.decision import Decision, applied_to, decision, pair_rule
from selfreward.errors import StoreError
from selfreward.judges.injection import reasons
from selfreward.meta_judge.ranking import best_and_worst
from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.corrections import Corrections
from selfreward.pair_rules.scored import Beside, untrainable, usable_responses
from selfreward.pair_rules.settings import JudgedSettings
from selfreward.query.database import LOCK, ask
from selfreward.query.index import Index, files_of
from selfreward.query.items import Found, Kind, fetch, find_item
from selfreward.query.kept import iteration
from selfreward.query.tables import part_stages
from selfreward.records import (
    EFTSeed,
    Example,
    Frozen,
    IFTSeed,
    Judgment,
    Labelled,
    PreferencePair,
    Prompt,
    Record,
    Response,
)
from selfreward.storage.iteration import IterationStore
from selfreward.storage.overrides import corrections, read_overrides
from selfreward.storage.run import RunStore

R = TypeVar("R", bound=Record)


Role = Literal["chosen", "rejected", "wanted", "unwanted"]


class Shot(Frozen):
    """A task that a prompt was written after."""

    id: str
    kind: Literal["seed", "prompt"]
    iteration: int
    text: str


class Candidate(Frozen):
    """A response with all its verdicts."""

    response: Response
    score: float | None
    """Mean of the readable verdicts."""
    before: float | None = None
    """Mean by the model before, where the pair rule asked for it."""
    judgments: tuple[Judgment, ...]
    role: Role | None
    given: float | None = None
    """The score that a person gave it, where one did: what is built from now on goes by it."""
    unusable: str | None
    """Why it can be in no pair: truncated, empty, special_tokens or unjudged."""
    injection: tuple[str, ...] = ()
    """What in its text could steer a judge, by name."""


class JudgmentsCompared(Frozen):
    """What the meta-judge made of the judgments of the prompt's most contested response."""

    response_id: str
    comparisons: tuple[Judgment, ...]
    """Their ids are those of judgments; the score is the first one's chance to be better."""
    pair: PreferencePair | None
    reason: str | None = None
    """Why there is no pair, as far as this prompt alone says it."""


class PromptWalk(Frozen):
    """A prompt and everything that came of it. ``item`` is the record that was asked about."""

    item: str
    kind: Kind
    iteration: int
    prompt: Prompt
    few_shot: tuple[Shot, ...]
    candidates: tuple[Candidate, ...]
    decision: Decision
    pair: PreferencePair | None
    """The one that was asked about, else the prompt's widest."""
    further_pairs: tuple[str, ...] = ()
    """Ids of the prompt's other pairs, where the rule makes several."""
    judgments_compared: JudgmentsCompared | None = None
    """Where the recipe has the judgments judged, and there were some to compare."""


class SeedWalk(Frozen):
    """A seed and what it was used for."""

    item: str
    kind: Literal["seed"] = "seed"
    seed: IFTSeed | EFTSeed
    trained_on: bool
    """Whether it became an SFT example."""
    prompts: tuple[Prompt, ...]
    """Prompts that were written after it, in all iterations."""


def walk(run: RunStore, item: str) -> PromptWalk | SeedWalk:
    """The way of a pair, prompt, response, judgment or seed, by its id or the beginning of it.

    Raises:
        StoreError: no such item, or several.
    """
    found = find_item(run, item)
    if found.kind == "seed":
        return _seed_walk(run, found)
    it = iteration(run, found.iteration)
    return prompt_walk(run, it, found, _prompt_id(it, found))


def _prompt_id(it: IterationStore, found: Found) -> str:
    if found.kind == "prompt":
        return found.id
    record: dict[Kind, type[PreferencePair | Labelled | Response | Judgment]] = {
        "pair": PreferencePair,
        "labelled": Labelled,
        "response": Response,
        "judgment": Judgment,
    }
    (row,) = fetch(it.stored(found.stage, record[found.kind]), "id = $id", id=found.id)
    return row.prompt_id


def prompt_walk(run: RunStore, it: IterationStore, found: Found, prompt_id: str) -> PromptWalk:
    """The way of an item of a prompt; only the files that hold something of the prompt are read."""
    files = files_of(it, prompt_id)
    (prompt,) = fetch(it.stored("prompts", Prompt), "id = $id", files["prompts"], id=prompt_id)
    responses = _of_prompt(it, "responses", Response, prompt_id, files)
    judgments = _of_prompt(it, "judgments", Judgment, prompt_id, files)
    beside = Beside(
        _of_prompt(it, "initial_responses", Response, prompt_id, files),
        _of_prompt(it, "initial_judgments", Judgment, prompt_id, files),
        _of_prompt(it, "previous_judgments", Judgment, prompt_id, files),
    )
    verdicts = [*judgments, *beside.initial_judgments]
    parts = [j for name in part_stages(it) for j in _of_prompt(it, name, Judgment, prompt_id, files)]
    pairs = _of_prompt(it, "pairs", PreferencePair, prompt_id, files)
    pair = min(pairs, key=lambda p: (p.id != found.id, -(p.margin or 0)), default=None)
    roles: dict[str, Role] = {pair.chosen_id: "chosen", pair.rejected_id: "rejected"} if pair else {}
    labelled = _of_prompt(it, "labelled", Labelled, prompt_id, files)
    roles |= {one.response_id: "wanted" if one.label else "unwanted" for one in labelled}
    rule = pair_rule(it)
    overrides = read_overrides(run.path, it.manifest.iteration)
    given, applied = corrections(overrides).scores, applied_to(it, overrides)
    return PromptWalk(
        item=found.id,
        kind=found.kind,
        iteration=found.iteration,
        prompt=prompt,
        few_shot=_shots(run, it.manifest.iteration, prompt.few_shot_ids),
        candidates=tuple(
            _candidate(response, verdicts, beside, roles, rule, parts, applied).model_copy(
                update={"given": given.get(response.id)}
            )
            for response in (*responses, *beside.initial)
        ),
        decision=decision(it, prompt, responses, judgments, beside, [pair] if pair else labelled, rule, applied),
        pair=pair,
        further_pairs=tuple(p.id for p in pairs if p is not pair),
        judgments_compared=_judgments_compared(it, prompt_id, judgments, files),
    )


def _judgments_compared(
    it: IterationStore, prompt_id: str, judgments: list[Judgment], files: Mapping[str, Sequence[Path]]
) -> JudgmentsCompared | None:
    comparisons = _of_prompt(it, "judgment_comparisons", Judgment, prompt_id, files)
    if not comparisons:
        return None
    pair = next(iter(_of_prompt(it, "judgment_pairs", PreferencePair, prompt_id, files)), None)
    compared = {id for comparison in comparisons for id in comparison.response_ids}
    own = [judgment for judgment in judgments if judgment.id in compared]
    found = best_and_worst(own, comparisons) if pair is None else None
    return JudgmentsCompared(
        response_id=own[0].response_ids[0],
        comparisons=tuple(comparisons),
        pair=pair,
        reason=found if isinstance(found, str) else None,
    )


def _of_prompt(
    it: IterationStore, stage: str, record: type[R], prompt_id: str, files: Mapping[str, Sequence[Path]]
) -> list[R]:
    """A prompt's records of a stage, none where the iteration has no such stage."""
    if stage not in files:
        return []
    return fetch(it.stored(stage, record), "prompt_id = $id", files[stage], id=prompt_id)


def _candidate(
    response: Response,
    judgments: list[Judgment],
    beside: Beside,
    roles: Mapping[str, Role],
    rule: PairRuleConfig | None,
    parts: Sequence[Judgment],
    applied: Corrections,
) -> Candidate:
    own = [j for j in judgments if response.id in j.response_ids]
    unusable = untrainable(response)
    if isinstance(rule, JudgedSettings):
        unusable = next(iter(usable_responses([response], own, rule.min_readable, applied.scores)[1]), None)
    return Candidate(
        response=response,
        score=_mean(own),
        before=_mean([j for j in beside.previous_judgments if response.id in j.response_ids]),
        judgments=(*own, *(j for j in (*parts, *beside.previous_judgments) if response.id in j.response_ids)),
        role=roles.get(response.id),
        unusable=unusable if rule else None,
        injection=reasons(response.text),
    )


def _mean(judgments: list[Judgment]) -> float | None:
    scores = [j.score for j in judgments if j.score is not None and len(j.response_ids) == 1]
    return fmean(scores) if scores else None


def _shots(run: RunStore, t: int, ids: Sequence[str]) -> tuple[Shot, ...]:
    """Seeds, and prompts of this iteration or an earlier one, in the order in which they were shown."""
    first, found = iteration(run, 0), dict[str, Shot]()
    if ids and first.stage("seeds_ift") is not None:
        for seed in fetch(first.stored("seeds_ift", IFTSeed), "list_contains($ids, id)", ids=list(ids)):
            found[seed.id] = Shot(id=seed.id, kind="seed", iteration=0, text=seed.instruction)
    for u in range(t, 0, -1):
        if missing := [one for one in ids if one not in found]:
            with LOCK:
                table = Index(iteration(run, u)).stage("prompts")
                rows = ask(f"SELECT id, text FROM {table} WHERE list_contains($ids, id)", ids=missing)
            found |= {row["id"]: Shot(kind="prompt", iteration=u, **row) for row in rows}
    if lost := [one for one in ids if one not in found]:
        raise StoreError(f"{run.path}: {lost[0]} is named by a prompt and is nowhere; run `selfreward verify`")
    return tuple(found[one] for one in ids)


def _seed_walk(run: RunStore, found: Found) -> SeedWalk:
    first = iteration(run, 0)
    record: type[IFTSeed | EFTSeed] = IFTSeed if found.stage == "seeds_ift" else EFTSeed
    (seed,) = fetch(first.stored(found.stage, record), "id = $id", id=found.id)
    examples = fetch(first.stored("examples", Example), "seed_id = $id", id=found.id) if first.stage("examples") else []
    written = [iteration(run, t) for t in run.iterations() if t]
    shown = "list_contains(few_shot_ids, $id)"
    prompts = [
        prompt
        for it in written
        if it.stage("prompts")
        for prompt in fetch(it.stored("prompts", Prompt), shown, id=found.id)
    ]
    return SeedWalk(item=found.id, seed=seed, trained_on=bool(examples), prompts=tuple(prompts))
