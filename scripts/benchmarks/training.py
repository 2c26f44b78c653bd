"""DPO steps on an adapter through us against TRL's own trainer, and its memory against that of a second full model.

Each side of each round is a process of its own that starts the one that trains, so that times are taken in the same way
and a peak of memory is no other's: ``python -m benchmarks.training SIDE DIRECTORY`` prints one line of JSON.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import workload
from benchmarks.measured import Figure, Measured, Setting, environment
from benchmarks.turns import Rounds, Work, as_json, ratio, take_turns
from selfreward.engines.loading import ModelConfig, load_weights, torch_device, training_dtype
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.records import Message, PreferencePair, content_id
from selfreward.storage.tables import write_table
from selfreward.training.job import TrainingJob
from selfreward.training.process import train

TITLE = "DPO steps through us against TRL's trainer by itself; one copy of the root model against two"
_TARGET = 1.03
_ROUNDS, _STEPS, _BATCH = 6, 8, 2
_PEAKS = 3
"""Rounds of the second copy: peaks of memory differ less than times."""
_GIB = 2**30
_WARM_UP = 1
"""Steps that are not counted: the first one makes room for the optimiser."""
JOB, PAIRS = "job.json", "pairs.parquet"
OURS, STRAIGHT, TWO_COPIES = "ours", "straight", "two-copies"


def measure(setting: Setting) -> Measured:
    """Ours and TRL's take turns; the second copy's memory is taken once a round besides."""
    weights = prepare(setting, _STEPS if not setting.tiny else 3)
    peaks: dict[str, list[float]] = {name: [] for name in SIDES}

    def side(name: str, number: int) -> Work:
        found = _in_fresh_process(name, setting.scratch)
        peaks[name].append(found["peak_gib"])
        return Work(found["steps"], found["seconds"])

    rounds: Rounds = take_turns(partial(side, OURS), partial(side, STRAIGHT), setting, _ROUNDS)
    figures = [Figure("time of a step, through us over TRL's own", 1 / ratio(rounds), "x", _TARGET, "at most")]
    if torch_device().type == "cpu":  # the peak of a process says nothing of an accelerator's memory
        for number in range(min(len(rounds), _PEAKS)):
            side(TWO_COPIES, number)
        figures.append(Figure("peak memory of training", median(peaks[OURS]), "GiB"))
    if peaks[TWO_COPIES] and not setting.tiny:  # a tiny model is lost in what else changes from one process to the next
        saved = median(peaks[TWO_COPIES]) - median(peaks[OURS])
        figures.append(Figure("memory saved against a second full model, in models", saved / weights, "x", 1.0))
    details = {"model_gib": round(weights, 3), "peak_gib": peaks, "batch": _BATCH, **as_json(rounds, OURS, STRAIGHT)}
    return Measured(figures, details)


def prepare(setting: Setting, steps: int) -> float:
    """The job, its pairs, and an adapter to go on from; gives the GiB of the root model as it is held in training."""
    from peft import get_peft_model

    directory, lora = setting.scratch, LoraConfig()
    write_table(directory / PAIRS, _pairs(steps * _BATCH), PreferencePair)
    model: Any = load_weights(ModelConfig(name=setting.model), training_dtype())
    size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    get_peft_model(model, lora.peft("CAUSAL_LM")).save_pretrained(str(directory / "parent"))
    job = TrainingJob(
        section="train",
        objective=DPOConfig(batch_size=_BATCH, micro_batch_size=_BATCH),
        model=ModelConfig(name=setting.model),
        parent=str(directory / "parent"),
        lora=lora,
        data=(str(directory / PAIRS),),
        seed=0,
    )
    (directory / JOB).write_text(job.model_dump_json(), encoding="utf-8")
    return size / _GIB


def _pairs(count: int) -> list[PreferencePair]:
    """Responses of the EFT seeds, one to each prompt and another prompt's against it."""
    prompts, responses = workload.answered(count)
    made = []
    for prompt, chosen, rejected in zip(prompts, responses, [*responses[1:], responses[0]], strict=True):
        made.append(
            PreferencePair(
                id=content_id("pair", prompt.id),
                prompt=(Message(role="user", content=prompt.text),),
                chosen=(Message(role="assistant", content=chosen.text),),
                rejected=(Message(role="assistant", content=rejected.text),),
                prompt_id=prompt.id,
                chosen_id=chosen.id,
                rejected_id=rejected.id,
                chosen_score=None,
                rejected_score=None,
                margin=None,
                chosen_token_ids=(),
                rejected_token_ids=(),
                retokenised=False,
            )
        )
    return made


def _in_fresh_process(side: str, directory: Path) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.training", side, str(directory)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=environment())
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(side: str, directory: Path) -> dict[str, Any]:
    """One training, seen from the process that starts it."""
    ends: list[float] = []
    SIDES[side](directory, lambda: ends.append(time.perf_counter()))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / _GIB
    return {"steps": len(ends) - _WARM_UP, "seconds": ends[-1] - ends[_WARM_UP - 1], "peak_gib": round(peak, 3)}


def _ours(directory: Path, step: Callable[[], None]) -> None:
    job = TrainingJob.model_validate_json((directory / JOB).read_text(encoding="utf-8"))
    train(job, "", directory / OURS, lambda done, of: step(), print)


def _straight(side: str, directory: Path, step: Callable[[], None]) -> None:
    words = [sys.executable, "-m", "benchmarks.straight_trl", str(directory), side]
    with (directory / f"{side}.log").open("w", encoding="utf-8") as log:
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if line.startswith("step"):
                    step()
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, words)


SIDES: dict[str, Callable[[Path, Callable[[], None]], None]] = {
    OURS: _ours,
    STRAIGHT: partial(_straight, STRAIGHT),
    TWO_COPIES: partial(_straight, TWO_COPIES),
}


def main(arguments: list[str]) -> int:
    """``SIDE DIRECTORY``; prints what was measured as one line of JSON."""
    side, directory = arguments
    print(json.dumps(run(side, Path(directory))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
