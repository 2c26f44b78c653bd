"""Seeded draws that depend on an item alone: what else is in the data, and where it stands, moves nothing."""

import hashlib
import json
import unicodedata

from selfreward.records import Message


def draw(seed: int, *what: str) -> float:
    """A number from 0 to below 1, the same for the same seed and words."""
    digest = hashlib.sha256(json.dumps([seed, *what], ensure_ascii=False).encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


def is_held_out(messages: tuple[Message, ...], share: float, seed: int) -> bool:
    """Whether a prompt belongs to the held-out part.

    By its words, whatever their case and spaces, however their accents are encoded, and whatever its id, so that one
    prompt is never on both sides. A larger share holds what a smaller one held.
    """
    words = [part for m in messages for part in (m.role, plain(m.content))]
    return draw(seed, "heldout", *words) < share


def plain(text: str) -> str:
    """A text's words, whatever their case and spaces and however their accents are encoded."""
    return " ".join(unicodedata.normalize("NFC", text).split()).casefold()
