"""A small finished run on disk, made by hand through the store: no model, no torch.

Iterations 1 and 2 have three prompts of three candidates each: the first gives a pair, the second a tie, the third has
one usable candidate. Texts try to act on a terminal.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from selfreward.config import make_config
from selfreward.pair_rules.best_worst import BestWorstConfig
from selfreward.records import (
    AspectScore,
    EFTSeed,
    Example,
    IFTSeed,
    Judgment,
    Message,
    PreferencePair,
    Prompt,
    Record,
    Response,
    content_id,
    key_settings,
)
from selfreward.resources import find
from selfreward.stages.shard import Shard
from selfreward.storage.iteration import IterationStore, StageKey
from selfreward.storage.run import RunStore

NASTY = "[bold]not markup[/bold] \x1b[31mred\x1b[0m \u202eback"
"""What a model could write to act on a terminal."""
_SCORES = (((4.0, None), (1.0, 2.0), (3.0, 3.0)), ((2.0, 2.0),) * 3, ((5.0, 5.0), (None, None), (1.0, 1.0)))
"""Two verdicts for each of three candidates of each of three prompts."""
_SEED = Message(role="user", content="Name a colour.")


@pytest.fixture(scope="session")
def _finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("hand-made") / "runs" / "small")


@pytest.fixture
def finished_run(_finished_run: Path, tmp_path: Path) -> RunStore:
    """A copy of the finished run, in ``tmp_path / "runs"``, to do anything with."""
    path = tmp_path / "runs" / "small"
    shutil.copytree(_finished_run, path)
    return RunStore(path)


@pytest.fixture
def unfinished_run(finished_run: RunStore) -> RunStore:
    """The run with a third iteration that has prompts and nothing else."""
    it = finished_run.begin_iteration(3, iteration_about)
    add(it, "prompts", _prompts(3), Prompt, finished=False)
    finished_run.save_config(finished_run.config().model_copy(update={"iterations": 3}))
    return finished_run


@pytest.fixture(
    params=[
        {"pairs.type": "spin", "prompts.from_seeds": True, "responses.n": 1},
        {"pairs.type": "threshold", "train.type": "kto", "stop_if.top_score_share": 0.5},
        {"meta_judge": {}, "pairs.min_readable": 3},
    ],
    ids=["spin", "kto", "meta_judge"],
)
def otherwise_trained_run(request: pytest.FixtureRequest, finished_run: RunStore) -> RunStore:
    """The run with a recipe that trains its models by something else."""
    plain = finished_run.config().model_dump(mode="json")
    finished_run.save_config(make_config(plain, request.param, "test"))
    return finished_run


def build_run(path: Path) -> Path:
    """Make the run."""
    run = RunStore.create(path)
    changes: dict[str, Any] = {"name": path.name, "runs_dir": str(path.parent), "iterations": 2}
    recipe = {"model": "builtin:smollm2-135m-instruct", "seeds": {"ift": str(find("seeds", "ift.jsonl"))}}
    run.save_config(make_config(recipe, changes, "fixture"))
    log = run.events()
    log.write("run_started", iterations=2)
    _iteration_0(run)
    for t in (1, 2):
        _iteration(run, t)
        log.write("iteration_finished", iteration=t)
    log.write("run_finished", model="M3")
    return path


def add(
    it: IterationStore,
    stage: str,
    records: Sequence[Record],
    record: type[Record],
    *,
    settings: dict[str, Any] | None = None,
    finished: bool = True,
) -> None:
    """Store a stage in two shards, the second of them empty."""
    it.begin(stage, StageKey(version=1, settings=settings or {}, inputs={}))
    it.add_shard(stage, Shard(list(records), len(records), Counter({"drop.tie": 1})), record, seconds=1.5)
    it.add_shard(stage, Shard([], 0), record, seconds=0.0)
    if finished:
        it.finish(stage)


def replace_stage(
    it: IterationStore,
    stage: str,
    records: Sequence[Record],
    record: type[Record],
    *,
    settings: dict[str, Any] | None = None,
) -> None:
    """Give a finished iteration other records of a stage."""
    it.manifest = it.manifest.model_copy(update={"finished": False})
    it.forget(stage)
    add(it, stage, records, record, settings=settings)
    it.close()


def _iteration_0(run: RunStore) -> None:
    it = run.begin_iteration(0, iteration_about)
    ift = IFTSeed(id="ift-0", messages=(_SEED, Message(role="assistant", content="Blue.")), line=1)
    eft = EFTSeed(id="eft-0", instruction="Add 1 and 1.", response="3", rationale="Wrong.", score=0.0, line=1)
    add(it, "seeds_ift", [ift, ift.model_copy(update={"id": "ift-1", "line": 2})], IFTSeed)
    add(it, "seeds_eft", [eft], EFTSeed)
    example = Example(
        id="ex-0", seed_id="ift-0", kind="ift", messages=ift.messages, input_ids=(1, 2, 3), response_start=2
    )
    add(it, "examples", [example], Example)
    _train(it, {"loss": {"first": 2.0, "last": 1.5}})


def _iteration(run: RunStore, t: int) -> None:
    it = run.begin_iteration(t, iteration_about)
    prompts = _prompts(t)
    responses = [_response(prompt, index) for prompt in prompts for index in range(3)]
    scores = [scores for of_prompt in _SCORES for scores in of_prompt]
    judgments = [
        _judgment(response, sample, score)
        for response, of_response in zip(responses, scores, strict=True)
        for sample, score in enumerate(of_response)
    ]
    add(it, "prompts", prompts, Prompt)
    add(it, "responses", responses, Response)
    add(it, "judgments", judgments, Judgment)
    rule = key_settings(BestWorstConfig(min_margin=0.5))
    add(it, "pairs", [_pair(prompts[0], responses[0], responses[1])], PreferencePair, settings={"pairs": rule})
    _train(it, {"loss": {"first": 0.69, "last": 0.4}, "rewards/margins": {"first": 0.0, "last": 0.25 * t}})


def _prompts(t: int) -> list[Prompt]:
    texts = (f"Name a fruit that is {NASTY}, please, round {t}.", f"Spell banana, round {t}.", f"Count to {t}.")
    earlier = (content_id("p", t - 1, 0),) if t > 1 else ()
    return [
        Prompt(
            id=content_id("p", t, place),
            text=text,
            iteration=t,
            few_shot_ids=("ift-0", *earlier),
            raw=f" Task 9: {text}",
            model=f"M{t}",
        )
        for place, text in enumerate(texts)
    ]


def _response(prompt: Prompt, index: int) -> Response:
    return Response(
        id=content_id("r", prompt.id, index),
        prompt_id=prompt.id,
        index=index,
        text=f"answer {index} {NASTY}",
        token_ids=tuple(range(10 * (index + 1))),
        finish_reason="length" if prompt.text.startswith("Count") and index == 2 else "stop",
        prompt_tokens=12,
        special_tokens=False,
        model=prompt.model,
    )


def _judgment(response: Response, sample: int, score: float | None) -> Judgment:
    return Judgment(
        id=content_id("j", response.id, sample),
        prompt_id=response.prompt_id,
        response_ids=(response.id,),
        method="sampled",
        rubric="additive_5pt@00000000",
        sample=sample,
        score=score,
        aspects=(AspectScore(name="Kind", score=score),) if score is not None and sample == 0 else None,
        raw=f"It says {NASTY}. Score: {'?' if score is None else score:}",
        unreadable=("I would rather not.",) if score is None else (),
        shortened=sample == 1,
        prompt_tokens=200,
        model=response.model,
    )


def _pair(prompt: Prompt, chosen: Response, rejected: Response) -> PreferencePair:
    return PreferencePair(
        id=content_id("pair", chosen.id, rejected.id),
        prompt=(Message(role="user", content=prompt.text),),
        chosen=(Message(role="assistant", content=chosen.text),),
        rejected=(Message(role="assistant", content=rejected.text),),
        prompt_id=prompt.id,
        chosen_id=chosen.id,
        rejected_id=rejected.id,
        chosen_score=4.0,
        rejected_score=1.5,
        margin=2.5,
        chosen_token_ids=chosen.token_ids,
        rejected_token_ids=rejected.token_ids,
        retokenised=False,
    )


def _train(it: IterationStore, summary: dict[str, Any]) -> None:
    adapter = it.path / ".tmp-adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(bytes(16))
    metrics = it.path / ".tmp-metrics.json"
    metrics.write_text(json.dumps({"iteration": it.manifest.iteration}), encoding="utf-8")
    for stage, made in (("adapter", {"adapter": adapter}), ("metrics", {"metrics.json": metrics})):
        it.begin(stage, StageKey(version=1, settings={}, inputs={}))
        it.finish_with_files(stage, made, counts={}, seconds=10.0, summary=summary if stage == "adapter" else {})
    it.close()


def iteration_about() -> dict[str, Any]:
    return {"config": {}, "model": {"name": "none"}, "templates": {}, "environment": {}}


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in ``tmp_path`` and gives (exit code, stdout, stderr)."""
    from selfreward.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("SELFREWARD_RUNS", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        out = capsys.readouterr()
        return code, out.out, out.err

    return run
