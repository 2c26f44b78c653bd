"""The other side of ``bench.py training``: TRL's DPOTrainer as its own documentation has it, with the same settings.

``python -m benchmarks.straight_trl DIRECTORY SIDE`` prints a line for each step that is done.
"""

import sys
from pathlib import Path
from typing import Any

from benchmarks.training import JOB, PAIRS, TWO_COPIES
from selfreward.models import resolve_model
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.optimiser import trl_arguments
from selfreward.training.job import TrainingJob


def main(arguments: list[str]) -> int:
    """Train as the job in the directory says; with two copies, against a second full model."""
    import trl
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

    directory, side = Path(arguments[0]), arguments[1]
    job = TrainingJob.model_validate_json((directory / JOB).read_text(encoding="utf-8"))
    config = job.objective
    assert isinstance(config, DPOConfig)
    path = resolve_model(job.model.name).path
    settings = trl_arguments(config, str(directory / side), job.seed)

    def policy(*, trained: bool) -> Any:
        root = AutoModelForCausalLM.from_pretrained(path, dtype="bfloat16" if settings["bf16"] else "float32")
        return PeftModel.from_pretrained(root, str(job.parent), is_trainable=trained)

    class Steps(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            print("step", state.global_step, flush=True)

    trainer: Any = trl.DPOTrainer(
        model=policy(trained=True),
        ref_model=policy(trained=False).merge_and_unload() if side == TWO_COPIES else None,
        args=trl.DPOConfig(**settings, beta=config.at(1).beta, max_length=config.max_length),
        train_dataset=Dataset.from_parquet(str(directory / PAIRS)).select_columns(["prompt", "chosen", "rejected"]),
        processing_class=AutoTokenizer.from_pretrained(path),
        callbacks=[Steps()],
    )
    trainer.train()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
