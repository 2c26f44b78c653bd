"""An iteration's pairs of judgments, where the recipe has the judgments judged: a plain list."""

from __future__ import annotations

from selfreward.errors import StoreError
from selfreward.query.database import select
from selfreward.query.filters import ORDER, STAGE_OF, PairSort
from selfreward.query.kept import iteration
from selfreward.query.pairs import PairPage, PairRow
from selfreward.records import PreferencePair
from selfreward.storage.run import RunStore

_ROWS = """
    SELECT * FROM (
        SELECT id, prompt_id, chosen_id, rejected_id, prompt[-1].content AS prompt, chosen[-1].content AS chosen,
               rejected[-1].content AS rejected, chosen_score, rejected_score, margin, NULL::DOUBLE AS variance,
               len(chosen_token_ids) AS chosen_tokens, len(rejected_token_ids) AS rejected_tokens,
               len(chosen_token_ids) / nullif(len(rejected_token_ids), 0) AS length_ratio, retokenised,
               row_number() OVER (ORDER BY filename, file_row_number) AS place
        FROM read_parquet($files, union_by_name = true, filename = true, file_row_number = true))"""


def page_of_judgment_pairs(
    run: RunStore,
    t: int,
    sort: PairSort = "margin",
    ascending: bool | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> PairPage:
    """Pairs of judgments. They have no flags, no variance and no overrides; the scores are strengths.

    Raises:
        StoreError: the iteration has no such pairs.
    """
    it = iteration(run, t)
    stage = STAGE_OF["judgments"]
    entry = it.stage(stage)
    if entry is None:
        raise StoreError(f"{it.path}: has no pairs of judgments; an iteration of a recipe with meta_judge makes them")
    expression, upwards = ORDER[sort]
    direction = "ASC" if (upwards if ascending is None else ascending) else "DESC"
    sql = f"{_ROWS} ORDER BY {expression} {direction} NULLS LAST, place LIMIT $most OFFSET $start"
    rows = select(sql, it.stored(stage, PreferencePair).paths(), most=limit, start=offset)
    shown = [{name: value for name, value in row.items() if name != "place"} for row in rows]
    return PairPage(
        rows=tuple(PairRow(**row, flags=(), overridden=False) for row in shown),
        total=entry.rows,
        offset=offset,
        pairs=entry.rows,
        cut=None,
        finished=entry.finished,
    )
