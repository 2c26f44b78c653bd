"""What is trained on."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from selfreward.errors import TrainingError
from selfreward.objectives.batches import processes_here
from selfreward.training.job import TrainingJob

if TYPE_CHECKING:
    from datasets import Dataset

    from selfreward.engines.chat import Chat


def load_rows(job: TrainingJob, chat: Chat, shared: Path) -> tuple[Dataset, Counter[str]]:
    """The rows that fit, and how many do not.

    Several processes have them in files of the directory ``shared``: there the first puts what the reference says to
    them (TRL puts it beside its own rows), and the others read it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset

    # Not Dataset.from_parquet, which takes a path with a bracket in it for a pattern.
    rows = Dataset(pa.concat_tables(pq.ParquetFile(path).read() for path in job.data))
    data = rows.filter(lambda row: job.objective.fits(row, chat))
    if not len(data):
        raise TrainingError(
            f"nothing to train on: all {len(rows)} rows are longer than {job.named('max_length')}="
            f"{job.objective.max_length} tokens; raise it"
        )
    if processes_here() > 1:
        data = data.map(batched=True, cache_file_name=str(shared / f"{os.environ['RANK']}.arrow"))
    return data, Counter({"rows": len(data), "drop.too_long": len(rows) - len(data)})
