"""``selfreward pairs``: an iteration's preference pairs, or its labelled responses."""

from typing import TYPE_CHECKING, Annotated

import typer

from selfreward.commands import pair_options as which
from selfreward.commands.options import RUNS, AsCsv, AsJson, RunName, RunsDir, find_run, one_format, say

if TYPE_CHECKING:
    from selfreward.query.labelled import LabelledPage
    from selfreward.query.pairs import PairPage


def pairs(  # noqa: PLR0913, PLR0917 (options)
    run: RunName,
    iteration: Annotated[int, typer.Option("-i", "--iteration", min=0, help="Which iteration's pairs.")],
    of: which.Of = "responses",
    sort: which.Sort = None,
    ascending: which.Ascending = None,
    chosen: which.Chosen = None,
    rejected: which.Rejected = None,
    margin: which.Margin = None,
    variance: which.Variance = None,
    length_ratio: which.LengthRatio = None,
    flag: which.Flag = None,
    score: which.Score = None,
    wanted: which.Wanted = None,
    overridden: which.Overridden = None,
    text: which.Text = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Print at most so many.")] = None,
    offset: Annotated[int, typer.Option(min=0, help="Pass over so many first.")] = 0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """The preference pairs of an iteration, or its labelled responses."""
    from selfreward.query.judgment_pairs import page_of_judgment_pairs
    from selfreward.query.labelled import LabelledRow, page_of_labelled
    from selfreward.query.pairs import PairRow, page_of_pairs
    from selfreward.storage.run import RunStore
    from selfreward.terminal import render, render_csv, render_pairs, report

    one_format(as_json, as_csv)
    ranges = {"chosen": chosen, "rejected": rejected, "margin": margin, "variance": variance}
    ranges["length_ratio"] = length_ratio
    of_pairs, of_labels = {**ranges, "flag": flag}, {"score": score, "wanted": wanted}
    store, kind = RunStore(find_run(run, runs_dir)), which.list_of(of)
    found: PairPage | LabelledPage
    if kind == "labelled":
        which.refuse(of, of_pairs)
        labels, by = which.label_filter(score, wanted, overridden, text), which.label_sort(sort or "score")
        found = page_of_labelled(store, iteration, labels, by, ascending, offset, limit)
    elif kind == "judgments":
        which.refuse(of, {**of_pairs, **of_labels, "overridden": overridden, "text": text})
        found = page_of_judgment_pairs(store, iteration, which.pair_sort(sort or "margin"), ascending, offset, limit)
    else:
        which.refuse(of, of_labels)
        where = which.pair_filter(ranges, flag, overridden, text)
        found = page_of_pairs(store, iteration, where, which.pair_sort(sort or "margin"), ascending, offset, limit)
    if as_json:
        print(render.json_text(found.rows))
    elif as_csv:
        print(render_csv.rows(LabelledRow if kind == "labelled" else PairRow, found.rows), end="")
    else:
        render.console().print(render_pairs.listed(found))
    for line in render_pairs.how_many(found):
        say(line)
    if not (as_json or as_csv):
        say(f"{report.prompt_yield(store, iteration, kind)}; `selfreward show {run} ID` explains one")
