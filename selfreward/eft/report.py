"""What building EFT data came to."""

from pydantic import Field

from selfreward.records import Frozen
from selfreward.seeding.agreement import Agreement


class EFTReport(Frozen):
    """As it is printed, and kept beside the file. Histograms are by whole score."""

    source: str
    output: str
    heldout: str | None
    """The held-out part's file."""
    mode: str
    """``judged``, ``from_ranks`` or ``converted`` (the source had scores)."""
    judge: str | None
    """The model that judged."""
    rubric: str
    method: str | None
    """How it was asked: ``sampled`` or ``expected``."""
    keep: str | None
    thin: str
    seed: int
    rows: int
    """In the source."""
    prompts: int
    heldout_rows: int
    heldout_prompts: int
    judgments: int = 0
    unreadable: int = 0
    """Of all judgments."""
    before: Agreement | None = None
    """The judge's mean scores against people, over all that was judged."""
    after: Agreement | None = None
    """The scores of the rows that were written against people; None where they are the source's own."""
    judged_scores: dict[int, int] = Field(default_factory=dict)
    """Single readable judgments, by the nearest whole score."""
    kept_scores: dict[int, int] = Field(default_factory=dict)
    """Before thinning."""
    scores: dict[int, int] = Field(default_factory=dict)
    """Of the rows that were written."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Rows by reason."""
    written: int = 0
