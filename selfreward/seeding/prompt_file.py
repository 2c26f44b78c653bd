"""A file of prompts: JSONL rows with ``prompt`` and perhaps ``reference``, or text with one prompt a line.

Rows may also be those of IFEval, with ``instruction_id_list`` and ``kwargs``; both stand for the reference then.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from selfreward.errors import SeedError
from selfreward.seeding.rows import RowError, read_rows, text_field


class PromptRow(NamedTuple):
    """One row of the file."""

    text: str
    reference: str | None = None
    """A good answer, for rubrics that grade against one; or the row's instructions, as JSON."""


def read_prompts(path: Path) -> list[PromptRow]:
    """All prompts of the file, in order.

    Raises:
        SeedError: the file cannot be read, is empty, or has bad rows; all of them are listed.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        raise SeedError(f"{path}: a file of prompts is JSONL (one object a line, in a .jsonl file) or plain text")
    if suffix in (".jsonl", ".ndjson"):
        return read_rows(path, lambda row, _: _row(row))
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise SeedError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SeedError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    prompts = [PromptRow(line.strip()) for line in lines if line.strip()]
    if not prompts:
        raise SeedError(f"{path}: no prompts; expected one a line")
    return prompts


def _row(row: dict[str, Any]) -> PromptRow:
    if "instruction_id_list" in row:
        return PromptRow(text_field(row, "prompt"), _instructions(row))
    reference = row.get("reference")
    return PromptRow(text_field(row, "prompt"), None if reference is None else text_field(row, "reference"))


def _instructions(row: dict[str, Any]) -> str:
    ids, kwargs = row["instruction_id_list"], row.get("kwargs")
    if "reference" in row:
        raise RowError('has both "reference" and "instruction_id_list"; expected one of them')
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) for one in ids):
        raise RowError('"instruction_id_list" is no list of names; expected such as ["punctuation:no_comma"]')
    if not isinstance(kwargs, list) or len(kwargs) != len(ids) or not all(isinstance(one, dict) for one in kwargs):
        raise RowError('"kwargs" is no list with a mapping for each of "instruction_id_list"')
    given = [{name: value for name, value in one.items() if value is not None} for one in kwargs]
    return json.dumps({"instruction_id_list": ids, "kwargs": given}, ensure_ascii=False, sort_keys=True)
