"""What of a list an address asks for, and addresses that ask for others: filter, sort and place in the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pydantic import ValidationError
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from selfreward.query.labelled import LABELLED_SORTS, LabelledFilter, LabelledSort
from selfreward.query.pairs import PAIR_SORTS, PairFilter, PairSort
from selfreward.records import Frozen
from selfreward.viewer.links import Value

PAGE = 50
"""Rows on a page."""
_LISTS = ("flags",)
_UPWARDS = ("prompt", "order")
"""Sorts that begin with the least where nobody says otherwise."""
F = TypeVar("F", bound=Frozen)
S = TypeVar("S", bound=str)


@dataclass(frozen=True)
class Listing(Generic[F, S]):
    """A list as an address describes it."""

    where: F
    sort: S
    usual: S
    """The sort where the address says nothing."""
    ascending: bool | None
    offset: int

    def query(self) -> dict[str, Value]:
        """The part of an address that asks for this list."""
        given: dict[str, Value] = self.where.model_dump(exclude_defaults=True)
        return given | {
            "sort": None if self.sort == self.usual else self.sort,
            "ascending": self.ascending,
            "offset": self.offset or None,
        }

    @property
    def filtered(self) -> bool:
        """Whether it leaves anything out."""
        return self.where != type(self.where)()

    @property
    def upwards(self) -> bool:
        """Whether the list begins with the least."""
        return self.sort in _UPWARDS if self.ascending is None else self.ascending

    def starting(self, offset: int) -> dict[str, Value]:
        """Another page of the same list."""
        return replace(self, offset=offset).query()

    def sorted_by(self, sort: S) -> dict[str, Value]:
        """The same rows in another order; the same order the other way round where it is that one already."""
        ascending = not self.upwards if sort == self.sort else None
        return replace(self, sort=sort, ascending=ascending, offset=0).query()


def listing_of(query: QueryParams) -> Listing[PairFilter, PairSort]:
    """Which pairs an address asks for; HTTPException 400 where it makes no sense."""
    return _listing(query, PairFilter, PAIR_SORTS, "margin")


def labelled_listing_of(query: QueryParams) -> Listing[LabelledFilter, LabelledSort]:
    """The same of labelled responses."""
    return _listing(query, LabelledFilter, LABELLED_SORTS, "score")


def _listing(query: QueryParams, kind: type[F], sorts: Sequence[S], usual: S) -> Listing[F, S]:
    names = [name for name in kind.model_fields if query.get(name)]
    given = {name: query.getlist(name) if name in _LISTS else query[name] for name in names}
    try:
        where = kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise HTTPException(400, f"{name}: {first['msg']}; change it in the filter") from error
    sort = next((known for known in sorts if known == query.get("sort", usual)), None)
    if sort is None:
        raise HTTPException(400, f"sort: expected one of {', '.join(sorts)}")
    ascending = {"1": True, "0": False}.get(query.get("ascending", ""))
    return Listing(where, sort, usual, ascending, _offset(query.get("offset", "0")))


def _offset(given: str) -> int:
    if not (given.isascii() and given.isdecimal()) or len(given) > 15:
        raise HTTPException(400, "offset: expected how many to pass over")
    return int(given)
