"""Responses with a label, where the pair rule makes these in the place of pairs: filtered, sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, get_args

from pydantic import FiniteFloat

from selfreward.errors import StoreError
from selfreward.query.database import LOCK, ask
from selfreward.query.filters import SearchedText
from selfreward.query.index import Index
from selfreward.query.kept import iteration
from selfreward.query.ordering import Order, in_order, searched
from selfreward.records import Frozen, Labelled
from selfreward.storage.iteration import IterationStore
from selfreward.storage.overrides import in_force, read_overrides
from selfreward.storage.run import RunStore

LabelledSort = Literal["score", "length", "prompt", "order"]
LABELLED_SORTS: tuple[LabelledSort, ...] = get_args(LabelledSort)
_ORDER: Mapping[LabelledSort, tuple[str, bool]] = {
    "score": ("score", False),
    "length": ("tokens", False),
    "prompt": ("lower(left(prompt, 60))", True),
    "order": ("rowid", True),
}
"""What each sort means in SQL, and whether it is ascending unless the user says otherwise."""

_ROWS = """
    SELECT rowid AS place, id, prompt_id, response_id, prompt, response, wanted, score, tokens FROM {labelled}
    WHERE rowid IN (SELECT unnest($places::BIGINT[]))"""


class LabelledFilter(Frozen):
    """Which responses to show. What is None asks for nothing."""

    wanted: bool | None = None
    """Only those that are wanted, or only the others."""
    min_score: FiniteFloat | None = None
    """Lowest score."""
    max_score: FiniteFloat | None = None
    """Highest score."""
    overridden: bool | None = None
    """Only those whose score a person has set, or only the others."""
    text: SearchedText = ""
    """Words that the prompt or the response holds, as they stand, in upper or lower case."""


EVERY_LABEL = LabelledFilter()


class LabelledRow(Frozen):
    """A response with its label, as a list shows it."""

    id: str
    prompt_id: str
    response_id: str
    prompt: str
    response: str
    wanted: bool
    score: float
    tokens: int
    """That were generated."""
    overridden: bool
    """Whether a person has set its score."""


class LabelledPage(Frozen):
    """Some rows of a list of labelled responses."""

    rows: tuple[LabelledRow, ...]
    total: int
    """Responses that the filter lets through."""
    offset: int
    labelled: int
    """Responses of the iteration, whatever the filter."""
    cut: int | None
    """After how many of them a text search stopped; None where it saw all."""
    finished: bool
    """False while labels are still being given."""


def page_of_labelled(
    run: RunStore,
    t: int,
    where: LabelledFilter = EVERY_LABEL,
    sort: LabelledSort = "score",
    ascending: bool | None = None,
    offset: int = 0,
    limit: int | None = 50,
) -> LabelledPage:
    """Labelled responses of an iteration, those of a stage under way included.

    Raises:
        StoreError: the iteration has none.
    """
    it = iteration_with_labels(run, t)
    decided = _decided(run, t)
    with LOCK:
        order = _ordered(it, decided, where, sort, ascending)
        places = order.places[offset : None if limit is None else offset + limit].tolist()
        rows = labelled_at(it, places)
    entry = it.manifest.stages["labelled"]
    return LabelledPage(
        rows=tuple(LabelledRow(**row, overridden=row["response_id"] in decided) for row in rows),
        total=len(order.places),
        offset=offset,
        labelled=entry.rows,
        cut=order.cut,
        finished=entry.finished,
    )


def labelled_places(
    run: RunStore,
    t: int,
    where: LabelledFilter = EVERY_LABEL,
    sort: LabelledSort = "order",
    ascending: bool | None = None,
) -> list[int]:
    """Of each response of a list its place in the stage, in the list's order.

    Raises:
        StoreError: the iteration has none.
    """
    it = iteration_with_labels(run, t)
    with LOCK:
        places: list[int] = _ordered(it, _decided(run, t), where, sort, ascending).places.tolist()
    return places


def labelled_at(it: IterationStore, places: Sequence[int]) -> list[dict[str, Any]]:
    """The responses at some places of the stage, in that order. The lock is held."""
    found = {row.pop("place"): row for row in ask(_ROWS.format(labelled=Index(it).stage("labelled")), places=places)}
    return [found[place] for place in places]


def iteration_with_labels(run: RunStore, t: int) -> IterationStore:
    """An iteration whose responses were begun to be labelled.

    Raises:
        StoreError: it has none.
    """
    it = iteration(run, t)
    if it.stage("labelled") is None:
        raise StoreError(
            f"{it.path}: has no labelled responses; an iteration of a recipe with pairs.type positives or threshold "
            "makes them"
        )
    it.stored("labelled", Labelled)
    return it


def _ordered(
    it: IterationStore,
    decided: Collection[str],
    where: LabelledFilter,
    sort: LabelledSort,
    ascending: bool | None,
) -> Order:
    """The lock is held."""
    table = Index(it).stage("labelled")
    conditions, parameters = _conditions(where, decided)
    expression, upwards = _ORDER[sort]
    by = f"{expression} {'ASC' if (upwards if ascending is None else ascending) else 'DESC'}, rowid"
    sql = f"SELECT rowid AS place, row_number() OVER (ORDER BY {by}) AS number FROM {table} WHERE {conditions}"
    if where.text:
        return searched(sql, parameters, where.text, table, ("prompt", "response"))
    return in_order(sql, parameters)


def _conditions(where: LabelledFilter, decided: Collection[str]) -> tuple[str, dict[str, Any]]:
    """What stands behind WHERE, made of constants alone, and the values that it names."""
    parts, values = ["true"], dict[str, Any]()
    for condition, name, value in (
        ("wanted = $wanted", "wanted", where.wanted),
        ("score >= $min_score", "min_score", where.min_score),
        ("score <= $max_score", "max_score", where.max_score),
    ):
        if value is not None:
            parts.append(condition)
            values[name] = value
    if where.overridden is not None:
        among = "response_id IN (SELECT unnest($decided::VARCHAR[]))"
        parts.append(among if where.overridden else f"NOT {among}")
        values["decided"] = list(decided)
    return " AND ".join(parts), values


def _decided(run: RunStore, t: int) -> frozenset[str]:
    """Responses whose score a person has set."""
    decided = in_force(read_overrides(run.path, t))
    return frozenset(one.response_id for one in decided if one.action == "score" and one.response_id)
