"""``selfreward rubrics``: what judges are asked, and whether it can be used."""

from typing import Annotated

import typer

from selfreward.commands.options import AsJson, say

app = typer.Typer(help="List, show and check rubrics for the judge.", no_args_is_help=True, rich_markup_mode=None)
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
