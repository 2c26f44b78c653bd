"""A file of prompts: JSONL rows with ``prompt``, or text with one prompt a line."""

from pathlib import Path

from selfreward.errors import SeedError
from selfreward.seeding.rows import read_rows, text_field


def read_prompts(path: Path) -> list[str]:
    """All prompts of the file, in order.

    Raises:
        SeedError: the file cannot be read, is empty, or has bad rows; all of them are listed.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        raise SeedError(f"{path}: a file of prompts is JSONL (one object a line, in a .jsonl file) or plain text")
    if suffix in (".jsonl", ".ndjson"):
        return read_rows(path, lambda row, _: text_field(row, "prompt"))
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise SeedError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SeedError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise SeedError(f"{path}: no prompts; expected one a line")
    return prompts
