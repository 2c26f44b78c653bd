"""Open Assistant's own export: one tree a row, messages with their replies inside."""

from functools import partial
from typing import Any

from selfreward.seeding.formats.base import Format, Part, Reject, Row, each
from selfreward.seeding.formats.oasst import Message, ift_of, ranked_of, read_message
from selfreward.seeding.formats.values import given, kind, objects


def _first_turn(row: Row) -> tuple[Message, list[dict[str, Any]]]:
    root = row.get("prompt")
    if not isinstance(root, dict):
        raise Reject("no_text", f'"prompt" is {kind(root)}; expected a message with its replies')
    replies = root.get("replies")
    return read_message({**root, "parent_id": None}), objects(replies, '"replies"') if given(replies) else []


def _answer(prompt: Message, reply: dict[str, Any]) -> Message:
    return read_message({**reply, "parent_id": prompt.id})


def _usable(prompt: Message, replies: list[dict[str, Any]]) -> list[Message]:
    found = []
    for reply in replies:
        try:
            found.append(_answer(prompt, reply))
        except Reject:
            continue  # named, for ranked rows, when it is written
    return found


def _ift(row: Row) -> list[Part]:
    prompt, replies = _first_turn(row)
    answers = _usable(prompt, replies)
    if not answers:
        raise Reject("no_answer", "the question has no ranked answer")
    return [partial(ift_of, prompt, min(answers, key=lambda answer: answer.rank or 0))]


def _ranked(row: Row) -> list[Part]:
    prompt, replies = _first_turn(row)
    if len(_usable(prompt, replies)) < 2:
        raise Reject("one_response", "the question has fewer than two ranked answers; there is nothing to compare")

    def part(reply: dict[str, Any]) -> Row:
        return ranked_of(prompt, _answer(prompt, reply))

    return [partial(part, reply) for reply in replies]


def _fits(row: Row) -> bool:
    prompt = row.get("prompt")
    return isinstance(prompt, dict) and "message_id" in prompt and "text" in prompt


OASST_TREES = Format(
    name="oasst_trees",
    about="Open Assistant trees: prompt, a message with its replies inside",
    columns=frozenset({"prompt", "message_tree_id"}),
    fits=_fits,
    converters={"ift": each(_ift), "ranked": each(_ranked)},
    language=lambda row: row["prompt"].get("lang") if isinstance(row.get("prompt"), dict) else None,
)
