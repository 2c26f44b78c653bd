"""``selfreward rubrics``: what judges are asked, and whether it can be used."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.options import RUNS, AsJson, Overrides, RunsDir, say

app = typer.Typer(help="List, show, check and try rubrics for the judge.", no_args_is_help=True, rich_markup_mode=None)
Rubric = Annotated[str, typer.Argument(metavar="RUBRIC", help="Name of a rubric, or the path of a file (.md).")]
Rubrics = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUBRIC]...", help="Names of rubrics or paths of files (.md); all that come along else."),
]


@app.command()
def ls(as_json: AsJson = False) -> None:
    """The rubrics that come along."""
    from selfreward.judges.rubric_check import describe, shipped
    from selfreward.templates import load_rubric
    from selfreward.terminal import render, render_rubrics

    found = [describe(load_rubric(name)) for name in shipped()]
    if as_json:
        print(render.json_text(found))
    else:
        render.console().print(render_rubrics.rubrics(found))


@app.command()
def show(rubric: Rubric, as_json: AsJson = False) -> None:
    """What a judge is asked with a rubric, and how its verdict is read."""
    from selfreward.judges.rubric_check import describe
    from selfreward.templates import load_rubric
    from selfreward.terminal import render, render_rubrics

    found = describe(load_rubric(rubric))
    if as_json:
        print(render.json_text(found))
    else:
        render.console().print(render_rubrics.rubric(found))


@app.command()
def check(rubrics: Rubrics = None, as_json: AsJson = False) -> None:
    """Whether a judge can use rubrics; exits with 1 if not."""
    from selfreward.judges import rubric_check
    from selfreward.terminal import render

    reports = [rubric_check.check(name) for name in rubrics or rubric_check.shipped()]
    wrong = [fault for report in reports for fault in report.faults]
    if as_json:
        print(render.json_text(reports))
    for fault in () if as_json else wrong:
        print(render.visible(fault))
    if wrong:
        say(f"{sum(bool(report.faults) for report in reports)} of {len(reports)} rubrics cannot be used as they are")
        raise typer.Exit(1)
    say(f"{len(reports)} rubrics can be used: {', '.join(report.rubric for report in reports)}")


@app.command("try")
def try_(  # noqa: PLR0913, PLR0917 (options)
    rubric: Rubric,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL|RUN", help="Who judges: builtin:NAME, directory, Hub id, or a run.")
    ],
    prompt: Annotated[Path, typer.Option(metavar="FILE", help="Text of the prompt.")],
    response: Annotated[list[Path], typer.Option(metavar="FILE", help="Text of a response; may be repeated.")],
    reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Text of a good answer, for rubrics that grade against one.")
    ] = None,
    method: Annotated[str | None, typer.Option(metavar="METHOD", help="sampled, expected or pairwise.")] = None,
    iteration: Annotated[
        int | None, typer.Option("-i", "--iteration", min=0, metavar="T", help="Of a run: M_T; the last one otherwise.")
    ] = None,
    question: Annotated[bool, typer.Option("--question", help="Print what the judge is asked, too.")] = False,
    set_: Overrides = None,
    as_json: AsJson = False,
    runs_dir: RunsDir = RUNS,
) -> None:
    """Judge responses with a rubric, and print what the judge writes and how it is read."""
    from selfreward.progress import Reporter
    from selfreward.terminal import render, render_rubrics
    from selfreward.verdicts.targets import Target
    from selfreward.verdicts.trying import Case, try_rubric

    iterations = () if iteration is None else (iteration,)
    target = Target(model, runs_dir, iterations, rubric, set_ or ())
    found = try_rubric(target, method, Case(prompt, response, reference), Reporter())
    if as_json:
        print(render.json_text(found))
    else:
        render.console().print(render_rubrics.trial(found, with_question=question))
