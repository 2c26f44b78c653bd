"""Judging the judgments: M_t compares its own, and the better and the worse ones are further pairs to train on."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from selfreward.engines.protocol import Asking
from selfreward.judges.protocol import Listener
from selfreward.meta_judge.balance import dropped
from selfreward.meta_judge.contested import Judged
from selfreward.meta_judge.settings import MetaJudgeConfig
from selfreward.records import Judgment, PreferencePair, Prompt, Response, derive_seed, key_settings
from selfreward.session import Policy, Session, Stage, over
from selfreward.stages import judgment_comparing
from selfreward.stages.judgment_pairing import VERSION as PAIRING_VERSION
from selfreward.stages.judgment_pairing import PairMaker
from selfreward.stages.shard import Shard
from selfreward.steps.keys import engine_settings, made_from, meta_rubric_inputs, model_inputs, rubric_inputs
from selfreward.steps.metrics import JUDGMENT_COMPARISONS as COMPARISONS
from selfreward.steps.metrics import JUDGMENT_PAIRS as PAIRS
from selfreward.storage.grouping import by_prompt
from selfreward.storage.iteration import IterationStore, StageKey, Stored


def compare_judgments(
    s: Session,
    it: IterationStore,
    policy: Policy,
    prompts: Stored[Prompt],
    responses: Stored[Response],
    judgments: Stored[Judgment] | None,
) -> Stored[Judgment] | None:
    """Of each prompt's most contested response every two judgments, in both orders; None where nobody asks for it."""
    config, t, tags = _asked_for(s, it), it.manifest.iteration, s.config.model.reasoning_tags
    if config is None or judgments is None:
        return None
    reader, rubric = config.reader(tags), s.config.judge.load_rubric()

    def compare(part: Sequence[Judged], start: int) -> Asking[Shard[Judgment]]:
        listener = Listener(s.chat, s.engine(policy).context)
        seed = derive_seed(s.config.seed, t, COMPARISONS, start)
        return judgment_comparing.compare_judgments(
            part, s.config.judge, rubric, reader, s.chat, listener, policy.label, seed
        )

    settings = {
        "seed": s.config.seed,
        "model": {"reasoning_tags": list(tags)},
        "meta_judge": {"verdict": key_settings(config.verdict)},
        **engine_settings(s),
    }
    inputs = {"model": policy.digest, **model_inputs(s), **rubric_inputs(s.config.judge), **meta_rubric_inputs(config)}
    inputs |= made_from(it, "prompts", "responses", "judgments")
    return s.run_stage(
        it,
        Stage(
            COMPARISONS,
            Judgment,
            StageKey(judgment_comparing.VERSION, settings, inputs),
            total=prompts.entry.rows,
            may_be_empty=True,  # the iteration then trains on its responses alone
        ),
        over(_judged(prompts, responses, judgments), s.config.shard_size, compare, lambda: s.engine(policy)),
    )


def build_judgment_pairs(
    s: Session,
    it: IterationStore,
    prompts: Stored[Prompt],
    responses: Stored[Response],
    judgments: Stored[Judgment] | None,
    comparisons: Stored[Judgment] | None,
    pairs: Stored[Any],
) -> Stored[PreferencePair] | None:
    """The best against the worst judgment of a response, balanced over scores and few beside the responses' pairs."""
    config = s.config.meta_judge
    if config is None or judgments is None or comparisons is None:
        return None
    rubric = s.config.judge.load_rubric()
    longest = s.config.objective(it.manifest.iteration).max_length
    maker = PairMaker(s.config.judge, rubric, s.chat, config.max_judgment_tokens, longest)

    def work(stored: Stored[PreferencePair]) -> Iterator[Shard[PreferencePair]]:
        def parts(start: int) -> Iterator[list[Judged]]:
            return _in_parts(_judged(prompts, responses, judgments, comparisons), start, s.config.shard_size)

        outlines = [outline for part in parts(0) for outline in maker.outlines(part)]
        not_kept = dropped(outlines, config.max_score_share, config.most_pairs(pairs.entry.rows))
        for part in parts(stored.entry.inputs_done):
            yield maker.pairs(part, not_kept)

    settings: dict[str, Any] = {
        "meta_judge": {name: value for name, value in key_settings(config).items() if name != "verdict"},
        "train": {"max_length": longest},
    }
    inputs = {**model_inputs(s), **rubric_inputs(s.config.judge)}
    inputs |= made_from(it, "prompts", "responses", "judgments", COMPARISONS, "pairs")
    key = StageKey(PAIRING_VERSION, settings, inputs)
    return s.run_stage(it, Stage(PAIRS, PreferencePair, key, total=prompts.entry.rows, may_be_empty=True), work)


def _asked_for(s: Session, it: IterationStore) -> MetaJudgeConfig | None:
    """The settings, where this iteration trains on judgments too; what a fork took over without stays without."""
    config = s.config.meta_judge
    if config is None or not config.holds_in(it.manifest.iteration) or it.inherited_without(COMPARISONS):
        return None
    return config


def _judged(
    prompts: Stored[Prompt],
    responses: Stored[Response],
    judgments: Stored[Judgment],
    comparisons: Stored[Judgment] | None = None,
) -> Iterator[Judged]:
    """Every prompt with all that came of it, read as it is needed."""
    own, verdicts, compared = by_prompt(responses), by_prompt(judgments), by_prompt(comparisons)
    for prompt in prompts.records():
        yield Judged(prompt, own.take(prompt.id), verdicts.take(prompt.id), compared.take(prompt.id))
    for source in (own, verdicts, compared):
        source.close()


def _in_parts(every: Iterable[Judged], start: int, size: int) -> Iterator[list[Judged]]:
    left = islice(every, start, None)
    while part := list(islice(left, size)):
        yield part
