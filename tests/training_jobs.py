"""Small training jobs on the tiny model, and training processes that something happens to."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from selfreward.engines.loading import ModelConfig
from selfreward.objectives import ObjectiveConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.objectives.reward import RewardConfig
from selfreward.objectives.sft import SFTConfig
from selfreward.records import Example, Labelled, Message, PreferencePair
from selfreward.storage.tables import write_table
from selfreward.training.job import TrainingJob, TrainingResult
from selfreward.training.process import train

Row = Example | PreferencePair | Labelled
WORDS = ("yes", "oak", "tree", "stone", "long", "river", "green", "old")


def example(n: int) -> Example:
    messages = (Message(role="user", content="q"), Message(role="assistant", content="a"))
    ids = (1, 4093, 198, 97, 2, 198, 520 + n, 530, 2)
    return Example(id=f"e{n}", seed_id="s", kind="ift", messages=messages, input_ids=ids, response_start=6)


def _says(text: str) -> tuple[Message, ...]:
    return (Message(role="assistant", content=text),)


def pair(n: int, words: int = 3) -> PreferencePair:
    return PreferencePair(
        id=f"pair{n}",
        prompt=(Message(role="user", content="Say it."),),
        chosen=_says(f"{WORDS[n % len(WORDS)]} " * words),
        rejected=_says("no " * words),
        prompt_id=f"p{n}",
        chosen_id=f"c{n}",
        rejected_id=f"r{n}",
        chosen_score=4,
        rejected_score=1,
        margin=3,
        chosen_token_ids=(1,),
        rejected_token_ids=(2,),
        retokenised=False,
    )


def labelled(n: int) -> Labelled:
    return Labelled(
        id=f"l{n}",
        prompt=(Message(role="user", content="Say it."),),
        completion=_says(f"{WORDS[n % len(WORDS)]} " * 3),
        label=n % 2 == 0,
        prompt_id=f"p{n // 2}",
        response_id=f"r{n}",
        score=float(n % 2),
        token_ids=(1,),
        retokenised=False,
    )


def rows_for(kind: str, count: int) -> list[Row]:
    """What an objective of this type learns from."""
    return [labelled(n) if kind in ("kto", "sft") else pair(n) for n in range(count)]


MakeJob = Callable[..., TrainingJob]


@pytest.fixture
def make_job(tiny_model: Path, tmp_path: Path) -> MakeJob:
    def make(objective: ObjectiveConfig | RewardConfig, rows: Sequence[Row], **settings: Any) -> TrainingJob:
        data = tmp_path / f"data-{len(list(tmp_path.glob('data-*')))}.parquet"
        write_table(data, rows, type(rows[0]))
        about: dict[str, Any] = {
            "section": "sft" if isinstance(objective, SFTConfig) else "train",
            "objective": objective,
            "model": ModelConfig(name=str(tiny_model)),
            "parent": None,
            "lora": LoraConfig(r=2, alpha=4),
            "data": (str(data),),
            "seed": 1,
        }
        return TrainingJob(**{**about, **settings})

    return make


class Watched:
    """A training whose progress and notices are kept."""

    def __init__(self, job: TrainingJob, out: Path, key: str = "k") -> None:
        self.job, self.out, self.key = job, out, key
        self.seen: list[tuple[int, int]] = []
        self.said: list[str] = []

    def train(self) -> TrainingResult:
        return train(self.job, self.key, self.out, lambda *step: self.seen.append(step), self.said.append)

    @property
    def weights(self) -> bytes:
        (file,) = (self.out / self.job.makes).glob("*.safetensors")
        return file.read_bytes()

    @property
    def log(self) -> str:
        return (self.out / "training.jsonl").read_text()


@pytest.fixture
def happens(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets something happen in training processes from now on, as training_hooks.py has it; nothing with ``""``."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr("selfreward.training.process._CHILD", "training_hooks")
    monkeypatch.setenv("TRAINING_HOOK", "")
    return lambda what: monkeypatch.setenv("TRAINING_HOOK", what)
