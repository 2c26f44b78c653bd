"""What exactly a judge was asked: the rubric's words around prompt and response, and how its verdict was drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
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
    method: str
    """Of a mix the part's."""
    rubric: str
    """Name and short hash, as the judgments have it."""
    messages: tuple[Message, ...]
    prefill: str
    """How the judge's turn was opened for it, as far as all verdicts begin alike; empty where it wrote freely."""
    shortened: bool
    """Whether a response's middle was left out then, to fit the context: here it stands whole."""


class Questions(Frozen):
    """All questions about a prompt's candidates."""

    method: dict[str, Any]
    """How verdicts were asked for: method, samples, temperature and so on; empty where the iteration does not say."""
    questions: tuple[Question, ...]
    missing: str
    """Why words cannot be given; empty where all can."""

    @property
    def rubric(self) -> str:
        """Names and short hashes of the rubrics that the questions were made with."""
        return ", ".join(dict.fromkeys(one.rubric for one in self.questions))

    def about(self, judgment: Judgment) -> Question | None:
        """What was asked for this judgment; None for one that comes of others, or of no words."""
        asked = judgment.response_ids, judgment.method, _name(judgment.rubric)
        return next((q for q in self.questions if (q.response_ids, q.method, _name(q.rubric)) == asked), None)


def questions_of(run: RunStore, walk: PromptWalk) -> Questions:
    """What was asked about a prompt's candidates."""
    judgments = {judgment.id: judgment for candidate in walk.candidates for judgment in candidate.judgments}
    responses = [candidate.response for candidate in walk.candidates]
    return _questions(iteration(run, walk.iteration), walk.prompt, responses, list(judgments.values()))


def _questions(
    it: IterationStore, prompt: Prompt, responses: Sequence[Response], judgments: Sequence[Judgment]
) -> Questions:
    """What was asked for these judgments, rebuilt through the rubrics that are still what they were then."""
    if it.stage("judgments") is None:
        return Questions(method={}, questions=(), missing="nothing is judged in this iteration")
    try:
        judge = JudgeConfig.model_validate(it.manifest.config.get("judge") or {})
    except ValidationError:
        return Questions(method={}, questions=(), missing="the judge's settings are of another version")
    parts = {f"judge.method.parts.{name}.rubric": part for name, part in judge.parts().items()}
    questions, missing = list[Question](), list[str]()
    for place, one in (parts or {"judge.rubric": judge}).items():
        try:
            rubric = kept(it, place, partial(_rubric_then, it, place, one))
        except SelfRewardError as error:
            missing.append(str(error))
        else:
            questions += _asked(one, rubric, prompt, responses, judgments)
    method = judge.method.model_dump(mode="json")
    return Questions(method=method, questions=tuple(questions), missing="\n".join(missing))


def _asked(
    judge: JudgeConfig,
    rubric: Rubric,
    prompt: Prompt,
    responses: Sequence[Response],
    judgments: Sequence[Judgment],
) -> Iterator[Question]:
    """One judge's questions, each once."""
    shown = {response.id: judge.shown(response) for response in responses}
    own = [j for j in judgments if (j.method, _name(j.rubric)) == (judge.method.type, _name(rubric.label))]
    for ids, judgment in {j.response_ids: j for j in reversed(own)}.items():
        if len(ids) == len(rubric.response_inputs) and shown.keys() >= set(ids):
            yield Question(
                response_ids=ids,
                method=judgment.method,
                rubric=rubric.label,
                messages=ask(rubric, prompt.text, *(shown[one] for one in ids), reference=prompt.reference),
                prefill=_prefill(judge, rubric),
                shortened=judgment.shortened,
            )


def _name(label: str) -> str:
    return label.partition("@")[0]


def _rubric_then(it: IterationStore, place: str, judge: JudgeConfig) -> Rubric:
    """The rubric that the iteration was judged by.

    Raises:
        SelfRewardError: there is none, it is not there any more, or has other words now.
    """
    rubric, known = judge.optional_rubric(), it.manifest.templates.get(place)
    if rubric is None:
        raise TemplateError(f"the method {judge.method.type} reads no rubric and is asked nothing in words")
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
