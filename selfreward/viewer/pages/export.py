"""What is filtered, as a file for other programs."""

import tempfile
from collections.abc import Iterator
from typing import IO

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from selfreward.query.export import FORMATS, export_pairs
from selfreward.viewer.listing import listing_of
from selfreward.viewer.site import iteration_of, run_of

_PIECE = 1 << 16
_TYPES = {"jsonl": "application/jsonl", "parquet": "application/vnd.apache.parquet"}


def download(request: Request) -> Response:
    """The pairs of a list, all its pages."""
    run = run_of(request)
    t = iteration_of(request, run).manifest.iteration
    asked = listing_of(request.query_params)
    form = next((known for known in FORMATS if known == request.query_params.get("format")), None)
    if form is None:
        raise HTTPException(400, f"format: expected one of {', '.join(FORMATS)}")
    # Written whole before anything is sent, so that an error is a page and no half of a file.
    file = tempfile.TemporaryFile()  # noqa: SIM115 (closed when it is sent)
    export_pairs(run, t, file, form, asked.where, asked.sort, asked.ascending)
    return StreamingResponse(_pieces(file), media_type=_TYPES[form], headers=attachment(f"pairs-iter-{t:03d}.{form}"))


def attachment(name: str) -> dict[str, str]:
    """Headers that have a browser save an answer; the name is the page's own, never a model's."""
    return {"content-disposition": f'attachment; filename="{name}"'}


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece
