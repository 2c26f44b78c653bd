"""Pairs in which length tells nothing: in as many the better response is the longer one as the shorter one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from selfreward.evaluation.rankings import Pair, Ranking
from selfreward.seeding.draws import draw


def length_balanced(rankings: Sequence[Ranking], seed: int) -> list[Ranking]:
    """The balanced pairs, each as a ranking of two, by prompt.

    Of the pairs with different lengths (in characters) all are taken in which the rarer kind wins, and as many of the
    others, drawn by their words alone, so that the order of the file moves nothing. Verdicts play no part in it: all
    judges of a file are measured on the same pairs.
    """
    longer: list[tuple[float, Ranking, Pair]] = []
    shorter: list[tuple[float, Ranking, Pair]] = []
    for ranking in rankings:
        for pair in ranking.pairs:
            better, worse = (ranking.responses[one] for one in pair)
            if len(better) != len(worse):
                kind = longer if len(better) > len(worse) else shorter
                words = hashlib.sha256(f"{better}\0{worse}".encode(errors="surrogatepass")).hexdigest()
                kind.append((draw(seed, "length_balance", ranking.prompt_id, words), ranking, pair))
    most = min(len(longer), len(shorter))
    taken = [item for kind in (longer, shorter) for item in sorted(kind, key=_order)[:most]]
    return [ranking.of_pair(pair) for _, ranking, pair in sorted(taken, key=lambda i: (i[1].prompt_id, _order(i)))]


def _order(item: tuple[float, Ranking, Pair]) -> tuple[float, Pair]:
    return item[0], item[2]
