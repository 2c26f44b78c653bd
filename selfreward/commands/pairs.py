"""``selfreward pairs``: an iteration's preference pairs."""

from typing import Annotated

import typer

from selfreward.commands import pair_options as which
from selfreward.commands.options import RUNS, AsCsv, AsJson, RunName, RunsDir, find_run, one_format, say


def pairs(  # noqa: PLR0913, PLR0917 (options)
    run: RunName,
    iteration: Annotated[int, typer.Option("-i", "--iteration", min=0, help="Which iteration's pairs.")],
    sort: which.Sort = "margin",
    ascending: which.Ascending = None,
    chosen: which.Chosen = None,
    rejected: which.Rejected = None,
    margin: which.Margin = None,
    variance: which.Variance = None,
    length_ratio: which.LengthRatio = None,
    flag: which.Flag = None,
    overridden: which.Overridden = None,
    text: which.Text = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Print at most so many.")] = None,
    offset: Annotated[int, typer.Option(min=0, help="Pass over so many first.")] = 0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """The preference pairs of an iteration."""
    from selfreward.query.pairs import PairRow, page_of_pairs
    from selfreward.storage.run import RunStore
    from selfreward.terminal import render, render_csv, render_pairs, report

    one_format(as_json, as_csv)
    ranges = {"chosen": chosen, "rejected": rejected, "margin": margin, "variance": variance}
    where = which.pair_filter({**ranges, "length_ratio": length_ratio}, flag, overridden, text)
    store = RunStore(find_run(run, runs_dir))
    page = page_of_pairs(store, iteration, where, which.pair_sort(sort), ascending, offset, limit)
    if as_json:
        print(render.json_text(page.rows))
    elif as_csv:
        print(render_csv.rows(PairRow, page.rows), end="")
    else:
        render.console().print(render_pairs.pairs(page.rows))
    for line in render_pairs.how_many(page):
        say(line)
    if not (as_json or as_csv):
        say(f"{report.pair_yield(store, iteration)}; `selfreward show {run} ID` explains one")
