"""What is trained on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from selfreward.errors import TrainingError
from selfreward.training.job import TrainingJob

if TYPE_CHECKING:
    from datasets import Dataset

    from selfreward.engines.chat import Chat


def load_rows(job: TrainingJob, chat: Chat) -> tuple[Dataset, Counter[str]]:
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
    return data, Counter({"rows": len(data), "drop.too_long": len(rows) - len(data)})
