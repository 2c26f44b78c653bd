"""``selfreward export``: pairs or labelled responses for other programs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from selfreward.commands import pair_options as which
from selfreward.commands.options import RUNS, RunName, RunsDir, find_run, say


def export(  # noqa: PLR0913, PLR0917 (options)
    run: RunName,
    iteration: Annotated[int, typer.Option("-i", "--iteration", min=1, metavar="T", help="Which iteration's pairs.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to: .jsonl (TRL's columns) or .parquet.")
    ],
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
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Write an iteration's pairs or labelled responses, or those that fit, as TRL reads them."""
    from selfreward.query.export import FORMATS, export_labelled, export_pairs
    from selfreward.storage.durable import write_file
    from selfreward.storage.run import RunStore

    forms = [form for form in FORMATS if output.suffix == f".{form}"]
    if not forms:
        raise typer.BadParameter(f"-o {output}: expected a name that ends in .jsonl or .parquet")
    if output.exists() and not (force and output.is_file()):
        raise typer.BadParameter(f"-o {output}: is already there; give another name, or --force for a file")
    ranges = {"chosen": chosen, "rejected": rejected, "margin": margin, "variance": variance}
    ranges["length_ratio"] = length_ratio
    store, kind, form, by = RunStore(find_run(run, runs_dir)), which.list_of(of), forms[0], sort or "order"
    write: Callable[[BinaryIO], int]
    if kind == "labelled":
        which.refuse(of, {**ranges, "flag": flag})
        labels, label_sort = which.label_filter(score, wanted, overridden, text), which.label_sort(by)
        write = partial(
            export_labelled, store, iteration, form=form, where=labels, sort=label_sort, ascending=ascending
        )
    elif kind == "responses":
        which.refuse(of, {"score": score, "wanted": wanted})
        where, pair_sort = which.pair_filter(ranges, flag, overridden, text), which.pair_sort(by)
        write = partial(export_pairs, store, iteration, form=form, where=where, sort=pair_sort, ascending=ascending)
    else:
        raise typer.BadParameter("--of judgments: are not exported; `selfreward pairs --of judgments --json` has them")
    written = list[int]()

    def fill(path: Path) -> None:
        with path.open("wb") as file:
            written.append(write(file))

    write_file(output, fill)
    rows = "labelled responses" if kind == "labelled" else "pairs"
    say(f"{output}: {written[0]:,} {rows} of iteration {iteration}, with the columns that TRL's trainers read")
