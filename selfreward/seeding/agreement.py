"""Whether a judge's scores agree with how people ranked a prompt's responses. Pure functions.

Of two responses people prefer the one with the lower rank; where one of the two has no rank, the one with the higher
quality. Equal ranks or qualities, and two that cannot be compared, are evidence for nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Literal

from selfreward.records import Frozen, Ranked

Keep = Literal["strict", "pair"]
KEEPS: tuple[Keep, ...] = ("strict", "pair")
Reason = Literal["no_evidence", "unreadable", "disagrees"]
Scores = Mapping[str, float]
"""By the response's id; what could not be read is not in it."""


class Agreement(Frozen):
    """A judge against people, over all pairs of which people prefer one."""

    pairs: int
    """Pairs of one prompt's responses of which people prefer one."""
    agree: int
    """The judge scores the preferred one higher."""
    tied: int
    against: int
    unreadable: int
    """Pairs of which one has no score."""
    share: float | None
    """``agree`` of all pairs with two scores; None where there are none."""
    prompts: int
    """Prompts with at least one such pair."""
    in_order: int
    """Prompts of which the judge agrees with every pair."""


def preferred(rows: Sequence[Ranked]) -> Iterator[tuple[Ranked, Ranked]]:
    """Each pair of a prompt's responses of which people prefer one, the better one first."""
    for one, other in combinations(rows, 2):
        if one.rank is not None and other.rank is not None:
            lead: float = other.rank - one.rank
        elif one.quality is not None and other.quality is not None:
            lead = one.quality - other.quality
        else:
            continue
        if lead:
            yield (one, other) if lead > 0 else (other, one)


def kept(rows: Sequence[Ranked], scores: Scores, keep: Keep) -> dict[str, Reason | None]:
    """Of each of a prompt's responses, why its judgments are not kept; None where they are.

    ``strict``: all of them, where every response has a score and in every pair that people put in order the better one
    has the higher score; else none. ``pair``: those of a response that stands as people put it against every response
    it was put in order with, as far as those have scores, one of them at least. What ``strict`` keeps, ``pair`` keeps.
    """
    pairs = list(preferred(rows))
    if keep == "pair":
        return {row.id: _against_its_others(row.id, pairs, scores) for row in rows}
    reason: Reason | None = None
    if not pairs:
        reason = "no_evidence"
    elif any(row.id not in scores for row in rows):
        reason = "unreadable"
    elif any(scores[better.id] <= scores[worse.id] for better, worse in pairs):
        reason = "disagrees"
    return dict.fromkeys((row.id for row in rows), reason)


def _against_its_others(one: str, pairs: Sequence[tuple[Ranked, Ranked]], scores: Scores) -> Reason | None:
    own = [(better.id, worse.id) for better, worse in pairs if one in (better.id, worse.id)]
    if not own:
        return "no_evidence"
    read = [(better, worse) for better, worse in own if better in scores and worse in scores]
    if not read:
        return "unreadable"
    return None if all(scores[better] > scores[worse] for better, worse in read) else "disagrees"


def contradicted(rows: Sequence[Ranked], scores: Scores) -> set[str]:
    """Responses in a pair in which the one that people prefer has the lower score; a tie contradicts nobody."""
    read = [(b.id, w.id) for b, w in preferred(rows) if b.id in scores and w.id in scores]
    return {one for better, worse in read if scores[better] < scores[worse] for one in (better, worse)}


def agreement(prompts: Iterable[Sequence[Ranked]], scores: Scores) -> Agreement:
    """The scores against people's order, over all prompts."""
    agree = tied = against = unreadable = with_pairs = in_order = 0
    for rows in prompts:
        before = agree
        pairs = list(preferred(rows))
        for better, worse in pairs:
            if better.id not in scores or worse.id not in scores:
                unreadable += 1
                continue
            lead = scores[better.id] - scores[worse.id]
            agree, tied, against = agree + (lead > 0), tied + (lead == 0), against + (lead < 0)
        with_pairs += bool(pairs)
        in_order += bool(pairs) and agree - before == len(pairs)
    read = agree + tied + against
    return Agreement(
        pairs=read + unreadable,
        agree=agree,
        tied=tied,
        against=against,
        unreadable=unreadable,
        share=agree / read if read else None,
        prompts=with_pairs,
        in_order=in_order,
    )
