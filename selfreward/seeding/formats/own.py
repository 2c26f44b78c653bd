"""This project's own rows, as in seeds/README.md; ``messages`` and ranked responses have formats of their own."""

from selfreward.seeding.formats import judged
from selfreward.seeding.formats.base import Format, Part, Row, each
from selfreward.seeding.formats.turns import Turn, chat, ift_row, is_chat, user
from selfreward.seeding.formats.values import has, optional_text, text

_IFT = frozenset({"instruction", "response", "task"})
_EFT = frozenset({"instruction", "response", "rationale", "score", "task"})


def _with_task(row: Row, made: Row) -> Row:
    task = optional_text(row.get("task"), '"task"')
    return {**made, "task": task} if task else made


def _ift(row: Row) -> list[Part]:
    def part() -> Row:
        if "messages" in row:
            return _with_task(row, ift_row(chat(row["messages"], '"messages"'), '"messages"'))
        turns = user(text(row.get("instruction"), '"instruction"'))
        answer = Turn("assistant", text(row.get("response"), '"response"'))
        return _with_task(row, ift_row((*turns, answer), "the row"))

    return [part]


def _is_ift(row: Row) -> bool:
    if has(row, "messages", "task"):
        return row.keys() == {"messages", "task"} and is_chat(row["messages"], "role", "content")
    return has(row, "instruction", "response") and row.keys() <= _IFT


def _eft(row: Row) -> list[Part]:
    return [lambda: _with_task(row, judged.eft(row))]


OWN_IFT = Format(
    name="own",
    about="this project's own IFT: instruction, response, task if any; or messages, task",
    columns=_IFT | {"messages"},
    fits=_is_ift,
    converters={"ift": each(_ift)},
)
OWN_EFT = Format(
    name="own_eft",
    about="this project's own EFT: instruction, response, rationale, score, task if any",
    columns=_EFT,
    fits=lambda row: has(row, "instruction", "response", "rationale", "score") and row.keys() <= _EFT,
    converters={**judged.JUDGED.converters, "eft": each(_eft)},
)
