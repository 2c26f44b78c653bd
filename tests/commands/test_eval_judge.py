"""`selfreward eval judge`: what it prints, whom it asks, what it refuses, and that it goes on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixture_run import NASTY, Command

from selfreward.config import make_config
from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Ask, Request, Sampling
from selfreward.engines.transformers import TransformersConfig
from selfreward.storage.durable import file_hash
from selfreward.storage.run import RunStore

BUILTIN = "builtin:smollm2-135m-instruct"
SAMPLED = ("--set", "judge.method.samples=2", "--set", "judge.method.retries=0")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve prompts with three answers each; the best one is the longest in half of them."""
    rows = [
        {"prompt_id": f"q{i}", "prompt": f"Question {i} {NASTY}?", "response": text, "rank": rank, "quality": None}
        for i in range(12)
        for rank, text in enumerate(("good" + "!" * 9 * (i % 2), "fair!!!", f"bad {NASTY}"[: 3 + i]))
    ]
    path = tmp_path / "held.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    monkeypatch.setattr("selfreward.verdicts.measuring.cache_root", lambda: tmp_path / "cache")
    return path


class Judging:
    """Engines in place of the real one, which keep count and can fail."""

    def __init__(self, engine: Any, chat: Chat) -> None:
        self.asked, self.fails_at, self.opened = 0, 10**6, 0
        self.adapters: list[Path | None] = []
        self._engine, self._chat = engine, chat

    def open(self, *_: Any) -> Any:
        made = self._engine(self._chat, _verdict, _logprobs)
        submit = made.submit
        self.opened += 1

        def counted(ask: Ask) -> int:
            if self.asked >= self.fails_at:
                raise KeyboardInterrupt
            self.asked += len(ask.requests)
            return int(submit(ask))

        made.submit, made.use = counted, self.adapters.append
        made.wants_more = lambda: not made._queue
        return made


def _score(request: Request) -> int:
    answer = request.messages[-1].content.rsplit("<response>", 1)[-1]
    return 5 if "good" in answer else 3 if "fair" in answer else 1


def _verdict(request: Request, k: int, sampling: Sampling) -> str:
    return f"{NASTY}\nScore: {_score(request)}" if "Question 4 " not in request.messages[-1].content else "No."


def _logprobs(request: Request) -> list[float]:
    return [0.0 if score == 5 - _score(request) else -30.0 for score in range(6)]  # the other way round


@pytest.fixture
def judging(fake_engine: Any, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> Judging:
    made = Judging(fake_engine, chat)
    monkeypatch.setattr(TransformersConfig, "open", lambda self, *_: made.open())
    return made


def test_the_table_fits_80_columns(command: Command, judging: Judging) -> None:
    code, out, err = command("eval", "judge", BUILTIN, "--data", "held.jsonl", *SAMPLED)
    assert code == 0, err
    for expected in (
        "held.jsonl: 36 responses to 12 prompts\n",
        f"{BUILTIN}, sampled, additive_5pt@",
        "72 judgments, unreadable 8.3% [0.0, 25.0]\n",
        "all pairs: 36 pairs of 12 prompts\n",
        "balanced for length: ",
        "in brackets: 95% of 2,000 resamples of the prompts, seed 0\n",
    ):
        assert expected in out
    (accuracy,) = [line for line in out.splitlines() if line.startswith("pairs in order  ") and "33" in line]
    assert accuracy.split()[3:6] == ["100.0%", "[100.0,", "100.0]"]
    assert "\x1b" not in out + err
    whole_lines = [line for line in out.splitlines() if line.startswith(("prompts in order ", "pairs readable "))]
    assert [line.count("[") for line in whole_lines] == [2, 2, 2], "a cell was wrapped"
    assert "prompts judged by" in err


def test_json_holds_every_figure_and_control(command: Command, judging: Judging) -> None:
    code, out, _ = command("eval", "judge", BUILTIN, "--data", "held.jsonl", *SAMPLED, "--json")
    found = json.loads(out)
    (judge,) = found["judges"]
    assert (code, found["rows"], found["prompts"], found["left_out"]) == (0, 36, 12, {})
    assert judge["whole"]["judge"]["readable_share"]["value"] == pytest.approx(33 / 36, abs=1e-4)
    assert judge["whole"]["judge"]["top_score_best"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 11}
    assert judge["length_balanced"]["length_only"]["pairwise_accuracy"]["value"] == 0.5
    assert judge["whole"]["random"]["pairwise_accuracy"]["value"] == 0.5
    assert judge["swap_flip_share"] is None
    assert (judge["resamples"], judge["seed"]) == (2000, 0)


def test_methods_are_compared_on_one_engine(command: Command, judging: Judging) -> None:
    methods = ("--method", "sampled", "--method", "expected")
    code, out, err = command("eval", "judge", BUILTIN, "--data", "held.jsonl", *methods, "--limit", "5", "--json")
    assert code == 0, err
    found = json.loads(out)
    accuracy = [judge["whole"]["judge"]["pairwise_accuracy"]["value"] for judge in found["judges"]]
    assert ([judge["method"] for judge in found["judges"]], accuracy) == (["sampled", "expected"], [1.0, 0.0])
    assert (judging.opened, found["prompts"], found["left_out"]) == (1, 5, {"over_limit": 21})


def test_it_goes_on_where_it_stopped_and_leaves_nothing(command: Command, judging: Judging, tmp_path: Path) -> None:
    arguments = ("eval", "judge", BUILTIN, "--data", "held.jsonl", *SAMPLED, "--json")
    whole = command(*arguments)
    everything, judging.asked = judging.asked, 0
    judging.fails_at = 18
    code, out, err = command(*arguments)
    assert (code, out) == (130, "")
    assert "the judgments made so far are kept" in err
    before, judging.fails_at = judging.asked, 10**6
    code, out, err = command(*arguments)
    assert (code, out) == (0, whole[1])
    assert "6 of 12 are done already; going on after them" in err
    assert judging.asked - before == everything - 18
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("nobody", "--data", "held.jsonl"),
            "nobody: no such run; runs in runs: none; nor is it a model's: give",
        ),
        ((BUILTIN, "--data", "nothing.jsonl"), "nothing.jsonl: no such file; expected ranked responses"),
        ((BUILTIN,), f"{BUILTIN}: names no held-out rankings (evaluation.judge_data); give a file with --data"),
        ((BUILTIN, "--data", "held.jsonl", "-i", "1"), f"{BUILTIN}: is a model; leave out -i"),
        ((BUILTIN, "--data", "held.jsonl", "--method", "dice"), "dice"),
        ((BUILTIN, "--data", "held.jsonl", "--rubric", "no.md"), "no.md"),
        (("builtin:other", "--data", "held.jsonl"), "builtin:other"),
        (("./nowhere", "--data", "held.jsonl"), "./nowhere"),
        ((BUILTIN, "--data", "held.jsonl", "--rubric", "checklist", "--method", "expected"), "another rubric"),
    ],
)
def test_what_cannot_be_measured_is_said(command: Command, arguments: tuple[str, ...], says: str) -> None:
    code, out, err = command("eval", "judge", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert says in err
    assert "Traceback" not in err


def test_every_model_of_a_run_by_its_own_recipe(
    command: Command, judging: Judging, finished_run: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfreward.models import ModelRef, resolve_model
    from selfreward.verdicts import judging as module

    def resolve(name: str, revision: str | None) -> ModelRef:
        return replace(resolve_model(name, revision), fingerprint="f")

    monkeypatch.setattr(module, "resolve_model", resolve)
    for t in (0, 1, 2):
        it = finished_run.iteration(t)
        weights = it.path / "adapter" / "adapter_model.safetensors"
        weights.write_bytes(bytes([t]) * 16)  # equal adapters would be judged once
        entry = it.manifest.stages["adapter"]
        file = entry.files[0].model_copy(update={"sha256": file_hash(weights)})
        stages = {"adapter": entry.model_copy(update={"files": (file,)})}
        it.manifest = it.manifest.model_copy(update={"model": {"fingerprint": "f"}, "stages": stages})
        it.save()
    few = ("--data", "held.jsonl", "--limit", "3", *SAMPLED, "--json")
    code, out, err = command("eval", "judge", "small", *few)
    assert code == 0, err
    assert [judge["judge"] for judge in json.loads(out)["judges"]] == [f"M{t} of small" for t in (1, 2, 3)]
    assert [path and path.parent.name for path in judging.adapters] == ["iter-000", "iter-001", "iter-002"]
    assert judging.opened == 1
    code, out, _ = command("eval", "judge", "small", *few, "-i", "0", "-i", "2")
    assert [judge["judge"] for judge in json.loads(out)["judges"]] == ["M0 of small", "M2 of small"]
    code, _, err = command("eval", "judge", "small", *few, "-i", "9")
    assert (code, "has no M9" in err) == (1, True)


def test_a_runs_fixed_judge_is_measured_once(command: Command, judging: Judging, finished_run: RunStore) -> None:
    held = {"judge.model": {"name": BUILTIN}, "evaluation.judge_data": "held.jsonl", "evaluation.judge_prompts": 4}
    finished_run.save_config(make_config(finished_run.config().model_dump(mode="json"), held, "test"))
    code, out, err = command("eval", "judge", "small", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert ([judge["judge"] for judge in found["judges"]], found["prompts"]) == ([BUILTIN], 4)
    code, _, err = command("eval", "judge", "small", "-i", "1")
    assert (code, f"is judged by {BUILTIN} in every iteration" in err) == (1, True)


@pytest.mark.usefixtures("otherwise_trained_run")
def test_what_a_run_is_trained_by_is_no_matter(command: Command, judging: Judging) -> None:
    asked = ("--method", "expected", "--data", "held.jsonl", "--limit", "2")
    code, _, err = command("eval", "judge", "small", "-i", "0", *asked)
    assert code == 0, err
