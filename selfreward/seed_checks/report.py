"""What a check of seeds finds, as data."""

from typing import Literal

from selfreward.records import Frozen

Kind = Literal["ift", "eft"]


class LeftOut(Frozen):
    """A row that no training will see."""

    line: int
    reason: str
    """"too_long" or "special_tokens"."""
    tokens: int


class Bin(Frozen):
    """A bar of a histogram: rows of at most so many tokens, and of more than the bar before."""

    up_to: int
    rows: int


class Lengths(Frozen):
    """Tokens of the rows as SFT examples, chat template and rubric included."""

    limit: int
    """Longer ones are left out."""
    limit_is: str
    """Where the limit comes from."""
    total: int
    least: int
    median: int
    p95: int
    most: int
    histogram: tuple[Bin, ...]
    left_out: tuple[LeftOut, ...]


class Alike(Frozen):
    """A row and an earlier or held-out one that it is like."""

    line: int
    how: Literal["same", "near"]
    other: int
    """Line of the other row."""


class Likeness(Frozen):
    """How much a file repeats itself, or another one."""

    file: str
    """The file that the others' lines are in."""
    same: int
    """Rows with an earlier row's very text; with a held-out instruction, where it is about another file."""
    near: int
    """Other rows whose instruction has a ROUGE-L above the limit with an earlier or held-out one."""
    rows: tuple[Alike, ...]


class Scores(Frozen):
    """How EFT scores are spread."""

    counts: dict[int, int]
    """Rows of each score of the scale, lowest first."""
    length_correlation: float | None
    """Pearson correlation of score and logarithm of the response's length; None where either is always the same."""
    contradictions: int
    """Rows that score the same response to the same instruction unlike an earlier row."""


class FileCheck(Frozen):
    """One file."""

    path: str
    kind: Kind
    rows: int
    """Rows that can be used."""
    instructions: int
    """Different instructions among them."""
    refusals: tuple[str, ...]
    """Why a run would refuse the file; every bad row."""
    warnings: tuple[str, ...]
    lengths: Lengths | None = None
    duplicates: Likeness | None = None
    scores: Scores | None = None
    overlaps: tuple[Likeness, ...] = ()


class SeedCheck(Frozen):
    """All files."""

    model: str
    context: int
    rubric: str
    near_limit: float
    """Above this ROUGE-L F1 (0 to 1), two instructions are near-duplicates."""
    refused: bool
    """Whether a run would refuse any of it."""
    refusals: tuple[str, ...]
    """Reasons that concern the files together."""
    files: tuple[FileCheck, ...]
