"""What is kept of each stage in memory: numbers, ids and the texts of pairs, as SQL over its Parquet files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from selfreward.storage.iteration import IterationStore


@dataclass(frozen=True)
class Table:
    """Columns, and the query over ``$files`` that fills them."""

    columns: str
    rows: str


_FILES = "read_parquet($files, union_by_name = true, filename = true, file_row_number = true)"
_PLACE = "ORDER BY filename, file_row_number"
_OWN = "len(response_ids) = 1"
_MEAN, _SQUARES = (
    f"list_sum(list_transform(distribution, lambda share, step: share * {power}))" for power in ("step", "step * step")
)
_VARIANCE = f"avg({_SQUARES} - {_MEAN} ** 2) FILTER ({_OWN})"
"""Scores of a distribution are a point apart, and where they begin changes no variance. Not list_inner_product: it
refuses whole columns in which some lists are missing (DuckDB 2.0.0)."""

_RESPONSES = Table(
    "id VARCHAR, prompt_id VARCHAR, index INTEGER, tokens INTEGER, cut_off BOOLEAN, file VARCHAR",
    f"""SELECT id, prompt_id, index, len(token_ids), finish_reason = 'length', filename FROM {_FILES} {_PLACE}""",
)
_VERDICTS = Table(
    "response_id VARCHAR, prompt_id VARCHAR, verdicts INTEGER, readable INTEGER, score DOUBLE, variance DOUBLE, "
    "compared INTEGER, compared_readable INTEGER, file VARCHAR",
    f"""
    SELECT response_ids[1], any_value(prompt_id), count(*) FILTER ({_OWN}), count(score) FILTER ({_OWN}),
           avg(score) FILTER ({_OWN}),
           CASE WHEN count(score) FILTER ({_OWN}) > 1 OR count(distribution) FILTER ({_OWN}) > 0
                THEN coalesce(var_pop(score) FILTER ({_OWN}), 0) + coalesce({_VARIANCE}, 0) END,
           count(*) FILTER (len(response_ids) = 2), count(score) FILTER (len(response_ids) = 2), any_value(filename)
    FROM {_FILES} GROUP BY response_ids[1] ORDER BY any_value(filename), min(file_row_number)""",
)
"""One row a response: the mean of its own verdicts, and how far they are from agreeing (of samples, distributions)."""
_PAIRS = Table(
    "id VARCHAR, prompt_id VARCHAR, chosen_id VARCHAR, rejected_id VARCHAR, chosen_score DOUBLE, "
    "rejected_score DOUBLE, margin DOUBLE, chosen_tokens INTEGER, rejected_tokens INTEGER, retokenised BOOLEAN, "
    "prompt VARCHAR, chosen VARCHAR, rejected VARCHAR, file VARCHAR",
    f"""
    SELECT id, prompt_id, chosen_id, rejected_id, chosen_score, rejected_score, margin, len(chosen_token_ids),
           len(rejected_token_ids), retokenised, prompt[-1].content, chosen[-1].content, rejected[-1].content, filename
    FROM {_FILES} {_PLACE}""",
)
_LABELLED = Table(
    "id VARCHAR, prompt_id VARCHAR, response_id VARCHAR, wanted BOOLEAN, score DOUBLE, tokens INTEGER, "
    "prompt VARCHAR, response VARCHAR, file VARCHAR",
    f"""
    SELECT id, prompt_id, response_id, label, score, len(token_ids), prompt[-1].content, completion[-1].content,
           filename
    FROM {_FILES} {_PLACE}""",
)
_PLACES = Table("id VARCHAR, prompt_id VARCHAR, file VARCHAR", f"SELECT id, prompt_id, filename FROM {_FILES} {_PLACE}")
"""Of stages that are only looked up by the prompt."""
STAGES: Mapping[str, Table] = {
    "prompts": Table("id VARCHAR, text VARCHAR, file VARCHAR", f"SELECT id, text, filename FROM {_FILES} {_PLACE}"),
    "responses": _RESPONSES,
    "initial_responses": _RESPONSES,
    "judgments": _VERDICTS,
    "initial_judgments": _VERDICTS,
    "previous_judgments": _VERDICTS,
    "pairs": _PAIRS,
    "labelled": _LABELLED,
    "judgment_comparisons": _PLACES,
    "judgment_pairs": _PLACES,
}
"""By the name of the stage; :func:`table_of` has the parts of a mix too."""
_PART = re.compile(r"(?:judgments|initial_judgments|previous_judgments)_[a-z][a-z0-9_]*")
"""A name that may stand in SQL, whatever a manifest says."""


def part_stages(it: IterationStore) -> list[str]:
    """The stages with the judgments of a mix's parts, in their order."""
    return [name for name in it.manifest.stages if _PART.fullmatch(name)]


def table_of(stage: str) -> Table:
    """What is kept of a stage."""
    return STAGES.get(stage, _PLACES)


MADE_OF: Mapping[str, tuple[str, ...]] = {
    "candidates": ("responses", "initial_responses", "judgments", "initial_judgments"),
    "listed": ("pairs", "candidates"),
    "prompted": ("prompts", "candidates"),
}
DERIVED: Mapping[str, str] = {
    "candidates": """
        SELECT r.id, r.prompt_id, r.index, r.tokens, r.cut_off, r.initial, v.score, v.variance, v.verdicts, v.readable,
               v.compared, v.compared_readable
        FROM (SELECT *, false AS initial FROM {responses} UNION ALL SELECT *, true FROM {initial_responses}) r
        LEFT JOIN (SELECT * FROM {judgments} UNION ALL SELECT * FROM {initial_judgments}) v ON v.response_id = r.id""",
    "listed": """
        SELECT p.rowid AS place, p.id, p.prompt_id, p.chosen_id, p.rejected_id, p.chosen_score,
               p.rejected_score, p.margin, p.chosen_tokens,
               p.rejected_tokens, p.chosen_tokens / nullif(p.rejected_tokens, 0) AS length_ratio,
               greatest(c.variance, r.variance) AS variance, lower(left(p.prompt, 60)) AS prompt
        FROM {pairs} p LEFT JOIN {candidates} c ON c.id = p.chosen_id LEFT JOIN {candidates} r ON r.id = p.rejected_id
        ORDER BY place""",
    "prompted": """
        SELECT p.text, any_value(p.id) AS id, avg(c.score) AS score, max(c.score) AS best, avg(c.tokens) AS tokens
        FROM {prompts} p JOIN {candidates} c ON c.prompt_id = p.id
        WHERE NOT c.initial AND c.score IS NOT NULL GROUP BY p.text""",
}
"""Made of the tables that :data:`MADE_OF` names: every candidate with its score, every pair without its texts, and
every prompt's text with the means of its candidates."""
