"""The places of the pairs that a list has, in the list's order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from selfreward.query.database import ask, numbers
from selfreward.query.filters import ORDER, RANGES, PairFilter, PairSort
from selfreward.query.flags import flags_table
from selfreward.query.index import Index
from selfreward.storage.durable import value_hash
from selfreward.storage.iteration import IterationStore
from selfreward.storage.overrides import Override

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ORDERS_KEPT = 32
SEARCHED = 10_000
"""Most pairs whose texts one search reads, the first ones in the order asked for."""


class Order(NamedTuple):
    """Which pairs a list has, by their places in the stage, in the list's order."""

    places: NDArray[np.int64]
    cut: int | None
    """After how many pairs a text search stopped, where it did not see all."""


_orders: OrderedDict[str, Order] = OrderedDict()
"""The last ones that were asked for: leafing through a list sorts it once."""


def ordered(
    it: IterationStore,
    index: Index,
    overrides: Sequence[Override],
    where: PairFilter,
    sort: PairSort,
    ascending: bool | None,
) -> Order:
    """The lock is held."""
    expression, naturally_ascending = ORDER[sort]
    upwards = naturally_ascending if ascending is None else ascending
    by = f"{expression} {'ASC' if upwards else 'DESC'} NULLS LAST, place"
    key = value_hash([index.state(), [o.target for o in overrides], str(where), by])
    if key in _orders:
        _orders.move_to_end(key)
        return _orders[key]
    conditions, parameters = _conditions(it, index, overrides, where)
    sql = f"SELECT place, row_number() OVER (ORDER BY {by}) AS number FROM {index.derived('listed')} WHERE {conditions}"
    texts = (index.stage("pairs"), ("prompt", "chosen", "rejected"))
    order = searched(sql, parameters, where.text, *texts) if where.text else in_order(sql, parameters)
    _orders[key] = order
    while len(_orders) > _ORDERS_KEPT:
        _orders.popitem(last=False)
    return order


def in_order(sql: str, parameters: Mapping[str, Any], cut: int | None = None) -> Order:
    """Of a query of ``place`` and ``number``."""
    return Order(numbers(f"SELECT place FROM ({sql}) ORDER BY number", **parameters), cut)


def searched(sql: str, parameters: Mapping[str, Any], text: str, table: str, columns: Sequence[str]) -> Order:
    """The same of the first rows alone, where one of a table's columns holds a text."""
    rows = ask(f"SELECT count(*) AS n FROM ({sql})", **parameters)[0]["n"]
    holds = " OR ".join(f"contains(lower(t.{column}), lower($text))" for column in columns)
    found = f"""
        SELECT l.place, l.number FROM ({sql} QUALIFY number <= {SEARCHED}) l
        JOIN {table} t ON t.rowid = l.place WHERE {holds}"""
    return in_order(found, {**parameters, "text": text}, SEARCHED if rows > SEARCHED else None)


def _conditions(
    it: IterationStore, index: Index, overrides: Sequence[Override], where: PairFilter
) -> tuple[str, dict[str, Any]]:
    """What stands behind WHERE, made of constants alone, and the values that it names."""
    parts, values = ["true"], dict[str, Any]()
    for end, sign in (("min", ">="), ("max", "<=")):
        for name, column in RANGES.items():
            value = getattr(where, f"{end}_{name}")
            if value is not None:
                parts.append(f"{column} {sign} ${end}_{name}")
                values[f"{end}_{name}"] = value
    if where.prompt_id is not None:
        parts.append("prompt_id = $prompt_id")
        values["prompt_id"] = where.prompt_id
    if where.flags:
        flagged = f"SELECT place FROM {flags_table(it, index)} WHERE flag IN (SELECT unnest($flags::VARCHAR[]))"
        parts.append(f"place IN ({flagged})")
        values["flags"] = list(where.flags)
    if where.overridden is not None:
        both = "least(chosen_id, rejected_id) || ' ' || greatest(chosen_id, rejected_id)"
        places = "SELECT unnest($decided::VARCHAR[])"
        decided = f"({both} IN ({places}) OR chosen_id IN ({places}) OR rejected_id IN ({places}))"
        parts.append(decided if where.overridden else f"NOT {decided}")
        values["decided"] = [" ".join(override.target) for override in overrides]
    return " AND ".join(parts), values
