"""A weighted mix of judge methods: each judges alone, and their scores are brought to one scale and averaged."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selfreward.judges.methods import SingleMethod
from selfreward.judges.plain_score import plain_score
from selfreward.judges.protocol import Candidate
from selfreward.records import AspectScore, Frozen, Judgment

_NOTHING = 1e-9
"""A deviation below this is the noise of floating point."""
PartName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class MixPart(Frozen):
    """One method of a mix."""

    weight: float = Field(default=1.0, gt=0)
    """Its weight in the mean."""
    rubric: str | None = None
    """As ``judge.rubric``, for a method that reads one."""
    method: SingleMethod
    """As ``judge.method``, any but a mix."""


class MixConfig(Frozen):
    """Several methods at once; a response's score is the weighted mean of theirs, in standard deviations."""

    type: Literal["mix"] = "mix"
    parts: dict[PartName, MixPart] = Field(min_length=2)
    """By a name of your own: ``{weight: 2, method: {type: expected}, rubric: NAME}``."""

    compares: ClassVar[bool] = False
    usual_rubric: ClassVar[str | None] = None

    @property
    def weights(self) -> dict[str, float]:
        """Of each part, by its name."""
        return {name: part.weight for name, part in self.parts.items()}


def mixed(
    weights: Mapping[str, float],
    judgments: Mapping[str, Iterable[Judgment]],
    candidates: Sequence[Candidate],
    model: str,
) -> list[Judgment]:
    """One judgment a candidate, in the candidates' order, of what every part says of all of them.

    A part's score of a response is the mean of its readable verdicts, less the mean of its scores of the prompt's
    candidates, in standard deviations of these differences over all candidates. So prompts that are easy for a part
    weigh no more than hard ones, and neither does a part with large numbers. Where a part has no score of a response
    the mix has none either: its rivals would be judged by more.
    """
    parts = {name: _standardised(judgments[name], candidates) for name in weights}
    total = math.fsum(weights.values())
    found = []
    for candidate in candidates:
        own = {name: scores.get(candidate.response_id) for name, scores in parts.items()}
        read = {name: score for name, score in own.items() if score is not None}
        whole = len(read) == len(weights)
        found.append(
            plain_score(  # the parts' own judgments say how many tokens were read
                candidate,
                math.fsum(weights[name] * score for name, score in read.items()) / total if whole else None,
                method="mix",
                model=model,
                raw="" if whole else f"no score by {', '.join(name for name in weights if name not in read)}",
                aspects=tuple(AspectScore(name=name, score=score) for name, score in read.items()) or None,
            )
        )
    return found


def _standardised(judgments: Iterable[Judgment], candidates: Sequence[Candidate]) -> dict[str, float]:
    read: defaultdict[str, list[float]] = defaultdict(list)
    for judgment in judgments:
        if len(judgment.response_ids) == 1 and judgment.score is not None:
            read[judgment.response_ids[0]].append(judgment.score)
    of_prompt: defaultdict[str, list[str]] = defaultdict(list)
    for candidate in candidates:
        if candidate.response_id in read:
            of_prompt[candidate.prompt_id].append(candidate.response_id)
    apart: dict[str, float] = {}
    for responses in of_prompt.values():
        scores = {one: fmean(read[one]) for one in responses}
        middle = fmean(scores.values())
        apart |= {one: score - middle for one, score in scores.items()}
    deviation = math.sqrt(fmean(score**2 for score in apart.values())) if apart else 0.0
    if deviation < _NOTHING:  # the part tells none from another
        return dict.fromkeys(apart, 0.0)
    return {one: round(score / deviation, 9) + 0.0 for one, score in apart.items()}
