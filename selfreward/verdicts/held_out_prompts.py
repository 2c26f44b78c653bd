"""Held-out prompts to compare models on: those of a file that the models were not trained on."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfreward.records import EFTSeed, IFTSeed, Prompt, content_id
from selfreward.seeding.draws import draw, plain
from selfreward.seeding.prompt_file import read_prompts
from selfreward.storage.run import RunStore


@dataclass(frozen=True)
class HeldOutPrompts:
    """What is asked, and what is not."""

    prompts: list[Prompt]
    """In the file's order."""
    left_out: Counter[str]
    """``duplicate``, ``among_seeds``, ``among_prompts`` (of the run's iterations), ``over_limit``."""

    @property
    def said(self) -> str:
        """How many, and why not the others."""
        why = ", ".join(f"{reason} {count}" for reason, count in sorted(self.left_out.items()))
        return f"{len(self.prompts)} held-out prompts" + (f" (left out: {why})" if why else "")


def held_out_prompts(
    path: Path, run: RunStore, last: int, *, limit: int | None = None, seed: int = 0
) -> HeldOutPrompts:
    """The file's prompts, each once, without the run's seeds and the prompts of its iterations up to ``last``.

    They are compared as words, whatever their case and spaces. With ``limit``, so many are drawn by their words: a
    larger limit holds what a smaller held.

    Raises:
        SeedError: the file cannot be read or has bad rows.
    """
    seeds, trained = set(_seeds(run)), set(_prompts(run, last))
    left_out: Counter[str] = Counter()
    found: dict[str, str] = {}
    for text, _ in read_prompts(path):
        words = plain(text)
        reason = "among_seeds" if words in seeds else "among_prompts" if words in trained else None
        if reason or words in found:
            left_out[reason or "duplicate"] += 1
        else:
            found[words] = text
    if limit is not None and len(found) > limit:
        drawn = set(sorted(found, key=lambda words: draw(seed, "comparison", words))[:limit])
        left_out["over_limit"] = len(found) - limit
        found = {words: text for words, text in found.items() if words in drawn}
    return HeldOutPrompts([_prompt(text) for text in found.values()], left_out)


def _prompt(text: str) -> Prompt:
    # By its words alone: iterations that are compared on the same file have the same prompts.
    return Prompt(id=content_id("p", "held out", text), text=text, iteration=0)


def _seeds(run: RunStore) -> Iterator[str]:
    first = run.iteration(0) if 0 in run.iterations() else None
    if first is not None and first.stage("seeds_ift"):
        yield from (plain(seed.instruction) for seed in first.stored("seeds_ift", IFTSeed).records())
    if first is not None and first.stage("seeds_eft"):
        yield from (plain(seed.instruction) for seed in first.stored("seeds_eft", EFTSeed).records())


def _prompts(run: RunStore, last: int) -> Iterator[str]:
    for t in run.iterations():
        it = run.iteration(t)
        if 0 < t <= last and it.stage("prompts"):
            yield from (plain(prompt.text) for prompt in it.stored("prompts", Prompt).records())
