"""The training process: what it says when it fails, and that it never outlives its parent's wish."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from selfreward.engines.loading import ModelConfig
from selfreward.errors import TrainingError
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import LoraConfig
from selfreward.objectives.sft import SFTConfig
from selfreward.records import Example, Message, PreferencePair
from selfreward.storage.tables import write_table
from selfreward.training.job import TrainingJob
from selfreward.training.process import train

pytestmark = pytest.mark.slow


def _example(n: int) -> Example:
    messages = (Message(role="user", content="q"), Message(role="assistant", content="a"))
    ids = (1, 4093, 198, 97, 2, 198, 520 + n, 530, 2)
    return Example(id=f"e{n}", seed_id="s", kind="ift", messages=messages, input_ids=ids, response_start=6)


def _pair(n: int, words: int) -> PreferencePair:
    def said(word: str) -> tuple[Message, ...]:
        return (Message(role="assistant", content=f"{word} " * words),)

    return PreferencePair(
        id=f"pair{n}",
        prompt=(Message(role="user", content="Say it."),),
        chosen=said("yes"),
        rejected=said("no"),
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


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> Callable[..., TrainingJob]:
    def make(objective: SFTConfig | DPOConfig, rows: list[Example] | list[PreferencePair]) -> TrainingJob:
        write_table(tmp_path / "data.parquet", rows, type(rows[0]))
        return TrainingJob(
            section="sft" if isinstance(objective, SFTConfig) else "train",
            objective=objective,
            model=ModelConfig(name=str(tiny_model)),
            adapter=None,
            lora=LoraConfig(r=2, alpha=4),
            data=(str(tmp_path / "data.parquet"),),
            seed=1,
        )

    return make


def test_sft_reports_steps_and_saves_a_sorted_adapter(job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    objective = SFTConfig(batch_size=2, micro_batch_size=1, epochs=3, learning_rate=3e-3)
    result = train(job(objective, [_example(0)] * 4), tmp_path / "out", lambda *s: seen.append(s))
    assert seen == [(n, 6) for n in range(1, 7)]
    assert len(result.steps) == 6
    assert result.steps[-1]["loss"] < result.steps[0]["loss"]
    assert result.counts == {"rows": 4, "drop.too_long": 0}
    config = json.loads((tmp_path / "out/adapter/adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])
    assert config["r"] == 2
    assert (tmp_path / "out/adapter/adapter_model.safetensors").is_file()


def test_settings_reach_trl(job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    pairs = [_pair(n, words=3) for n in range(4)]
    weak, strong = (
        train(job(DPOConfig(beta=beta, learning_rate=1e-2, batch_size=4), pairs), tmp_path / str(beta), lambda *_: None)
        for beta in (0.05, 0.5)
    )
    assert [s["loss"] for s in weak.steps] == [pytest.approx(0.6931, abs=1e-3)]
    slower = DPOConfig(beta=0.5, learning_rate=1e-2, batch_size=2, lr_scheduler="constant", epochs=2)
    constant = train(job(slower, pairs), tmp_path / "constant", lambda *_: None)
    assert {s["learning_rate"] for s in constant.steps} == {1e-2}
    assert len(constant.steps) == 4
    assert len(strong.steps) == 1


def test_a_root_model_in_4_bits_trains_an_adapter_for_the_full_one(
    job: Callable[..., TrainingJob], tiny_model: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    rounded = LoraConfig(r=2, alpha=4, load_in_4bit=True)
    sft = job(SFTConfig(batch_size=2, epochs=4, learning_rate=2e-2), [_example(0)] * 2)
    full = train(sft, tmp_path / "full", lambda *_: None)
    result = train(sft.model_copy(update={"lora": rounded}), tmp_path / "sft", lambda *_: None)
    assert result.steps[-1]["loss"] < result.steps[0]["loss"]
    assert 1e-5 < abs(result.steps[0]["loss"] - full.steps[0]["loss"]) < 0.5, "it computes with rounded weights"
    dpo = job(DPOConfig(batch_size=2, epochs=2, learning_rate=1e-2), [_pair(n, words=3) for n in range(2)])
    on = dpo.model_copy(update={"lora": rounded, "adapter": str(tmp_path / "sft" / "adapter")})
    result = train(on, tmp_path / "dpo", lambda *_: None)
    assert result.steps[0]["loss"] == pytest.approx(0.6931, abs=1e-2)
    assert result.steps[-1]["loss"] != result.steps[0]["loss"]
    root = AutoModelForCausalLM.from_pretrained(tiny_model)
    PeftModel.from_pretrained(root, str(tmp_path / "dpo" / "adapter"))


def test_pairs_that_are_too_long_are_left_out_not_cut(job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    pairs = [_pair(0, words=2), _pair(1, words=2), _pair(2, words=60)]
    result = train(job(DPOConfig(max_length=80, batch_size=2), pairs), tmp_path / "out", lambda *_: None)
    assert result.counts == {"rows": 2, "drop.too_long": 1}
    with pytest.raises(TrainingError, match=r"all 3 rows are longer than train\.max_length=16"):
        train(job(DPOConfig(max_length=16), pairs), tmp_path / "none", lambda *_: None)


def test_a_loss_that_is_not_a_number_stops(job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    objective = SFTConfig(learning_rate=1e30, max_grad_norm=1e30, epochs=4, batch_size=1)
    seen: list[tuple[int, int]] = []
    with pytest.raises(TrainingError, match=r"not a number in step \d+; try a lower sft\.learning_rate"):
        train(job(objective, [_example(n) for n in range(4)]), tmp_path / "out", lambda *s: seen.append(s))
    assert 0 < len(seen) < 16, "it stops where it goes wrong"
    assert not (tmp_path / "out" / "adapter").exists()


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (("q_proj", "no_such_layer"), None),
        (("no_such_layer",), r"lora\.target_modules: .*no_such_layer"),
        (("q_proj", "lm_head"), r"lora\.target_modules names the word embeddings or the output layer"),
        (("embed_tokens",), r"lora\.target_modules names the word embeddings or the output layer"),
    ],
)
def test_layers_that_can_have_no_adapter(
    job: Callable[..., TrainingJob], tmp_path: Path, modules: tuple[str, ...], message: str | None
) -> None:
    wanted = job(SFTConfig(), [_example(0)]).model_copy(update={"lora": LoraConfig(r=2, target_modules=modules)})
    if message is None:
        train(wanted, tmp_path / "out", lambda *s: None)
    else:
        with pytest.raises(TrainingError, match=message):
            train(wanted, tmp_path / "out", lambda *s: None)


def test_a_process_that_dies_is_named_with_its_last_words(job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    broken = job(SFTConfig(), [_example(10**6)])  # there is no such token
    with pytest.raises(TrainingError, match=r"ended with status 1(.|\n)*training\.log(.|\n)*index out of range"):
        train(broken, tmp_path / "out", lambda *_: None)


def test_an_error_here_ends_the_process(job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    import psutil

    def interrupt(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job(SFTConfig(epochs=500), [_example(n) for n in range(4)]), tmp_path / "out", interrupt)
    assert psutil.Process().children() == []
