"""``selfreward view``: the web page for judged pairs."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.options import RUNS, say

_RunsDir = Annotated[Path, typer.Argument(metavar="[RUNS_DIR]", envvar="SELFREWARD_RUNS", help="Where runs are.")]
_Host = Annotated[str, typer.Option(help="Address to listen on; any but a local one asks for a token.")]


def view(
    runs_dir: _RunsDir = RUNS,
    host: _Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")] = 8400,
) -> None:
    """A web page to look at runs, their judged pairs and what may be wrong with them."""
    from selfreward.viewer.serving import serve

    serve(runs_dir, host, port, say)
