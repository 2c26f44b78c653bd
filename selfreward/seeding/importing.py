"""Foreign rows become seeds: each is converted by its format, and what is left out is named and counted."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from selfreward.records import Message
from selfreward.seeding.draws import is_held_out
from selfreward.seeding.formats.base import Format, LeftOut, Made, Numbered, Reject, Row, Target
from selfreward.seeding.formats.values import shown
from selfreward.seeding.rescale import Rescale
from selfreward.seeding.seen import Seen, short_hash
from selfreward.seeding.sources.base import Found, Source


@dataclass
class Tally:
    """What came of the rows."""

    rows: int = 0
    """Rows of the source that were read, bad ones too."""
    made: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    first: dict[str, LeftOut] = field(default_factory=dict)
    """The first one of each reason."""
    found_scores: Counter[float] = field(default_factory=Counter)
    """Scores of the rows that are written, as they stand in the source."""
    scores: Counter[int] = field(default_factory=Counter)
    """Scores as they are written."""


@dataclass(frozen=True)
class Options:
    """What to make."""

    target: Target
    languages: tuple[str, ...] = ()
    """Only rows in these, ``en`` standing for ``en-US`` too; all if empty."""
    scale: Rescale | None = None
    """For EFT: how scores come onto the rubric's scale."""
    heldout: float = 0.0
    """Share of the prompts to leave out, the very ones that ``seeds build-eft`` holds out with this share and seed."""
    seed: int = 0


class Conversion:
    """One way through a source. Iterate over it for the rows to write; ``tally`` says what came of the rows."""

    def __init__(self, source: Source, form: Format, options: Options, report: Callable[[LeftOut], None]) -> None:
        self.tally = Tally()
        self._source, self._form, self._options, self._report = source, form, options, report
        self._languages = {_language(name) for name in options.languages}

    def __iter__(self) -> Iterator[Row]:
        """
        Raises:
            SeedError: the source cannot be read on, or a score is on no known scale.
        """
        seen, prompts = Seen(), Seen()
        for item in self._form.converters[self._options.target](self._rows):
            if isinstance(item, LeftOut):
                self._leave_out(item)
                continue
            try:
                made = self._scaled(item)
                if self._options.heldout and _is_held_out(made, self._options.heldout, self._options.seed):
                    raise Reject("held_out", "its prompt is held out")
                if self._options.target == "ranked":
                    _check_prompt(made, prompts)
                key = _key(made, self._options.target)
                earlier = seen.first(key, item.line)
                if earlier is not None:
                    raise Reject("duplicate", _repeated(self._options.target, earlier))
            except Reject as error:
                self._leave_out(LeftOut(item.line, error.reason, str(error)))
                continue
            self.tally.made += 1
            if self._options.scale:
                self.tally.found_scores[item.row["score"]] += 1
                self.tally.scores[made["score"]] += 1
            yield made

    def _rows(self, *, only_looking: bool = False) -> Iterator[Numbered]:
        for found in self._source.read():
            self.tally.rows += not only_looking
            kept = self._in_language(found) if isinstance(found, Numbered) else found
            if isinstance(kept, Numbered):
                yield kept
            elif not only_looking:
                self._leave_out(kept)

    def _in_language(self, found: Numbered) -> Found:
        if not self._languages:
            return found
        language = self._form.language(found.row)
        if isinstance(language, str) and _language(language) in self._languages:
            return found
        return LeftOut(found.line, "other_language", f"the language is {shown(language)}")

    def _scaled(self, item: Made) -> Row:
        if self._options.scale is None:
            return item.row
        score = self._options.scale.score(item.row["score"], f"{self._source.name}:{item.line}")
        return {**item.row, "score": score}

    def _leave_out(self, item: LeftOut) -> None:
        self.tally.left_out[item.reason] += 1
        self.tally.first.setdefault(item.reason, item)
        self._report(item)


def report_path(output: Path) -> Path:
    """Where the rows that were left out are listed."""
    return output.with_name(f"{output.name}.report.jsonl")


def _language(name: str) -> str:
    return name.replace("_", "-").split("-")[0].casefold()


def _repeated(target: Target, line: int) -> str:
    if target == "ranked":
        return (
            f"the prompt has the same response from line {line}, which counts, whatever the rank or quality of this one"
        )
    return f"the same as what line {line} gives"


def _check_prompt(row: Row, prompts: Seen) -> None:
    """One prompt an id, or ``build-eft`` would compare responses to different ones; it refuses such a file."""
    words = short_hash(json.dumps(row.get("prompt") or row["messages"])) >> 1  # kept in the place of a line, so signed
    if prompts.first(row["prompt_id"], words) not in (None, words):
        raise Reject("other_prompt", f"prompt_id {shown(row['prompt_id'])} has another prompt further up")


def _is_held_out(row: Row, share: float, seed: int) -> bool:
    """Whether any of the questions that it answers is."""
    turns = row.get("messages") or [{"role": "user", "content": row["instruction"]}]
    chat = tuple(Message.model_validate(turn) for turn in turns)
    return any(is_held_out(chat[: i + 1], share, seed) for i, turn in enumerate(chat) if turn.role == "user")


def _key(row: Row, target: Target) -> str:
    """What makes two rows the same."""
    if target == "ranked":
        return f"{row['prompt_id']}\0{row['response']}"
    if "messages" in row:
        return "\0".join(part for turn in row["messages"] for part in (turn["role"], turn["content"]))
    return "\0".join(str(row.get(name)) for name in ("instruction", "response", "rationale", "score"))
