"""Putting one response or two to the judge: the rubric's words, and room for them in the context."""

from collections.abc import Sequence

from selfreward.engines.chat import Chat
from selfreward.judges.protocol import Shown
from selfreward.records import Message
from selfreward.templates import Rubric

OMISSION = "\n[… the middle of this response was left out to fit …]\n"
"""Stands where a response was shortened."""


def ask(rubric: Rubric, prompt: str, *responses: str, reference: str | None = None) -> tuple[Message, ...]:
    """The judge's turn: rubric and prompt first, the response last, so that a cache of their prefix serves them all."""
    values = {"prompt": prompt, **dict(zip(rubric.response_inputs, responses, strict=True))}
    if rubric.needs_reference and reference is not None:
        values["reference"] = reference
    return (Message(role="user", content=rubric.render(values)),)


def shorten(chat: Chat, response: str, excess: int) -> str | None:
    """The response with its middle left out, shorter by ``excess`` tokens; None where that would leave nothing.

    Only the response gives way: a rubric or request that lost words would ask another question.
    """
    ids = chat.plain_ids(response)
    keep = len(ids) - excess - len(chat.plain_ids(OMISSION))
    if keep < 2:
        return None
    head, tail = ids[: (keep + 1) // 2], ids[len(ids) - keep // 2 :]
    return chat.decode(head) + OMISSION + chat.decode(tail)


def questions(
    rubric: Rubric, chat: Chat | None, candidates: Sequence[Shown], room: int
) -> tuple[list[tuple[Message, ...]], set[int]]:
    """What to ask about each candidate, and which had a response shortened to fit ``room`` tokens.

    A question that cannot be made to fit stays as it is: the engine sets it aside. So does every one where nobody here
    can count its tokens.
    """
    asked = [ask(rubric, c.prompt, *c.responses, reference=c.reference) for c in candidates]
    shortened: set[int] = set()
    if chat is None:
        return asked, shortened
    for i in chat.longer_than(room, asked):
        fitting = _fit(rubric, chat, candidates[i], room)
        if fitting is not None:
            asked[i] = fitting
            shortened.add(i)
    return asked, shortened


def _fit(rubric: Rubric, chat: Chat, candidate: Shown, room: int) -> tuple[Message, ...] | None:
    responses = [rubric.defuse(text) for text in candidate.responses]  # as they will be shown, or be of another length
    lengths = [len(chat.plain_ids(text)) for text in responses]
    messages = ask(rubric, candidate.prompt, *responses, reference=candidate.reference)
    excess = len(chat.encode([messages])[0]) - room
    cut = 0
    while excess > 0:  # text put together from pieces may need a few tokens more than the pieces had
        cut += excess
        shorter = [
            text if not share else shorten(chat, text, share)
            for text, share in zip(responses, _shares(lengths, cut), strict=True)
        ]
        if None in shorter:
            return None
        shown = (text for text in shorter if text is not None)
        messages = ask(rubric, candidate.prompt, *shown, reference=candidate.reference)
        excess = len(chat.encode([messages])[0]) - room
    return messages


def _shares(lengths: Sequence[int], cut: int) -> list[int]:
    """How much of each response gives way: the longer one alone until they are equally long, then both."""
    if len(lengths) == 1:
        return [cut]
    first, second = lengths
    ahead = min(cut, abs(first - second))
    both = cut - ahead
    shares = [both - both // 2, both // 2]
    shares[0 if first >= second else 1] += ahead
    return shares
