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
    of: Annotated[str, typer.Option(help="responses, or judgments where the recipe has meta_judge.")] = "responses",
    limit: Annotated[int | None, typer.Option(min=1, help="Print at most so many.")] = None,
    offset: Annotated[int, typer.Option(min=0, help="Pass over so many first.")] = 0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """The preference pairs of an iteration."""
    from selfreward.query.judgment_pairs import page_of_judgment_pairs
    from selfreward.query.pairs import EVERY_PAIR, PairRow, page_of_pairs
    from selfreward.storage.run import RunStore
    from selfreward.terminal import render, render_csv, render_pairs, report

    one_format(as_json, as_csv)
    ranges = {"chosen": chosen, "rejected": rejected, "margin": margin, "variance": variance}
    where = which.pair_filter({**ranges, "length_ratio": length_ratio}, flag, overridden, text)
    store, kind, by = RunStore(find_run(run, runs_dir)), which.pairs_of(of), which.pair_sort(sort)
    if kind == "responses":
        page = page_of_pairs(store, iteration, where, by, ascending, offset, limit)
    elif where == EVERY_PAIR:
        page = page_of_judgment_pairs(store, iteration, by, ascending, offset, limit)
    else:
        raise typer.BadParameter("--of judgments: they are sorted, but not filtered; leave the other options out")
    if as_json:
        print(render.json_text(page.rows))
    elif as_csv:
        print(render_csv.rows(PairRow, page.rows), end="")
    else:
        render.console().print(render_pairs.pairs(page.rows))
    for line in render_pairs.how_many(page):
        say(line)
    if not (as_json or as_csv):
        say(f"{report.pair_yield(store, iteration, kind)}; `selfreward show {run} ID` explains one")
