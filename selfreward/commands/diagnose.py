"""``selfreward diagnose``: what may go wrong in a run."""

from typing import Annotated

import typer

from selfreward.commands.options import RUNS, AsCsv, AsJson, RunName, RunsDir, find_run, one_format


def diagnose(
    run: RunName,
    iteration: Annotated[
        list[int] | None,
        typer.Option("-i", "--iteration", min=0, metavar="T", help="Only this one; may be repeated. All otherwise."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where a figure is beyond its limit.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """What may go wrong in a run: every figure beside its limit, and what to try."""
    from selfreward.diagnose import diagnose as examine
    from selfreward.storage.run import RunStore
    from selfreward.terminal import render, render_csv, render_diagnosis

    one_format(as_json, as_csv)
    found = examine(RunStore(find_run(run, runs_dir)), iteration or ())
    if as_json:
        print(render.json_text(found))
    elif as_csv:
        print(render_csv.diagnosis(found), end="")
    else:
        render.console().print(render_diagnosis.diagnosed(found))
    if strict and found.flags:
        raise typer.Exit(1)
