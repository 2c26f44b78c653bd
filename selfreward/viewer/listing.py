"""Which pairs an address asks for, and addresses that ask for others: filter, sort and place in the list."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import ValidationError
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from selfreward.query.pairs import PAIR_SORTS, PairFilter, PairSort
from selfreward.viewer.links import Value

PAGE = 50
"""Pairs on a page."""
_LISTS = ("flags",)
_UPWARDS: tuple[PairSort, ...] = ("prompt", "order")
"""Sorts that begin with the least where nobody says otherwise."""


@dataclass(frozen=True)
class Listing:
    """A list of pairs as an address describes it."""

    where: PairFilter
    sort: PairSort
    ascending: bool | None
    offset: int

    def query(self) -> dict[str, Value]:
        """The part of an address that asks for this list."""
        given: dict[str, Value] = self.where.model_dump(exclude_defaults=True)
        return given | {
            "sort": None if self.sort == "margin" else self.sort,
            "ascending": self.ascending,
            "offset": self.offset or None,
        }

    @property
    def filtered(self) -> bool:
        """Whether it leaves anything out."""
        return self.where != PairFilter()

    @property
    def upwards(self) -> bool:
        """Whether the list begins with the least."""
        return self.sort in _UPWARDS if self.ascending is None else self.ascending

    def starting(self, offset: int) -> dict[str, Value]:
        """Another page of the same list."""
        return replace(self, offset=offset).query()

    def sorted_by(self, sort: PairSort) -> dict[str, Value]:
        """The same pairs in another order; the same order the other way round where it is that one already."""
        ascending = not self.upwards if sort == self.sort else None
        return replace(self, sort=sort, ascending=ascending, offset=0).query()


def listing_of(query: QueryParams) -> Listing:
    """What an address asks for; HTTPException 400 where it makes no sense."""
    names = [name for name in PairFilter.model_fields if query.get(name)]
    given = {name: query.getlist(name) if name in _LISTS else query[name] for name in names}
    try:
        where = PairFilter.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise HTTPException(400, f"{name}: {first['msg']}; change it in the filter") from error
    sort = next((known for known in PAIR_SORTS if known == query.get("sort", "margin")), None)
    if sort is None:
        raise HTTPException(400, f"sort: expected one of {', '.join(PAIR_SORTS)}")
    ascending = {"1": True, "0": False}.get(query.get("ascending", ""))
    return Listing(where, sort, ascending, _offset(query.get("offset", "0")))


def _offset(given: str) -> int:
    if not (given.isascii() and given.isdecimal()) or len(given) > 15:
        raise HTTPException(400, "offset: expected a number of pairs to pass over")
    return int(given)
