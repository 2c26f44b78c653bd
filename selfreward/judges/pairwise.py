"""Pairwise verdicts: a prompt's responses against each other, every two of them in both orders.

The first place alone decides most verdicts of small judges (Zheng et al. 2023, arXiv 2306.05685, section 3.4), so that
one order says little; averaged over both, what the place gives falls out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations, groupby
from statistics import fmean
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Asking, Capability
from selfreward.errors import ConfigError
from selfreward.judges.bradley_terry import strengths
from selfreward.judges.expected import ExpectedConfig
from selfreward.judges.protocol import Candidate, Comparison, Cost, JudgedBy, Listener, Reader, Teachable
from selfreward.judges.sampled import SampledConfig
from selfreward.records import EFTSeed, Frozen, Judgment, Message, content_id, derive_seed
from selfreward.templates import Rubric

Two = tuple[int, int]
"""Places of two candidates, in the order shown."""


class PairwiseConfig(Frozen):
    """Comparisons of two responses, each in both orders; scores are Bradley-Terry strengths, in logits."""

    type: Literal["pairwise"] = "pairwise"
    verdict: Annotated[ExpectedConfig | SampledConfig, Field(discriminator="type")] = Field(
        default_factory=ExpectedConfig
    )
    """How one comparison is asked for: ``type: expected`` reads the letters' probabilities, ``type: sampled`` has
    rationales written."""
    plan: Literal["all", "knockout"] = "all"
    """``all``: every two of a prompt's n responses, n(n-1)/2. ``knockout``: winners meet winners, n-1 comparisons,
    which find the best and say less of the rest."""

    compares: ClassVar[bool] = True
    judged_by: ClassVar[JudgedBy] = "model"
    usual_rubric: ClassVar[str | None] = "pairwise"

    @field_validator("verdict", mode="before")
    @classmethod
    def _by_name(cls, verdict: object) -> object:
        return {"type": verdict} if isinstance(verdict, str) else verdict

    def cost(self, sizes: Sequence[int]) -> Cost:
        """Of judging so many responses to each prompt; each of them is given a strength besides."""
        comparisons = sum(n - 1 if self.plan == "knockout" else n * (n - 1) // 2 for n in sizes if n)
        asked = self.verdict.cost([2] * comparisons)
        return replace(asked, rows=asked.rows + sum(sizes), responses=2)

    def build(self, rubric: Rubric, reasoning_tags: tuple[str, str]) -> Teachable:
        """The judge, which has each comparison read as its ``verdict`` says."""
        return PairwiseJudge(self, rubric, self.verdict.reader(rubric, reasoning_tags))


class PairwiseJudge:
    """See :class:`~selfreward.judges.protocol.Judge`. A prompt's candidates have to come together."""

    def __init__(self, config: PairwiseConfig, rubric: Rubric, reader: Reader) -> None:
        self._config, self._rubric, self._reader = config, rubric, reader
        self.needs: frozenset[Capability] = reader.needs

    def judge(
        self, candidates: Sequence[Candidate], listener: Listener, model: str, seed: int
    ) -> Asking[list[Judgment]]:
        """By prompt: the comparisons, whose score is the probability that the first one shown is better, and then one
        judgment for each candidate with its strength."""
        rounds = [_Rounds(list(group), self._config.plan) for _, group in groupby(candidates, lambda c: c.prompt_id)]
        number = 0
        while asked := [(r, two) for r in rounds for two in r.next()]:
            shown = [_comparison(r.candidates, two) for r, two in asked]
            verdicts = yield from self._reader.judge(shown, listener, model, derive_seed(seed, "round", number))
            samples = len(verdicts) // len(shown)
            for i, (r, two) in enumerate(asked):
                r.take(two, verdicts[i * samples : (i + 1) * samples])
            number += 1
        return [judgment for r in rounds for judgment in (*r.verdicts, *self._scored(r, model))]

    def check(self, chat: Chat | None) -> None:
        """As the way of reading a comparison asks."""
        self._reader.check(chat)

    def example(self, seed: EFTSeed) -> tuple[Message, ...]:
        """An EFT seed judges one response."""
        raise ConfigError("judge.method.type=pairwise: an EFT seed judges one response, and teaches no comparison")

    def _scored(self, rounds: "_Rounds", model: str) -> list[Judgment]:
        found = strengths(len(rounds.candidates), rounds.wins())
        return [
            Judgment(
                id=content_id("j", candidate.response_id, "pairwise", self._rubric.label, 0),
                prompt_id=candidate.prompt_id,
                response_ids=(candidate.response_id,),
                method="pairwise",
                rubric=self._rubric.label,
                sample=0,
                score=score,
                raw="",
                prompt_tokens=0,
                model=model,
            )
            for candidate, score in zip(rounds.candidates, found, strict=True)
        ]


class _Rounds:
    """One prompt's comparisons: what to ask next, and what was answered."""

    def __init__(self, candidates: Sequence[Candidate], plan: str) -> None:
        self.candidates, self._plan = candidates, plan
        self.verdicts: list[Judgment] = []
        self._first_wins: dict[Two, float | None] = {}
        """By the order shown: the probability that the first one is better."""
        self._left: list[int] = list(range(len(candidates)))

    def next(self) -> list[Two]:
        """What this round compares, both orders of two side by side; nothing when all is done."""
        if self._plan == "all":
            return [] if self._first_wins else _both_orders(combinations(self._left, 2))
        if self._first_wins:
            self._left = [self._winner(*self._left[i : i + 2]) for i in range(0, len(self._left), 2)]
        return _both_orders(zip(self._left[::2], self._left[1::2], strict=False))

    def take(self, two: Two, verdicts: Sequence[Judgment]) -> None:
        """Note one order's verdicts."""
        self.verdicts += verdicts
        readable = [v.score for v in verdicts if v.score is not None]
        self._first_wins[two] = fmean(readable) if readable else None

    def wins(self) -> dict[Two, float]:
        """Share of the wins between every two whose verdicts could be read in both orders."""
        found = {}
        for (i, j), first_wins in self._first_wins.items():
            turned = self._first_wins[j, i]
            if first_wins is not None and turned is not None:
                found[i, j] = (first_wins + 1 - turned) / 2
        return found

    def _winner(self, one: int, other: int | None = None) -> int:
        # One that has nobody to meet goes on; so does the earlier one where nothing could be read, or they are equal.
        if other is None:
            return one
        return other if self.wins().get((one, other), 0.5) < 0.5 else one


def _both_orders(pairs: Iterable[Two]) -> list[Two]:
    return [order for i, j in pairs for order in ((i, j), (j, i))]


def _comparison(candidates: Sequence[Candidate], two: Two) -> Comparison:
    first, second = (candidates[i] for i in two)
    ids, texts = (first.response_id, second.response_id), (first.response, second.response)
    return Comparison(first.prompt_id, ids, first.prompt, texts, first.reference)
