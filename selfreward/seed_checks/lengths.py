"""Lengths of seeds in tokens, made into examples by the very functions that SFT uses."""

import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from selfreward.engines.chat import Chat
from selfreward.errors import ModelError
from selfreward.judges.protocol import Teachable
from selfreward.progress import Advance
from selfreward.records import EFTSeed, IFTSeed
from selfreward.seed_checks.report import Bin, LeftOut, Lengths
from selfreward.stages.sft_examples import as_chats, reason_to_leave_out, tokenise

AT_ONCE = 1_000
"""Rows whose token ids are in memory at the same time."""
_SHORTEST_BIN = 32


def measure(
    seeds: Sequence[IFTSeed | EFTSeed],
    judge: Teachable,
    chat: Chat,
    longest: int,
    limit_is: str,
    advance: Advance = lambda completed: None,
) -> tuple[Lengths | None, list[tuple[int, str]]]:
    """Lengths of the seeds, and (line, reason) of those that the chat template refuses."""
    lengths: list[int] = []
    left_out: list[LeftOut] = []
    refused: list[tuple[int, str]] = []
    rows = iter(seeds)
    while part := list(islice(rows, AT_ONCE)):
        for seed, tokens, reason in _measured(part, judge, chat, longest, refused):
            lengths.append(tokens)
            if reason:
                left_out.append(LeftOut(line=seed.line, reason=reason, tokens=tokens))
        advance(len(lengths) + len(refused))
    if not lengths:
        return None, refused
    lengths.sort()
    found = Lengths(
        limit=longest,
        limit_is=limit_is,
        total=sum(lengths),
        least=lengths[0],
        median=int(statistics.median(lengths)),
        p95=lengths[int(0.95 * (len(lengths) - 1))],
        most=lengths[-1],
        histogram=_histogram(lengths),
        left_out=tuple(left_out),
    )
    return found, refused


def _measured(
    part: list[IFTSeed | EFTSeed], judge: Teachable, chat: Chat, longest: int, refused: list[tuple[int, str]]
) -> Iterator[tuple[IFTSeed | EFTSeed, int, str | None]]:
    """Each seed, its tokens, and why it is left out; one by one where the template refuses some of them."""
    try:
        tokenised = tokenise(as_chats(part, judge), chat)
    except ModelError as error:
        if len(part) == 1:
            refused.append((part[0].line, str(error)))
            return
        for seed in part:
            yield from _measured([seed], judge, chat, longest, refused)
        return
    for seed, target in zip(part, tokenised, strict=True):
        yield seed, len(target.ids), reason_to_leave_out(target, longest)


def _histogram(lengths: Sequence[int]) -> tuple[Bin, ...]:
    """Bars up to 32, 48, 64, 96, 128 … tokens, from the first that has rows to the last."""
    bounds = [_SHORTEST_BIN]
    while bounds[-1] < max(lengths):
        power = 1 << (bounds[-1].bit_length() - 1)
        bounds.append(power * 3 // 2 if bounds[-1] == power else power * 2)
    rows = Counter(bounds[bisect_left(bounds, length)] for length in lengths)
    return tuple(Bin(up_to=bound, rows=rows[bound]) for bound in bounds if min(rows) <= bound)
