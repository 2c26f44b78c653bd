"""Alpaca: instruction, input and output; also with the system prompt and history that some tools add."""

from selfreward.seeding.formats.base import Format, Part, Reject, Row, each
from selfreward.seeding.formats.turns import Chat, Turn, ift_row, user, with_input
from selfreward.seeding.formats.values import given, has, optional_text, plain_list, text


def _turns(row: Row) -> Chat:
    system = optional_text(row.get("system"), '"system"')
    instruction = text(row.get("instruction"), '"instruction"')
    return (
        *((Turn("system", system),) if system else ()),
        *_history(row.get("history")),
        *user(with_input(instruction, optional_text(row.get("input"), '"input"'))),
        Turn("assistant", text(row.get("output"), '"output"')),
    )


def _history(value: object) -> Chat:
    turns: Chat = ()
    for i, pair in enumerate(plain_list(value, '"history"') if given(value) else [], 1):
        if not isinstance(pair, list) or len(pair) != 2:
            raise Reject("bad_list", f'"history": entry {i} is not a list of two texts, a question and its answer')
        question, answer = (text(one, f'"history": entry {i}') for one in pair)
        turns = (*turns, Turn("user", question), Turn("assistant", answer))
    return turns


def _ift(row: Row) -> list[Part]:
    return [lambda: ift_row(_turns(row), "the row")]


ALPACA = Format(
    name="alpaca",
    about="Alpaca: instruction, output; input, system and history if any",
    columns=frozenset({"instruction", "input", "output", "system", "history"}),
    fits=lambda row: has(row, "instruction", "output"),
    converters={"ift": each(_ift)},
)
