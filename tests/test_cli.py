"""Every command and every option of it acts; data goes to stdout, talk to stderr; text from models stays text."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from fixture_run import NASTY, Command

from selfreward import cli, loop
from selfreward.config import RunConfig
from selfreward.errors import TrainingError
from selfreward.records import PreferencePair, Prompt, Response
from selfreward.resources import find
from selfreward.storage.catalogue import RunStatus, follow, is_running, run_status
from selfreward.storage.run import RunStore, lock_run
from selfreward.terminal import render
from selfreward.training.cost import TrainingCost

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def started(finished_run: RunStore, monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """Configs that `run` would have started; the fixture's run is what came of it."""
    configs: list[RunConfig] = []

    def instead(config: RunConfig) -> RunStore:
        configs.append(config)
        return finished_run

    monkeypatch.setattr(loop, "run", instead)
    return configs


def pair_id(run: RunStore, t: int = 1) -> str:
    (pair,) = run.iteration(t).stored("pairs", PreferencePair).records()
    return pair.id


# run


def test_run_takes_recipe_and_options(command: Command, started: list[RunConfig], tmp_path: Path) -> None:
    recipe = str(find("recipes", "demo.yaml"))
    code, _, _ = command(
        "run", recipe, "-n", "5", "--set", "train.beta=0.3", "--set", "seed=7", "--name", "x", "--runs-dir", "there"
    )
    (config,) = started
    assert code == 0
    assert (config.iterations, config.train.beta, config.seed, config.name) == (5, 0.3, 7, "x")
    assert config.run_dir == Path("there/x")


@pytest.mark.parametrize("recipe", ["recipes/demo.yaml", "demo.yaml", "demo"])
def test_run_finds_the_packaged_recipe(command: Command, started: list[RunConfig], recipe: str) -> None:
    assert command("run", recipe)[0] == 0
    assert started[0].run_dir == Path("runs/demo")
    assert Path(str(started[0].seeds.ift)).is_file()


def test_own_recipe_comes_before_the_packaged_one(command: Command, started: list[RunConfig], tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    own = "model: builtin:smollm2-135m-instruct\nseeds: {ift: x.jsonl}\nname: own\n"
    (tmp_path / "recipes" / "demo.yaml").write_text(own, encoding="utf-8")
    command("run", "recipes/demo.yaml")
    assert started[0].name == "own"


@pytest.mark.parametrize("recipe", ["small", "runs/small"])
def test_run_goes_on_with_a_run(command: Command, started: list[RunConfig], recipe: str) -> None:
    assert command("run", recipe, "-n", "4", "--set", "train.beta=0.3")[0] == 0
    (config,) = started
    assert (config.run_dir, config.iterations, config.train.beta) == (Path("runs/small"), 4, 0.3)


def test_run_that_was_moved_stays_where_it_is(
    command: Command, started: list[RunConfig], finished_run: RunStore, tmp_path: Path
) -> None:
    finished_run.path.rename(tmp_path / "moved")
    command("run", "moved")
    assert started[0].run_dir.resolve() == tmp_path / "moved"


def test_settings_of_a_run_under_a_new_name(command: Command, started: list[RunConfig]) -> None:
    command("run", "small", "--name", "again")
    assert started[0].run_dir == Path("runs/again")


def test_runs_directory_from_the_environment(
    command: Command, started: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFREWARD_RUNS", "elsewhere")
    command("run", "demo")
    assert started[0].run_dir == Path("elsewhere/demo")


def test_run_says_where_everything_is_and_what_next(
    command: Command, started: list[RunConfig], finished_run: RunStore
) -> None:
    _, out, err = command("run", "demo")
    assert out == ""
    for expected in (
        "iter-001/adapter: M2",
        "iter-002/pairs: 1 preference pairs",
        f"{pair_id(finished_run, 2)}",
        "demonstrates the loop",
        "-n 4",
        "0.000 -> 0.500",
    ):
        assert expected in err


def test_what_is_said_to_do_next_works(command: Command, started: list[RunConfig]) -> None:
    _, _, err = command("run", "small", "--runs-dir", "runs")
    lines = [line.strip() for line in err.splitlines() if line.startswith("  selfreward ")]
    assert len(lines) == 5
    for line in lines:
        assert command(*line.split()[1:])[0] == 0


def test_dry_run_prints_and_writes_nothing(command: Command, started: list[RunConfig], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, out, err = command("run", "demo", "--dry-run", "--set", "prompts.count=24")
    assert (code, err, started) == (0, "", [])
    assert "responses" in out
    assert "96" in out
    assert sorted(tmp_path.rglob("*")) == before


def test_stopped_run_says_how_to_go_on(command: Command, started: list[RunConfig], monkeypatch: Any) -> None:
    def interrupted(_: RunConfig) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "run", interrupted)
    code, _, err = command("run", "demo")
    assert code == 130
    assert "the same command goes on" in err


def test_errors_are_a_sentence(command: Command, started: list[RunConfig], monkeypatch: Any) -> None:
    def failing(_: RunConfig) -> None:
        raise TrainingError(f"the loss is {NASTY}")

    monkeypatch.setattr(loop, "run", failing)
    code, out, err = command("run", "demo")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"error: the loss is {render.visible(NASTY)}"
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "demp"), "did you mean recipes/demo.yaml?"),
        (("run", "demo", "--set", "train.bta=1"), "train.bta: no such setting; did you mean beta?"),
        (("run", "demo", "--set", "train.beta"), "expected NAME=VALUE"),
        (("status", "smal"), "did you mean small?"),
        (("show", "small", "pair-x"), "no such item"),
        (("pairs", "small", "-i", "9"), "no iteration 9"),
        (("fork", "small", "--at", "7", "--name", "x"), "no iteration 3"),
        (("fork", "small", "--from-pairs", "7", "--name", "x"), "no iteration 3"),
        (("verify", "nowhere"), "runs in runs: small"),
    ],
)
def test_what_cannot_be_done_ends_with_1(
    command: Command, finished_run: RunStore, arguments: tuple[str, ...], expected: str
) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert expected in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "demo", "-n", "-1"),
        ("pairs", "small"),
        ("pairs", "small", "-i", "1", "--sort", "colour"),
        ("pairs", "small", "-i", "1", "--limit", "0"),
        ("status", "small", "--watch", "--json"),
        ("fork", "small", "--at", "1"),
        ("fork", "small", "--name", "x"),
        ("fork", "small", "--at", "1", "--from-pairs", "2", "--name", "x"),
        ("no-such-command",),
    ],
)
def test_wrong_usage_ends_with_2(command: Command, finished_run: RunStore, arguments: tuple[str, ...]) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err


# looking


def test_status(command: Command, unfinished_run: RunStore) -> None:
    code, out, _ = command("status", "small")
    assert code == 0
    assert "small: 2 of 3 iterations finished; no process is working on it" in out
    assert "run_finished" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["1", "responses", "9/9", "9", "2", "finished"] in lines
    assert [line[1] for line in lines if line[:1] == ["2"]] == [
        "prompts",
        "responses",
        "judgments",
        "pairs",
        "adapter",
        "metrics",
    ]


def test_status_says_what_training_cost(command: Command, unfinished_run: RunStore) -> None:
    it = unfinished_run.iteration(1)
    cost = {"tokens": 5000, "seconds": 20.0, "tokens_per_second": 250.0, "peak_memory_gib": 1.53}
    it.summarise("adapter", {"cost": cost})
    out = " ".join(command("status", "small")[1].split())
    assert out.count("250 tokens/s, 1.5 GiB at most") == 1
    assert [s.cost for s in run_status(unfinished_run).stages if s.cost] == [TrainingCost.model_validate(cost)]


def test_status_as_json(command: Command, unfinished_run: RunStore) -> None:
    status = RunStatus.model_validate_json(command("status", "small", "--json")[1])
    assert status == run_status(unfinished_run).model_copy(update={"path": "runs/small"})
    assert (status.running, status.finished, status.stages[-1].finished) == (False, False, False)


def test_status_knows_how_much_is_left(unfinished_run: RunStore) -> None:
    unfinished_run.events().write("progress", iteration=3, stage="prompts", done=3, total=20)
    last = run_status(unfinished_run).stages[-1]
    assert (last.done, last.total) == (3, 20)


def test_watch_ends_with_the_run(command: Command, finished_run: RunStore) -> None:
    code, out, _ = command("status", "small", "--watch")
    assert code == 0
    assert "iter-002 pairs: 1/1, 1 rows, 2 s, finished" in out
    assert "iter-002 adapter: 10 s, finished" in out
    assert out.count("iter-001 prompts") == 1


def test_watch_says_only_what_is_new(finished_run: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    log = finished_run.events()

    def further(stage: str) -> RunStatus:
        log.write("progress", iteration=2, stage=stage, done=1, total=5)
        return run_status(finished_run)

    render.watch([run_status(finished_run), further("pairs"), further("pairs")])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "iter-002 pairs" in line] == [
        "iter-002 pairs: 1/1, 1 rows, 2 s, finished",
        "iter-002 pairs: 1/5, 1 rows, 2 s, finished",
    ]
    assert len([line for line in lines if "iter-001 pairs" in line]) == 1


def test_watch_stops_on_ctrl_c(command: Command, finished_run: RunStore, monkeypatch: Any) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(render, "watch", interrupted)
    code, _, err = command("status", "small", "--watch")
    assert (code, err) == (0, "no longer watching; the run goes on\n")


def test_a_run_is_followed_until_its_lock_is_free(finished_run: RunStore) -> None:
    assert not is_running(finished_run.path)
    with (finished_run.path / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert is_running(finished_run.path)
        looks = follow(finished_run.path, held.close)
        assert [status.running for status in looks] == [True, False]


def test_looking_does_not_need_or_take_the_lock(finished_run: RunStore) -> None:
    with lock_run(finished_run.path):
        assert is_running(finished_run.path)
    assert not is_running(finished_run.path)
    with lock_run(finished_run.path):
        pass


def test_ls(command: Command, finished_run: RunStore) -> None:
    (finished_run.path.parent / "other").mkdir()
    code, out, _ = command("ls")
    assert code == 0
    (line,) = [line for line in out.splitlines() if "small" in line]
    assert line.split()[:4] == ["small", "finished", "2/2", "2"]
    assert "other" not in out


def test_ls_as_json(command: Command, finished_run: RunStore) -> None:
    (row,) = json.loads(command("ls", "--json", "--runs-dir", "runs")[1])
    assert (row["name"], row["state"], row["pairs"]) == ("small", "finished", 2)


def test_ls_of_nothing(command: Command) -> None:
    code, out, err = command("ls")
    assert (code, out) == (0, "")
    assert "no runs in runs" in err
    assert json.loads(command("ls", "--json")[1]) == []


def test_damaged_run_hides_no_other(command: Command, finished_run: RunStore) -> None:
    broken = finished_run.path.parent / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{}", encoding="utf-8")
    rows = json.loads(command("ls", "--json")[1])
    assert [(row["name"], row["state"]) for row in rows] == [("broken", "damaged"), ("small", "finished")]
    assert "damaged" in rows[0]["problem"]


def test_pairs(command: Command, finished_run: RunStore) -> None:
    code, out, err = command("pairs", "small", "-i", "1", "--sort", "length", "--ascending", "--limit", "5")
    assert code == 0
    figures = "4.000 against 1.500, margin 2.500, variance 0.250\n  10 against 20 tokens"
    assert out.startswith(f"{pair_id(finished_run)}\n  {figures}\n  look: injection\n")
    assert "1 pairs" in err
    assert max(map(len, out.splitlines())) <= 80


def test_pairs_as_json(command: Command, finished_run: RunStore) -> None:
    (row,) = json.loads(command("pairs", "small", "-i", "1", "--json")[1])
    assert row["id"] == pair_id(finished_run)
    assert row["chosen"] == f"answer 0 {NASTY}"


def test_show_explains_a_pair(command: Command, finished_run: RunStore) -> None:
    code, out, _ = command("show", "small", pair_id(finished_run, 2)[:12])
    assert code == 0
    prompt, *_ = finished_run.iteration(2).stored("prompts", Prompt).records()
    chosen, rejected, third = list(finished_run.iteration(2).stored("responses", Response).records())[:3]
    for expected in (
        "ift-0 (seed)\n    Name a colour.",
        "(prompt of iteration 1)",
        f"Prompt {prompt.id} (iteration 2, written by M2)",
        "before cleaning:\n     Task 9: Name a fruit",
        f"{chosen.id} CHOSEN\n    mean score 4.000; 10 tokens, ended by itself; by M2",
        f"{rejected.id} REJECTED\n    mean score 1.500",
        f"{third.id}\n    mean score 3.000",
        ": 4.000\n        sampled, additive_5pt@00000000, by M2\n        Kind 4\n",
        ": unreadable\n        sampled, additive_5pt@00000000, by M2, response shortened for the judge",
        "unreadable try 1:\n          I would rather not.",
        "margin   2.500, at least min_margin 0.5",
        "rule     best_worst",
    ):
        assert expected in out
    assert max(map(len, out.splitlines())) <= 80


def test_show_says_what_the_judge_was_asked(command: Command, finished_run: RunStore) -> None:
    code, out, _ = command("show", "small", pair_id(finished_run), "--judge-prompt")
    assert code == 0
    assert "What the judge was asked" in out
    assert "not any more what the iteration was judged by" in " ".join(out.split())
    found = json.loads(command("show", "small", pair_id(finished_run), "--judge-prompt", "--json")[1])
    assert (found["questions"], found["method"]["type"]) == ([], "sampled")


def test_show_explains_why_there_is_no_pair(command: Command, finished_run: RunStore) -> None:
    _, tie, unusable = (prompt.id for prompt in finished_run.iteration(1).stored("prompts", Prompt).records())
    assert "no pair: all usable candidates have the same score" in command("show", "small", tie)[1]
    out = command("show", "small", unusable)[1]
    assert "no pair: fewer than two candidates can be used" in out
    assert "it was cut off at the length limit" in out
    assert "fewer than min_readable 1 of its verdicts could be read" in " ".join(out.split())


def test_show_marks_what_was_asked_about(command: Command, finished_run: RunStore) -> None:
    response = next(iter(finished_run.iteration(1).stored("responses", Response).records()))
    assert f"{response.id} CHOSEN <-" in command("show", "small", response.id)[1]


@pytest.mark.parametrize(("seed", "text"), [("ift-0", "Blue."), ("eft-0", "Wrong.")])
def test_show_a_seed(command: Command, finished_run: RunStore, seed: str, text: str) -> None:
    out = command("show", "small", seed)[1]
    assert text in out
    assert ("Prompts that were written after it (6)" in out) == (seed == "ift-0")


def test_show_as_json(command: Command, finished_run: RunStore) -> None:
    found = json.loads(command("show", "small", pair_id(finished_run), "--json")[1])
    assert found["prompt"]["text"].startswith(f"Name a fruit that is {NASTY}")
    assert found["decision"]["outcome"] == "pair"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_texts_of_models_cannot_act_on_a_terminal(
    command: Command, finished_run: RunStore, options: tuple[str, ...]
) -> None:
    for arguments in (("show", "small", pair_id(finished_run)), ("pairs", "small", "-i", "1")):
        out = command(*arguments, *options)[1]
        assert "[bold]not markup[/bold]" in " ".join(out.split())
        assert not set("\x1b\u202e\r") & set(out)


def test_visible() -> None:
    assert render.visible("a\tb\nc\r\nd") == "a\tb\nc\nd"
    assert render.visible("\x1b[31m \x07 \x9b \u202e \u2028 \ud800 \r") == (
        "\\x1b[31m \\x07 \\x9b \\u202e \\u2028 \\ud800 \\r"
    )
    assert render.visible("žluťoučký 漢字 👩\u200d👩") == "žluťoučký 漢字 👩\u200d👩"


# keeping


def test_verify(command: Command, finished_run: RunStore) -> None:
    code, out, err = command("verify", "small")
    assert (code, out) == (0, "")
    files = [p for p in finished_run.path.rglob("*") if p.is_file()]
    assert f"all {len(files)} files are what was written" in err


def test_verify_names_every_problem(command: Command, finished_run: RunStore) -> None:
    changed = finished_run.path / "iter-001" / "pairs" / "00000.parquet"
    data = bytearray(changed.read_bytes())
    data[10] ^= 1
    changed.write_bytes(bytes(data))
    (finished_run.path / "iter-002" / "metrics.json").unlink()
    code, out, err = command("verify", "small")
    assert code == 1
    assert len(out.splitlines()) == 2
    assert "pairs/00000.parquet: damaged" in out
    assert "metrics.json: missing" in out
    assert "2 problems" in err
    code, out, _ = command("verify", "small", "--json")
    assert code == 1
    assert len(json.loads(out)["problems"]) == 2


def test_fork_and_going_on(command: Command, finished_run: RunStore, started: list[RunConfig]) -> None:
    code, out, err = command("fork", "small", "--at", "1", "--name", "branch", "--set", "train.beta=0.3")
    assert (code, out) == (0, "")
    line = err.splitlines()[-1].strip()
    assert line == "selfreward run runs/branch -n 2"
    command(*line.split()[1:])
    assert (started[0].run_dir, started[0].train.beta) == (Path("runs/branch"), 0.3)
    assert command("verify", "branch")[0] == 0


def test_doctor(command: Command) -> None:
    code, out, _ = command("doctor", "--runs-dir", "somewhere")
    assert code == 0
    assert "somewhere can be written" in out
    checks = json.loads(command("doctor", "--json")[1])
    assert {check["state"] for check in checks} <= {"ok", "note"}


def test_doctor_ends_with_1_where_something_is_missing(command: Command, monkeypatch: Any) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    code, out, _ = command("doctor")
    assert code == 1
    assert "cannot be written" in out


def test_init_and_the_command_it_names(command: Command, tmp_path: Path) -> None:
    code, out, err = command("init", "mine")
    assert (code, out) == (0, "")
    lines = [line.split() for line in err.splitlines() if line.startswith("  selfreward run")]
    assert command(*lines[0][1:])[0] == 0
    assert command("init", "mine")[0] == 1


# the whole


@pytest.mark.parametrize(
    "name",
    [
        *("run", "status", "ls", "show", "pairs", "compare", "export", "override", "diagnose"),
        *("verify", "fork", "doctor", "init", "view", "report", "merge", "train-reward"),
    ],
)
def test_every_command_helps(command: Command, name: str) -> None:
    code, out, _ = command(name, "--help")
    assert code == 0
    assert f"Usage: selfreward {name}" in out
    assert name in command("--help")[1]


def test_there_is_no_command_without_a_test_of_its_help() -> None:
    (mark,) = (m for m in test_every_command_helps.pytestmark if m.name == "parametrize")
    registered = {info.name or info.callback.__name__ for info in cli.app.registered_commands if info.callback}
    assert registered == set(mark.args[1])
    assert isinstance(cli.app, typer.Typer)


def test_reader_that_goes_away_is_no_error(finished_run: RunStore) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = _cli("ls", "--json", "--runs-dir", str(finished_run.path.parent), stdout=writing)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


def test_output_survives_a_poor_terminal(finished_run: RunStore) -> None:
    done = _cli("show", str(finished_run.path), pair_id(finished_run), env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_sigint_in_a_real_process(finished_run: RunStore) -> None:
    with (finished_run.path / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        child = subprocess.Popen(
            [sys.executable, "-m", "selfreward.cli", "status", str(finished_run.path), "--watch"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("iter-002 metrics"):
                break
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "no longer watching; the run goes on\n")


def _cli(*arguments: str, env: dict[str, str] | None = None, stdout: int = subprocess.PIPE) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "selfreward.cli", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        check=False,
    )


@pytest.mark.slow
def test_a_real_run_from_the_command_line(command: Command, make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    recipe = str(make_recipe(tmp_path))
    code, out, err = command("run", recipe, "-n", "1")
    assert (code, out) == (0, "")
    assert "preference pairs" in err
    runs = str(tmp_path / "runs")
    assert command("verify", "tiny", "--runs-dir", runs)[0] == 0
    (first, *_) = json.loads(command("pairs", "tiny", "-i", "1", "--json", "--runs-dir", runs)[1])
    assert "CHOSEN" in command("show", "tiny", first["id"], "--runs-dir", runs)[1]
    status = json.loads(command("status", "tiny", "--json", "--runs-dir", runs)[1])
    assert (status["finished"], status["running"]) == (True, False)


def test_pairs_says_why_others_gave_none(command: Command, finished_run: RunStore) -> None:
    from selfreward.terminal.report import prompt_yield

    entry = finished_run.iteration(1).manifest.stages["pairs"]
    said = prompt_yield(finished_run, 1)
    assert said.startswith(f"{entry.rows} pairs from {entry.inputs_done} prompts")
    assert said in command("pairs", "small", "-i", "1")[2]


@pytest.mark.parametrize("setting", ["name=other", "runs_dir=elsewhere"])
def test_going_on_with_a_run_does_not_move_it(command: Command, finished_run: RunStore, setting: str) -> None:
    code, _, err = command("run", "small", "--set", setting)
    assert code == 1
    assert "would leave the run that is to go on" in err
    assert finished_run.config().name == "small"
