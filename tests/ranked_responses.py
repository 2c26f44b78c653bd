"""Ranked responses in one line each."""

from selfreward.records import Message, Ranked


def row(name: str, rank: int | None = None, quality: float | None = None) -> Ranked:
    """A response to one and the same prompt."""
    messages = (Message(role="user", content="Why?"),)
    return Ranked(id=name, prompt_id="q", messages=messages, response=name, rank=rank, quality=quality, line=1)
