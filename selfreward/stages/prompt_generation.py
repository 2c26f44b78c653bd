"""New prompts: the model is shown a few tasks and writes one more (Self-Instruct, Wang et al. 2022, section 2.2)."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from selfreward.engines import FixedModel
from selfreward.engines.chat import Chat
from selfreward.engines.driver import ask
from selfreward.engines.protocol import Completion, Engine, Request, Sampling
from selfreward.errors import StageError
from selfreward.placeholders import fill
from selfreward.records import Frozen, IFTSeed, Message, NotInKey, Prompt, content_id, derive_seed
from selfreward.seeding.prompt_file import read_prompts
from selfreward.stages.prompt_cleaning import clean
from selfreward.stages.prompt_filters import FilterConfig, PromptFilter
from selfreward.stages.shard import Shard
from selfreward.templates import PromptTemplate

VERSION = 2
_MOST_AT_ONCE = 512
"""Requests a round; what a crash can lose of this stage."""


class PromptsConfig(Frozen):
    """Where the prompts of an iteration come from."""

    count: int = Field(default=1000, ge=1)
    """Prompts wanted in each iteration."""
    file: Annotated[str | None, NotInKey] = None
    """A file of prompts (JSONL rows with ``prompt``, or text with one a line) instead of generation; iteration t
    takes the t-th ``count`` of them."""
    from_seeds: Annotated[bool, NotInKey] = False
    """Take the IFT seeds' own instructions instead, each with its response as a reference. An iteration draws ``count``
    of them without replacement, and draws the earlier ones again only when too few are left."""
    model: Annotated[FixedModel | None, NotInKey] = None
    """A fixed model that writes the prompts, as in the paper; M_t itself where not set."""
    template: Annotated[str, NotInKey] = "self_instruct"
    """Name of a file in prompts/prompt_generation/, or the path of one."""
    few_shot_seeds: int = Field(default=6, ge=1)
    """Seed instructions shown in each request."""
    few_shot_generated: int = Field(default=2, ge=0)
    """Earlier generated prompts shown in each request, once there are as many."""
    temperature: float = Field(default=0.6, gt=0)
    """Sampling temperature."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    """Nucleus of the sampling."""
    max_tokens: int = Field(default=256, ge=1)
    """Most tokens of one new prompt."""
    max_attempts: Annotated[int, NotInKey] = Field(default=10, ge=1)
    """Requests for each prompt wanted, after which the stage ends with fewer."""
    filters: FilterConfig = Field(default_factory=FilterConfig)
    """What is dropped."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.from_seeds and (self.file is not None or self.model is not None):
            raise ValueError("from_seeds goes with neither file nor model: prompts come from one place")
        return self


@dataclass(frozen=True)
class PromptWriter:
    """Everything that writing prompts for one iteration needs."""

    config: PromptsConfig
    template: PromptTemplate
    seeds: Sequence[IFTSeed]
    """Shown as examples, and not to be written again."""
    taken: Sequence[str]
    """Other instructions that are not to be written again: those of the EFT seeds."""
    engine: Engine
    chat: Chat
    """The policy's, which will be given the prompts."""
    model: str
    iteration: int
    seed: int

    def rounds(self, earlier: Sequence[Prompt], written: Sequence[Prompt], asked: int) -> Iterator[Shard[Prompt]]:
        """Rounds of requests, each a shard, until enough prompts are kept or the attempts are used up.

        Args:
            earlier: prompts of earlier iterations.
            written: this iteration's prompts so far.
            asked: how many requests were made for them.
        """
        kept = list(written)
        instructions = [seed.instruction for seed in self.seeds]
        known = PromptFilter(self.config.filters, [*instructions, *self.taken, *(p.text for p in earlier)])
        for prompt in kept:
            known.add(prompt.text)
        limit = self.config.count * self.config.max_attempts
        while len(kept) < self.config.count and asked < limit:
            missing = self.config.count - len(kept)
            size = min(max(2 * missing, 8), _MOST_AT_ONCE, limit - asked)
            shard = self._round([*earlier, *kept], known, asked, size, missing)
            kept += shard.records
            asked += size
            yield shard

    def _round(
        self, shown: Sequence[Prompt], known: PromptFilter, asked: int, size: int, missing: int
    ) -> Shard[Prompt]:
        seed = derive_seed(self.seed, asked)
        choose = random.Random(seed)
        examples = [self._few_shot(shown, choose) for _ in range(size)]
        requests = [self._request([text for _, text in shots]) for shots in examples]
        config = self.config
        sampling = Sampling(
            max_tokens=config.max_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            stop=self.template.front.stop,
            seed=seed,
        )
        answers = ask(self.engine, requests, sampling)
        counts = Counter(asked=size)
        written: list[tuple[int, str, Completion]] = []
        for i in range(size):
            counts["tokens.prompt"] += answers[i].prompt_tokens
            if not answers[i].completions:
                counts["drop.request_too_long"] += 1
                continue
            (completion,) = answers[i].completions
            counts["tokens.generated"] += len(completion.token_ids)
            text = clean(completion.text, self.config.filters.language)
            reason = self._spoiled(text, completion)
            if reason:
                counts[f"drop.{reason}"] += 1
            else:
                written.append((i, text, completion))
        records: list[Prompt] = []
        reasons = known.drop_reasons([text for _, text, _ in written])
        for (i, text, completion), reason in zip(written, reasons, strict=True):
            if reason or len(records) == missing:
                counts[f"drop.{reason or 'more_than_wanted'}"] += 1
            else:
                records.append(self._prompt(asked + i, text, completion.text, [id for id, _ in examples[i]]))
        return Shard(records, size, counts)

    def _few_shot(self, shown: Sequence[Prompt], choose: random.Random) -> list[tuple[str, str]]:
        """(id, text) of the tasks to show, in random order; generated ones only once there are enough."""
        generated = self.config.few_shot_generated if len(shown) >= self.config.few_shot_generated else 0
        seeds = min(self.config.few_shot_seeds, len(self.seeds))
        shots = [(s.id, s.instruction) for s in choose.sample(self.seeds, seeds)]
        shots += [(p.id, p.text) for p in choose.sample(shown, generated)]
        choose.shuffle(shots)
        return shots

    def _request(self, texts: Sequence[str]) -> Request:
        front = self.template.front
        lines = [fill(front.example, {"number": str(n), "text": text}) for n, text in enumerate(texts, 1)]
        following = {"next": str(len(texts) + 1)}
        values = {"examples": "\n\n".join(lines), **following}
        words = self.template.render({name: values[name] for name in front.inputs})
        writer = self.engine.chat
        # An endpoint that keeps its tokens to itself is asked in words alone.
        prefill = writer.plain_ids(fill(front.prefill, following)) if front.prefill and writer else []
        return Request((Message(role="user", content=words),), tuple(prefill))

    def _spoiled(self, text: str, completion: Completion) -> str | None:
        if completion.special_tokens or self.chat.spells_special(text):
            return "special_tokens"
        cut_off = completion.finish_reason == "length" and completion.text.rstrip().endswith(text[-20:])
        return "truncated" if text and cut_off else None

    def _prompt(self, place: int, text: str, raw: str, few_shot_ids: Sequence[str]) -> Prompt:
        return Prompt(
            id=content_id("p", self.iteration, place, text),
            text=text,
            iteration=self.iteration,
            few_shot_ids=tuple(few_shot_ids),
            raw=raw,
            model=self.model,
        )


def prompts_from_file(path: Path, count: int, iteration: int) -> Shard[Prompt]:
    """Iteration t's share of a file of prompts: the t-th ``count`` of its rows.

    Raises:
        StageError: the file has no rows left for this iteration.
    """
    rows = read_prompts(path)
    first = (iteration - 1) * count
    own = rows[first : first + count]
    if not own:
        raise StageError(
            f"{path}: {len(rows)} prompts are {len(rows) / count:.3g} iterations of prompts.count={count}; none are "
            f"left for iteration {iteration}: add prompts, lower prompts.count, or ask for fewer iterations with -n"
        )
    records = [
        Prompt(id=content_id("p", iteration, first + i, text), text=text, iteration=iteration, reference=reference)
        for i, (text, reference) in enumerate(own)
    ]
    return Shard(records, len(own))


def single_turns(seeds: Sequence[IFTSeed]) -> list[IFTSeed]:
    """Seeds that are one user's turn and its response, and so a prompt with an answer.

    Raises:
        StageError: none is.
    """
    usable = [one for one in seeds if [m.role for m in one.messages] == ["user", "assistant"]]
    if not usable:
        raise StageError(
            f"prompts.from_seeds: none of the {len(seeds)} IFT seeds is one user's turn with its response; give "
            "seeds.ift such rows, or have prompts written with prompts.from_seeds=false"
        )
    return usable


def prompts_from_seeds(seeds: Sequence[IFTSeed], count: int, iteration: int, seed: int) -> Shard[Prompt]:
    """Iteration t's share of the seeds' instructions; ``seed`` is the same for all iterations.

    All seeds are shuffled and handed out in shares of ``count``; when less than a share is left, they are shuffled
    anew. Dropped as ``conversation``: what is more than one user's turn and its response.

    Raises:
        StageError: no seed is one user's turn and its response.
    """
    usable = single_turns(seeds)
    size = min(count, len(usable))
    turn, place = divmod(iteration - 1, len(usable) // size)
    random.Random(derive_seed(seed, turn)).shuffle(usable)
    records = [
        Prompt(
            id=content_id("p", iteration, one.id),
            text=one.instruction,
            iteration=iteration,
            reference=one.messages[-1].content,
            seed_id=one.id,
        )
        for one in usable[place * size : (place + 1) * size]
    ]
    return Shard(records, len(seeds), Counter({"drop.conversation": len(seeds) - len(usable)}))
