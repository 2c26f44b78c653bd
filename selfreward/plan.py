"""What a run would do and cost, worked out without the model: rows, tokens, training steps, disk.

Tokens are estimated from characters, typical lengths from the seeds; maxima follow from the recipe.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from selfreward import steps
from selfreward.builtin_model import BUILTIN_NAME, DIRECTORY_NAME, cache_root
from selfreward.config import RunConfig
from selfreward.engines.loading import ModelConfig
from selfreward.judges.pairwise import PairwiseConfig
from selfreward.judges.sampled import SampledConfig
from selfreward.models import resolve_model
from selfreward.objectives.installed import check_installed
from selfreward.objectives.optimiser import LoraConfig, OptimiserConfig
from selfreward.pair_rules.settings import JudgedSettings
from selfreward.records import EFTSeed, Frozen, IFTSeed
from selfreward.storage.run import RUN, RunStore
from selfreward.templates import load_prompt_template

_CHARACTERS_A_TOKEN = 4
_BYTES_A_TOKEN = 6
"""On disk, of a generated token: its id and its share of the text, compressed."""
_REQUESTS_A_PROMPT = 2
"""Typically; the other half is filtered out."""


class StagePlan(Frozen):
    """One stage of one iteration; maxima in ``most_*``."""

    stage: str
    rows: int
    most_rows: int
    tokens_read: int = 0
    tokens_written: int = 0
    most_tokens_written: int = 0
    training_steps: int = 0
    most_bytes: int | None = 0
    """On disk; None where the model's size is not known yet."""


class Plan(Frozen):
    """A whole run."""

    name: str
    path: str
    model: str
    """Where the root model comes from."""
    iterations: int
    sft: tuple[StagePlan, ...]
    """Iteration 0."""
    self_reward: tuple[StagePlan, ...]
    """Each of the iterations after it."""
    finished: tuple[str, ...]
    """What the run has finished already."""
    notices: tuple[str, ...] = ()
    """What is worth knowing and does not stop the run."""

    @property
    def most_bytes(self) -> int | None:
        """Disk space for the whole run."""
        total = 0
        for stages, times in ((self.sft, 1), (self.self_reward, self.iterations)):
            for stage in stages:
                if stage.most_bytes is None:
                    return None
                total += times * stage.most_bytes
        return total


def make_plan(config: RunConfig) -> Plan:
    """The plan of a run; recipe, templates and seeds are checked on the way, and nothing is written.

    Raises:
        SelfRewardError: something that would stop the run.
    """
    ift, eft = steps.read_seeds(config)
    check_installed(config.train, config.lora)
    where, model = _model(config.model)
    adapter = _adapter_bytes(model, config.lora)
    return Plan(
        name=config.run_dir.name,
        path=str(config.run_dir),
        model=where,
        iterations=config.iterations,
        sft=tuple(_sft(config, ift, eft, adapter)),
        self_reward=tuple(_self_reward(config, ift, eft, adapter)) if config.iterations else (),
        finished=tuple(_finished(config.run_dir)),
        notices=tuple(steps.seed_notices(config)),
    )


def _sft(config: RunConfig, ift: list[IFTSeed], eft: list[EFTSeed], adapter: int | None) -> list[StagePlan]:
    plans = [
        StagePlan(stage="seeds_ift", rows=len(ift), most_rows=len(ift)),
        StagePlan(stage="seeds_eft", rows=len(eft), most_rows=len(eft)),
    ]
    if not config.sft.enabled or not (ift or eft):
        return plans
    rubric = _tokens(config.judge.load_rubric().body)
    sizes = [_tokens("".join(m.content for m in seed.messages)) for seed in ift]
    sizes += [rubric + _tokens(seed.instruction + seed.response + seed.rationale) for seed in eft]
    tokens = min(sum(sizes), config.sft.max_tokens or sum(sizes))
    rows = min(len(sizes), max(1, int(tokens / fmean(sizes))))
    examples = StagePlan(stage="examples", rows=rows, most_rows=len(sizes), most_bytes=tokens * _BYTES_A_TOKEN)
    return [*plans, examples, _training("adapter", config.sft, rows, len(sizes), tokens, adapter)]


def _self_reward(config: RunConfig, ift: list[IFTSeed], eft: list[EFTSeed], adapter: int | None) -> list[StagePlan]:
    template = load_prompt_template(config.prompts.template)
    instructions = [_tokens(seed.instruction) for seed in ift] or [50]
    answer = min(config.responses.max_tokens, _typical([seed.messages[-1].content for seed in ift]))
    prompt = min(config.prompts.max_tokens, round(fmean(instructions)))
    count = min(config.prompts.count, len(ift)) if config.prompts.from_seeds else config.prompts.count
    candidates = count * config.responses.n
    asked = _REQUESTS_A_PROMPT * count
    steps.check_prompt_file(config)
    if config.prompts.file is not None or config.prompts.from_seeds:
        prompts = StagePlan(stage="prompts", rows=count, most_rows=count)
    else:
        shown = config.prompts.few_shot_seeds + config.prompts.few_shot_generated
        prompts = StagePlan(
            stage="prompts",
            rows=count,
            most_rows=count,
            tokens_read=asked * (_tokens(template.body) + shown * prompt),
            tokens_written=asked * prompt,
            most_tokens_written=config.prompts.max_attempts * count * config.prompts.max_tokens,
            most_bytes=count * config.prompts.max_tokens * _BYTES_A_TOKEN,
        )
    responses = StagePlan(
        stage="responses",
        rows=candidates,
        most_rows=candidates,
        tokens_read=candidates * prompt,
        tokens_written=candidates * answer,
        most_tokens_written=candidates * config.responses.max_tokens,
        most_bytes=candidates * config.responses.max_tokens * _BYTES_A_TOKEN,
    )
    pairs = config.pairs.most_rows(count, config.responses.n)
    pair_bytes = pairs * 2 * config.responses.max_tokens * _BYTES_A_TOKEN
    trained = pairs * 2 * (prompt + answer)
    return [
        prompts,
        responses,
        *_judged(config, eft, responses, prompt + answer),
        *_measuring(config, eft),
        StagePlan(stage=config.pairs.stage, rows=pairs, most_rows=pairs, most_bytes=pair_bytes),
        _training("adapter", config.train, pairs, pairs, trained, adapter),
        *_comparing(config, eft, answer),
    ]


def _judged(config: RunConfig, eft: list[EFTSeed], responses: StagePlan, material: int) -> list[StagePlan]:
    """What the pair rule looks at: verdicts, and what it asks for besides."""
    if not isinstance(config.pairs, JudgedSettings):
        return []
    judgments = _judging("judgments", config, eft, responses.rows, material)
    if config.pairs.asks == "initial":
        written = responses.model_copy(update={"stage": "initial_responses"})
        return [judgments, written, _judging("initial_judgments", config, eft, responses.rows, material)]
    if config.pairs.asks == "previous":
        return [judgments, _judging("previous_judgments", config, eft, responses.rows, material)]
    return [judgments]


def _measuring(config: RunConfig, eft: list[EFTSeed]) -> list[StagePlan]:
    rows = steps.heldout_rows(config)
    if not rows:
        return []
    sizes = [_tokens(f"{row.prompt}{row.response}") for row in rows]
    stored = StagePlan(
        stage="heldout", rows=len(rows), most_rows=len(rows), most_bytes=sum(sizes) * _CHARACTERS_A_TOKEN
    )
    return [stored, _judging("heldout_judgments", config, eft, len(rows), round(fmean(sizes)))]


def _comparing(config: RunConfig, eft: list[EFTSeed], answer: int) -> list[StagePlan]:
    prompts = steps.comparison_prompts(config)
    if not prompts:
        return []
    count, prompt = len(prompts), round(fmean(map(_tokens, prompts)))
    most = count * config.responses.max_tokens
    asked = StagePlan(stage="compared_prompts", rows=count, most_rows=count)
    written = [
        StagePlan(
            stage=stage,
            rows=count,
            most_rows=count,
            tokens_read=count * prompt,
            tokens_written=count * answer,
            most_tokens_written=most,
            most_bytes=most * _BYTES_A_TOKEN,
        )
        for stage in ("compared_before", "compared_after")
    ]
    judge = config.judge.model_copy(update={"rubric": None, "method": PairwiseConfig()})
    compared = config.model_copy(update={"judge": judge})
    return [asked, *written, _judging("comparison", compared, eft, 2 * count, prompt + 2 * answer)]


def _judging(stage: str, config: RunConfig, eft: list[EFTSeed], candidates: int, material: int) -> StagePlan:
    method = config.judge.method
    read = candidates * (_tokens(config.judge.load_rubric().body) + material)
    if not isinstance(method, SampledConfig):
        return StagePlan(
            stage=stage, rows=candidates, most_rows=candidates, tokens_read=read, most_bytes=candidates * 200
        )
    rows = candidates * method.samples
    most = rows * method.max_tokens * (1 + method.retries)
    return StagePlan(
        stage=stage,
        rows=rows,
        most_rows=rows,
        tokens_read=read,
        tokens_written=rows * min(method.max_tokens, _typical([seed.rationale for seed in eft])),
        most_tokens_written=most,
        most_bytes=most * _BYTES_A_TOKEN,
    )


def _training(
    stage: str, objective: OptimiserConfig, rows: int, most_rows: int, tokens: int, adapter: int | None
) -> StagePlan:
    return StagePlan(
        stage=stage,
        rows=rows,
        most_rows=most_rows,
        tokens_read=round(tokens * objective.epochs),
        training_steps=math.ceil(math.ceil(rows / objective.batch_size) * objective.epochs),
        most_bytes=adapter,
    )


def _model(model: ModelConfig) -> tuple[str, dict[str, Any] | None]:
    """Where the model comes from, and its own config if that is on this machine."""
    if model.name == BUILTIN_NAME:
        directory = cache_root() / "models" / DIRECTORY_NAME
        where = f"{model.name} ({'in the cache' if directory.exists() else 'converted when the run starts'})"
    elif model.name.startswith("builtin:") or Path(model.name).expanduser().exists() or model.name[0] in "/.~":
        directory = Path(resolve_model(model.name, model.revision).path)
        where = f"{model.name} (a directory)"
    else:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(model.name, "config.json", revision=model.revision)
        directory = Path(cached).parent if isinstance(cached, str) else Path()
        where = f"{model.name} (from the Hub{', in its cache' if isinstance(cached, str) else ''})"
    try:
        found: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return where, None
    return where, found


def _adapter_bytes(model: dict[str, Any] | None, lora: LoraConfig) -> int | None:
    """Size of an adapter on all linear layers of a Llama-like model, in float32."""
    if model is None:
        return None
    try:
        hidden, inner, layers = model["hidden_size"], model["intermediate_size"], model["num_hidden_layers"]
        heads = model["num_attention_heads"]
        head = model.get("head_dim") or hidden // heads
        keys = head * (model.get("num_key_value_heads") or heads)
    except (KeyError, TypeError):  # another architecture
        return None
    attention = 2 * (hidden + head * heads) + 2 * (hidden + keys)
    return int(4 * lora.r * layers * (attention + 3 * (hidden + inner)))


def _finished(path: Path) -> Iterator[str]:
    if not (path / RUN).exists():
        return
    run = RunStore(path)
    for t in run.iterations():
        manifest = run.iteration(t).manifest
        stages = ", ".join(name for name, entry in manifest.stages.items() if entry.finished)
        if manifest.finished or stages:
            yield f"iteration {t}" + ("" if manifest.finished else f" ({stages})")


def _tokens(text: str) -> int:
    return max(1, round(len(text) / _CHARACTERS_A_TOKEN))


def _typical(texts: list[str]) -> int:
    return round(fmean([_tokens(text) for text in texts] or [200]))
