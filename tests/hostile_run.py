"""A run whose every text is an attack on whoever shows it."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from fixture_run import add, iteration_about

from selfreward.config import make_config
from selfreward.pair_rules.best_worst import BestWorstConfig
from selfreward.records import (
    IFTSeed,
    Judgment,
    Message,
    PreferencePair,
    Prompt,
    Response,
    content_id,
    key_settings,
)
from selfreward.resources import find
from selfreward.storage.run import RunStore

AWAY = "http://elsewhere.example"


def attacks() -> list[str]:
    """All of viewer/attacks.yaml."""
    path = Path(__file__).parent / "viewer" / "attacks.yaml"
    kinds: dict[str, list[str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [text.replace("{away}", AWAY) for texts in kinds.values() for text in texts]


def build_hostile_run(path: Path, texts: Sequence[str]) -> RunStore:
    """A run with two iterations; each has a prompt, two responses, two judgments and a pair of each text."""
    run = RunStore.create(path)
    recipe = {"model": "builtin:smollm2-135m-instruct", "seeds": {"ift": str(find("seeds", "ift.jsonl"))}}
    changes = {"name": path.name, "runs_dir": str(path.parent), "iterations": 2, "description": texts[0]}
    run.save_config(make_config(recipe, changes, "hostile run"))
    first = run.begin_iteration(0, iteration_about)
    seeds = [
        IFTSeed(
            id=f"ift-{n}", messages=tuple(Message(role=role, content=text) for role in ("user", "assistant")), line=n
        )
        for n, text in enumerate(texts)
    ]
    add(first, "seeds_ift", seeds, IFTSeed)
    for t in (1, 2):
        _iteration(run, t, texts)
    return run


def _iteration(run: RunStore, t: int, texts: Sequence[str]) -> None:
    it = run.begin_iteration(t, iteration_about)
    prompts = [
        Prompt(id=content_id("p", t, n), text=text, iteration=t, few_shot_ids=(f"ift-{n}",), raw=text, model=text[:80])
        for n, text in enumerate(texts)
    ]
    responses = [_response(prompt, index) for prompt in prompts for index in range(2)]
    add(it, "prompts", prompts, Prompt)
    add(it, "responses", responses, Response)
    add(it, "judgments", [_judgment(response) for response in responses], Judgment)
    rule = {"pairs": key_settings(BestWorstConfig())}
    pairs = [
        _pair(*three, number) for number, three in enumerate(zip(prompts, responses[::2], responses[1::2], strict=True))
    ]
    add(it, "pairs", pairs, PreferencePair, settings=rule)


def _response(prompt: Prompt, index: int) -> Response:
    return Response(
        id=content_id("r", prompt.id, index),
        prompt_id=prompt.id,
        index=index,
        text=f"{prompt.text} {index}",
        reasoning=prompt.text,
        token_ids=tuple(range(5 + index)),
        finish_reason="stop",
        prompt_tokens=3,
        special_tokens=False,
        model=prompt.model,
    )


def _judgment(response: Response) -> Judgment:
    return Judgment(
        id=content_id("j", response.id),
        prompt_id=response.prompt_id,
        response_ids=(response.id,),
        method="sampled",
        rubric="additive_5pt@00000000",
        sample=0,
        score=float(4 - response.index),
        raw=response.text,
        unreadable=(response.text,),
        prompt_tokens=9,
        model=response.model,
    )


def _pair(prompt: Prompt, chosen: Response, rejected: Response, number: int) -> PreferencePair:
    return PreferencePair(
        id=f"pair-{number:02d}",
        prompt=(Message(role="user", content=prompt.text),),
        chosen=(Message(role="assistant", content=chosen.text),),
        rejected=(Message(role="assistant", content=rejected.text),),
        prompt_id=prompt.id,
        chosen_id=chosen.id,
        rejected_id=rejected.id,
        chosen_score=4.0,
        rejected_score=3.0,
        margin=1.0,
        chosen_token_ids=chosen.token_ids,
        rejected_token_ids=rejected.token_ids,
        retokenised=False,
    )
