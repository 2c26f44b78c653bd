"""Duplicates and near-duplicates among seeds, and overlap with a held-out part."""

from selfreward.records import EFTSeed, IFTSeed, Message
from selfreward.seed_checks.likeness import between, request, within


def ift(line: int, *texts: str, system: str | None = None) -> IFTSeed:
    turns = [Message(role="assistant" if i % 2 else "user", content=text) for i, text in enumerate(texts)]
    first = [Message(role="system", content=system)] if system else []
    return IFTSeed(id=f"ift-{line}", messages=(*first, *turns), line=line)


def eft(line: int, instruction: str, response: str, score: int = 3) -> EFTSeed:
    return EFTSeed(
        id=f"eft-{line}", instruction=instruction, response=response, rationale="Why not.", score=score, line=line
    )


def rows(seeds: list[IFTSeed | EFTSeed], limit: float = 0.7) -> list[tuple[int, str, int]]:
    return [(row.line, row.how, row.other) for row in within("x", seeds, limit).rows]


def test_ift_rows_that_repeat_earlier_ones() -> None:
    seeds = [
        ift(1, "Write a poem about the sea.", "Blue."),
        ift(2, "write a poem  about the sea.", "BLUE."),
        ift(3, "Write a poem about the sea.", "Green."),
        ift(4, "Write a poem about the cold sea.", "White."),
        ift(5, "What is the capital of France?", "Paris."),
    ]
    assert rows(seeds) == [(2, "same", 1), (3, "near", 1), (4, "near", 1)]
    assert rows(seeds, 0.95) == [(2, "same", 1), (3, "near", 1)]
    assert rows(seeds[3:]) == []


def test_only_the_first_of_a_kind_is_compared_with() -> None:
    seeds = [ift(i, text, "Yes.") for i, text in enumerate(["a b c d e f", "a b c d e 6", "a b c d 5 6"], 1)]
    assert rows(seeds) == [(2, "near", 1)]


def test_chats_are_alike_only_as_a_whole() -> None:
    hello = ("Hello!", "How can I help?")
    seeds = [
        ift(1, *hello, "Explain black holes in three short sentences.", "Dense."),
        ift(2, *hello, "List nine tall trees that grow near rivers.", "Oak."),
        ift(3, *hello, "Explain black holes in three short sentences.", "Dark.", system="Be brief."),
    ]
    assert rows(seeds) == [(3, "near", 1)]
    assert request(seeds[2]) == "Be brief.\nHello!\nExplain black holes in three short sentences."


def test_eft_rows_may_share_their_instruction() -> None:
    seeds = [
        eft(1, "Explain the tides at sea.", "The moon."),
        eft(2, "Explain the tides at sea.", "The wind."),
        eft(3, "Explain the tides at sea.", "The moon.", 1),
        eft(4, "Explain the high tides at sea.", "Both."),
        eft(5, "Explain the high tides at sea.", "None."),
    ]
    assert rows(seeds) == [(3, "same", 1), (4, "near", 1)]


def test_words_of_every_script() -> None:
    seeds = [
        ift(1, "请写一首关于大海的诗。", "海"),
        ift(2, "请写一首关于蓝色大海的诗。", "蓝"),
        ift(3, "法国的首都是哪里？", "巴黎"),
    ]
    assert rows(seeds) == [(2, "near", 1)]


def test_overlap_names_the_held_out_line() -> None:
    held_out = [(4, "Name a river."), (7, "Tell me the story of a very old tree."), (9, "name a  RIVER.")]
    seeds = [
        ift(1, "Name a river.", "Rhine."),
        ift(2, "Tell me the story of a very tall tree.", "Once."),
        ift(3, "Tell me the story of a very tall tree.", "Twice."),
        ift(4, "Something else.", "No."),
    ]
    found = between("held", held_out, seeds, 0.7)
    assert [(row.line, row.how, row.other) for row in found.rows] == [(1, "same", 4), (2, "near", 7), (3, "near", 7)]
    assert (found.file, found.same, found.near) == ("held", 1, 2)
