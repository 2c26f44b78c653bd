"""``selfreward compare``: two iterations beside each other."""

from typing import Annotated

import typer

from selfreward.commands.options import RUNS, AsCsv, AsJson, RunName, RunsDir, find_run, one_format


def compare(
    run: RunName,
    iteration: Annotated[
        list[int],
        typer.Option("-i", "--iteration", min=0, metavar="T", help="Twice: the first and the second iteration."),
    ],
    other: Annotated[
        str | None, typer.Argument(metavar="[RUN2]", help="The second iteration's run; the same one otherwise.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Prompts that both answered, the one that got worst first.")] = 10,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """What changed from one iteration to another, of one run or of two: figures, distributions, the same prompts."""
    from selfreward.query.compare import Shared
    from selfreward.query.compare import compare as beside
    from selfreward.storage.run import RunStore
    from selfreward.terminal import render, render_compare, render_csv

    one_format(as_json, as_csv)
    if len(iteration) != 2:
        raise typer.BadParameter(f"-i: two iterations are compared, such as -i 1 -i 2; {len(iteration)} given")
    runs = [RunStore(find_run(name, runs_dir)) for name in (run, other or run)]
    found = beside((runs[0], iteration[0]), (runs[1], iteration[1]), limit=limit)
    if as_json:
        print(render.json_text(found))
    elif as_csv:
        print(render_csv.rows(Shared, found.rows), end="")
    else:
        render.console().print(render_compare.compared(found))
