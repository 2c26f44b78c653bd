"""Questions to a run's Parquet files, through DuckDB: for the terminal and the page alike.

Files come from the manifests alone, and what a user typed is bound as a parameter, never put into SQL.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from selfreward.errors import StoreError
from selfreward.evaluation.bootstrap import Figure
from selfreward.records import (
    EFTSeed,
    Frozen,
    IFTSeed,
    Judgment,
    Labelled,
    PreferencePair,
    Prompt,
    Record,
    Response,
)
from selfreward.storage.catalogue import measured_accuracy
from selfreward.storage.iteration import IterationStore, Stored
from selfreward.storage.run import RunStore

R = TypeVar("R", bound=Record)
PairsOf = Literal["responses", "judgments"]
"""What is chosen and rejected."""
Kind = Literal["pair", "labelled", "prompt", "response", "judgment", "seed"]
PairSort = Literal["margin", "chosen_score", "rejected_score", "length", "length_difference", "prompt", "order"]
PAIR_SORTS: tuple[PairSort, ...] = get_args(PairSort)

_Table = tuple[str, Kind, type[Record]]
_TABLES: tuple[_Table, ...] = (
    ("pairs", "pair", PreferencePair),
    ("judgment_pairs", "pair", PreferencePair),
    ("prompts", "prompt", Prompt),
    ("responses", "response", Response),
    ("judgments", "judgment", Judgment),
    ("labelled", "labelled", Labelled),
    ("initial_responses", "response", Response),
    ("initial_judgments", "judgment", Judgment),
    ("previous_judgments", "judgment", Judgment),
    ("judgment_comparisons", "judgment", Judgment),
    ("seeds_ift", "seed", IFTSeed),
    ("seeds_eft", "seed", EFTSeed),
)
_PAIR_ROWS = """
    SELECT id, prompt_id, prompt[-1].content AS prompt, chosen[-1].content AS chosen, rejected[-1].content AS rejected,
           chosen_score, rejected_score, margin, len(chosen_token_ids) AS chosen_tokens,
           len(rejected_token_ids) AS rejected_tokens, retokenised
    FROM read_parquet($files, filename = true, file_row_number = true, union_by_name = true)"""
_PAIR_ORDER: dict[PairSort, tuple[str, bool]] = {
    "margin": ("margin", False),
    "chosen_score": ("chosen_score", False),
    "rejected_score": ("rejected_score", False),
    "length": ("chosen_tokens", False),
    "length_difference": ("chosen_tokens - rejected_tokens", False),
    "prompt": ("lower(prompt[-1].content)", True),
    "order": ("filename, file_row_number", True),
}
"""What each sort means in SQL, and whether it is ascending unless the user says otherwise."""
PAIRS_OF: tuple[PairsOf, ...] = get_args(PairsOf)
PAIR_STAGES: dict[PairsOf, str] = {"responses": "pairs", "judgments": "judgment_pairs"}
_MOST_NAMED = 5


class PairRow(Frozen):
    """A pair as a list shows it. Lengths are in generated tokens."""

    id: str
    prompt_id: str
    prompt: str
    chosen: str
    rejected: str
    chosen_score: float | None
    rejected_score: float | None
    margin: float | None
    chosen_tokens: int
    rejected_tokens: int
    retokenised: bool


class IterationRow(Frozen):
    """An iteration in a few numbers; None where it has no such thing (yet)."""

    iteration: int
    finished: bool
    model: str
    """What the iteration makes: M1 of iteration 0, M2 of iteration 1, …"""
    prompts: int | None
    responses: int | None
    pairs: int | None
    mean_score: float | None
    """Mean of all readable verdicts."""
    judge_accuracy: Figure | None
    """Share of held-out pairs that its judge puts in people's order; where the recipe names such."""
    loss: tuple[float, float] | None
    """Of the first and the last training step."""
    reward_margins: tuple[float, float] | None
    """TRL's rewards/margins of the first and the last training step."""
    seconds: float
    adapter: str | None


class Found(Frozen):
    """Where an item is."""

    kind: Kind
    id: str
    iteration: int
    stage: str


def list_pairs(
    run: RunStore,
    t: int,
    sort: PairSort = "margin",
    ascending: bool | None = None,
    limit: int | None = None,
    of: PairsOf = "responses",
) -> list[PairRow]:
    """Pairs of an iteration, those of a stage under way included; the default direction is the sort's own.

    Raises:
        StoreError: the iteration has no such pairs.
    """
    it = run.iteration(t)
    if t == 0:
        raise StoreError(f"{it.path}: iteration 0 is supervised fine-tuning and has no pairs; the first are in 1")
    if of == "judgments" and it.stage(PAIR_STAGES[of]) is None:
        raise StoreError(f"{it.path}: has no pairs of judgments; an iteration of a recipe with meta_judge makes them")
    if it.stage("pairs") is None and it.stage("labelled") is not None:
        raise StoreError(
            f"{it.path}: its pair rule labels single responses and makes no pairs; `selfreward show` explains a "
            "prompt, and `labelled` of the iteration has them in Python"
        )
    expression, naturally_ascending = _PAIR_ORDER[sort]
    direction = "ASC" if (naturally_ascending if ascending is None else ascending) else "DESC"
    order = ", ".join(f"{part} {direction}" for part in expression.split(", "))
    files = it.stored(PAIR_STAGES[of], PreferencePair).paths()
    rows = select(f"{_PAIR_ROWS} ORDER BY {order} NULLS LAST, id LIMIT $most", files, most=limit)
    return [PairRow.model_validate(row) for row in rows]


def iteration_table(run: RunStore) -> list[IterationRow]:
    """Every iteration that was begun, in order."""
    return [_iteration_row(run.iteration(t)) for t in run.iterations()]


def _iteration_row(it: IterationStore) -> IterationRow:
    def rows_of(stage: str) -> int | None:
        entry = it.stage(stage)
        return None if entry is None else entry.rows

    judged = it.stored("judgments", Judgment).paths() if it.stage("judgments") is not None else []
    mean = [
        row["mean"]
        for row in select("SELECT avg(score) AS mean FROM read_parquet($files) WHERE len(response_ids) = 1", judged)
    ]
    training = it.stage("adapter")
    summary = training.summary if training is not None else {}
    return IterationRow(
        iteration=it.manifest.iteration,
        finished=it.manifest.finished,
        model=f"M{it.manifest.iteration + 1}",
        prompts=rows_of("prompts"),
        responses=rows_of("responses"),
        pairs=rows_of("pairs"),
        mean_score=mean[0] if mean else None,
        judge_accuracy=measured_accuracy(it.stage("heldout_judgments")),
        loss=_first_and_last(summary, "loss"),
        reward_margins=_first_and_last(summary, "rewards/margins"),
        seconds=round(sum(stage.seconds for stage in it.manifest.stages.values()), 1),
        adapter=str(it.path / "adapter") if training is not None and training.finished else None,
    )


def _first_and_last(summary: dict[str, Any], name: str) -> tuple[float, float] | None:
    return (summary[name]["first"], summary[name]["last"]) if name in summary else None


def find_item(run: RunStore, item: str) -> Found:
    """The one item of a run whose id is, or begins with, what the user typed.

    Raises:
        StoreError: there is none, or there are several; the message names the closest.
    """
    matches: list[Found] = []
    nearest: list[tuple[int, str]] = []
    for t in run.iterations():
        it = run.iteration(t)
        parts: list[_Table] = [(name, "judgment", Judgment) for name in part_stages(it)]
        for stage, kind, record in (*_TABLES, *parts):
            if it.stage(stage) is None:
                continue
            files = it.stored(stage, record).paths()
            begin = (
                "SELECT id FROM read_parquet($files) WHERE starts_with(id, $item) ORDER BY length(id), id LIMIT $most"
            )
            found = [row["id"] for row in select(begin, files, item=item, most=_MOST_NAMED + 1)] if item else []
            if item in found:
                return Found(kind=kind, id=item, iteration=t, stage=stage)
            matches += [Found(kind=kind, id=id, iteration=t, stage=stage) for id in found]
            if not matches:
                near = "SELECT levenshtein(id, $item) AS steps, id FROM read_parquet($files) ORDER BY steps, id LIMIT 3"
                nearest += [(row["steps"], row["id"]) for row in select(near, files, item=item)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(m.id for m in matches[:_MOST_NAMED]) + (", …" if len(matches) > _MOST_NAMED else "")
        raise StoreError(f"{item}: more than one item begins so: {shown}")
    close = [id for steps, id in sorted(nearest)[:3] if steps <= max(3, len(item) // 2)]
    hint = f"closest: {', '.join(close)}" if close else "`selfreward pairs` lists the pairs of an iteration"
    raise StoreError(f"{item}: no such item in {run.path}; {hint}")


def part_stages(it: IterationStore) -> list[str]:
    """The stages with the judgments of a mix's parts, in their order."""
    whole = ("judgments", "initial_judgments", "previous_judgments")
    return [name for name in it.manifest.stages if any(name.startswith(f"{stage}_") for stage in whole)]


def fetch(stored: Stored[R], where: str, **parameters: Any) -> list[R]:
    """The records of a stage for which a condition (a constant of the code) holds, in order."""
    rows = select(
        f"SELECT * FROM read_parquet($files, union_by_name = true) WHERE {where}", stored.paths(), **parameters
    )
    return [stored.record.model_validate(row) for row in rows]


def select(sql: str, files: Sequence[Path], **parameters: Any) -> list[dict[str, Any]]:
    """Rows of a query over Parquet files, which it names ``$files``; none where there are no files.

    Raises:
        StoreError: a file is missing or damaged.
    """
    import duckdb

    if not files:
        return []
    paths = [glob.escape(str(file)) for file in files]
    try:
        with closing(duckdb.connect()) as connection:
            found = connection.execute(sql, {"files": paths, **parameters})
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error as error:
        raise StoreError(
            f"{files[0].parent}: cannot be read: {str(error).splitlines()[0]}; `selfreward verify` says more"
        ) from error
