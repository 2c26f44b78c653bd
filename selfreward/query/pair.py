"""One pair whole: its candidates in order, every verdict with the question behind it, and what was decided about it."""

from __future__ import annotations

from selfreward.errors import StoreError
from selfreward.overriding import OverrideState, override_state
from selfreward.query.database import LOCK, ask
from selfreward.query.index import Index
from selfreward.query.items import Found
from selfreward.query.pairs import PairFilter, PairRow, iteration_with_pairs, page_of_pairs
from selfreward.query.questions import Questions, questions_of
from selfreward.records import Frozen, Judgment, PreferencePair
from selfreward.storage.overrides import Override
from selfreward.storage.run import RunStore
from selfreward.walk import Candidate, PromptWalk, prompt_walk


class PairView(Frozen):
    """Everything about a pair."""

    row: PairRow
    """With its flags."""
    pair: PreferencePair
    walk: PromptWalk
    """The prompt, what it was bred from, all candidates, and how the rule decided."""
    ranked: tuple[Candidate, ...]
    """The candidates by score, the best first; those without a score come last."""
    comparisons: tuple[Judgment, ...]
    """Verdicts on two candidates, where the judge compares."""
    questions: Questions
    """What the judge was asked: ``questions.about(judgment)``."""
    others: tuple[PairRow, ...]
    """The same prompt's other pairs, the widest margin first."""
    overrides: tuple[Override, ...]
    """All decisions about this pair and its prompt's responses, oldest first."""
    state: OverrideState
    """What is decided about the iteration, and what of it still waits for a fork."""


def pair_view(run: RunStore, t: int, pair_id: str) -> PairView:
    """A pair by its whole id.

    Raises:
        StoreError: the iteration has no such pair.
    """
    it = iteration_with_pairs(run, t)
    with LOCK:
        listed = Index(it).derived("listed")
        found = ask(f"SELECT prompt_id FROM {listed} WHERE id = $id", id=pair_id)
    if not found:
        raise StoreError(f"{it.path}: no pair {pair_id}; `selfreward pairs {run.path} -i {t}` lists them")
    prompt_id = found[0]["prompt_id"]
    walk = prompt_walk(run, it, Found(kind="pair", id=pair_id, iteration=t, stage="pairs"), prompt_id)
    assert walk.pair is not None
    rows = page_of_pairs(run, t, PairFilter(prompt_id=prompt_id), limit=None).rows
    judgments = {judgment.id: judgment for candidate in walk.candidates for judgment in candidate.judgments}
    state = override_state(run, t)
    return PairView(
        row=next(row for row in rows if row.id == pair_id),
        pair=walk.pair,
        walk=walk,
        ranked=tuple(sorted(walk.candidates, key=_rank)),
        comparisons=tuple(judgment for judgment in judgments.values() if len(judgment.response_ids) > 1),
        questions=questions_of(run, walk),
        others=tuple(row for row in rows if row.id != pair_id),
        overrides=tuple(override for override in state.overrides if override.prompt_id == prompt_id),
        state=state,
    )


def _rank(candidate: Candidate) -> tuple[bool, float, int]:
    return candidate.score is None, -(candidate.score or 0.0), candidate.response.index
