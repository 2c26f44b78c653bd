"""Trackers are told of every step and every iteration; what is not installed is refused before anything runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from fixture_run import Command

from selfreward import tracking
from selfreward.config import load_config, make_config
from selfreward.errors import ConfigError, TrackerError
from selfreward.tracking import LoopTrackers, Tracker, Tracking, check_trackers
from selfreward.training.cost import COST


def written(directory: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard would show of a directory of event files: figure -> step -> value."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(directory))
    found.Reload()
    return {tag: {event.step: event.value for event in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("none", ()),
        ("wandb", ("wandb",)),
        (["tensorboard", "mlflow"], ("tensorboard", "mlflow")),
        ([], ()),
        (None, ()),
    ],
)
def test_none_one_or_several(given: Any, expected: tuple[str, ...]) -> None:
    assert make_config({"model": "m", "prompts": {"file": "p"}, "report_to": given}, {}, "test").report_to == expected


@pytest.mark.parametrize(
    ("given", "place"), [("foo", "report_to.0"), (["wandb", "foo"], "report_to.1"), (3, "report_to")]
)
def test_what_is_no_tracker_is_refused(given: Any, place: str) -> None:
    with pytest.raises(ConfigError, match=f"test: {place}: Input should be "):
        make_config({"model": "m", "prompts": {"file": "p"}, "report_to": given}, {}, "test")


@pytest.mark.parametrize("tracker", get_args(Tracker))
def test_accelerate_and_transformers_know_every_tracker(tracker: Tracker) -> None:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS
    from transformers.integrations import get_reporting_integration_callbacks

    assert tracker in LOGGER_TYPE_TO_CLASS
    assert len(get_reporting_integration_callbacks([tracker])) == 1


@pytest.mark.parametrize("tracker", get_args(Tracker))
def test_each_is_begun_under_the_name_of_the_run(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    begun: list[Any] = []
    kind = LOGGER_TYPE_TO_CLASS[tracker]
    monkeypatch.delenv("WANDB_PROJECT", raising=False)

    def start(tracker: Any) -> None:
        begun.append(tracker)

    monkeypatch.setattr(kind, "start", start)
    monkeypatch.setattr(tracking, "_ERRORS", {})
    LoopTrackers(Tracking(trackers=(tracker,), project="demo", directory=str(tmp_path))).open()
    (made,) = begun
    named = made.experiment_name if tracker == "mlflow" else made.run_name
    assert named == ("loop" if tracker == "tensorboard" else "demo")
    if tracker in ("wandb", "trackio"):
        assert made.init_kwargs["name"] == "loop"


@pytest.mark.parametrize(("tracker", "package"), [("wandb", "wandb"), ("tensorboard", r"'selfreward\[tensorboard\]'")])
def test_what_is_not_installed_is_refused_with_the_line_that_installs_it(
    tracker: Tracker, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=f"report_to={tracker}: .* pip install {package}, or leave it out"):
        check_trackers([tracker])


def test_a_tracker_that_cannot_be_reached_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from accelerate.tracking import TensorBoardTracker

    (tmp_path / "loop").write_text("a file where a directory should be")
    told = LoopTrackers(Tracking(trackers=("tensorboard",), project="demo", directory=str(tmp_path)))
    with pytest.raises(TrackerError, match=r"report_to=tensorboard: .* or go on with --set report_to=none"):
        told.open()
    monkeypatch.setattr(tracking, "_ERRORS", {"tensorboard": ("json", "JSONDecodeError")})
    monkeypatch.setattr(TensorBoardTracker, "start", lambda self: json.loads("{"))
    with pytest.raises(TrackerError, match="report_to=tensorboard: Expecting property name"):
        told.open()


def test_the_loop_tells_an_iteration_as_a_step(tmp_path: Path) -> None:
    told = LoopTrackers(Tracking(trackers=("tensorboard",), project="demo", directory=str(tmp_path)))
    told.open()
    told.log(1, {"figures/tie_share": 0.5})
    told.log(2, {"figures/tie_share": 0.25})
    told.close()
    assert written(tmp_path / "loop") == {"figures/tie_share": {1: 0.5, 2: 0.25}}


@pytest.mark.slow
def test_a_run_reports_its_training_and_its_loop(
    command: Command, make_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = make_recipe(tmp_path, report_to="tensorboard", iterations=1)
    code, _, err = command("run", str(recipe))
    assert code == 0, err
    run = tmp_path / "runs" / "tiny"
    steps = [json.loads(line) for line in (run / "iter-001" / "training.jsonl").read_text().splitlines()]
    shown = written(run / "tensorboard" / "iter-001")
    for name in ("loss", "rewards/margins", "logps/chosen", "learning_rate", "grad_norm"):
        assert shown[f"train/{name}"] == {step["step"]: pytest.approx(step[name], rel=1e-4) for step in steps}
    cost = [json.loads(line) for line in (run / "iter-001" / COST).read_text().splitlines()]
    assert list(shown["train/tokens_per_second"]) == [line["step"] for line in cost]
    assert "tokens_per_second" not in steps[0], "equal runs have equal training.jsonl"
    assert "train/loss" in written(run / "tensorboard" / "iter-000")
    metrics = json.loads((run / "iter-001" / "metrics.json").read_text())
    loop = written(run / "tensorboard" / "loop")
    assert loop["figures/score_mean"] == {1: pytest.approx(metrics["score"]["mean"], rel=1e-5)}
    assert loop["figures/tie_share"] == {1: pytest.approx(metrics["tie_share"], rel=1e-5)}
    assert loop["rows/pairs"] == {1: metrics["pairs"]}
    assert {"figures/unreadable_share", "figures/response_mean", "training/peak_memory_gib"} <= loop.keys()
    assert any(name.startswith("drops/") for name in loop)
    assert command("verify", str(run))[0] == 0
    assert command("run", str(recipe))[0] == 0, "a finished run tells nothing again"
    assert len(list((run / "tensorboard" / "loop").iterdir())) == 1
    config = load_config(recipe, ["report_to=none"])
    assert config.report_to == ()
