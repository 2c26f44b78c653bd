"""``selfreward seeds check``: what a run would say to seed files."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.options import AsJson, Overrides, say


def check_seed_files(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Seed files; the recipe's own.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="The recipe (or run) that the seeds are for.")] = None,
    set_: Overrides = None,
    model: Annotated[str | None, typer.Option(help="Without a recipe: the model; the builtin one otherwise.")] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Held-out rows that must not be among the seeds; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a run would say to seed files; exits with 1 if it would refuse them."""
    from selfreward.progress import Reporter
    from selfreward.seed_checks.check import check_seeds, files_and_config
    from selfreward.terminal import render, render_seeds

    found = check_seeds(*files_and_config(files or (), recipe, set_ or (), model), against or (), Reporter())
    if as_json:
        print(render.json_text(found))
    else:
        render.console().print(render_seeds.checked(found))
    say(render_seeds.verdict(found))
    if found.refused:
        raise typer.Exit(1)
