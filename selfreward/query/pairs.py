"""An iteration's pairs: filtered, sorted, a page at a time, and the ones beside a pair in that order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from selfreward.diagnosis.pair_flags import PairFlag
from selfreward.errors import StoreError
from selfreward.query.database import LOCK, ask
from selfreward.query.filters import EVERY_PAIR, PAIR_SORTS, PairFilter, PairSort
from selfreward.query.flags import flags_of_rows
from selfreward.query.index import Index
from selfreward.query.kept import iteration
from selfreward.query.ordering import ordered
from selfreward.records import Frozen, PreferencePair
from selfreward.storage.iteration import IterationStore
from selfreward.storage.overrides import in_force, read_overrides
from selfreward.storage.run import RunStore

__all__ = [
    "EVERY_PAIR",
    "PAIR_SORTS",
    "Neighbours",
    "PairFilter",
    "PairPage",
    "PairRow",
    "PairSort",
    "iteration_with_pairs",
    "neighbours",
    "ordered_places",
    "page_of_pairs",
]
_ROWS = """
    SELECT l.place, l.variance, l.length_ratio, p.* FROM {listed} l JOIN {pairs} p ON p.rowid = l.place
    WHERE l.place IN (SELECT unnest($places::BIGINT[]))"""


class PairRow(Frozen):
    """A pair as a list shows it. Lengths are in generated tokens."""

    id: str
    prompt_id: str
    chosen_id: str
    rejected_id: str
    prompt: str
    chosen: str
    rejected: str
    chosen_score: float | None
    """None, like the other score and the margin, where the rule looks at no verdicts."""
    rejected_score: float | None
    margin: float | None
    variance: float | None
    """Of the side whose verdicts agree less: over its samples, or of the judge's distribution; None where the judge
    gave one number."""
    chosen_tokens: int
    rejected_tokens: int
    length_ratio: float | None
    """Chosen over rejected."""
    retokenised: bool
    flags: tuple[PairFlag, ...]
    overridden: bool
    """Whether a person has overridden the pair or a score of its sides."""


class PairPage(Frozen):
    """Some rows of a list of pairs."""

    rows: tuple[PairRow, ...]
    total: int
    """Pairs that the filter lets through."""
    offset: int
    pairs: int
    """Pairs of the iteration, whatever the filter."""
    cut: int | None
    """After how many pairs a text search stopped; None where it saw all, so that ``total`` is all."""
    finished: bool
    """False while pairs are still being built."""


class Neighbours(Frozen):
    """Where a pair stands in a list; None where there is none, or the filter leaves the pair itself out."""

    previous: str | None = None
    next: str | None = None
    position: int | None = None
    """Counted from 1."""
    total: int


def page_of_pairs(
    run: RunStore,
    t: int,
    where: PairFilter = EVERY_PAIR,
    sort: PairSort = "margin",
    ascending: bool | None = None,
    offset: int = 0,
    limit: int | None = 50,
) -> PairPage:
    """Pairs of an iteration, those of a stage under way included; the default direction is the sort's own.

    Raises:
        StoreError: the iteration has no pairs.
    """
    it = iteration_with_pairs(run, t)
    overrides = in_force(read_overrides(run.path, t))
    with LOCK:
        index = Index(it)
        listed = index.derived("listed")
        order = ordered(it, index, overrides, where, sort, ascending)
        places = order.places[offset : None if limit is None else offset + limit].tolist()
        rows = ask(_ROWS.format(listed=listed, pairs=index.stage("pairs")), places=places)
        flags = flags_of_rows(it, index, rows)
    found, decided = {row["place"]: row for row in rows}, {override.target for override in overrides}
    entry = it.manifest.stages["pairs"]
    return PairPage(
        rows=tuple(_row(found[place], flags[place], decided) for place in places),
        total=len(order.places),
        offset=offset,
        pairs=entry.rows,
        cut=order.cut,
        finished=entry.finished,
    )


def neighbours(
    run: RunStore,
    t: int,
    pair_id: str,
    where: PairFilter = EVERY_PAIR,
    sort: PairSort = "margin",
    ascending: bool | None = None,
) -> Neighbours:
    """The pairs before and after one in a list.

    Raises:
        StoreError: the iteration has no pairs.
    """
    it = iteration_with_pairs(run, t)
    with LOCK:
        index = Index(it)
        listed = index.derived("listed")
        places = ordered(it, index, in_force(read_overrides(run.path, t)), where, sort, ascending).places
        own = ask(f"SELECT place FROM {listed} WHERE id = $id", id=pair_id)
        at = [int(i) for row in own for i in (places == row["place"]).nonzero()[0]]
        if not at:
            return Neighbours(total=len(places))
        beside = {i: int(places[i]) for i in (at[0] - 1, at[0] + 1) if 0 <= i < len(places)}
        sql = f"SELECT place, id FROM {listed} WHERE place IN (SELECT unnest($places::BIGINT[]))"
        ids = {row["place"]: row["id"] for row in ask(sql, places=list(beside.values()))}
    previous, following = (ids.get(beside.get(i, -1)) for i in (at[0] - 1, at[0] + 1))
    return Neighbours(previous=previous, next=following, position=at[0] + 1, total=len(places))


def ordered_places(
    run: RunStore, t: int, where: PairFilter = EVERY_PAIR, sort: PairSort = "order", ascending: bool | None = None
) -> list[int]:
    """Of each pair of a list its place in the stage, in the list's order.

    Raises:
        StoreError: the iteration has no pairs.
    """
    it = iteration_with_pairs(run, t)
    with LOCK:
        index = Index(it)
        index.derived("listed")
        order = ordered(it, index, in_force(read_overrides(run.path, t)), where, sort, ascending)
    places: list[int] = order.places.tolist()
    return places


def iteration_with_pairs(run: RunStore, t: int) -> IterationStore:
    """An iteration whose pairs were begun.

    Raises:
        StoreError: it has none.
    """
    it = iteration(run, t)
    if t == 0:
        raise StoreError(f"{it.path}: iteration 0 is supervised fine-tuning and has no pairs; the first are in 1")
    if it.stage("pairs") is None and it.stage("labelled") is not None:
        raise StoreError(
            f"{it.path}: its pair rule labels single responses and makes no pairs; "
            f"`selfreward pairs {run.path} -i {t} --of labelled` lists them"
        )
    it.stored("pairs", PreferencePair)
    return it


def _row(row: Mapping[str, Any], flags: Sequence[PairFlag], decided: Collection[tuple[str, ...]]) -> PairRow:
    targets = {tuple(sorted((row["chosen_id"], row["rejected_id"]))), (row["chosen_id"],), (row["rejected_id"],)}
    shown = {name: row[name] for name in PairRow.model_fields if name in row}
    return PairRow(**shown, flags=tuple(flags), overridden=not targets.isdisjoint(decided))
