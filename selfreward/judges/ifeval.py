"""IFEval's checks of verifiable instructions (Zhou et al. 2023, arXiv 2311.07911), by the package if-verifiable.

Its parts for IFEval are used alone: those for IFBench fetch data as soon as they are imported.
"""

import json
import random
from collections.abc import Iterable
from importlib import metadata, util
from typing import TYPE_CHECKING, Any

from selfreward.errors import ConfigError

if TYPE_CHECKING:
    from if_verifiable.common import EvaluationScores

_PACKAGE = "if-verifiable"
_NEEDS_SENTENCES = frozenset({"length_constraints:number_sentences", "change_case:capital_word_frequency"})
"""Instructions whose checks split text by data that NLTK has apart from its code."""
_DATA = "punkt_tab"


def instruction_strict(prompt: str, response: str, reference: str | None) -> float | None:
    """Share of the prompt's instructions that the response follows."""
    found = _scores(prompt, response, reference)
    return found and found.partial_strict


def instruction_loose(prompt: str, response: str, reference: str | None) -> float | None:
    """The same, where a first or last line, or asterisks, may be left out."""
    found = _scores(prompt, response, reference)
    return found and found.partial_loose


def prompt_strict(prompt: str, response: str, reference: str | None) -> float | None:
    """Whether the response follows all of them."""
    found = _scores(prompt, response, reference)
    return found and found.binary_strict


def prompt_loose(prompt: str, response: str, reference: str | None) -> float | None:
    """The same, loosely."""
    found = _scores(prompt, response, reference)
    return found and found.binary_loose


def version() -> str:
    """The package and its version; it decides what counts as followed."""
    check_installed()
    return f"{_PACKAGE} {metadata.version(_PACKAGE)}"


def check_installed() -> None:
    """Raises ConfigError where the package is not there."""
    if util.find_spec("if_verifiable") is None:
        raise ConfigError("judge.method.ifeval: needs the package if-verifiable: pip install 'selfreward[ifeval]'")


def check_instructions(references: Iterable[str]) -> None:
    """Whether every instruction is known, and what its check needs is on this machine. Nothing is fetched.

    Raises:
        ConfigError: it is not.
    """
    check_installed()
    from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT

    found = [instructions_of(reference) for reference in references]
    if None in found:
        raise ConfigError(
            "prompts.file: a row has a reference and no instruction_id_list, which judge.method.ifeval checks; rows "
            'are {"prompt": …, "instruction_id_list": […], "kwargs": […]}'
        )
    used = {one for asked in found if asked is not None for one in asked["instruction_id_list"]}
    if unknown := sorted(used - INSTRUCTION_DICT.keys()):
        known = ", ".join(sorted(INSTRUCTION_DICT))
        raise ConfigError(f"prompts.file: no such instructions: {', '.join(unknown)}; IFEval has {known}")
    if used & _NEEDS_SENTENCES and not _has_data():
        names = ", ".join(sorted(used & _NEEDS_SENTENCES))
        raise ConfigError(
            f"judge.method.ifeval: {names} need NLTK's data, which is not on this machine; get it with "
            f"`python -m nltk.downloader {_DATA}`, or leave prompts with these instructions out"
        )


def instructions_of(reference: str) -> dict[str, Any] | None:
    """The instructions as ``seeding/prompt_file.py`` writes them; None where a reference is something else."""
    try:
        found = json.loads(reference)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.keys() == {"instruction_id_list", "kwargs"} else None


def _has_data() -> bool:
    import nltk

    try:
        nltk.data.find(f"tokenizers/{_DATA}/english/")
    except LookupError:
        return False
    return True


def _scores(prompt: str, response: str, reference: str | None) -> "EvaluationScores | None":
    """None for a prompt without instructions."""
    asked = None if reference is None else instructions_of(reference)
    if asked is None:
        return None
    import langdetect
    from if_verifiable.common import evaluate_instructions
    from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT

    # Both would draw at random otherwise: languages are guessed, and so is what an instruction leaves open.
    langdetect.DetectorFactory.seed = 0
    random.seed(0)
    found: EvaluationScores = evaluate_instructions(
        response, asked["instruction_id_list"], asked["kwargs"], prompt, INSTRUCTION_DICT
    )[1]
    return found
