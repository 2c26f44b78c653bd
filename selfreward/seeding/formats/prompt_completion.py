"""TRL prompt/completion, plain or conversational, and the same two columns under their other names."""

from selfreward.seeding.formats.base import Format, Part, Row, each
from selfreward.seeding.formats.turns import PROMPT_COLUMNS, Chat, ift_row, prompt_of, text_or_chat
from selfreward.seeding.formats.values import has

_PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "response"),
    ("instruction", "generation"),
    ("instruction", "completion"),
    ("question", "answer"),
    ("question", "response"),
    ("query", "response"),
)


def _pair(row: Row) -> tuple[str, str] | None:
    return next((pair for pair in _PAIRS if has(row, *pair)), None)


def _turns(row: Row) -> Chat:
    prompt, completion = _pair(row) or _PAIRS[0]
    turns = prompt_of(row, prompt)
    return (*turns, *text_or_chat(row.get(completion), f'"{completion}"', "assistant"))


def _ift(row: Row) -> list[Part]:
    return [lambda: ift_row(_turns(row), "prompt and completion")]


PROMPT_COMPLETION = Format(
    name="prompt_completion",
    about=f"TRL prompt/completion: {', or '.join(' and '.join(pair) for pair in _PAIRS)}; texts or turns",
    columns=frozenset({name for pair in _PAIRS for name in pair} | PROMPT_COLUMNS),
    fits=lambda row: _pair(row) is not None,
    converters={"ift": each(_ift)},
)
