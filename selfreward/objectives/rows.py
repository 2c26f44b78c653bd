"""Rows as TRL's trainers want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selfreward.records import Message

if TYPE_CHECKING:
    from datasets import Dataset

    from selfreward.engines.chat import Chat

_SIDES = ("chosen", "rejected", "completion")


def longest_side(row: dict[str, Any], chat: Chat) -> int:
    """Tokens of a row's prompt with the longest of what answers it."""
    question = [Message.model_validate(turn) for turn in row["prompt"]]
    sides = [[*question, *map(Message.model_validate, row[side])] for side in _SIDES if side in row]
    return max(map(len, chat.encode(sides, open_turn=False)))


def conversational(data: Dataset, columns: Sequence[str], chat: Chat) -> Dataset:
    """These columns, with what the chat template is given besides the turns."""
    rows = data.select_columns(list(columns))
    if chat.template_kwargs:
        rows = rows.add_column("chat_template_kwargs", [dict(chat.template_kwargs)] * len(rows))
    return rows
