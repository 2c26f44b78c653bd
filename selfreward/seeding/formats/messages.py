"""TRL messages, as chat APIs have them: one column with turns of role and content."""

from selfreward.seeding.formats.base import Format, Part, Row, each
from selfreward.seeding.formats.turns import chat, ift_row, is_chat


def _ift(row: Row) -> list[Part]:
    return [lambda: ift_row(chat(row.get("messages"), '"messages"'), '"messages"')]


MESSAGES = Format(
    name="messages",
    about="TRL messages: messages, a list of {role, content}",
    columns=frozenset({"messages"}),
    fits=lambda row: is_chat(row.get("messages"), "role", "content"),
    converters={"ift": each(_ift)},
)
