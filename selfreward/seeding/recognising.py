"""Which format a source has, by the columns and values of its first rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from selfreward.errors import SeedError
from selfreward.seeding.formats import FORMATS
from selfreward.seeding.formats.base import Format, LeftOut, Numbered, Row, Target
from selfreward.seeding.formats.values import kind
from selfreward.seeding.sources.base import Source

SAMPLE = 64
"""So many readable rows are looked at."""
_UNREADABLE = 1000
COLUMNS_SHOWN = 40


@dataclass(frozen=True)
class Recognised:
    """What a source turned out to be."""

    form: Format
    columns: dict[str, str]
    """Columns of the first rows, and what kind of value is in them."""

    @property
    def unused(self) -> list[str]:
        """Columns that are not read."""
        return [name for name in self.columns if name not in self.form.columns]


def recognise(source: Source, target: Target, name: str | None = None, *, needs_language: bool = False) -> Recognised:
    """Find the format of a source by its first rows, or check the one that was named.

    Raises:
        SeedError: no row fits a format; the format does not give the target; or its rows have no language.
    """
    rows, bad = _sample(source)
    columns = _columns(rows)
    if not rows:
        found = f"{len(bad)} bad ones; the first is line {bad[0].line}: {bad[0].detail}" if bad else "none at all"
        raise SeedError(f"{source.name}: no rows that can be read ({found})")
    form = _named(name) if name else _best_fitting(rows)
    if not _fitting(form, rows):
        raise SeedError(_nothing_fits(source, columns, form if name else None))
    if target not in form.converters:
        raise SeedError(f"{source.name}: {_wrong_target(form, target)}")
    if needs_language and all(form.language(row) is None for row in rows):
        raise SeedError(f"{source.name}: the first rows name no language (language or lang); leave out --language")
    return Recognised(form, columns)


def _sample(source: Source) -> tuple[list[Row], list[LeftOut]]:
    rows: list[Row] = []
    bad: list[LeftOut] = []
    for found in source.read():
        if isinstance(found, Numbered):
            rows.append(found.row)
        else:
            bad.append(found)
        if len(rows) == SAMPLE or len(bad) == _UNREADABLE:
            break
    return rows, bad


def _columns(rows: Sequence[Row]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            if columns.get(name, "null") == "null":
                columns[name] = kind(value)
    return columns


def _named(name: str) -> Format:
    for form in FORMATS:
        if form.name == name:
            return form
    known = ", ".join(form.name for form in FORMATS)
    raise SeedError(f"--format {name}: no such format; expected one of {known}")


def _best_fitting(rows: Sequence[Row]) -> Format:
    """The first one that fits half of the rows: a general one may fit more, but would take good and bad for equal."""
    half = next((form for form in FORMATS if _fitting(form, rows) * 2 >= len(rows)), None)
    return half or max(FORMATS, key=lambda form: _fitting(form, rows))


def _fitting(form: Format, rows: Sequence[Row]) -> int:
    return sum(form.fits(row) for row in rows)


def _nothing_fits(source: Source, columns: Mapping[str, str], form: Format | None) -> str:
    found = ", ".join(f"{name} ({what})" for name, what in islice(columns.items(), COLUMNS_SHOWN)) or "none"
    more = f" and {len(columns) - COLUMNS_SHOWN} more" if len(columns) > COLUMNS_SHOWN else ""
    tried = f"the first rows do not fit the format {form.name}" if form else "no format fits the first rows"
    known = "\n".join(f"  {each.name:<18} {each.about}" for each in ((form,) if form else FORMATS))
    return f"{source.name}: {tried}\ncolumns found: {found}{more}\nexpected columns:\n{known}"


def _wrong_target(form: Format, target: Target) -> str:
    given = " or ".join(f"--as {name}" for name in form.converters)
    if target == "eft" and "ranked" in form.converters:
        return (
            f"{form.name} has ranks but no scores with rationales; import it --as ranked, then "
            "`selfreward seeds build-eft` makes EFT of it"
        )
    if target == "eft":
        return f"{form.name} has no scores, so it gives no EFT; it gives {given}"
    if target == "ift":
        return f"{form.name} has judged responses, bad ones too, so it gives no IFT; it gives {given}"
    return f"{form.name} has one response a prompt, so there is nothing to rank; it gives {given}"
