"""``selfreward eval compare``: whether one model of a run answers better than another."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.options import RUNS, AsJson, Overrides, RunName, RunsDir, say


def eval_compare(  # noqa: PLR0913, PLR0917 (options)
    run: RunName,
    iteration: Annotated[
        list[int],
        typer.Option("-i", "--iteration", min=0, metavar="T", help="M_T; given twice: M_T, and M_U against it."),
    ],
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Held-out prompts; those that the run names otherwise.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Who judges: a model, or M0, M1, … of the run; M_T otherwise.")
    ] = None,
    rubric: Annotated[str | None, typer.Option(metavar="RUBRIC", help="A rubric for two responses.")] = None,
    samples: Annotated[int, typer.Option(min=1, metavar="N", help="Responses of each model to a prompt.")] = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="On N prompts only, drawn by their words.")
    ] = None,
    set_: Overrides = None,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """M_U against M_T on held-out prompts, judged in both orders: wins, ties, losses, beside what length would say."""
    from selfreward.progress import Reporter
    from selfreward.terminal import render, render_comparison
    from selfreward.verdicts.comparing import Match, compare
    from selfreward.verdicts.targets import Target

    if len(iteration) != 2:
        raise typer.BadParameter(f"-i: two models are compared, such as -i 1 -i 2; {len(iteration)} given")
    match = Match(Target(run, runs_dir, iteration, rubric, set_ or ()), prompts, judge, samples, limit)
    try:
        found = compare(match, Reporter())
    except KeyboardInterrupt:
        say("stopped; what was written and judged so far is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    if as_json:
        print(render.json_text(found))
    else:
        render.console().print(render_comparison.compared(found))
