"""``selfreward eval judge``: how good a judge is on held-out rankings."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.options import RUNS, AsJson, Overrides, RunsDir, say


def eval_judge(  # noqa: PLR0913, PLR0917 (options)
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL", help="A run, judged by its own recipe; or a model: builtin:NAME, directory, Hub id."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ranked responses that people put in order; the run's own otherwise."),
    ] = None,
    iteration: Annotated[
        list[int] | None,
        typer.Option("-i", "--iteration", min=0, metavar="T", help="Of a run: M_T; may be repeated. All otherwise."),
    ] = None,
    rubric: Annotated[str | None, typer.Option(metavar="RUBRIC", help="A rubric's name or file (.md).")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(metavar="METHOD", help="How it is asked, such as expected or sampled; may be repeated."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of N prompts only, drawn by their words.")
    ] = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """How often a judge agrees with people, beside a judge that only looks at length and one that guesses."""
    from selfreward.progress import Reporter
    from selfreward.terminal import render, render_judges
    from selfreward.verdicts.measuring import Wanted, measure
    from selfreward.verdicts.targets import Target

    judge = Target(target, runs_dir, iteration or (), rubric, set_ or ())
    wanted = Wanted(judge, data, method or (), limit)
    try:
        found = measure(wanted, Reporter())
    except KeyboardInterrupt:
        say("stopped; the judgments made so far are kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    if as_json:
        print(render.json_text(found))
    else:
        render.console().print(render_judges.evaluation(found))
