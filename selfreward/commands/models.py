"""``selfreward merge`` and ``selfreward train-reward``: models that stand by themselves."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.options import RUNS, Overrides, RunName, RunsDir, find_run, say

Iteration = Annotated[int, typer.Option("-i", "--iteration", min=0, help="Which iteration.")]
Out = Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Where to write it; must not be there yet.")]


def merge(run: RunName, iteration: Iteration, out: Out, runs_dir: RunsDir = RUNS) -> None:
    """Write an iteration's model by itself, whether it trained an adapter or all weights: safetensors."""
    from selfreward.merging import merge as merge_model
    from selfreward.storage.run import RunStore

    made = merge_model(RunStore(find_run(run, runs_dir)), iteration, out)
    say(f"{made}: M{iteration + 1}, with tokenizer, chat template and README.md; transformers and vLLM load it")


def train_reward(
    run: RunName, iteration: Iteration, out: Out, set_: Overrides = None, runs_dir: RunsDir = RUNS
) -> None:
    """Train a reward model on an iteration's pairs; settings are those of training, such as learning_rate=1e-4."""
    from selfreward.progress import Reporter
    from selfreward.reward_training import read_settings
    from selfreward.reward_training import train_reward as train_model
    from selfreward.storage.run import RunStore

    objective = read_settings(set_ or ())
    reporter = Reporter()
    with reporter.stage("reward model", 1, 0) as advance:
        store = RunStore(find_run(run, runs_dir))
        result = train_model(store, iteration, out, objective, lambda step, steps: advance(step / steps), reporter.say)
    left_out = result.counts["drop.too_long"]
    note = f", {left_out} longer than max_length={objective.max_length} left out" if left_out else ""
    last = result.steps[-1]
    say(f"{out}: a reward model of {result.counts['rows']} pairs{note}; loss {last['loss']:.3f} in the last step")
