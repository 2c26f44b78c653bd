"""What the commands have in common: options, finding a run, a line of talk."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from selfreward.errors import SeedError

RunsDir = Annotated[Path, typer.Option(envvar="SELFREWARD_RUNS", help="Where runs are.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, or its directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Change a setting of the recipe; may be repeated.")
]
RUNS = Path("runs")


def say(text: str) -> None:
    """A line of talk."""
    from selfreward.terminal.render import visible

    print(visible(text), file=sys.stderr, flush=True)


def refuse_output(output: Path, source: Path, others: Sequence[Path], kept: Sequence[Path], *, force: bool) -> None:
    """Rows are written to a new file, and never over what they are made of.

    Args:
        others: what is written beside the output.
        kept: what is not written over without ``--force``.
    """
    if output.suffix != ".jsonl":
        raise typer.BadParameter(f"-o {output}: rows are written as JSONL; give it a name that ends in .jsonl")
    if source.expanduser().resolve() in [path.resolve() for path in (output, *others)]:
        raise SeedError(f"{output}: it or a file beside it would be written over the source; give another -o")
    if output.is_dir():
        raise SeedError(f"{output}: is a directory; give -o the name of a file")
    there = [path for path in kept if path.exists()]
    if there and not force:
        raise SeedError(f"{there[0]}: is already there; --force writes over it, or give another -o")


def one_format(as_json: bool, as_csv: bool) -> None:
    """Of two forms at most one."""
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv do not go together")


def find_run(name: str, runs_dir: Path) -> Path:
    """The directory of a run.

    Raises:
        StoreError: there is none.
    """
    from selfreward.storage.catalogue import find_run as find

    return find(name, runs_dir)
