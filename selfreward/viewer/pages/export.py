"""What is filtered, as a file for other programs."""

import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from selfreward.query.export import FORMATS, Format, export_labelled, export_pairs
from selfreward.storage.run import RunStore
from selfreward.viewer.listing import labelled_listing_of, listing_of
from selfreward.viewer.site import iteration_of, run_of

_PIECE = 1 << 16
_TYPES = {"jsonl": "application/jsonl", "parquet": "application/vnd.apache.parquet"}


def pairs(request: Request) -> Response:
    """The pairs of a list, all its pages."""
    run, t, form = _asked(request)
    asked, file = listing_of(request.query_params), _file()
    export_pairs(run, t, file, form, asked.where, asked.sort, asked.ascending)
    return _answer(file, form, f"pairs-iter-{t:03d}")


def labelled(request: Request) -> Response:
    """The labelled responses of a list, all its pages."""
    run, t, form = _asked(request)
    asked, file = labelled_listing_of(request.query_params), _file()
    export_labelled(run, t, file, form, asked.where, asked.sort, asked.ascending)
    return _answer(file, form, f"labelled-iter-{t:03d}")


def _asked(request: Request) -> tuple[RunStore, int, Format]:
    run = run_of(request)
    t = iteration_of(request, run).manifest.iteration
    form = next((known for known in FORMATS if known == request.query_params.get("format")), None)
    if form is None:
        raise HTTPException(400, f"format: expected one of {', '.join(FORMATS)}")
    return run, t, form


def _file() -> BinaryIO:
    """Written whole before anything is sent, so that an error is a page and no half of a file."""
    return tempfile.TemporaryFile()  # closed when it is sent


def _answer(file: BinaryIO, form: Format, name: str) -> Response:
    return StreamingResponse(_pieces(file), media_type=_TYPES[form], headers=attachment(f"{name}.{form}"))


def attachment(name: str) -> dict[str, str]:
    """Headers that have a browser save an answer; the name is the page's own, never a model's."""
    return {"content-disposition": f'attachment; filename="{name}"'}


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece
