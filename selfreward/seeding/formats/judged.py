"""Judged responses, one a row: prompt, response, score and rationale."""

from selfreward.seeding.formats import ranked_rows
from selfreward.seeding.formats.base import Format, Part, Reject, Row, each
from selfreward.seeding.formats.turns import eft_row
from selfreward.seeding.formats.values import column, number, optional_text

_RATIONALES = ("rationale", "feedback", "critique")


def eft(row: Row) -> Row:
    """The EFT row, with the score as it stands in the source."""
    turns, response = ranked_rows.read_texts(row)
    score, why = column(row, ranked_rows.QUALITIES) or "score", column(row, _RATIONALES) or "rationale"
    value = number(row.get(score), f'"{score}"')
    rationale = optional_text(row.get(why), f'"{why}"').strip()
    if not rationale:
        raise Reject("no_rationale", f'"{why}" is null or empty; expected why the score is what it is')
    return eft_row(turns, response, rationale, value)


def _eft(row: Row) -> list[Part]:
    return [lambda: eft(row)]


JUDGED = Format(
    name="judged",
    about="judged responses: prompt, response, score, rationale",
    columns=ranked_rows.COLUMNS | set(_RATIONALES),
    fits=lambda row: (
        ranked_rows.fits(row)
        and column(row, _RATIONALES) is not None
        and column(row, ranked_rows.QUALITIES) is not None
    ),
    converters={"eft": each(_eft), "ranked": ranked_rows.ranked},
)
