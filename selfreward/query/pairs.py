"""An iteration's pairs: filtered, sorted, a page at a time, and the ones beside a pair in that order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

from pydantic import FiniteFloat, StringConstraints

from selfreward.diagnosis.pair_flags import PairFlag
from selfreward.errors import StoreError
from selfreward.query.database import LOCK, ask, numbers
from selfreward.query.flags import flags_of, flags_table
from selfreward.query.index import Index
from selfreward.records import Frozen, PreferencePair
from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import IterationStore
from selfreward.storage.overrides import Override, in_force, read_overrides
from selfreward.storage.run import RunStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PairSort = Literal[
    "margin",
    "chosen_score",
    "rejected_score",
    "variance",
    "length",
    "length_difference",
    "length_ratio",
    "prompt",
    "order",
]
PAIR_SORTS: tuple[PairSort, ...] = get_args(PairSort)
_ORDERS_KEPT = 32
SEARCHED = 20_000
"""Most pairs whose texts one search reads, the first ones in the order asked for."""
_ORDER: Mapping[PairSort, tuple[str, bool]] = {
    "margin": ("margin", False),
    "chosen_score": ("chosen_score", False),
    "rejected_score": ("rejected_score", False),
    "variance": ("variance", False),
    "length": ("chosen_tokens", False),
    "length_difference": ("chosen_tokens - rejected_tokens", False),
    "length_ratio": ("length_ratio", False),
    "prompt": ("prompt", True),
    "order": ("place", True),
}
"""What each sort means in SQL, and whether it is ascending unless the user says otherwise."""
_ROWS = """
    SELECT l.place, l.variance, l.length_ratio, p.* FROM {listed} l JOIN {pairs} p ON p.rowid = l.place
    WHERE l.place IN (SELECT unnest($places::BIGINT[]))"""
_RANGES: Mapping[str, str] = {
    "chosen": "chosen_score",
    "rejected": "rejected_score",
    "margin": "margin",
    "variance": "variance",
    "length_ratio": "length_ratio",
}
"""By the end of a filter's ``min_…`` and ``max_…`` the column."""


class PairFilter(Frozen):
    """Which pairs to show. What is None asks for nothing; ends belong to a range; a pair without the figure is out."""

    min_chosen: FiniteFloat | None = None
    """Lowest score of the chosen response."""
    max_chosen: FiniteFloat | None = None
    """Highest score of the chosen response."""
    min_rejected: FiniteFloat | None = None
    """Lowest score of the rejected response."""
    max_rejected: FiniteFloat | None = None
    """Highest score of the rejected response."""
    min_margin: FiniteFloat | None = None
    """Least difference of the two scores."""
    max_margin: FiniteFloat | None = None
    """Greatest difference of the two scores."""
    min_variance: FiniteFloat | None = None
    """Least variance of the verdicts, as :attr:`PairRow.variance` has it."""
    max_variance: FiniteFloat | None = None
    """Greatest variance of the verdicts."""
    min_length_ratio: FiniteFloat | None = None
    """Least chosen over rejected length, in generated tokens."""
    max_length_ratio: FiniteFloat | None = None
    """Greatest chosen over rejected length, in generated tokens."""
    flags: tuple[PairFlag, ...] = ()
    """Pairs with one of these flags at least."""
    overridden: bool | None = None
    """Only pairs that a person has overridden, or only the others."""
    text: Annotated[str, StringConstraints(max_length=200)] = ""
    """Words that the prompt or a response holds, as they stand, in upper or lower case."""
    prompt_id: str | None = None
    """Pairs of one prompt."""


EVERY_PAIR = PairFilter()


class PairRow(Frozen):
    """A pair as a list shows it. Lengths are in generated tokens."""

    id: str
    prompt_id: str
    chosen_id: str
    rejected_id: str
    prompt: str
    chosen: str
    rejected: str
    chosen_score: float
    rejected_score: float
    margin: float
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


class _Order(NamedTuple):
    """Which pairs a list has, by their places in the stage, in the list's order."""

    places: NDArray[np.int64]
    cut: bool


_orders: OrderedDict[str, _Order] = OrderedDict()
"""The last ones that were asked for: leafing through a list sorts it once."""


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
        order = _order(index, overrides, where, sort, ascending)
        places = order.places[offset : None if limit is None else offset + limit].tolist()
        found = {
            row["place"]: row for row in ask(_ROWS.format(listed=listed, pairs=index.stage("pairs")), places=places)
        }
    decided = {override.target for override in overrides}
    entry = it.manifest.stages["pairs"]
    return PairPage(
        rows=tuple(_row(found[place], decided) for place in places),
        total=len(order.places),
        offset=offset,
        pairs=entry.rows,
        cut=SEARCHED if order.cut else None,
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
        places = _order(index, in_force(read_overrides(run.path, t)), where, sort, ascending).places
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
        order = _order(index, in_force(read_overrides(run.path, t)), where, sort, ascending)
    places: list[int] = order.places.tolist()
    return places


def iteration_with_pairs(run: RunStore, t: int) -> IterationStore:
    """An iteration whose pairs were begun.

    Raises:
        StoreError: it has none.
    """
    it = run.iteration(t)
    if t == 0:
        raise StoreError(f"{it.path}: iteration 0 is supervised fine-tuning and has no pairs; the first are in 1")
    it.stored("pairs", PreferencePair)
    return it


def _order(
    index: Index, overrides: Sequence[Override], where: PairFilter, sort: PairSort, ascending: bool | None
) -> _Order:
    """The lock is held."""
    expression, naturally_ascending = _ORDER[sort]
    upwards = naturally_ascending if ascending is None else ascending
    by = f"{expression} {'ASC' if upwards else 'DESC'} NULLS LAST, place"
    key = value_hash([index.state(), [o.target for o in overrides], str(where), by])
    if key in _orders:
        _orders.move_to_end(key)
        return _orders[key]
    conditions, parameters = _conditions(index, overrides, where)
    sql = f"SELECT place, row_number() OVER (ORDER BY {by}) AS number FROM {index.derived('listed')} WHERE {conditions}"
    cut = False
    if where.text:
        looked_at = ask(f"SELECT count(*) AS n FROM ({sql})", **parameters)[0]["n"]
        cut = looked_at > SEARCHED
        sql = f"""
            SELECT l.place, l.number FROM ({sql} QUALIFY number <= {SEARCHED}) l
            JOIN {index.stage("pairs")} p ON p.rowid = l.place
            WHERE contains(lower(p.prompt), $text) OR contains(lower(p.chosen), $text)
                  OR contains(lower(p.rejected), $text)"""
        parameters["text"] = where.text.lower()
    order = _Order(numbers(f"SELECT place FROM ({sql}) ORDER BY number", **parameters), cut)
    _orders[key] = order
    while len(_orders) > _ORDERS_KEPT:
        _orders.popitem(last=False)
    return order


def _conditions(index: Index, overrides: Sequence[Override], where: PairFilter) -> tuple[str, dict[str, Any]]:
    """What stands behind WHERE, made of constants alone, and the values that it names."""
    parts, values = ["true"], dict[str, Any]()
    for end, sign in (("min", ">="), ("max", "<=")):
        for name, column in _RANGES.items():
            value = getattr(where, f"{end}_{name}")
            if value is not None:
                parts.append(f"{column} {sign} ${end}_{name}")
                values[f"{end}_{name}"] = value
    if where.prompt_id is not None:
        parts.append("prompt_id = $prompt_id")
        values["prompt_id"] = where.prompt_id
    if where.flags:
        flagged = f"SELECT place FROM {flags_table(index)} WHERE flag IN (SELECT unnest($flags::VARCHAR[]))"
        parts.append(f"place IN ({flagged})")
        values["flags"] = list(where.flags)
    if where.overridden is not None:
        both = "least(chosen_id, rejected_id) || ' ' || greatest(chosen_id, rejected_id)"
        places = "SELECT unnest($decided::VARCHAR[])"
        decided = f"({both} IN ({places}) OR chosen_id IN ({places}) OR rejected_id IN ({places}))"
        parts.append(decided if where.overridden else f"NOT {decided}")
        values["decided"] = [" ".join(override.target) for override in overrides]
    return " AND ".join(parts), values


def _row(row: Mapping[str, Any], decided: Collection[tuple[str, ...]]) -> PairRow:
    targets = {tuple(sorted((row["chosen_id"], row["rejected_id"]))), (row["chosen_id"],), (row["rejected_id"],)}
    shown = {name: row[name] for name in PairRow.model_fields if name in row}
    return PairRow(**shown, flags=flags_of(row), overridden=not targets.isdisjoint(decided))
