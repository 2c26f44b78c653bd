"""``selfreward report``: an iteration as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.options import RUNS, RunName, RunsDir, find_run, say
from selfreward.errors import StoreError


def html_report(
    run: RunName,
    iteration: Annotated[int, typer.Option("-i", "--iteration", min=0, help="Which iteration.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The HTML file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Write an iteration's figures, charts and widest pairs into a file that opens without a server."""
    from selfreward.storage.durable import write_text
    from selfreward.storage.run import RunStore
    from selfreward.viewer.report import iteration_report

    if output.exists() and not force:
        raise StoreError(f"{output}: is already there; --force writes over it, or give another -o")
    made = iteration_report(RunStore(find_run(run, runs_dir)), iteration)
    write_text(output, made)
    say(f"{output}: iteration {iteration} of {run}")
