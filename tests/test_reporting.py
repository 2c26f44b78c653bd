"""What an iteration says of itself: warnings of its training, once, and figures for trackers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixture_run import Command, replace_stage

from selfreward.progress import Reporter
from selfreward.records import PreferencePair
from selfreward.session import Session
from selfreward.steps.reporting import _figures, warn_of_training
from selfreward.storage.iteration import IterationStore, StageKey
from selfreward.storage.run import RunStore


class Said(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def trained(run: RunStore, steps: list[dict[str, float]]) -> IterationStore:
    """Iteration 2 with twenty pairs, and a training that logged this."""
    it = run.iteration(2)
    (pair,) = it.stored("pairs", PreferencePair).records()
    replace_stage(it, "pairs", [pair.model_copy(update={"id": f"pair-{n}"}) for n in range(20)], PreferencePair)
    log = it.path / ".tmp-log"
    log.write_text("".join(f"{json.dumps(step)}\n" for step in steps), encoding="utf-8")
    it.forget("adapter")
    it.manifest = it.manifest.model_copy(update={"finished": False})
    it.begin("adapter", StageKey(version=1, settings={}, inputs={}))
    it.finish_with_files("adapter", {"training.jsonl": log}, counts={"rows": 20}, seconds=1.0, summary={})
    return it


def step(loss: float, chosen: float, margin: float) -> dict[str, float]:
    rewards = {"rewards/chosen": chosen, "rewards/margins": margin, "rewards/accuracies": 0.9}
    return {"loss": loss, "logps/chosen": -50.0, **rewards}


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (step(0.3, 0.4, 1.0), ()),
        (step(0.3, -2.0, 1.0), ("rewards/chosen, last quarter is -2", "even the chosen responses less likely")),
        (step(0.693, 0.0, 0.001), ("rewards/margins", "loss, last quarter is 0.693", "Try a higher train.learning")),
    ],
)
def test_training_that_went_wrong_is_said(finished_run: RunStore, last: Any, words: tuple[str, ...]) -> None:
    it, said = trained(finished_run, [step(0.693, 0.0, 0.0), *[last] * 3]), Said()
    warn_of_training(Session(finished_run.config(), finished_run, said), it)
    assert bool(said.lines) == bool(words)
    assert all(line.startswith("iter-002 training: ") for line in said.lines)
    assert all(word in "\n".join(said.lines) for word in words)


def test_trackers_are_given_what_diagnose_shows_and_what_was_dropped(finished_run: RunStore) -> None:
    it = finished_run.iteration(1)
    now = {"tie_share": 0.25, "score": {"mean": 2.5}, "response_tokens": {"mean": 20.0}}
    found = dict(_figures(it, now, {}))
    assert found["figures/tie_share"] == 0.25
    assert found["figures/score_mean"] == 2.5
    assert found["figures/response_mean"] == 20.0
    assert (found["rows/pairs"], found["rows/responses"], found["drops/pairs.tie"]) == (1, 9, 1)
    assert all(isinstance(value, int | float) for value in found.values())
    assert not any(name.startswith("figures/") for name in dict(_figures(finished_run.iteration(0), {}, {})))


@pytest.mark.slow
def test_a_run_says_it_once(command: Command, make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    train = {"batch_size": 4, "learning_rate": 1.0e-12}
    prompts = {"count": 16, "max_tokens": 16, "temperature": 1.0, "top_p": 1.0}
    recipe = make_recipe(tmp_path, iterations=1, sft={"enabled": False}, prompts=prompts, train=train)
    code, _, err = command("run", str(recipe))
    assert code == 0, err
    assert "iter-001 training: loss, last quarter is 0.693" in err
    assert "iter-001 training" not in command("run", str(recipe))[2]
