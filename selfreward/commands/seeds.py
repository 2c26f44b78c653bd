"""``selfreward seeds``: own IFT and EFT data. Each command has a file of its own and is named here."""

import typer

from selfreward.commands import seeds_build_eft, seeds_check, seeds_import

app = typer.Typer(help="Import, check and build own IFT and EFT data.", no_args_is_help=True, rich_markup_mode=None)
app.command("import")(seeds_import.import_seeds)
app.command("check")(seeds_check.check_seed_files)
app.command("build-eft")(seeds_build_eft.build_eft)
