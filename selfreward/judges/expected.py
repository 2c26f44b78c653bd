"""Expected score: one forward pass, the probabilities of all scores, no sampling.

The judge's turn is opened up to where the score stands, and the score is the mean of the next token's distribution over
the scale (as in G-Eval, Liu et al. 2023, arXiv 2303.16634, section 2).
"""

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import ClassVar, Literal

from pydantic import Field

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Answer, Ask, Asking, Capability, NextToken, Request
from selfreward.errors import EngineError
from selfreward.judges.asking import ask, questions
from selfreward.judges.protocol import Cost, JudgedBy, Listener, Reader, Shown, Teachable
from selfreward.records import EFTSeed, Frozen, Judgment, Message, content_id
from selfreward.templates import Rubric


class ExpectedConfig(Frozen):
    """One forward pass a response: cheap, without a rationale, and steadier than sampling for small models."""

    type: Literal["expected"] = "expected"
    min_mass: float = Field(default=0.2, ge=0, le=1)
    """A verdict is unreadable where less probability than this falls on the scale's scores."""

    compares: ClassVar[bool] = False
    judged_by: ClassVar[JudgedBy] = "model"
    usual_rubric: ClassVar[str | None] = "additive_5pt"

    def cost(self, sizes: Sequence[int]) -> Cost:
        """Of judging so many responses to each prompt."""
        return Cost(rows=sum(sizes), questions=sum(sizes))

    def build(self, rubric: Rubric, reasoning_tags: tuple[str, str]) -> Teachable:
        """The judge. It never writes, so it has no reasoning to set apart."""
        return ExpectedJudge(self, rubric)

    def reader(self, rubric: Rubric, reasoning_tags: tuple[str, str]) -> Reader:
        """The same, for questions about two responses as well."""
        return ExpectedJudge(self, rubric)


class ExpectedJudge:
    """See :class:`~selfreward.judges.protocol.Judge`."""

    needs: frozenset[Capability] = frozenset({"prefill", "next_token"})

    def __init__(self, config: ExpectedConfig, rubric: Rubric) -> None:
        self._config, self._rubric = config, rubric

    def judge(self, candidates: Sequence[Shown], listener: Listener, model: str, seed: int) -> Asking[list[Judgment]]:
        """One judgment a candidate; ``seed`` is not used, since nothing is sampled."""
        assert listener.chat is not None, "an engine that gives log-probabilities of tokens knows its tokens"
        prefill, tokens = score_tokens(listener.chat, self._rubric)
        room = listener.context - len(prefill) - 1
        asked, shortened = questions(self._rubric, listener.chat, candidates, room)
        answers = yield Ask([Request(messages, prefill) for messages in asked], NextToken(tuple(tokens)))
        return [self._judgment(candidate, answers[i], i in shortened, model) for i, candidate in enumerate(candidates)]

    def check(self, chat: Chat | None) -> None:
        """Every score must be one token."""
        if chat is not None:
            score_tokens(chat, self._rubric)

    def example(self, seed: EFTSeed) -> tuple[Message, ...]:
        """The rubric's words, answered by the verdict alone, as the prefill will open it."""
        target = self._rubric.verdict(seed.score)
        return (*ask(self._rubric, seed.instruction, seed.response), Message(role="assistant", content=target))

    def _judgment(self, candidate: Shown, answer: Answer, shortened: bool, model: str) -> Judgment:
        probabilities = [math.exp(logprob) for logprob in answer.logprobs]
        mass = math.fsum(probabilities)
        scores = self._rubric.front.scale.scores
        distribution = tuple(p / mass for p in probabilities) if mass else None
        readable = distribution is not None and mass >= self._config.min_mass
        return Judgment(
            id=content_id("j", *candidate.response_ids, "expected", self._rubric.label, 0),
            prompt_id=candidate.prompt_id,
            response_ids=candidate.response_ids,
            method="expected",
            rubric=self._rubric.label,
            sample=0,
            score=math.fsum(s * p for s, p in zip(scores, distribution or (), strict=True)) if readable else None,
            raw="",
            distribution=distribution,
            mass=mass if answer.logprobs else None,
            shortened=shortened,
            prompt_tokens=answer.prompt_tokens,
            model=model,
        )


def score_tokens(chat: Chat, rubric: Rubric) -> tuple[tuple[int, ...], list[int]]:
    """The tokens that open a verdict, and the one token of each score, lowest first.

    Both are taken from tokenising every complete verdict in its place: in some vocabularies the space before the digit
    belongs to the digit, in others it is a token of its own.

    Raises:
        EngineError: a score of the scale is not one token of this model's vocabulary.
    """
    question = Message(role="user", content="?")
    lines = [rubric.verdict(score) for score in rubric.front.scale.scores]
    chats = [(question, Message(role="assistant", content=line)) for line in lines]
    targets = [ids[start:] for ids, start, _ in chat.encode_targets(chats)]
    columns = list(zip(*targets, strict=False))
    prefill = tuple(column[0] for column in takewhile(lambda c: len(set(c)) == 1, columns))
    tokens = [ids[len(prefill)] for ids in targets if len(ids) > len(prefill)]
    tails = {tuple(ids[len(prefill) + 1 :]) for ids in targets}
    if len(set(tokens)) != len(targets) or len(tails) != 1:
        scale = rubric.front.scale
        raise EngineError(
            f"{rubric.path}: not every score from {scale.min} to {scale.max} is one token of "
            f"{chat.tokenizer.name_or_path}, so expected scores cannot be read; use judge.method.type=sampled"
        )
    return prefill, tokens
