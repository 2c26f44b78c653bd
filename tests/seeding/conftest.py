"""Importing rows without a file, and asking this project's own readers whether they take what comes out."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from seed_imports import Import, Imported, Row, source_of

from selfreward.readings.scale import Scale
from selfreward.records import EFTSeed, IFTSeed, Ranked
from selfreward.seeding.formats.base import LeftOut, Target
from selfreward.seeding.importing import Conversion, Options
from selfreward.seeding.own_format import read_eft, read_ift
from selfreward.seeding.ranked import read_ranked
from selfreward.seeding.recognising import recognise
from selfreward.seeding.rescale import Rescale, rescale

FIVE = Scale(min=0, max=5)


@pytest.fixture
def import_rows(accepted: Callable[[list[Row], Target], list[Any]]) -> Import:
    """Imports rows; what comes out is read back by the project's own reader, which must take every row."""

    def run(
        rows: Iterable[Row],
        target: Target,
        *,
        form: str | None = None,
        languages: tuple[str, ...] = (),
        scale_from: tuple[float, float] | None = None,
    ) -> Imported:
        source = source_of(rows)
        found = recognise(source, target, form)
        scale: Rescale | None = rescale(found.form, FIVE, scale_from) if target == "eft" else None
        left_out: list[LeftOut] = []
        conversion = Conversion(source, found.form, Options(target, languages, scale), left_out.append)
        made = list(conversion)
        accepted(made, target)
        return Imported(found.form.name, made, left_out, conversion.tally)

    return run


@pytest.fixture
def accepted(tmp_path: Path) -> Callable[[list[Row], Target], list[Any]]:
    """The rows, written and read back as seeds."""

    def read(rows: list[Row], target: Target) -> list[IFTSeed] | list[EFTSeed] | list[Ranked]:
        if not rows:
            return []
        path = tmp_path / f"accepted.{target}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        if target == "ift":
            return read_ift(path)
        return read_eft(path, FIVE) if target == "eft" else read_ranked(path)

    return read


@pytest.fixture
def shared_data() -> Path:
    """Real data, beside the repository or where SELFREWARD_SHARED_DATA says."""
    path = Path(os.environ.get("SELFREWARD_SHARED_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("no real data beside the repository (../shared/data, or SELFREWARD_SHARED_DATA)")
    return path
