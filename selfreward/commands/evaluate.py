"""``selfreward eval``: whether it is any good. Each command has a file of its own and is named here."""

import typer

from selfreward.commands import eval_compare, eval_judge

app = typer.Typer(help="Measure judges and models.", no_args_is_help=True, rich_markup_mode=None)
app.command("judge")(eval_judge.eval_judge)
app.command("compare")(eval_compare.eval_compare)
