"""Putting a candidate to the judge: the rubric's words, and room for them in the context."""

from collections.abc import Sequence

from selfreward.engines.chat import Chat
from selfreward.judges.protocol import Candidate
from selfreward.records import Message
from selfreward.templates import Rubric

OMISSION = "\n[… the middle of this response was left out to fit …]\n"
"""Stands where a response was shortened."""


def ask(rubric: Rubric, prompt: str, response: str) -> tuple[Message, ...]:
    """The judge's turn: rubric and prompt first, the response last, so that a cache of their prefix serves them all."""
    return (Message(role="user", content=rubric.render({"prompt": prompt, "response": response})),)


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
    rubric: Rubric, chat: Chat | None, candidates: Sequence[Candidate], room: int
) -> tuple[list[tuple[Message, ...]], set[int]]:
    """What to ask about each candidate, and which responses were shortened to fit ``room`` tokens.

    A question that cannot be made to fit stays as it is: the engine sets it aside. So does every one where nobody here
    can count its tokens.
    """
    asked = [ask(rubric, c.prompt, c.response) for c in candidates]
    shortened: set[int] = set()
    if chat is None:
        return asked, shortened
    for i in chat.longer_than(room, asked):
        fitting = _fit(rubric, chat, candidates[i], room)
        if fitting is not None:
            asked[i] = fitting
            shortened.add(i)
    return asked, shortened


def _fit(rubric: Rubric, chat: Chat, candidate: Candidate, room: int) -> tuple[Message, ...] | None:
    response = rubric.defuse(candidate.response)  # as it will be shown, or its length would be another
    messages = ask(rubric, candidate.prompt, response)
    excess = len(chat.encode([messages])[0]) - room
    cut = 0
    while excess > 0:  # text put together from pieces may need a few tokens more than the pieces had
        cut += excess
        shorter = shorten(chat, response, cut)
        if shorter is None:
            return None
        messages = ask(rubric, candidate.prompt, shorter)
        excess = len(chat.encode([messages])[0]) - room
    return messages
