"""Sampled verdicts: K rationales a response, averaged later (Yuan et al. 2024, section 2.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Answer, Ask, Asking, Capability, Request, Sampling
from selfreward.judges.asking import ask, questions
from selfreward.judges.echo import without_echo
from selfreward.judges.protocol import Cost, JudgedBy, Listener, Reader, Shown, Teachable
from selfreward.reasoning import split_reasoning
from selfreward.records import AspectScore, EFTSeed, Frozen, Judgment, Message, NotInKey, content_id, derive_seed
from selfreward.templates import Rubric


class SampledConfig(Frozen):
    """K written judgments a response, each with its rationale."""

    type: Literal["sampled"] = "sampled"
    samples: int = Field(default=3, ge=1)
    """K, judgments a response."""
    temperature: float = Field(default=0.7, ge=0)
    """Sampling temperature of the judge."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    """Nucleus of the judge's sampling."""
    max_tokens: int = Field(default=256, ge=1)
    """Most tokens of one judgment."""
    retries: Annotated[int, NotInKey] = Field(default=1, ge=0)
    """How often an unreadable judgment is asked for again."""

    compares: ClassVar[bool] = False
    judged_by: ClassVar[JudgedBy] = "model"
    usual_rubric: ClassVar[str | None] = "additive_5pt"

    def cost(self, sizes: Sequence[int]) -> Cost:
        """Of judging so many responses to each prompt."""
        written = sum(sizes) * self.samples
        return Cost(
            rows=written,
            questions=sum(sizes),
            written=written,
            max_tokens=self.max_tokens,
            tries=1 + self.retries,
        )

    def build(self, rubric: Rubric, reasoning_tags: tuple[str, str]) -> Teachable:
        """The judge. What it thinks aloud, between the tags, is no verdict."""
        return SampledJudge(self, rubric, reasoning_tags)

    def reader(self, rubric: Rubric, reasoning_tags: tuple[str, str]) -> Reader:
        """The same, for questions about two responses as well."""
        return SampledJudge(self, rubric, reasoning_tags)


@dataclass(slots=True)
class _Sample:
    """One of a candidate's K judgments, on its way to being readable."""

    candidate: int
    number: int
    raws: list[str] = field(default_factory=list)
    score: float | None = None
    aspects: tuple[AspectScore, ...] | None = None


class SampledJudge:
    """See :class:`~selfreward.judges.protocol.Judge`. ``reasoning_tags`` stand around the judge's thinking, if any."""

    needs: frozenset[Capability] = frozenset()

    def __init__(self, config: SampledConfig, rubric: Rubric, reasoning_tags: tuple[str, str]) -> None:
        self._config, self._rubric, self._reasoning_tags = config, rubric, reasoning_tags

    def judge(self, candidates: Sequence[Shown], listener: Listener, model: str, seed: int) -> Asking[list[Judgment]]:
        """K judgments a candidate, in order; unreadable ones are asked for again with another seed."""
        room = listener.context - self._config.max_tokens
        asked, shortened = questions(self._rubric, listener.chat, candidates, room)
        requests = [Request(messages) for messages in asked]
        samples = [_Sample(c, k) for c in range(len(candidates)) for k in range(self._config.samples)]
        per_candidate = self._config.samples
        answers = yield Ask(requests, self._sampling(per_candidate, derive_seed(seed, 0)))
        for i, answer in enumerate(answers):
            self._read(samples[i * per_candidate : (i + 1) * per_candidate], answer, candidates[i])
        for attempt in range(1, self._config.retries + 1):
            unread = [s for s in samples if s.score is None and s.raws]
            if not unread:
                break
            again = [requests[s.candidate] for s in unread]
            for sample, answer in zip(
                unread, (yield Ask(again, self._sampling(1, derive_seed(seed, attempt)))), strict=True
            ):
                self._read([sample], answer, candidates[sample.candidate])
        return [
            self._judgment(
                candidates[s.candidate], s, answers[s.candidate].prompt_tokens, s.candidate in shortened, model
            )
            for s in samples
        ]

    def check(self, chat: Chat | None) -> None:
        """Written verdicts need nothing of the vocabulary."""

    def example(self, seed: EFTSeed) -> tuple[Message, ...]:
        """The rubric's words, answered by the rationale and then the verdict."""
        target = Message(role="assistant", content=self._rubric.reply(seed.rationale, seed.score))
        return (*ask(self._rubric, seed.instruction, seed.response), target)

    def _sampling(self, n: int, seed: int) -> Sampling:
        config = self._config
        return Sampling(
            max_tokens=config.max_tokens,
            n=n,
            temperature=config.temperature,
            top_p=config.top_p,
            seed=seed,
            json_schema=self._rubric.json_schema(),
        )

    def _read(self, samples: Sequence[_Sample], answer: Answer, candidate: Shown) -> None:
        if answer.completions:
            speaking = self._holding_verdicts(candidate)
            for sample, completion in zip(samples, answer.completions, strict=True):
                # First the echo: it may hold the tags that thinking is told by.
                _, own_words = split_reasoning(without_echo(completion.text, speaking), self._reasoning_tags)
                sample.raws.append(completion.text)
                cut_off = completion.finish_reason == "length" and not completion.text[-1:].isspace()
                reading = self._rubric.read(own_words, cut_off)
                sample.score, sample.aspects = reading.score, reading.aspects

    def _holding_verdicts(self, candidate: Shown) -> list[str]:
        """Responses in which the rubric would read a verdict, as written and as shown: an echo of no other harms."""
        found = [text for text in candidate.responses if self._rubric.read(text).score is not None]
        return [shape for text in found for shape in dict.fromkeys((text, self._rubric.defuse(text)))]

    def _judgment(self, candidate: Shown, sample: _Sample, prompt_tokens: int, shortened: bool, model: str) -> Judgment:
        return Judgment(
            id=content_id("j", *candidate.response_ids, "sampled", self._rubric.label, sample.number),
            prompt_id=candidate.prompt_id,
            response_ids=candidate.response_ids,
            method="sampled",
            rubric=self._rubric.label,
            sample=sample.number,
            score=sample.score,
            aspects=sample.aspects,
            raw=sample.raws[-1] if sample.raws else "",
            unreadable=tuple(sample.raws[:-1]),
            shortened=shortened,
            prompt_tokens=prompt_tokens,
            model=model,
        )
