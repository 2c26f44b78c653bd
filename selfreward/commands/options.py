"""What the commands have in common: options, finding a run, a line of talk."""

import sys
from pathlib import Path
from typing import Annotated

import typer

RunsDir = Annotated[Path, typer.Option(envvar="SELFREWARD_RUNS", help="Where runs are.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, or its directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Change a setting of the recipe; may be repeated.")
]
RUNS = Path("runs")


def say(text: str) -> None:
    """A line of talk."""
    from selfreward.terminal.render import visible

    print(visible(text), file=sys.stderr, flush=True)


def find_run(name: str, runs_dir: Path) -> Path:
    """The directory of a run.

    Raises:
        StoreError: there is none.
    """
    from selfreward.storage.catalogue import find_run as find

    return find(name, runs_dir)
