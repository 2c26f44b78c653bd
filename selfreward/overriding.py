"""Decisions of a person about pairs and scores: checked, written down, and used when pairs are next built."""

from __future__ import annotations

import getpass
import math
import os
import shlex
from statistics import fmean
from typing import NamedTuple

from selfreward.errors import StoreError
from selfreward.query.items import fetch, find_item
from selfreward.query.kept import iteration
from selfreward.records import Frozen, Judgment, Labelled, PreferencePair, Response
from selfreward.steps.metrics import judged_scale
from selfreward.storage.events import now
from selfreward.storage.iteration import IterationStore
from selfreward.storage.overrides import Action, Override, Sides, add_override, in_force, pending, read_overrides
from selfreward.storage.run import RunStore

MOST_WORDS = 2000
"""Characters of a reason."""


class OverrideState(Frozen):
    """What is decided about an iteration, and what of it was used."""

    overrides: tuple[Override, ...]
    """All, oldest first."""
    in_force: tuple[Override, ...]
    """Those that hold: the last about each pair or response, where it was not withdrawn."""
    pending: tuple[Override, ...]
    """Those that came after the pairs were built, so that nothing was trained with them."""
    built: bool
    """Whether the pairs, or responses with a label, are there already."""
    trained: bool
    """Whether a model was trained on the pairs already."""
    fork_command: str | None
    """Builds the pairs anew with what is pending, in a run of its own; None where nothing is pending."""


def exclude(run: RunStore, pair: str, reason: str, who: str = "") -> Override:
    """Leave a pair out.

    Raises:
        StoreError: no such pair, it is left out already, or no reason.
    """
    found = _pair(run, pair)
    return _add(run, _about_pair("exclude", found, reason, who, None))


def swap(run: RunStore, pair: str, reason: str, who: str = "") -> Override:
    """Choose the side of a pair that was rejected.

    Raises:
        StoreError: no such pair, it is swapped already, or no reason.
    """
    found = _pair(run, pair)
    turned = Sides(chosen_id=found.record.rejected_id, rejected_id=found.record.chosen_id)
    return _add(run, _about_pair("swap", found, reason, who, turned))


def set_score(
    run: RunStore, response: str, score: float, reason: str, who: str = "", of: str | None = None
) -> Override:
    """Give a response a score in the place of the judge's. ``of`` is a pair, or a response with a label,
    whose prompt it has to answer.

    Raises:
        StoreError: no such response, a score that is not on the judge's scale, or no reason.
    """
    found = find_item(run, response)
    if found.kind != "response":
        raise StoreError(
            f"{found.id}: is a {found.kind}; only responses have scores. `selfreward show` lists their ids"
        )
    it = iteration(run, found.iteration)
    if it.stage("pairs") is not None and it.stage("judgments") is None:
        raise StoreError(f"{found.id}: its iteration judges nothing, so a score would do nothing; --exclude its pair")
    _check_score(it, found.id, score)
    (record,) = fetch(it.stored(found.stage, Response), "id = $id", id=found.id)
    if of is not None and _prompt_of(run, of) != record.prompt_id:
        raise StoreError(f"{found.id}: answers another prompt than {of}; `selfreward show {run.path} {of}`")
    judged = "initial_judgments" if found.stage == "initial_responses" else "judgments"
    known = fetch(it.stored(judged, Judgment), "response_ids = [$id]", id=found.id) if it.stage(judged) else []
    scores = [judgment.score for judgment in known if judgment.score is not None]
    return _add(
        run,
        Override(
            when=now(),
            who=_who(who),
            reason=_reason(reason),
            iteration=found.iteration,
            action="score",
            prompt_id=record.prompt_id,
            response_id=found.id,
            old=fmean(scores) if scores else None,
            new=float(score),
        ),
    )


def withdraw(run: RunStore, item: str, reason: str, who: str = "") -> Override:
    """Take back what was decided about a pair, or about a response's score.

    Raises:
        StoreError: nothing was decided about it, or no reason.
    """
    found = find_item(run, item)
    if found.kind == "pair":
        override = _about_pair("withdraw", _pair(run, found.id), reason, who, None)
    else:
        override = Override(
            when=now(),
            who=_who(who),
            reason=_reason(reason),
            iteration=found.iteration,
            action="withdraw",
            prompt_id="",
            response_id=found.id,
            old=None,
            new=None,
        )
    for holding in in_force(read_overrides(run.path, found.iteration)):
        if holding.target == override.target:
            old = override.old if found.kind == "pair" else holding.new
            whole = override.model_copy(update={"old": old, "prompt_id": holding.prompt_id})
            add_override(run.path, whole)
            return whole
    raise StoreError(f"{found.id}: nothing is decided about it, so there is nothing to take back")


def override_state(run: RunStore, t: int) -> OverrideState:
    """What is decided about an iteration.

    Raises:
        StoreError: there is no such iteration, or the file is damaged.
    """
    it = iteration(run, t)
    overrides = read_overrides(run.path, t)
    pairs, training = it.stage("pairs") or it.stage("labelled"), it.trained
    built = pairs is not None and pairs.finished
    late = pending(overrides, pairs.inputs.get("overrides")) if pairs is not None and built else []
    return OverrideState(
        overrides=tuple(overrides),
        in_force=tuple(in_force(overrides)),
        pending=tuple(late),
        built=built,
        trained=training is not None and training.finished,
        fork_command=f"selfreward fork {shlex.quote(str(run.path))} --from-pairs {t} --name NEW" if late else None,
    )


class _Pair(NamedTuple):
    iteration: int
    record: PreferencePair


def _prompt_of(run: RunStore, item: str) -> str:
    """The prompt of a pair, or of a response with a label."""
    found = find_item(run, item)
    if found.kind != "labelled":
        return _pair(run, item).record.prompt_id
    (record,) = fetch(iteration(run, found.iteration).stored("labelled", Labelled), "id = $id", id=found.id)
    return record.prompt_id


def _pair(run: RunStore, item: str) -> _Pair:
    found = find_item(run, item)
    if found.kind == "labelled":
        raise StoreError(f"{found.id}: is a response with a label, no pair; a score can be set, --score RESPONSE_ID=N")
    if found.kind != "pair":
        raise StoreError(
            f"{found.id}: is a {found.kind}, no pair; `selfreward pairs {run.path} -i {found.iteration}` lists them"
        )
    if found.stage != "pairs":
        raise StoreError(f"{found.id}: is a pair of judgments; only pairs of responses can be decided about")
    (record,) = fetch(iteration(run, found.iteration).stored("pairs", PreferencePair), "id = $id", id=found.id)
    return _Pair(found.iteration, record)


def _about_pair(action: Action, pair: _Pair, reason: str, who: str, new: Sides | None) -> Override:
    record = pair.record
    return Override(
        when=now(),
        who=_who(who),
        reason=_reason(reason),
        iteration=pair.iteration,
        action=action,
        prompt_id=record.prompt_id,
        pair_id=record.id,
        old=Sides(chosen_id=record.chosen_id, rejected_id=record.rejected_id),
        new=new,
    )


def _add(run: RunStore, override: Override) -> Override:
    """Write it down, unless it says what holds already."""
    for holding in in_force(read_overrides(run.path, override.iteration)):
        if (holding.target, holding.action, holding.new) == (override.target, override.action, override.new):
            item = override.pair_id or override.response_id
            raise StoreError(
                f"{item}: so it was decided already by {holding.who}, {holding.when}; --withdraw takes it back"
            )
    add_override(run.path, override)
    return override


def _check_score(it: IterationStore, response: str, score: float) -> None:
    scale = judged_scale(it)
    if not math.isfinite(score):
        raise StoreError(f"{response}: {score} is no score; give a number")
    if scale is not None and not scale.min <= score <= scale.max:
        raise StoreError(f"{response}: {score:g} is not on the judge's scale, which is {scale.min:g} to {scale.max:g}")


def _reason(reason: str) -> str:
    said = reason.strip()
    if not said or len(said) > MOST_WORDS:
        raise StoreError(f"a decision needs a reason of 1 to {MOST_WORDS:,} characters; say why with --reason")
    return said


def _who(who: str) -> str:
    if who.strip():
        return who.strip()
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
