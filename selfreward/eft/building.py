"""From ranked responses to EFT rows: split, judge, keep what people agree with, thin out, write."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from selfreward.records import Judgment, Ranked
from selfreward.seeding.agreement import Keep, Reason, agreement, contradicted, kept, preferred
from selfreward.seeding.draws import is_held_out
from selfreward.seeding.formats.base import LeftOut
from selfreward.seeding.from_ranks import Spread, by_quality, evenly
from selfreward.seeding.ranked import by_prompt
from selfreward.seeding.targets import Target, Unusable, mean_score, target
from selfreward.seeding.thinning import Thin, thinned_out
from selfreward.templates import Rubric

_WHY: dict[Reason, str] = {
    "no_evidence": "people prefer none of the prompt's responses to it, or it to none of them",
    "unreadable": "a score that is needed could not be read",
    "disagrees": "the scores do not stand in people's order",
}
Source = Literal["judged", "from_ranks", "converted"]


@dataclass(frozen=True)
class Choices:
    """How EFT data is built, apart from who judges."""

    keep: Keep = "strict"
    thin: bool = True
    at_most: Thin = None
    """As in ``thinned_out``."""
    heldout: float = 0.1
    """Share of prompts."""
    spread: Spread = "evenly"
    seed: int = 0


class Parts(NamedTuple):
    """The rows by what becomes of them."""

    training: list[Ranked]
    heldout: list[Ranked]
    left_out: list[LeftOut]


@dataclass
class Built:
    """What is to be written, and what was counted on the way."""

    training: list[Ranked]
    heldout: list[Ranked]
    left_out: list[LeftOut]
    targets: dict[str, Target] = field(default_factory=dict)
    """By the response's id."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Fields of the report."""
    own_scores: bool = False
    """Whether the scores are the source's own, so that there is nobody to agree with."""

    def drop(self, row: Ranked, reason: str, detail: str) -> None:
        """Leave a row out."""
        self.targets.pop(row.id, None)
        self.left_out.append(LeftOut(row.line, reason, detail))

    def rows(self) -> list[dict[str, Any]]:
        """EFT rows, in the source's order."""
        return [_eft_row(row, self.targets[row.id]) for row in self.training if row.id in self.targets]


def split(rows: Sequence[Ranked], choices: Choices) -> Parts:
    """Rows to train on and the held-out part, by prompt. Conversations of several turns cannot be judged."""
    parts = Parts([], [], [])
    for row in rows:
        if row.prompt is None:
            parts.left_out.append(LeftOut(row.line, "not_one_turn", "a rubric has room for a prompt, not for turns"))
        elif is_held_out(row.messages, choices.heldout, choices.seed):
            parts.heldout.append(row)
        else:
            parts.training.append(row)
    return parts


def worth_judging(rows: Sequence[Ranked]) -> list[Ranked]:
    """The responses of prompts of which people prefer one to another; judging the others would be for nothing."""
    groups = by_prompt(list(rows))
    useful = {prompt for prompt, group in groups.items() if any(True for _ in preferred(group))}
    return [row for row in rows if row.prompt_id in useful]


def from_judgments(
    parts: Parts,
    judgments: Sequence[Judgment],
    rubric: Rubric,
    tags: tuple[str, str],
    spells_special: Callable[[str], bool],
    choices: Choices,
) -> Built:
    """What the judge said and people agree with."""
    built = Built(*parts)
    of: dict[str, list[Judgment]] = {}
    for judgment in judgments:
        of.setdefault(judgment.response_ids[0], []).append(judgment)
    means = {one: mean for one, own in of.items() if (mean := mean_score(own)) is not None}
    groups = list(by_prompt(built.training).values())
    for group in groups:
        reasons = kept(group, means, choices.keep)
        for row in group:
            if reason := reasons[row.id]:
                built.drop(row, reason, _WHY[reason])
                continue
            found = target(of[row.id], rubric, tags, spells_special)
            if isinstance(found, Unusable):
                built.drop(row, found.reason, found.detail)
            else:
                built.targets[row.id] = found
        _drop_contradicted(built, group)
    read = [j.score for j in judgments if j.score is not None]
    built.facts |= {
        "judgments": len(judgments),
        "unreadable": len(judgments) - len(read),
        "before": agreement(groups, means),
        "judged_scores": _histogram(math.floor(score + 0.5) for score in read),
    }
    return built


def _drop_contradicted(built: Built, group: Sequence[Ranked]) -> None:
    """A mean may agree with people where the one judgment that is taught does not."""
    scores = {row.id: float(built.targets[row.id].score) for row in group if row.id in built.targets}
    wrong = contradicted(group, scores)
    for row in group:
        if row.id in wrong:
            built.drop(row, "target_disagrees", "the judgment nearest to the mean turns people's order round")


def from_ranks(parts: Parts, rubric: Rubric, choices: Choices) -> Built:
    """Scores made of ranks or qualities, without rationales."""
    built, scale = Built(*parts), rubric.front.scale
    if choices.spread == "quality":
        scores = by_quality(built.training, scale)
        missing = ("no_quality", "the response has no quality to place it by")
    else:
        scores = {}
        for group in by_prompt(built.training).values():
            scores |= evenly(group, scale)
        missing = ("no_evidence", _WHY["no_evidence"])
    for row in built.training:
        if row.id in scores:
            built.targets[row.id] = Target(scores[row.id])
        else:
            built.drop(row, *missing)
    return built


def from_scores(parts: Parts, targets: Mapping[str, Target]) -> Built:
    """Scores that the source has already."""
    return Built(*parts, targets={row.id: targets[row.id] for row in parts.training}, own_scores=True)


def finish(built: Built, choices: Choices) -> None:
    """Thin out, and count what is left."""
    built.facts["kept_scores"] = _histogram(t.score for t in built.targets.values())
    if choices.thin:
        by_words = _by_words([(row, built.targets[row.id]) for row in built.training if row.id in built.targets])
        scores = {words: float(built.targets[row.id].score) for words, row in by_words.items()}
        for words in sorted(thinned_out(scores, choices.at_most, choices.seed), key=lambda w: by_words[w].line):
            built.drop(by_words[words], "thinned", "one of too many with the most frequent score")
    written = {one: float(t.score) for one, t in built.targets.items()}
    of_these = [row for row in built.training if row.id in written]
    built.left_out.sort(key=lambda item: item.line)
    built.facts |= {
        "after": None if built.own_scores else agreement(by_prompt(of_these).values(), written),
        "scores": _histogram(t.score for t in built.targets.values()),
        "left_out": dict(Counter(item.reason for item in built.left_out).most_common()),
        "written": len(built.targets),
        "heldout_rows": len(built.heldout),
        "heldout_prompts": len(by_prompt(built.heldout)),
    }


def heldout_row(row: Ranked) -> dict[str, Any]:
    """A ranked row as it was read."""
    return {
        "prompt_id": row.prompt_id,
        "prompt": row.prompt,
        "response": row.response,
        "rank": row.rank,
        "quality": row.quality,
    }


def heldout_path(output: Path) -> Path:
    """``eft.heldout.jsonl`` beside ``eft.jsonl``."""
    return output.with_name(f"{output.stem}.heldout{output.suffix}")


def _eft_row(row: Ranked, found: Target) -> dict[str, Any]:
    own = {"instruction": row.prompt, "response": row.response, "rationale": found.rationale, "score": found.score}
    return {name: value for name, value in own.items() if value != ""}


def _by_words(rows: Sequence[tuple[Ranked, Target]]) -> dict[str, Ranked]:
    """Rows by what tells each from the others, wherever it stands; only exact repetitions are counted through."""
    found: dict[str, Ranked] = {}
    times: Counter[str] = Counter()
    for row, own in rows:
        words = f"{row.prompt}\0{row.response}\0{row.prompt_id}\0{row.rank}\0{row.quality}\0{own.rationale}"
        found[f"{words}\0{times[words]}"] = row
        times[words] += 1
    return found


def _histogram(scores: Any) -> dict[int, int]:
    return dict(sorted(Counter(scores).items()))
