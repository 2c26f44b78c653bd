"""ShareGPT: conversations with turns of from and value, or of role and content; a system prompt may stand apart."""

from selfreward.seeding.formats.base import Format, Part, Row, each
from selfreward.seeding.formats.turns import Chat, Turn, chat, ift_row, is_chat
from selfreward.seeding.formats.values import column, optional_text

_CONVERSATION = ("conversations", "conversation")


def _turns(row: Row) -> Chat:
    name = column(row, _CONVERSATION) or "conversations"
    keys = ("from", "value") if is_chat(row.get(name), "from", "value") else ("role", "content")
    turns = chat(row.get(name), f'"{name}"', role=keys[0], content=keys[1])
    system = optional_text(row.get("system"), '"system"')
    return (Turn("system", system), *turns) if system else turns


def _fits(row: Row) -> bool:
    name = column(row, _CONVERSATION)
    return name is not None and (is_chat(row[name], "from", "value") or is_chat(row[name], "role", "content"))


def _ift(row: Row) -> list[Part]:
    return [lambda: ift_row(_turns(row), "the conversation")]


SHAREGPT = Format(
    name="sharegpt",
    about="ShareGPT: conversations, a list of {from, value}; system if any",
    columns=frozenset({*_CONVERSATION, "system"}),
    fits=_fits,
    converters={"ift": each(_ift)},
)
