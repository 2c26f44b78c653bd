"""Rows as TRL's trainers want them."""

from __future__ import annotations

import copy
import os.path
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from selfreward.records import Message

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from selfreward.engines.chat import Chat

_SIDES = ("chosen", "rejected", "completion")


def longest_side(row: dict[str, Any], chat: Chat) -> int:
    """Tokens of a row's prompt with the longest of what answers it."""
    return max(_sides(row, chat))


def tokens_of(row: dict[str, Any], chat: Chat) -> int:
    """Tokens that a row is in training: of a pair both sides, each with the prompt."""
    return len(row["input_ids"]) if "input_ids" in row else sum(_sides(row, chat))


def _sides(row: dict[str, Any], chat: Chat) -> list[int]:
    question = [Message.model_validate(turn) for turn in row["prompt"]]
    sides = [[*question, *map(Message.model_validate, row[side])] for side in _SIDES if side in row]
    return [*map(len, chat.encode(sides, open_turn=False))]


class Datasets(TypedDict):
    """As TRL's trainers take them."""

    train_dataset: Dataset
    eval_dataset: Dataset | None


def datasets(data: Dataset, held_out: Dataset | None, made: Callable[[Dataset], Dataset]) -> Datasets:
    """What is trained on and what is held out, both made into what a trainer takes."""
    return {"train_dataset": made(data), "eval_dataset": None if held_out is None else made(held_out)}


def conversational(data: Dataset, columns: Sequence[str], chat: Chat) -> Dataset:
    """These columns, with what the chat template is given besides the turns."""
    rows = data.select_columns(list(columns))
    if chat.template_kwargs:
        rows = rows.add_column("chat_template_kwargs", [dict(chat.template_kwargs)] * len(rows))
    return rows


def plain_text(data: Dataset, chat: Chat) -> Dataset:
    """Pairs as text in the model's template, for trainers that would write more after the end of the turn.

    No text spells a special token here, so template and text may be tokenised together.
    """

    def rendered(row: dict[str, Any]) -> dict[str, str]:
        question = [Message.model_validate(turn) for turn in row["prompt"]]
        sides = {side: [*question, *map(Message.model_validate, row[side])] for side in ("chosen", "rejected")}
        whole = {side: chat.text(turns, open_turn=False) for side, turns in sides.items()}
        opened = chat.text(question, open_turn=True)
        prompt = os.path.commonprefix([opened, *whole.values()])  # noqa: RUF071  # of texts, not of paths
        answers = {side: text.removeprefix(prompt) for side, text in whole.items()}
        return {"prompt": prompt, **{side: _through_end_of_turn(text, chat) for side, text in answers.items()}}

    return data.select_columns(["prompt", "chosen", "rejected"]).map(rendered, remove_columns=["prompt", *_SIDES[:2]])


def without_bos(chat: Chat) -> PreTrainedTokenizerBase:
    """A tokenizer that puts nothing in front: what stands at the beginning the template has written."""
    tokenizer = copy.deepcopy(chat.tokenizer)  # a shallow copy shares its special tokens
    tokenizer.bos_token = None
    return tokenizer


def _through_end_of_turn(text: str, chat: Chat) -> str:
    end = chat.tokenizer.eos_token
    return text[: text.rindex(end) + len(end)] if isinstance(end, str) and end in text else text
