"""Questions to a run's Parquet files, through DuckDB: for the terminal and the page alike."""

from selfreward.query.items import find_item
from selfreward.query.iterations import IterationRow, iteration_table
from selfreward.query.pairs import PAIR_SORTS, PairFilter, PairPage, PairRow, PairSort, page_of_pairs

__all__ = [
    "PAIR_SORTS",
    "IterationRow",
    "PairFilter",
    "PairPage",
    "PairRow",
    "PairSort",
    "find_item",
    "iteration_table",
    "page_of_pairs",
]
