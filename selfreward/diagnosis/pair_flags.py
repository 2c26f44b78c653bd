"""What about one pair deserves a look. A flag is a reason to read the pair, no proof that it is bad."""

import re
import zlib
from typing import Literal, get_args

from rapidfuzz.distance import Indel

from selfreward.judges.injection import reasons
from selfreward.records import PreferencePair, Record

VERSION = 1
"""Raised whenever a flag comes to mean something else; those that a run has stored are then computed again."""
PairFlag = Literal["injection", "length", "refusal", "repetition", "near_identical", "retokenised", "swapped"]
PAIR_FLAGS: tuple[PairFlag, ...] = get_args(PairFlag)
"""In the order in which they are shown."""
MEANS: dict[PairFlag, str] = {
    "injection": "A side holds something that could steer a judge.",
    "length": "The chosen side is at least twice as long as the rejected one: length alone may have won.",
    "refusal": "The chosen side begins as a refusal.",
    "repetition": "A side says the same over and over.",
    "near_identical": "Both sides are nearly the same text, so there is little to learn from their difference.",
    "retokenised": "TRL's tokens of a side are not the ones that were generated.",
    "swapped": "The chosen side has the lower score: a person decided so.",
}
LONGER = 2.0
"""Chosen over rejected, in generated tokens. A rule of thumb."""
ALIKE = 0.9
"""ROUGE-L F1 of the two sides' words; diagnose flags a mean above 0.7. A rule of thumb."""
REPETITIVE = 0.25
"""Compressed over plain size. English prose of some hundred letters comes to about a half. A rule of thumb."""
LONG_ENOUGH = 200
"""Fewer bytes say nothing of repetition."""
_OPENING = 200
_REFUSAL = re.compile(
    r"^\W*(?:(?:i['\u2019]?m|i am) (?:\w+ )?(?:sorry|afraid)\b|(?:i )?apologi[sz]e\b|sorry,? (?:but )?i\b|"
    r"(?:unfortunately,? )?i (?:can(?:not|['\u2019]t)|am (?:not able|unable)|won['\u2019]t|"
    r"(?:do not|don['\u2019]t) (?:feel comfortable|have (?:access|the ability)))\b|"
    r"(?:unfortunately,? )?i['\u2019]m (?:not able|unable)\b|as an? (?:ai|(?:\w+ )?language model)\b)",
    re.IGNORECASE,
)


class PairFlags(Record):
    """The flags of one pair, whose id it has."""

    flags: tuple[PairFlag, ...]


def flags_of(pair: PreferencePair) -> PairFlags:
    """The flags of a stored pair."""
    found = pair_flags(
        pair.chosen[-1].content,
        pair.rejected[-1].content,
        chosen_tokens=len(pair.chosen_token_ids),
        rejected_tokens=len(pair.rejected_token_ids),
        margin=pair.margin,
        retokenised=pair.retokenised,
    )
    return PairFlags(id=pair.id, flags=found)


def pair_flags(
    chosen: str,
    rejected: str,
    *,
    chosen_tokens: int,
    rejected_tokens: int,
    margin: float | None,
    retokenised: bool,
) -> tuple[PairFlag, ...]:
    """The flags of one pair, by its texts and their lengths in generated tokens."""
    found: dict[PairFlag, bool] = {
        "injection": bool(reasons(chosen) or reasons(rejected)),
        "length": 0 < LONGER * rejected_tokens <= chosen_tokens,
        "refusal": is_refusal(chosen),
        "repetition": is_repetitive(chosen) or is_repetitive(rejected),
        "near_identical": are_alike(chosen, rejected),
        "retokenised": retokenised,
        "swapped": margin is not None and margin < 0,
    }
    return tuple(flag for flag in PAIR_FLAGS if found[flag])


def is_refusal(text: str) -> bool:
    """Whether it opens as refusals in English do."""
    return _REFUSAL.search(text[:_OPENING]) is not None


def is_repetitive(text: str) -> bool:
    """Whether it compresses as no ordinary text does."""
    plain = text.encode(errors="replace")
    return len(plain) >= LONG_ENOUGH and len(zlib.compress(plain)) < REPETITIVE * len(plain)


def are_alike(one: str, other: str) -> bool:
    """Whether two texts have nearly all their words in common, in the same order."""
    return Indel.normalized_similarity(one.split(), other.split(), score_cutoff=ALIKE) >= ALIKE
