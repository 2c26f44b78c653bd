"""What exactly a judge was asked: the rubric's words around prompt and response, and how its verdict was drawn."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from pydantic import ValidationError

from selfreward.errors import SelfRewardError, TemplateError
from selfreward.judges import JudgeConfig
from selfreward.judges.asking import ask
from selfreward.judges.expected import ExpectedConfig
from selfreward.judges.pairwise import PairwiseConfig
from selfreward.query.kept import iteration, kept
from selfreward.records import Frozen, Judgment, Message, Prompt, Response
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.templates import Rubric
from selfreward.walk import PromptWalk


class Question(Frozen):
    """One question to the judge; the model's chat template is put around its messages."""

    response_ids: tuple[str, ...]
    messages: tuple[Message, ...]
    prefill: str
    """How the judge's turn was opened for it, as far as all verdicts begin alike; empty where it wrote freely."""
    shortened: bool
    """Whether a response's middle was left out then, to fit the context: here it stands whole."""


class Questions(Frozen):
    """All questions about a prompt's candidates."""

    method: dict[str, Any]
    """How verdicts were asked for: method, samples, temperature and so on; empty where the iteration does not say."""
    rubric: str
    """Name and short hash, as the judgments have it; empty where the words are not at hand."""
    questions: tuple[Question, ...]
    missing: str
    """Why the words cannot be given; empty where they can."""

    def about(self, judgment: Judgment) -> Question | None:
        """What was asked for this judgment; None for a strength that comes of many comparisons."""
        return next((one for one in self.questions if one.response_ids == judgment.response_ids), None)


def questions_of(run: RunStore, walk: PromptWalk) -> Questions:
    """What was asked about a prompt's candidates."""
    judgments = {judgment.id: judgment for candidate in walk.candidates for judgment in candidate.judgments}
    responses = [candidate.response for candidate in walk.candidates]
    return _questions(iteration(run, walk.iteration), walk.prompt, responses, judgments.values())


def _questions(
    it: IterationStore, prompt: Prompt, responses: Iterable[Response], judgments: Iterable[Judgment]
) -> Questions:
    """What was asked for these judgments, rebuilt through the rubric if it is still what it was then."""
    try:
        judge = JudgeConfig.model_validate(it.manifest.config.get("judge") or {})
    except ValidationError:
        return Questions(method={}, rubric="", questions=(), missing="the judge's settings are of another version")
    method = judge.method.model_dump(mode="json")
    try:
        rubric = kept(it, "rubric", lambda: _rubric_then(it, judge))
    except SelfRewardError as error:
        return Questions(method=method, rubric="", questions=(), missing=str(error))
    shown = {response.id: judge.shown(response) for response in responses}
    found: dict[tuple[str, ...], Question] = {}
    for judgment in judgments:
        ids = judgment.response_ids
        if ids not in found and len(ids) == len(rubric.response_inputs) and shown.keys() >= set(ids):
            found[ids] = Question(
                response_ids=ids,
                messages=ask(rubric, prompt.text, *(shown[one] for one in ids), reference=prompt.reference),
                prefill=_prefill(judge, rubric),
                shortened=judgment.shortened,
            )
    return Questions(method=method, rubric=rubric.label, questions=tuple(found.values()), missing="")


def _rubric_then(it: IterationStore, judge: JudgeConfig) -> Rubric:
    """The rubric that the iteration was judged by.

    Raises:
        SelfRewardError: it is not there any more, or has other words now.
    """
    rubric, known = judge.load_rubric(), it.manifest.templates.get("judge.rubric")
    if rubric.hash != known:
        was = f", which had the hash {known[:8]}" if known else ""
        raise TemplateError(f"{rubric.path}: is not any more what the iteration was judged by{was}")
    return rubric


def _prefill(judge: JudgeConfig, rubric: Rubric) -> str:
    method = judge.method
    verdict = method.verdict if isinstance(method, PairwiseConfig) else method
    if not isinstance(verdict, ExpectedConfig):
        return ""
    letters = zip(*(rubric.verdict(score) for score in rubric.front.scale.scores), strict=False)
    return "".join(same[0] for same in takewhile(lambda one: len(set(one)) == 1, letters))
