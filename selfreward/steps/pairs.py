"""What an iteration trains on, and what the pair rule asks for besides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from selfreward.pair_rules.rejected_from_initial import RejectedFromInitialConfig
from selfreward.pair_rules.scored import Beside
from selfreward.pair_rules.settings import JudgedSettings, LabelSettings, PairSettings, RuleSettings
from selfreward.records import Judgment, Labelled, PreferencePair, Prompt, Record, Response, derive_seed, key_settings
from selfreward.session import Policy, Session, Stage
from selfreward.stages import pairing
from selfreward.stages.shard import Shard
from selfreward.steps.data import judgments_by, responses_by
from selfreward.steps.judge import policy_of
from selfreward.steps.keys import made_from, model_inputs
from selfreward.storage.grouping import Grouped, OfPrompt, by_prompt
from selfreward.storage.iteration import IterationStore, StageKey, Stored
from selfreward.storage.overrides import Override, corrections, digest, read_overrides, used

R = TypeVar("R", bound=Record)
INITIAL, INITIAL_JUDGMENTS, PREVIOUS_JUDGMENTS = "initial_responses", "initial_judgments", "previous_judgments"


@dataclass(frozen=True)
class Asked:
    """What the rule asks for beside the iteration's own records; None where it does not."""

    initial: Stored[Response] | None = None
    initial_judgments: Stored[Judgment] | None = None
    previous_judgments: Stored[Judgment] | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that were made for it."""
        names = (INITIAL, self.initial), (INITIAL_JUDGMENTS, self.initial_judgments)
        found = (*names, (PREVIOUS_JUDGMENTS, self.previous_judgments))
        return tuple(name for name, stored in found if stored is not None)


def ask_for_rule(
    s: Session, it: IterationStore, policy: Policy, prompts: Stored[Prompt], responses: Stored[Response]
) -> Asked:
    """Where the rule asks for them: the initial model's responses to the same prompts, or M_{t-1}'s verdicts."""
    rule = s.config.pairs
    if isinstance(rule, RejectedFromInitialConfig):
        writer = policy_of(s, int(rule.initial.removeprefix("M")))
        initial = responses_by(s, it, writer, prompts, INITIAL, first=s.config.responses.n)
        judged = judgments_by(s, it, policy, prompts, initial, INITIAL_JUDGMENTS, INITIAL)
        return Asked(initial, judged)
    if rule.asks == "previous":
        before = policy_of(s, it.manifest.iteration - 1)
        return Asked(
            previous_judgments=judgments_by(s, it, before, prompts, responses, PREVIOUS_JUDGMENTS, "responses")
        )
    return Asked()


def build_pairs(
    s: Session,
    it: IterationStore,
    prompts: Stored[Prompt],
    responses: Stored[Response],
    judgments: Stored[Judgment] | None,
    asked: Asked,
) -> Stored[PreferencePair] | Stored[Labelled]:
    """What the recipe's rule makes of them: chosen and rejected, or responses with a label."""
    tags, t = s.config.model.reasoning_tags, it.manifest.iteration
    rule = s.config.pairs.at(t)
    overrides = _overrides(s, it, rule.stage)
    corrected = corrections(overrides)
    seed = derive_seed(s.config.seed, t, "pairs")

    def parts(start: int) -> Iterator[pairing.Part]:
        every = list(prompts.records())
        return _with_their_records(every, _Sources(responses, judgments, asked), start, s.config.shard_size)

    if isinstance(rule, LabelSettings):
        rubric = s.config.judge.optional_rubric()
        by_score = rule if rubric is None else rule.on_scale(rubric.front.scale.max)

        def label(stored: Stored[Labelled]) -> Iterator[Shard[Labelled]]:
            for part in parts(stored.entry.inputs_done):
                yield pairing.label_responses(part, by_score, s.chat, tags, corrected)

        return s.run_stage(it, _stage(s, it, Labelled, by_score, asked, prompts, overrides), label)

    def pair(stored: Stored[PreferencePair]) -> Iterator[Shard[PreferencePair]]:
        kept = None
        if isinstance(rule, PairSettings) and rule.looks_at_all:
            margins = [pairing.widest_margins(part, rule, s.chat, seed, corrected) for part in parts(0)]
            kept = rule.keep({prompt: margin for found in margins for prompt, margin in found.items()})
        for part in parts(stored.entry.inputs_done):
            yield pairing.build_pairs(part, rule, s.chat, tags, seed, kept, corrected)

    return s.run_stage(it, _stage(s, it, PreferencePair, rule, asked, prompts, overrides), pair)


def _stage(
    s: Session,
    it: IterationStore,
    record: type[R],
    rule: RuleSettings,
    asked: Asked,
    prompts: Stored[Prompt],
    overrides: Sequence[Override],
) -> Stage[R]:
    tags = list(s.config.model.reasoning_tags)
    settings: dict[str, Any] = {"pairs": key_settings(rule), "model": {"reasoning_tags": tags}}
    judged = ("judgments",) if isinstance(rule, JudgedSettings) else ()
    decided = digest(overrides)
    key = StageKey(
        version=pairing.VERSION,
        settings={**settings, "seed": s.config.seed} if rule.seeded else settings,
        inputs={
            **model_inputs(s),
            **made_from(it, "prompts", "responses", *judged, *asked.stages),
            **({} if decided is None else {"overrides": decided}),
        },
    )
    return Stage(rule.stage, record, key, total=prompts.entry.rows)


def _overrides(s: Session, it: IterationStore, stage: str) -> list[Override]:
    """What people decided about the iteration, as its pairs are to be built with it.

    Decisions stop no run: finished pairs stay as they are, since a model may have been trained on them, and pairs that
    were begun before the last decision are built anew, which takes moments.
    """
    entry, overrides = it.stage(stage), read_overrides(s.store.path, it.manifest.iteration)
    if entry is None or digest(overrides) == entry.inputs.get("overrides"):
        return overrides
    if not entry.finished:
        it.forget(stage)
        return overrides
    known = used(overrides, entry.inputs.get("overrides"))
    s.reporter.say(
        f"{it.label} {stage}: decisions that came after they were built: {len(overrides) - len(known)}; to use them, "
        f"`selfreward fork {s.store.path} --from-pairs {it.manifest.iteration} --name NEW`"
    )
    return known


class _Sources:
    """All that comes of prompts, read along with them."""

    def __init__(self, responses: Stored[Response], judgments: Stored[Judgment] | None, asked: Asked) -> None:
        self._responses, self._judgments = by_prompt(responses), by_prompt(judgments)
        self._initial, self._initial_judgments = by_prompt(asked.initial), by_prompt(asked.initial_judgments)
        self._previous = by_prompt(asked.previous_judgments)

    def of(self, part: Sequence[Prompt]) -> pairing.Part:
        """What came of these prompts, which are the next ones."""
        ids = [prompt.id for prompt in part]
        beside = Beside(_taken(self._initial, ids), _taken(self._initial_judgments, ids), _taken(self._previous, ids))
        return pairing.Part(part, _taken(self._responses, ids), _taken(self._judgments, ids), beside)

    def close(self) -> None:
        """Give the files back."""
        for source in (self._responses, self._judgments, self._initial, self._initial_judgments, self._previous):
            source.close()


def _taken(source: Grouped[OfPrompt], ids: Sequence[str]) -> list[OfPrompt]:
    return [record for prompt_id in ids for record in source.take(prompt_id)]


def _with_their_records(every: Sequence[Prompt], sources: _Sources, start: int, size: int) -> Iterator[pairing.Part]:
    """Prompts from ``start`` on, ``size`` at a time, with what came of them; read as they are needed."""
    for first in range(0, start, size):
        sources.of(every[first : min(first + size, start)])
    for first in range(start, len(every), size):
        yield sources.of(every[first : first + size])
    sources.close()
