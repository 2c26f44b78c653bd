"""The nouns, in the order in which data flows: seed -> prompt -> response -> judgment -> preference pair.

Every record carries its own id and its parents' ids. Ids are derived from content and place, never random, and records
hold no times, so that two equal runs give equal bytes.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

_TO_JSON = json.JSONEncoder(ensure_ascii=False)


class Frozen(BaseModel):
    """Frozen base of all records and settings: unknown fields are refused, field docstrings are the documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


@dataclass(frozen=True)
class NotInKey:
    """Marks a setting that does not change what a stage makes: ``Annotated[int, NotInKey]``.

    Of a mapping it may be some entries only: ``Annotated[dict[str, Any], NotInKey(names)]``.
    """

    entries: frozenset[str]


def key_settings(settings: Frozen) -> dict[str, Any]:
    """The settings that a stage's key is made of, as JSON values: all but those marked :class:`NotInKey`."""
    plain = settings.model_dump(mode="json")
    key = {}
    for name, field_info in type(settings).model_fields.items():
        if NotInKey in field_info.metadata:
            continue
        value = getattr(settings, name)
        key[name] = key_settings(value) if isinstance(value, Frozen) else plain[name]
        for mark in field_info.metadata:
            if isinstance(mark, NotInKey):
                key[name] = {entry: found for entry, found in plain[name].items() if entry not in mark.entries}
    return key


def content_id(kind: str, *parts: str | int) -> str:
    """An id such as ``p-3f9a…`` (16 hex digits, 64 bits) from what a record is and where it stands."""
    digest = hashlib.sha256(_TO_JSON.encode(parts).encode()).hexdigest()
    return f"{kind}-{digest[:16]}"


def derive_seed(run_seed: int, *place: str | int) -> int:
    """A 31-bit seed for one place of a run: ``derive_seed(run_seed, iteration, stage, offset)``."""
    digest = hashlib.sha256(json.dumps([run_seed, *place]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


class Message(Frozen):
    role: Literal["system", "user", "assistant"]
    content: str


class Record(Frozen):
    """What a stage stores: a row with an id."""

    model_config = ConfigDict(allow_inf_nan=True)  # what models and files give is judged where it is used

    id: str


class IFTSeed(Record):
    """One instruction-following example: a chat that ends with the response to learn."""

    messages: tuple[Message, ...]
    line: int
    """Line in the seed file, counted from 1."""

    @property
    def instruction(self) -> str:
        return next(m.content for m in self.messages if m.role == "user")


class EFTSeed(Record):
    """One evaluation example: how good a response to an instruction is, and why."""

    instruction: str
    response: str
    rationale: str
    score: float
    line: int


class Ranked(Record):
    """One of a prompt's responses and how good people found it; one row of a file of ranked responses.

    ``rank`` or ``quality`` is there, or both.
    """

    prompt_id: str
    messages: tuple[Message, ...]
    """What was responded to, up to the user's turn."""
    response: str
    rank: int | None
    """0 is the prompt's best response."""
    quality: float | None
    """Higher is better; the scale is the source's own."""
    line: int

    @property
    def prompt(self) -> str | None:
        """The prompt's text where it is one user turn; None for a longer conversation."""
        return self.messages[0].content if len(self.messages) == 1 else None


class Prompt(Record):
    """A new prompt. ``few_shot_ids`` are the seeds and prompts that it was shown after; empty for one from a file."""

    text: str
    iteration: int
    few_shot_ids: tuple[str, ...] = ()
    raw: str = ""
    """What the model wrote before cleaning."""
    model: str = ""
    """Which model wrote it: M0, M1, … or the name of a fixed model; empty for one from a file."""
    reference: str | None = None
    """A good answer, where the file or seed that the prompt is from has one; or its instructions to check, as JSON."""
    seed_id: str | None = None
    """The seed whose instruction it is, where prompts are not written."""


class Response(Record):
    """One candidate answer to a prompt."""

    prompt_id: str
    index: int
    """0 … N-1 among the prompt's candidates."""
    text: str
    """The answer that the judge sees; reasoning stands apart."""
    reasoning: str | None = None
    """What a model that thinks aloud wrote before its answer."""
    token_ids: tuple[int, ...]
    """Generated ids, the end-of-turn token included where the model wrote one."""
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    special_tokens: bool
    """Whether the text spells a special token; such text is judged safely but never trained on."""
    model: str


class AspectScore(Frozen):
    """What a judgment says of one aspect."""

    name: str
    score: float


class Judgment(Record):
    """One verdict. An unreadable verdict has ``score=None`` and keeps its raw text."""

    prompt_id: str
    response_ids: tuple[str, ...]
    """One id; two for a pairwise verdict, in the order shown. A verdict on judgments has theirs."""
    method: str
    rubric: str
    """Name and short hash of the rubric, ``additive_5pt@1a2b3c4d``; empty for a method that reads none."""
    sample: int
    """0 … K-1 among the response's judgments."""
    score: float | None
    aspects: tuple[AspectScore, ...] | None = None
    """What the score is the weighted mean of: the rubric's aspects, or the parts of a mix in standard deviations."""
    raw: str
    """The judge's own new text; of a method that writes none, why there is no score."""
    unreadable: tuple[str, ...] = ()
    """Raw texts of earlier tries that could not be read."""
    distribution: tuple[float, ...] | None = None
    """P(score) over the rubric's scores, lowest first, normalised (method ``expected``)."""
    mass: float | None = None
    """Probability that fell on the score tokens before normalising."""
    shortened: bool = False
    """Whether the response's middle was left out to fit the context."""
    prompt_tokens: int
    model: str


class PreferencePair(Record):
    """Chosen against rejected, with TRL's conversational columns first.

    Both are responses, or both are judgments: then their scores are strengths from comparisons, and the token ids are
    what training makes of their texts.
    """

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    prompt_id: str
    chosen_id: str
    """A response; where a reference is chosen, the seed it is from, or the prompt that a file gives with it."""
    rejected_id: str
    chosen_score: float | None
    """None, like the other score and the margin, where the rule looks at no verdicts."""
    rejected_score: float | None
    margin: float | None
    chosen_token_ids: tuple[int, ...]
    rejected_token_ids: tuple[int, ...]
    retokenised: bool
    """Whether TRL's own tokenisation of chosen or rejected differs from the generated ids."""


class Labelled(Record):
    """A response by itself and whether it is wanted, with TRL's columns of unpaired preference first."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    label: bool
    prompt_id: str
    response_id: str
    score: float
    token_ids: tuple[int, ...]
    retokenised: bool
    """Whether TRL's own tokenisation of the response differs from the generated ids."""


class Example(Record):
    """One tokenised SFT example, rendered from a seed."""

    seed_id: str
    kind: Literal["ift", "eft"]
    messages: tuple[Message, ...]
    input_ids: tuple[int, ...]
    response_start: int
    """Position of the first token that is learned."""
