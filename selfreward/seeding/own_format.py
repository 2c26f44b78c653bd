"""The project's own seed files: ``ift.jsonl`` and ``eft.jsonl``, as in seeds/README.md."""

from pathlib import Path
from typing import Any

from selfreward.readings.scale import Scale
from selfreward.records import EFTSeed, IFTSeed, Message, content_id
from selfreward.seeding.rows import RowError, chat_field, in_turn, read_rows, shown, text_field

_IFT_SHAPES = (
    frozenset({"instruction", "response"}),
    frozenset({"messages"}),
)
_EFT_FIELDS = frozenset({"instruction", "response", "rationale", "score"})
_OPTIONAL = frozenset({"task"})
_WAY_OUT = "`selfreward seeds import` makes such rows of the usual formats"


def read_ift(path: Path, set_aside: list[str] | None = None) -> list[IFTSeed]:
    """IFT rows: ``instruction`` and ``response``, or ``messages`` that end with the assistant's.

    Raises:
        SeedError: with every bad row, unless they are to be set aside.
    """
    return read_rows(path, _ift, set_aside)


def read_eft(
    path: Path, scale: Scale, set_aside: list[str] | None = None, *, score_only: bool = False
) -> list[EFTSeed]:
    """EFT rows: ``instruction``, ``response``, ``rationale`` and a ``score`` on the rubric's scale.

    With ``score_only`` a rationale may be missing, null or empty; nobody is taught to write one then.

    Raises:
        SeedError: with every bad row, unless they are to be set aside.
    """
    return read_rows(path, lambda row, line: _eft(row, line, scale, score_only), set_aside)


def _ift(row: dict[str, Any], line: int) -> IFTSeed:
    fields = frozenset(row) - _OPTIONAL
    if fields not in _IFT_SHAPES:
        found = ", ".join(sorted(row)) or "nothing"
        raise RowError(f'found the fields {found}; expected "instruction" and "response", or "messages"; {_WAY_OUT}')
    if "messages" in row:
        messages = _messages(row["messages"])
    else:
        messages = (
            Message(role="user", content=text_field(row, "instruction")),
            Message(role="assistant", content=text_field(row, "response").strip()),
        )
    return IFTSeed(id=content_id("ift", line, *(m.content for m in messages)), messages=messages, line=line)


def _messages(value: Any) -> tuple[Message, ...]:
    messages = chat_field(value)
    roles = [m.role for m in messages]
    if not in_turn(roles) or roles[-1] != "assistant":
        raise RowError(
            f'the roles of "messages" are {", ".join(roles)}; expected an optional system turn, then '
            "user and assistant in turn, the assistant last"
        )
    return messages


def _eft(row: dict[str, Any], line: int, scale: Scale, score_only: bool) -> EFTSeed:
    unknown = frozenset(row) - _EFT_FIELDS - _OPTIONAL
    if unknown:
        expected = ", ".join(sorted(_EFT_FIELDS))
        raise RowError(f"unknown fields {', '.join(sorted(unknown))}; expected {expected}; {_WAY_OUT}")
    instruction, response = (text_field(row, f).strip() for f in ("instruction", "response"))
    rationale = _rationale(row, score_only)
    score = row.get("score")
    expected = f"expected a whole number from {scale.min} to {scale.max}"
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise RowError(f'"score" is {shown(score)}; {expected}' if "score" in row else f'no "score"; {expected}')
    if score not in scale.scores:
        raise RowError(f'"score" is {shown(score)}; {expected}')
    return EFTSeed(
        id=content_id("eft", line, instruction, response),
        instruction=instruction,
        response=response,
        rationale=rationale,
        score=float(score),
        line=line,
    )


def _rationale(row: dict[str, Any], score_only: bool) -> str:
    value = row.get("rationale")
    if value is None or (isinstance(value, str) and not value.strip()):
        if score_only:
            return ""
        raise RowError(
            f'{"no" if "rationale" not in row else "empty"} "rationale", and a sampled judge is taught to write one; '
            "give the row one, or judge by score alone with judge.method.type=expected"
        )
    return text_field(row, "rationale").strip()
