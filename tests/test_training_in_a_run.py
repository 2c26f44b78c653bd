"""A run whose training is cut off: the next start goes on from the checkpoint, or anew where settings have changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from selfreward.config import load_config
from selfreward.errors import TrainingError
from selfreward.loop import run
from selfreward.progress import Reporter
from selfreward.steps.metrics import cost_log
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify

pytestmark = pytest.mark.slow


class Listening(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_training_goes_on_and_the_run_is_that_of_one_never_cut_off(
    make_recipe: Callable[..., Path], tmp_path: Path, happens: Callable[[str], None]
) -> None:
    recipe = make_recipe(tmp_path, iterations=0)
    often = ["sft.save_steps=1", "sft.max_tokens=2000", "sft.epochs=4"]
    whole = run(load_config(recipe, often, name="whole"))
    happens("kill:2")
    config = load_config(recipe, often, name="cut")
    with pytest.raises(TrainingError, match="killed by signal 9"):
        run(config)
    scratch = config.run_dir / "iter-000" / ".tmp-training"
    assert (scratch / "trainer" / "checkpoint-2").is_dir()
    assert verify(config.run_dir) == []
    happens("")
    reporter = Listening()
    cut = run(config.model_copy(update={"iterations": 0}), reporter)
    assert "training goes on after step 2" in reporter.said
    assert not scratch.exists()
    assert verify(cut.path) == []
    assert _made(cut) == _made(whole)
    trained = cut.iteration(0).manifest.stages["adapter"].summary["steps"]
    assert [step["step"] for step in cost_log(cut.iteration(0))] == [*range(1, trained + 1)], "before the cut too"


def test_other_settings_begin_anew(
    make_recipe: Callable[..., Path], tmp_path: Path, happens: Callable[[str], None]
) -> None:
    recipe = make_recipe(tmp_path, iterations=0)
    often = ["sft.save_steps=1", "sft.max_tokens=2000", "sft.epochs=4"]
    happens("kill:2")
    with pytest.raises(TrainingError):
        run(load_config(recipe, often))
    happens("")
    reporter = Listening()
    store = run(load_config(recipe, [*often, "sft.learning_rate=2.0e-3"]), reporter)
    assert not [said for said in reporter.said if "goes on" in said]
    assert store.iteration(0).manifest.stages["adapter"].settings["sft"]["learning_rate"] == 2e-3


def _made(store: RunStore) -> dict[str, str]:
    files = store.iteration(0).manifest.stages["adapter"].files
    return {file.path: file.sha256 for file in files if not file.timings}
