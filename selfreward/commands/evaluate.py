"""``selfreward eval``: whether it is any good. Each command has a file of its own and is named here."""

import typer

from selfreward.commands import eval_judge

app = typer.Typer(help="Measure judges and models.", no_args_is_help=True, rich_markup_mode=None)
app.command("judge")(eval_judge.eval_judge)


@app.callback()
def _several() -> None:
    """Keeps ``judge`` a command of its own while it is the only one."""
