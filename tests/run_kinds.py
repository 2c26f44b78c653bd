"""The hand-made run's first iteration as other recipes leave it: without verdicts, with labels, a mix."""

from typing import Any

from fixture_run import add, replace_stage

from selfreward.records import Judgment, Labelled, Message, PreferencePair, Prompt, Response, content_id
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore


def make_spin(run: RunStore) -> PreferencePair:
    """The rule looks at no verdicts, so nothing is judged; gives the only pair."""
    it = run.iteration(1)
    prompt, *_ = it.stored("prompts", Prompt).records()
    own, *_ = it.stored("responses", Response).records()
    (pair,) = it.stored("pairs", PreferencePair).records()
    unscored = {"chosen_score": None, "rejected_score": None, "margin": None}
    reference = {"chosen": (Message(role="assistant", content="A plum."),), "chosen_id": "ift-0"}
    made = pair.model_copy(update={**unscored, **reference, "rejected_id": own.id, "id": "pair-spin"})
    prompts = [one.model_copy(update={"reference": "A plum.", "seed_id": "ift-0"}) for one in (prompt,)]
    _forget(it, "judgments")
    replace_stage(it, "prompts", prompts, Prompt)
    replace_stage(it, "pairs", [made], PreferencePair, settings={"pairs": {"type": "spin"}})
    return made


def make_labelled(run: RunStore) -> list[Labelled]:
    """The rule labels single responses: of the first prompt one is wanted and one is not."""
    it = run.iteration(1)
    (pair,) = it.stored("pairs", PreferencePair).records()
    rows = [
        Labelled(
            id=content_id("labelled", response_id),
            prompt=pair.prompt,
            completion=completion,
            label=label,
            prompt_id=pair.prompt_id,
            response_id=response_id,
            score=4.0 if label else 1.5,
            token_ids=(1, 2) if label else (1, 2, 3),
            retokenised=False,
        )
        for response_id, completion, label in (
            (pair.chosen_id, pair.chosen, True),
            (pair.rejected_id, pair.rejected, False),
        )
    ]
    _forget(it, "pairs")
    replace_stage(it, "labelled", rows, Labelled, settings={"pairs": {"type": "threshold", "min_score": 3.0}})
    return rows


def make_judged_judgments(run: RunStore) -> PreferencePair:
    """The first response's two judgments are compared, and are a pair."""
    it = run.iteration(1)
    (pair,) = it.stored("pairs", PreferencePair).records()
    first, second = [j for j in it.stored("judgments", Judgment).records() if j.response_ids == (pair.chosen_id,)]
    both = {"response_ids": (first.id, second.id), "score": 0.75, "rubric": "compare_judgments@00000000"}
    made = pair.model_copy(
        update={
            "id": "pair-of-judgments",
            "chosen_id": first.id,
            "rejected_id": second.id,
            "chosen_score": 0.5,
            "rejected_score": -0.5,
            "margin": 1.0,
        }
    )
    _reopen(it)
    add(it, "judgment_comparisons", [first.model_copy(update={**both, "id": "j-compared"})], Judgment)
    add(it, "judgment_pairs", [made], PreferencePair)
    it.close()
    return made


def make_mix(run: RunStore, judge: dict[str, Any], templates: dict[str, str]) -> None:
    """What was judged is the part ``words`` of a mix, whose other part ``checks`` gives no reason."""
    it = run.iteration(1)
    words = list(it.stored("judgments", Judgment).records())
    checks = [
        j.model_copy(update={"id": f"{j.id}-c", "method": "verifiable", "rubric": "", "raw": "", "score": 1.0})
        for j in words
        if not j.sample
    ]
    mixed = [j.model_copy(update={"id": f"{j.id}-m", "method": "mix", "rubric": "", "score": 0.5}) for j in words]
    replace_stage(it, "judgments", [j for j in mixed if not j.sample], Judgment)
    _reopen(it)
    it.manifest = it.manifest.model_copy(update={"config": {"judge": judge}, "templates": templates})
    add(it, "judgments_words", words, Judgment)
    add(it, "judgments_checks", checks, Judgment)
    it.close()


def _forget(it: IterationStore, stage: str) -> None:
    _reopen(it)
    it.forget(stage)
    it.close()


def _reopen(it: IterationStore) -> None:
    it.manifest = it.manifest.model_copy(update={"finished": False})
