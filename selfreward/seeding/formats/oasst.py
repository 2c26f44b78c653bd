"""Open Assistant messages, one a row: trees by parent id, of which the first turn and its ranked answers are taken.

The file is read twice. The first time, numbers only are kept, for each message; the second time, texts are kept from
the first to the last message of a first turn, which is short where a tree's messages stand together.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from selfreward.seeding.formats.base import Format, Item, LeftOut, Made, Reject, Reread, Row
from selfreward.seeding.formats.turns import Turn, ift_row, ranked_row, user
from selfreward.seeding.formats.values import given, has, optional_number, shown, text
from selfreward.seeding.seen import short_hash


class Message(NamedTuple):
    id: str
    parent: str | None
    text: str
    rank: int | None


def read_message(row: Row) -> Message:
    """A message that may be used; its parent is None for a prompt that begins a tree, and an answer has a rank."""
    if row.get("deleted") is True or row.get("deleted") == "True":
        raise Reject("deleted", "the message was deleted")
    if row.get("review_result") is False or row.get("review_result") == "False":
        raise Reject("not_approved", "reviewers did not approve of the message")
    words, message_id = text(row.get("text"), '"text"'), text(row.get("message_id"), '"message_id"')
    role, parent = row.get("role"), row.get("parent_id")
    if role == "prompter":
        if given(parent):
            raise Reject("not_first_turn", "a question further down in its tree; first turns are taken")
        return Message(message_id, None, words, None)
    if role != "assistant":
        raise Reject("unknown_role", f'"role" is {shown(role)}; expected prompter or assistant')
    rank = optional_number(row.get("rank"), '"rank"', "no_rank")
    if rank is None or rank < 0 or rank != int(rank):
        raise Reject(
            "no_rank", f'"rank" of the answer is {shown(row.get("rank"))}; expected a whole number, 0 for the best'
        )
    return Message(message_id, text(parent, '"parent_id" of an answer'), words, int(rank))


@dataclass(slots=True)
class _Tree:
    """What is kept of a prompt."""

    prompt: int = 0
    """Its line; 0 where it is missing or may not be used."""
    answers: int = 0
    rank: int = 0
    best: int = 0
    """Line of the answer with the lowest rank."""
    needed: int = 0
    """How many answers will be written."""


@dataclass(slots=True)
class _Waiting:
    """Texts of a first turn of which something is still to come."""

    left: int
    prompt: Message | None = None
    answers: list[tuple[int, Message]] = field(default_factory=list)


def ift(reread: Reread) -> Iterator[Item]:
    """Each first question with its best answer."""
    trees = _trees(reread)
    for tree in trees.values():
        tree.needed = min(tree.answers, 1)
    yield from _joined(reread, trees, ift_of, best_only=True)


def ranked(reread: Reread) -> Iterator[Item]:
    """Each first question's ranked answers, where there are two or more."""
    trees = _trees(reread)
    for tree in trees.values():
        tree.needed = tree.answers if tree.answers > 1 else 0
    yield from _joined(reread, trees, ranked_of, best_only=False)


def ift_of(prompt: Message, answer: Message) -> Row:
    """The IFT row of a question and an answer."""
    return ift_row((*user(prompt.text), Turn("assistant", answer.text)), "the tree")


def ranked_of(prompt: Message, answer: Message) -> Row:
    """The ranked row of a question and an answer."""
    return ranked_row(prompt.id, user(prompt.text), answer.text, answer.rank, None)


def _trees(reread: Reread) -> dict[int, _Tree]:
    trees: dict[int, _Tree] = {}
    for line, row in reread(only_looking=True):
        try:
            message = read_message(row)
        except Reject:
            continue  # named when the row comes by again
        tree = trees.setdefault(short_hash(message.parent or message.id), _Tree())
        if message.rank is None:
            tree.prompt = tree.prompt or line
            continue
        if not tree.answers or message.rank < tree.rank:
            tree.rank, tree.best = message.rank, line
        tree.answers += 1
    return {key: tree for key, tree in trees.items() if tree.prompt}


def _joined(
    reread: Reread, trees: Mapping[int, _Tree], write: Callable[[Message, Message], Row], *, best_only: bool
) -> Iterator[Item]:
    waiting: dict[int, _Waiting] = {}
    for line, row in reread():
        try:
            message = read_message(row)
            key = short_hash(message.parent or message.id)
            tree = _wanted(trees.get(key), message, line, best_only=best_only)
        except Reject as error:
            yield LeftOut(line, error.reason, str(error))
            continue
        turn = waiting.setdefault(key, _Waiting(tree.needed))
        if message.parent is None:
            turn.prompt = message
        else:
            turn.answers.append((line, message))
        if turn.prompt:
            for place, answer in turn.answers:
                yield Made(place, write(turn.prompt, answer))
            turn.left -= len(turn.answers)
            turn.answers.clear()
            if turn.left <= 0:
                del waiting[key]


def _wanted(tree: _Tree | None, message: Message, line: int, *, best_only: bool) -> _Tree:
    if tree is None:
        raise Reject("not_first_turn", "an answer further down in its tree, or its question is missing or left out")
    if not tree.answers:
        raise Reject("no_answer", "the question has no ranked answer")
    if not tree.needed:
        raise Reject("one_response", "the question has one ranked answer; there is nothing to compare it with")
    if message.parent is None:
        if line != tree.prompt:
            raise Reject("duplicate", f"the same message_id stands at line {tree.prompt}")
    elif best_only and line != tree.best:
        raise Reject("not_the_best", f"line {tree.best} has the question's best answer")
    return tree


OASST = Format(
    name="oasst",
    about="Open Assistant messages: message_id, parent_id, role, text, rank; lang, deleted, review_result if any",
    columns=frozenset({"message_id", "parent_id", "role", "text", "rank", "lang", "deleted", "review_result"}),
    fits=lambda row: has(row, "message_id", "role", "text"),
    converters={"ift": ift, "ranked": ranked},
)
