"""What the pair rule made of a prompt, and why there may be nothing to train on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import TypeAdapter

from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.corrections import NO_CORRECTIONS, Corrections
from selfreward.pair_rules.scored import Beside, Scored, all_usable
from selfreward.pair_rules.settings import LabelSettings, PairSettings, nothing_labelled
from selfreward.pair_rules.spin import SpinConfig, spin
from selfreward.query.database import select
from selfreward.records import Frozen, Judgment, Labelled, PreferencePair, Prompt, Response, derive_seed
from selfreward.storage.iteration import IterationStore
from selfreward.storage.overrides import Override, corrections, used


class Decision(Frozen):
    """What the pair rule made of the candidates."""

    rule: dict[str, Any]
    """The rule's settings at the time; empty before pairs are built."""
    outcome: Literal["pair", "labelled", "no_pair", "open"]
    reason: str | None = None
    """Why there is nothing to train on: a reason of the rule, special_tokens, below_top or excluded."""
    difference: float | None = None
    """Between the best and the worst usable score."""


def pair_rule(it: IterationStore) -> PairRuleConfig | None:
    """The rule that made the iteration's pairs, or labels; None before it did."""
    entry = it.stage("pairs") or it.stage("labelled")
    return None if entry is None else TypeAdapter(PairRuleConfig).validate_python(entry.settings["pairs"])


def applied_to(it: IterationStore, overrides: Sequence[Override]) -> Corrections:
    """What people had decided when the pairs were built."""
    entry = it.stage("pairs") or it.stage("labelled")
    return NO_CORRECTIONS if entry is None else corrections(used(overrides, entry.inputs.get("overrides")))


def decision(
    it: IterationStore,
    prompt: Prompt,
    responses: list[Response],
    judgments: list[Judgment],
    beside: Beside,
    trained: Sequence[PreferencePair | Labelled],
    rule: PairRuleConfig | None,
    applied: Corrections,
) -> Decision:
    """What became of one prompt; ``trained`` are its pairs or labelled responses, if there are any."""
    entry = it.stage(rule.stage) if rule else None
    if entry is None or rule is None:
        return Decision(rule={}, outcome="open")
    settings = rule.model_dump(mode="json")
    if trained:
        first = trained[0]
        if isinstance(first, Labelled):
            return Decision(rule=settings, outcome="labelled")
        return Decision(rule=settings, outcome="pair", difference=first.margin)
    if not entry.finished:
        return Decision(rule=settings, outcome="open")
    if isinstance(rule, SpinConfig):
        return Decision(rule=settings, outcome="no_pair", reason=_why_no_spin(prompt, responses, applied))
    usable, _ = all_usable(responses, judgments, beside, rule.min_readable, applied.scores)
    scores = [s.score for s in usable]
    difference = max(scores) - min(scores) if scores else None
    if isinstance(rule, LabelSettings):
        reason = nothing_labelled(usable, rule.label(usable)[0]) or "special_tokens"
    else:
        found = rule.choose(usable, derive_seed(entry.settings.get("seed", 0), it.manifest.iteration, "pairs"))
        reason = found if isinstance(found, str) else _why_not_kept(it, rule, found, applied)
    return Decision(rule=settings, outcome="no_pair", reason=reason, difference=difference)


def _why_no_spin(prompt: Prompt, responses: Sequence[Response], applied: Corrections) -> str:
    """Why a prompt has no pair with the answer that is given with it."""
    found, _ = spin(prompt.reference, responses)
    if isinstance(found, str):
        return found
    chosen = prompt.seed_id or prompt.id
    out = all(frozenset({chosen, response.id}) in applied.excluded for response in found)
    return "excluded" if out else "special_tokens"


def _why_not_kept(
    it: IterationStore, rule: PairSettings, found: Sequence[tuple[Scored, Scored]], applied: Corrections
) -> str:
    """Why a prompt that the rule gives pairs to has none: a person, others further apart, or its own text."""
    if not any(applied.sides(*sides) for sides in found):
        return "excluded"
    margin = found[0][0].score - found[0][1].score
    if rule.looks_at_all:
        files = it.stored("pairs", PreferencePair).paths()
        kept = select("SELECT min(margin) AS lowest FROM read_parquet($files)", files)
        if kept and kept[0]["lowest"] is not None and margin <= kept[0]["lowest"]:
            return "below_top"
    return "special_tokens"
