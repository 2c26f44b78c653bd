"""The training process: what it says when it fails, and that it never outlives its parent's wish."""

import json
from pathlib import Path

import pytest
from training_jobs import MakeJob, Watched, example, pair

from selfreward.errors import TrainingError
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import KeepBestConfig, LoraConfig
from selfreward.objectives.sft import SFTConfig
from selfreward.training.process import train

pytestmark = pytest.mark.slow


def test_sft_reports_steps_and_saves_a_sorted_adapter(make_job: MakeJob, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    objective = SFTConfig(batch_size=2, micro_batch_size=1, epochs=3, learning_rate=3e-3)
    result = train(make_job(objective, [example(0)] * 4), "k", tmp_path / "out", lambda *s: seen.append(s), print)
    assert seen == [(n, 6) for n in range(1, 7)]
    assert len(result.steps) == 6
    assert result.steps[-1]["loss"] < result.steps[0]["loss"]
    assert result.counts == {"rows": 4, "drop.too_long": 0}
    config = json.loads((tmp_path / "out/adapter/adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])
    assert config["r"] == 2
    assert (tmp_path / "out/adapter/adapter_model.safetensors").is_file()


def test_settings_reach_trl(make_job: MakeJob, tmp_path: Path) -> None:
    pairs = [pair(n, words=3) for n in range(4)]
    weak, strong = (
        Watched(make_job(DPOConfig(beta=beta, learning_rate=1e-2, batch_size=4), pairs), tmp_path / str(beta)).train()
        for beta in (0.05, 0.5)
    )
    assert [s["loss"] for s in weak.steps] == [pytest.approx(0.6931, abs=1e-3)]
    slower = DPOConfig(beta=0.5, learning_rate=1e-2, batch_size=2, lr_scheduler="constant", epochs=2)
    constant = train(make_job(slower, pairs), "k", tmp_path / "constant", lambda *_: None, print)
    assert {s["learning_rate"] for s in constant.steps} == {1e-2}
    assert len(constant.steps) == 4
    assert len(strong.steps) == 1


def test_a_root_model_in_4_bits_trains_an_adapter_for_the_full_one(
    make_job: MakeJob, tiny_model: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    rounded = LoraConfig(r=2, alpha=4, load_in_4bit=True)
    sft = make_job(SFTConfig(batch_size=2, epochs=4, learning_rate=2e-2), [example(0)] * 2)
    full = train(sft, "k", tmp_path / "full", lambda *_: None, print)
    result = train(sft.model_copy(update={"lora": rounded}), "k", tmp_path / "sft", lambda *_: None, print)
    assert result.steps[-1]["loss"] < result.steps[0]["loss"]
    assert 1e-5 < abs(result.steps[0]["loss"] - full.steps[0]["loss"]) < 0.5, "it computes with rounded weights"
    dpo = make_job(DPOConfig(batch_size=2, epochs=2, learning_rate=1e-2), [pair(n, words=3) for n in range(2)])
    on = dpo.model_copy(update={"lora": rounded, "parent": str(tmp_path / "sft" / "adapter")})
    result = train(on, "k", tmp_path / "dpo", lambda *_: None, print)
    assert result.steps[0]["loss"] == pytest.approx(0.6931, abs=1e-2)
    assert result.steps[-1]["loss"] != result.steps[0]["loss"]
    root = AutoModelForCausalLM.from_pretrained(tiny_model)
    PeftModel.from_pretrained(root, str(tmp_path / "dpo" / "adapter"))


def test_weights_in_4_bits_can_be_evaluated_between_steps(make_job: MakeJob, tmp_path: Path) -> None:
    objective = DPOConfig(batch_size=2, micro_batch_size=2, keep_best=KeepBestConfig(eval_steps=1, held_out=0.3))
    job = make_job(objective, [pair(n) for n in range(6)], lora=LoraConfig(r=2, load_in_4bit=True))
    result = Watched(job, tmp_path / "out").train()
    assert len(result.candidates) == len(result.steps) == 2


def test_pairs_that_are_too_long_are_left_out_not_cut(make_job: MakeJob, tmp_path: Path) -> None:
    pairs = [pair(0, words=2), pair(1, words=2), pair(2, words=60)]
    result = train(
        make_job(DPOConfig(max_length=80, batch_size=2), pairs), "k", tmp_path / "out", lambda *_: None, print
    )
    assert result.counts == {"rows": 2, "drop.too_long": 1}
    with pytest.raises(TrainingError, match=r"all 3 rows are longer than train\.max_length=16"):
        train(make_job(DPOConfig(max_length=16), pairs), "k", tmp_path / "none", lambda *_: None, print)


def test_a_step_of_so_many_tokens(make_job: MakeJob, tmp_path: Path) -> None:
    pairs = [pair(n, words=2 + n % 3) for n in range(16)]
    by_one = train(make_job(DPOConfig(batch_size=1), pairs), "k", tmp_path / "one", lambda *_: None, print)
    assert by_one.cost is not None
    asked = 5 * by_one.cost.tokens // 16  # five pairs of the usual length
    result = train(make_job(DPOConfig(batch_tokens=asked), pairs), "k", tmp_path / "out", lambda *_: None, print)
    assert (by_one.batch_size, result.batch_size, len(result.steps)) == (1, 4, 4)
    assert result.summary()["batch_size"] == 4
    assert result.cost is not None
    assert result.cost.tokens == by_one.cost.tokens


def test_a_loss_that_is_not_a_number_stops(make_job: MakeJob, tmp_path: Path) -> None:
    objective = SFTConfig(learning_rate=1e30, max_grad_norm=1e30, epochs=4, batch_size=1)
    seen: list[tuple[int, int]] = []
    with pytest.raises(TrainingError, match=r"not a number in step \d+; try a lower sft\.learning_rate"):
        train(
            make_job(objective, [example(n) for n in range(4)]), "k", tmp_path / "out", lambda *s: seen.append(s), print
        )
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
    make_job: MakeJob, tmp_path: Path, modules: tuple[str, ...], message: str | None
) -> None:
    wanted = make_job(SFTConfig(), [example(0)]).model_copy(update={"lora": LoraConfig(r=2, target_modules=modules)})
    if message is None:
        train(wanted, "k", tmp_path / "out", lambda *s: None, print)
    else:
        with pytest.raises(TrainingError, match=message):
            train(wanted, "k", tmp_path / "out", lambda *s: None, print)


def test_a_process_that_dies_is_named_with_its_last_words(make_job: MakeJob, tmp_path: Path) -> None:
    broken = make_job(SFTConfig(), [example(10**6)])  # there is no such token
    with pytest.raises(TrainingError, match=r"ended with status 1(.|\n)*training\.log(.|\n)*index out of range"):
        train(broken, "k", tmp_path / "out", lambda *_: None, print)


def test_an_error_here_ends_the_process(make_job: MakeJob, tmp_path: Path) -> None:
    import psutil

    def interrupt(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    before = set(psutil.Process().children())  # a browser that other tests started, for one
    with pytest.raises(KeyboardInterrupt):
        train(make_job(SFTConfig(epochs=500), [example(n) for n in range(4)]), "k", tmp_path / "out", interrupt, print)
    assert set(psutil.Process().children()) <= before
