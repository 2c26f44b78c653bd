"""Duplicates and near-duplicates of seeds, within a file and between training and evaluation parts."""

from collections.abc import Hashable, Iterable, Sequence

from selfreward.languages import words
from selfreward.records import EFTSeed, IFTSeed
from selfreward.rouge import RougeIndex
from selfreward.seed_checks.report import Alike, Likeness

Request = tuple[int, str]
"""A line, and what is asked for there."""


def request(seed: IFTSeed | EFTSeed) -> str:
    """What a seed asks for: its instruction, or all turns of a longer chat that are not the assistant's."""
    if isinstance(seed, EFTSeed):
        return seed.instruction
    return "\n".join(message.content for message in seed.messages if message.role != "assistant")


def within(file: str, seeds: Sequence[IFTSeed | EFTSeed], limit: float) -> Likeness:
    """How much a file repeats itself.

    Of near-duplicates the first counts as the original. Several EFT rows with one instruction are as they should be:
    there, different instructions are compared.
    """
    first: dict[Hashable, int] = {}
    same, others = [], []
    for seed in seeds:
        original = first.setdefault(_content(seed), seed.line)
        if original == seed.line:
            others.append(seed)
        else:
            same.append(Alike(line=seed.line, how="same", other=original))
    asked = [(seed.line, request(seed)) for seed in others]
    if any(isinstance(seed, EFTSeed) for seed in seeds):
        asked = _first_of_each(asked)
    return _likeness(file, same, _near_earlier(asked, limit))


def between(file: str, held_out: Sequence[Request], seeds: Sequence[IFTSeed | EFTSeed], limit: float) -> Likeness:
    """Which seeds ask for what a held-out file asks for."""
    lines = {_normalised(text): line for line, text in reversed(held_out)}
    index = RougeIndex(limit, [words(text, "any") for _, text in held_out])
    same, near = [], []
    found: dict[str, int | None] = {}
    for seed in seeds:
        text = _normalised(request(seed))
        if text in lines:
            same.append(Alike(line=seed.line, how="same", other=lines[text]))
            continue
        if text not in found:
            like = index.above(words(text, "any"))
            found[text] = held_out[like[0]][0] if like else None
        if (other := found[text]) is not None:
            near.append(Alike(line=seed.line, how="near", other=other))
    return _likeness(file, same, near)


def _near_earlier(asked: Sequence[Request], limit: float) -> list[Alike]:
    split = [words(text, "any") for _, text in asked]
    index = RougeIndex(limit, frequent=split)
    originals: list[int] = []
    near: list[Alike] = []
    for (line, _), own in zip(asked, split, strict=True):
        if like := index.above(own):
            near.append(Alike(line=line, how="near", other=originals[like[0]]))
        else:
            index.add(own)
            originals.append(line)
    return near


def _first_of_each(asked: Iterable[Request]) -> list[Request]:
    firsts: dict[str, Request] = {}
    for line, text in asked:
        firsts.setdefault(_normalised(text), (line, text))
    return list(firsts.values())


def _likeness(file: str, same: list[Alike], near: list[Alike]) -> Likeness:
    rows = sorted([*same, *near], key=lambda row: row.line)
    return Likeness(file=file, same=len(same), near=len(near), rows=tuple(rows))


def _content(seed: IFTSeed | EFTSeed) -> Hashable:
    if isinstance(seed, EFTSeed):
        return _normalised(seed.instruction), _normalised(seed.response)
    return tuple((message.role, _normalised(message.content)) for message in seed.messages)


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())
