"""``selfreward export``: pairs for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands import pair_options as which
from selfreward.commands.options import RUNS, RunName, RunsDir, find_run, say


def export(  # noqa: PLR0913, PLR0917 (options)
    run: RunName,
    iteration: Annotated[int, typer.Option("-i", "--iteration", min=1, metavar="T", help="Which iteration's pairs.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to: .jsonl (TRL's columns) or .parquet.")
    ],
    sort: which.Sort = "order",
    ascending: which.Ascending = None,
    chosen: which.Chosen = None,
    rejected: which.Rejected = None,
    margin: which.Margin = None,
    variance: which.Variance = None,
    length_ratio: which.LengthRatio = None,
    flag: which.Flag = None,
    overridden: which.Overridden = None,
    text: which.Text = "",
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Write an iteration's pairs, or those that fit, as TRL reads them."""
    from selfreward.query.export import FORMATS, export_pairs
    from selfreward.storage.durable import write_file
    from selfreward.storage.run import RunStore

    forms = [form for form in FORMATS if output.suffix == f".{form}"]
    if not forms:
        raise typer.BadParameter(f"-o {output}: expected a name that ends in .jsonl or .parquet")
    if output.exists() and not (force and output.is_file()):
        raise typer.BadParameter(f"-o {output}: is already there; give another name, or --force for a file")
    ranges = {"chosen": chosen, "rejected": rejected, "margin": margin, "variance": variance}
    where = which.pair_filter({**ranges, "length_ratio": length_ratio}, flag, overridden, text)
    store, written = RunStore(find_run(run, runs_dir)), list[int]()

    def write(path: Path) -> None:
        with path.open("wb") as file:
            written.append(export_pairs(store, iteration, file, forms[0], where, which.pair_sort(sort), ascending))

    write_file(output, write)
    say(f"{output}: {written[0]:,} pairs of iteration {iteration}, with the columns that TRL's trainers read")
