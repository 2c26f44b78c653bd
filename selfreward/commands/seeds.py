"""``selfreward seeds``: own IFT and EFT data. Each command has a file of its own and is named here."""

import typer

from selfreward.commands import seeds_import

app = typer.Typer(help="Import, check and build own IFT and EFT data.", no_args_is_help=True, rich_markup_mode=None)
app.command("import")(seeds_import.import_seeds)


@app.callback()
def _group() -> None:
    """Keeps ``seeds`` a group, however few commands are in it."""
