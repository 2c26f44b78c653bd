"""Conversations of foreign rows, and the rows that are written from them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from selfreward.seeding.formats.base import Reject, Row
from selfreward.seeding.formats.values import given, listed, objects, optional_text, shown, text
from selfreward.seeding.rows import in_turn

_ROLES: Mapping[str, str] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
}
_SYSTEM = ("system_prompt", "system")
_BESIDE: Mapping[str, Sequence[str]] = dict.fromkeys(("instruction", "question", "query"), ("input", "context"))
"""Columns that say what a prompt is about, and are a part of it."""
PROMPT_COLUMNS = frozenset({*_SYSTEM, "input", "context"})
"""Columns that :func:`prompt_of` reads beside the prompt's own."""
_WRITTEN_TURNS = re.compile(r"""\s*\[\s*\{\s*(['"])(role|content)\1\s*:""")


class Turn(NamedTuple):
    role: str
    content: str


Chat = tuple[Turn, ...]


def user(content: str) -> Chat:
    """A conversation of one user turn."""
    return (Turn("user", content),)


def chat(value: Any, name: str, *, role: str = "role", content: str = "content") -> Chat:
    """The turns of a column, with the field's many names for roles made one."""
    turns = []
    for i, turn in enumerate(objects(value, name), 1):
        try:
            turns.append(Turn(_role(turn.get(role)), _content(turn, content)))
        except Reject as error:
            raise Reject(error.reason, f"{name}: turn {i}: {error}") from error
    return tuple(turns)


def is_chat(value: Any, *keys: str) -> bool:
    """Whether a value looks like turns with these keys; one that stands as text must look so throughout."""
    found = listed(value)
    if isinstance(found, list) and found:
        looked_at = found if isinstance(value, str) else found[:1]
        return all(isinstance(turn, dict) and all(key in turn for key in keys) for turn in looked_at)
    return isinstance(found, dict) and all(isinstance(found.get(key), list) for key in keys)


def text_or_chat(value: Any, name: str, role: Literal["user", "assistant"]) -> Chat:
    """Turns, or one text of the given role. A list of turns as text that cannot be read is never taken for a text."""
    if is_chat(value, "role", "content"):
        return chat(value, name)
    words = text(value, name)
    if _WRITTEN_TURNS.match(words):
        raise Reject("bad_list", f"{name} looks like turns written out as text, and cannot be read as JSON")
    return (Turn(role, words),)


def prompt_of(row: Row, name: str) -> Chat:
    """A prompt: one text, with what it is to be done on, or turns that end with the user's; and its system turn."""
    value = row.get(name)
    added = [optional_text(row.get(beside), f'"{beside}"') for beside in _BESIDE.get(name, ()) if beside in row]
    if any(added):
        value = with_input(text(value, f'"{name}"'), "\n\n".join(filter(None, added)))
    turns = text_or_chat(value, f'"{name}"', "user")
    system = next((found for key in _SYSTEM if (found := optional_text(row.get(key), f'"{key}"'))), "")
    if system:
        turns = (Turn("system", system), *turns)
    return _checked(turns, f'"{name}"', "user")


def with_input(instruction: str, given_input: str) -> str:
    """An instruction and what it is to be done on, as one text."""
    return f"{instruction.rstrip()}\n\n{given_input}" if given_input else instruction


def ift_row(turns: Chat, name: str) -> Row:
    """What IFT is written as: instruction and response where that is all, else the turns."""
    _checked(turns, name, "assistant")
    if len(turns) == 2:
        return {"instruction": turns[0].content, "response": turns[1].content}
    return {"messages": [turn._asdict() for turn in turns]}


def eft_row(turns: Chat, response: str, rationale: str, score: float) -> Row:
    """What EFT is written as; its judge sees one instruction, so longer conversations cannot be taken."""
    if len(turns) != 1:
        raise Reject("not_one_turn", "the prompt is a conversation; the judge's rubric takes one user turn")
    return {"instruction": turns[0].content, "response": response, "rationale": rationale, "score": score}


def ranked_row(prompt_id: str, turns: Chat, response: str, rank: int | None, quality: float | None) -> Row:
    """What a ranked response is written as."""
    prompt: Row = {"messages": [turn._asdict() for turn in turns]}
    if len(turns) == 1:
        prompt = {"prompt": turns[0].content}
    return {"prompt_id": prompt_id, **prompt, "response": response, "rank": rank, "quality": quality}


def _checked(turns: Chat, name: str, last: str) -> Chat:
    roles: Sequence[str] = [turn.role for turn in turns]
    if not in_turn(roles) or roles[-1] != last:
        found = ", ".join(roles) if len(roles) <= 6 else f"{', '.join(roles[:3])}, … {roles[-1]} ({len(roles)} turns)"
        raise Reject(
            "bad_turns",
            f"the roles of {name} are {found}; expected a system turn if any, then user and assistant in turn, "
            f"the {last} last",
        )
    return turns


def _role(value: Any) -> str:
    role = _ROLES.get(value) or _ROLES.get(value.lower()) if isinstance(value, str) else None
    if role is None:
        raise Reject("unknown_role", f"the role is {shown(value)}; expected system, user or assistant")
    return role


def _content(turn: Mapping[str, Any], key: str) -> str:
    if given(turn.get("tool_calls")) or given(turn.get("function_call")):
        raise Reject("tool_call", "calls a tool; only texts are taken")
    value = turn.get(key)
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        value = "".join(map(_text_part, value))
    return text(value, f'"{key}"')


def _text_part(part: Mapping[str, Any]) -> str:
    if part.get("type") != "text" or not isinstance(part.get("text"), str):
        raise Reject("not_text", f"has a part of type {shown(part.get('type'))}; only texts are taken")
    return str(part["text"])
