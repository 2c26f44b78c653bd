"""Which of a prompt's responses its judge is least sure of: the one whose judgments vary most (Wu et al. 2024, 2.2)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import pvariance

from selfreward.judges import JudgeConfig
from selfreward.judges.asking import ask
from selfreward.records import Judgment, Message, Prompt, Response
from selfreward.templates import Rubric

_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Judged:
    """A prompt with all its responses and judgments, and the comparisons of judgments where there are any yet."""

    prompt: Prompt
    responses: Sequence[Response]
    judgments: Sequence[Judgment]
    comparisons: Sequence[Judgment] = ()


@dataclass(frozen=True, slots=True)
class Contested:
    """A response, and those of its judgments that can be trained on."""

    response: Response
    judgments: tuple[Judgment, ...]


def most_contested(judged: Judged, unusable: Mapping[str, str]) -> Contested | str:
    """The response whose usable judgments have the highest variance of scores; of equals the first.

    ``unusable`` are ids of judgments. Reasons for none: ``too_few_judgments`` (no response has two usable judgments),
    ``no_variance`` (all judgments of a response give the same score).
    """
    usable = _usable(judged, unusable)
    several = [response for response in judged.responses if len(usable[response.id]) > 1]
    if not several:
        return "too_few_judgments"
    spread = {response.id: pvariance(_scores(usable[response.id])) for response in several}
    most = max(spread.values())
    if most < _NOTHING:
        return "no_variance"
    response = min((r for r in several if spread[r.id] > most - _NOTHING), key=lambda r: r.index)
    return Contested(response, tuple(usable[response.id]))


def question(rubric: Rubric, config: JudgeConfig, prompt: Prompt, response: Response) -> Message:
    """What M_t was asked when it judged the response, word for word, where nothing had to be shortened."""
    (asked,) = ask(rubric, prompt.text, config.shown(response), reference=prompt.reference)
    return asked


def _usable(judged: Judged, unusable: Mapping[str, str]) -> defaultdict[str, list[Judgment]]:
    found: defaultdict[str, list[Judgment]] = defaultdict(list)
    for judgment in sorted(judged.judgments, key=lambda j: j.sample):
        if judgment.id not in unusable:
            found[judgment.response_ids[0]].append(judgment)
    return found


def _scores(judgments: Sequence[Judgment]) -> list[float]:
    return [judgment.score for judgment in judgments if judgment.score is not None]
