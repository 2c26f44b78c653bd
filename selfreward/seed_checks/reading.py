"""Seed files with the readers of a run; bad rows are set aside instead of ending it all."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path

from selfreward.errors import SeedError
from selfreward.readings.scale import Scale
from selfreward.records import EFTSeed, IFTSeed
from selfreward.seed_checks.likeness import Request, request
from selfreward.seed_checks.report import Kind
from selfreward.seeding.own_format import read_eft, read_ift
from selfreward.seeding.rows import read_rows, text_field

_LOOK_AT = 100
"""Rows by which a file's kind is recognised."""
_EFT_ALONE = frozenset({"score", "rationale"})


def recognise(path: Path) -> Kind:
    """EFT where most of the first rows have a score or a rationale, else IFT."""
    fields = _first_fields(path)
    votes = Counter(bool(_EFT_ALONE & names) for names in fields)
    return "eft" if votes[True] > votes[False] else "ift"


def read(
    path: Path, kind: Kind, scale: Scale, *, score_only: bool = False
) -> tuple[list[IFTSeed | EFTSeed], list[str]]:
    """The rows that can be used, and what is wrong with the others or with the file."""
    bad: list[str] = []
    try:
        return [*(read_ift(path, bad) if kind == "ift" else read_eft(path, scale, bad, score_only=score_only))], bad
    except SeedError as error:
        return [], [*bad, str(error)]


def read_held_out(path: Path, scale: Scale) -> list[Request]:
    """What a held-out file asks for: IFT or EFT rows, or rows with ``prompt`` or ``instruction`` and whatever else.

    Raises:
        SeedError: the file has no such row.
    """
    fields = _first_fields(path)
    if fields and not any("messages" in names for names in fields):
        bad: list[str] = []
        name = "instruction" if "instruction" in fields[0] else "prompt"
        found = read_rows(path, lambda row, line: (line, text_field(row, name)), bad)
    else:
        seeds, bad = read(path, recognise(path), scale, score_only=True)
        found = [(seed.line, request(seed)) for seed in seeds]
    if not found:
        raise SeedError("\n".join(bad))
    return found


def _first_fields(path: Path) -> list[frozenset[str]]:
    """Names of the fields of the first rows, as far as they can be read; the readers say what is wrong with others."""
    fields = []
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            for line in islice(lines, _LOOK_AT):
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(row, dict):
                    fields.append(frozenset(row))
    except OSError:
        pass  # the readers say so
    return fields
