"""An iteration as one HTML file that opens from disk: no script, nothing loaded, its style inside."""

from __future__ import annotations

import base64
import hashlib

from selfreward.query.lineage import lineage
from selfreward.query.pairs import PairRow, page_of_pairs
from selfreward.storage.run import RunStore
from selfreward.viewer.pages.iteration import about
from selfreward.viewer.rendering import assets, environment

_PAIRS = 20
"""Pairs in full; the page and `selfreward pairs` have all."""


def iteration_report(run: RunStore, t: int) -> str:
    """The report.

    Raises:
        StoreError: there is no such iteration, or a file is missing or damaged.
    """
    style = assets()["viewer.css"].decode()
    context = {
        **about(run, t),
        "step": next(step for step in lineage(run) if step.iteration == t),
        "pairs": _widest(run, t),
        "style": style,
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    }
    return environment().get_template("report.html").render(context)


def _widest(run: RunStore, t: int) -> tuple[PairRow, ...]:
    begun = run.iteration(t).stage("pairs") is not None
    return page_of_pairs(run, t, limit=_PAIRS).rows if begun else ()
