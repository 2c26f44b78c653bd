"""``selfreward seeds``: own IFT and EFT data."""

import typer

app = typer.Typer(help="Import, check and build own IFT and EFT data.", no_args_is_help=True, rich_markup_mode=None)
