"""Taking out some of the most frequent score, or a model learns to give it to everything."""

import math
from collections import Counter
from collections.abc import Mapping

from selfreward.errors import SeedError
from selfreward.seeding.draws import draw

Thin = float | None
"""The largest share that one score may have; None: as many as the second most frequent."""


def read_thin(text: str) -> tuple[bool, Thin]:
    """What ``--thin`` says: whether to thin out at all, and how far.

    Raises:
        SeedError: it says something else.
    """
    if text in ("none", "second"):
        return text != "none", None
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise SeedError(f'--thin {text}: expected "second", "none", or a share between 0 and 1 such as 0.4')
    return True, share


def thinned_out(scores: Mapping[str, float], thin: Thin, seed: int) -> set[str]:
    """Which of the items with the one most frequent score go; ``scores`` are by an item's own words.

    Where two scores are equally frequent, or there is only one, nothing goes. Who goes hangs on the seed and the item.
    """
    frequent = Counter(scores.values()).most_common(2)
    if len(frequent) < 2 or frequent[0][1] == frequent[1][1]:
        return set()
    (score, count), (_, second) = frequent
    others = len(scores) - count
    most = second if thin is None else math.floor(thin / (1 - thin) * others + 1e-9)
    order = sorted((item for item, own in scores.items() if own == score), key=lambda i: (draw(seed, "thin", i), i))
    return set(order[max(1, most) :])
