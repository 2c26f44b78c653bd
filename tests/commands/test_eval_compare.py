"""`selfreward eval compare`: what it prints, who writes and who judges, what it refuses, and that it goes on."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixture_endpoint import Asked, Reply, Start
from fixture_run import NASTY, Command

from selfreward.config import make_config
from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Ask, Request, Sampling
from selfreward.engines.transformers import TransformersConfig
from selfreward.models import ModelRef, resolve_model
from selfreward.storage.durable import file_hash
from selfreward.storage.run import RunStore
from selfreward.verdicts import judging

_SHOWN = re.compile(r"<response_([ab])>\n(.*?)\n</response_\1>", re.DOTALL)
_MODEL = {None: 0, "iter-000": 1, "iter-001": 2, "iter-002": 3}
M1_TO_M2 = ("eval", "compare", "small", "-i", "1", "-i", "2", "--prompts", "held.jsonl")


class Models:
    """In place of the engine: M_t writes how good it is, and a judge reads that; asks are counted and can fail."""

    def __init__(self, engine: Any, chat: Chat) -> None:
        self.adapter: Path | None = None
        self.asked, self.fails_at, self.opened = 0, 10**6, 0
        self.judged_as: set[int] = set()
        self.bias = 0.0
        self._engine, self._chat = engine, chat

    @property
    def t(self) -> int:
        return _MODEL[self.adapter and self.adapter.parent.name]

    def open(self) -> Any:
        made = self._engine(self._chat, self._write, self._logprobs)
        submit, self.opened = made.submit, self.opened + 1

        def counted(ask: Ask) -> int:
            if self.asked >= self.fails_at:
                raise KeyboardInterrupt
            self.asked += len(ask.requests)
            return int(submit(ask))

        def use(adapter: Path | None) -> None:
            assert not made._queue, "something is under way"
            self.adapter = adapter

        made.submit, made.use = counted, use
        made.wants_more = lambda: not made._queue
        return made

    def _write(self, request: Request, k: int, sampling: Sampling) -> str:
        if "<response_a>" in request.messages[0].content:
            better = max(_SHOWN.findall(request.messages[0].content), key=lambda found: _quality(found[1]))
            return f"So it is.\nVerdict: {better[0].upper()}"
        number = int(re.search(r"Question (\d+)", request.messages[0].content)[1])  # type: ignore[index]
        quality = 1 if number % 4 == 0 else self.t  # a quarter of the answers are everybody's
        return f"Answer of quality {quality}{'!' * number * self.t} {NASTY if number == 5 else ''}"

    def _logprobs(self, request: Request) -> list[float]:
        self.judged_as.add(self.t)
        a, b = (_quality(text) for _, text in _SHOWN.findall(request.messages[0].content))
        first = 1 / (1 + math.exp(b - a - self.bias))
        return [math.log(1 - first), math.log(first)]


def _quality(text: str) -> int:
    return int(text.split("quality ")[1][0])


@pytest.fixture(autouse=True)
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve held-out prompts, one of them twice, and one that the run has written itself."""
    texts = [f"Question {i}?" for i in range(12)]
    texts += ["question  3?", "Name a colour.", "Spell banana, round 1."]
    path = tmp_path / "held.jsonl"
    path.write_text("".join(f"{json.dumps({'prompt': text})}\n" for text in texts), encoding="utf-8")
    monkeypatch.setattr("selfreward.verdicts.comparing.cache_root", lambda: tmp_path / "cache")
    return path


@pytest.fixture
def models(fake_engine: Any, chat: Chat, finished_run: RunStore, monkeypatch: pytest.MonkeyPatch) -> Models:
    def resolve(name: str, revision: str | None) -> ModelRef:
        return replace(resolve_model(name, revision), fingerprint="f")

    monkeypatch.setattr(judging, "resolve_model", resolve)
    for t in (0, 1, 2):
        it = finished_run.iteration(t)
        weights = it.path / "adapter" / "adapter_model.safetensors"
        weights.write_bytes(bytes([t]) * 16)
        entry = it.manifest.stages["adapter"]
        file = entry.files[0].model_copy(update={"sha256": file_hash(weights)})
        stages = {**it.manifest.stages, "adapter": entry.model_copy(update={"files": (file,)})}
        it.manifest = it.manifest.model_copy(update={"model": {"fingerprint": "f"}, "stages": stages})
        it.save()
    made = Models(fake_engine, chat)
    monkeypatch.setattr(TransformersConfig, "open", lambda self, *_: made.open())
    return made


def test_the_better_model_is_said_to_be_better(command: Command, models: Models) -> None:
    code, out, err = command(*M1_TO_M2)
    assert code == 0, err
    for expected in (
        "M2 of small against M1 of small\n",
        "12 pairs on 12 held-out prompts (left out: among_prompts 1, among_seeds 1,",
        "M1 of small judges its own answers here",
        "wins 9, ties 3 (1 of them the same answer), losses 0, unreadable 0\n",
        "in brackets: 95% of 2,000 resamples of the prompts, seed 0\n",
        "Did it improve? M2 of small is better than M1 of small to this judge: M2 of small",
    ):
        assert expected in " ".join(out.split()) or expected in out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out + err
    assert "prompts answered by M2 of small" in err
    assert (models.judged_as, models.opened) == ({1}, 1)


def test_json_has_every_figure(command: Command, models: Models, tmp_path: Path) -> None:
    code, out, _ = command(*M1_TO_M2, "--json")
    found = json.loads(out)
    assert (code, found["wins"], found["ties"], found["losses"], found["identical"]) == (0, 9, 3, 0, 1)
    assert (found["share"]["value"], found["share"]["n"], found["conclusion"]) == (0.875, 12, "better")
    assert found["length_only"]["value"] == pytest.approx(11.5 / 12, abs=1e-4)
    assert found["left_out"] == {"among_prompts": 1, "among_seeds": 1, "duplicate": 1}
    assert (found["judge"], found["is_judged_by"], found["method"]) == ("M1 of small", "first", "expected")
    assert found["second"]["tokens"] > found["first"]["tokens"]
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_swapped_models_mirror_it(command: Command, models: Models) -> None:
    swapped = ("eval", "compare", "small", "-i", "2", "-i", "1", "--prompts", "held.jsonl", "--judge", "M3", "--json")
    one = json.loads(command(*M1_TO_M2, "--judge", "M3", "--json")[1])
    other = json.loads(command(*swapped)[1])
    assert (one["wins"], one["ties"], one["losses"]) == (other["losses"], other["ties"], other["wins"])
    assert (one["share"]["low"], one["share"]["high"]) == (1 - other["share"]["high"], 1 - other["share"]["low"])
    assert (one["conclusion"], other["conclusion"]) == ("better", "worse")
    assert (one["first"], one["second"]) == (other["second"], other["first"])
    assert (one["judge"], one["is_judged_by"], models.judged_as) == ("M3 of small", None, {3})


def test_a_model_against_itself_is_all_ties(command: Command, models: Models) -> None:
    found = json.loads(
        command("eval", "compare", "small", "-i", "2", "-i", "2", "--prompts", "held.jsonl", "--json")[1]
    )
    assert (found["ties"], found["identical"], found["conclusion"]) == (12, 12, "no_difference")
    assert models.judged_as == set()


def test_a_judge_of_places_shows_no_difference(command: Command, models: Models) -> None:
    models.bias = 20.0
    code, out, _ = command(*M1_TO_M2)
    assert code == 0
    said = " ".join(out.split())
    assert "no difference between M2 of small and M1 of small that these 12 prompts can show" in said.lower().replace(
        "m1", "M1"
    ).replace("m2", "M2")
    assert "Only 0 prompts were won or lost; from fewer than 6 nothing follows." in said
    assert "verdicts that flip 100.0% [100.0, 100.0]" in said


def test_the_root_model_several_samples_and_a_limit(command: Command, models: Models) -> None:
    few = ("-i", "0", "-i", "3", "--prompts", "held.jsonl", "--samples", "2", "--limit", "5")
    code, out, err = command("eval", "compare", "small", *few, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["prompts"], found["pairs"], found["left_out"]["over_limit"]) == (5, 10, 7)
    assert found["first"]["model"] == "M0 of small"


def test_it_goes_on_where_it_stopped(command: Command, models: Models, tmp_path: Path) -> None:
    whole = command(*M1_TO_M2, "--json")
    everything, models.asked = models.asked, 0
    assert everything == 12 + 12 + 22
    for stops in (6, 18, 34):
        models.fails_at = stops
        code, out, err = command(*M1_TO_M2, "--json")
        assert (code, out) == (130, "")
        assert "what was written and judged so far is kept" in err
    models.fails_at = 10**6
    code, out, err = command(*M1_TO_M2, "--json")
    assert (code, out) == (0, whole[1])
    assert "are done already; going on after them" in err
    assert models.asked == everything, "finished work was done again"


def test_written_verdicts_where_they_are_asked_for(command: Command, models: Models) -> None:
    changes = ("--set", "judge.method.verdict.type=sampled", "--set", "judge.method.verdict.samples=1")
    code, out, err = command(*M1_TO_M2, *changes, "--json")
    assert code == 0, err
    assert [json.loads(out)[name] for name in ("method", "wins", "identical")] == ["sampled", 9, 1]


def test_an_endpoint_judges(command: Command, models: Models, start: Start) -> None:
    def verdict(asked: Asked) -> Reply:
        if asked.method == "GET":
            return Reply({"data": [{"id": "big", "max_model_len": 4096}]})
        shown = _SHOWN.findall(asked.body["messages"][0]["content"])
        letter = max(shown, key=lambda found: _quality(found[1]))[0].upper()
        choice = {"index": 0, "finish_reason": "stop", "message": {"content": f"Verdict: {letter}"}}
        return Reply({"choices": [{**choice, "index": i} for i in range(asked.body.get("n", 1))], "usage": {}})

    served = start(verdict)
    own = ("--set", "judge.model.engine.type=server", "--set", f"judge.model.engine.url={served.url}")
    code, out, err = command(*M1_TO_M2, "--judge", "big", *own, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [found[name] for name in ("judge", "method", "wins", "is_judged_by")] == ["big", "sampled", 9, None]


def test_the_runs_own_prompts_and_fixed_judge(command: Command, models: Models, finished_run: RunStore) -> None:
    own = {"evaluation.prompts": "held.jsonl", "judge.model": {"name": "builtin:smollm2-135m-instruct"}}
    finished_run.save_config(make_config(finished_run.config().model_dump(mode="json"), own, "test"))
    code, out, err = command("eval", "compare", "small", "-i", "1", "-i", "2", "--json")
    assert code == 0, err
    assert json.loads(out)["judge"] == "builtin:smollm2-135m-instruct"
    assert models.judged_as == {0}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("small", "-i", "1", "--prompts", "held.jsonl"), 2, "two models are compared, such as -i 1 -i 2; 1 given"),
        (("nobody", "-i", "1", "-i", "2", "--prompts", "held.jsonl"), 1, "nobody: no such run"),
        (("small", "-i", "1", "-i", "9", "--prompts", "held.jsonl"), 1, "has no M9; it has M0, M1, M2, M3"),
        (("small", "-i", "1", "-i", "2"), 1, "small: names no held-out prompts (evaluation.prompts); give a file"),
        (("small", "-i", "1", "-i", "2", "--prompts", "no.txt"), 1, "no.txt: No such file"),
        (("small", "-i", "1", "-i", "2", "--prompts", "seen.txt"), 1, "nothing is left to compare models on"),
        (("small", "-i", "1", "-i", "2", "--prompts", "held.jsonl", "--judge", "M7"), 1, "has no M7"),
        (("small", "-i", "1", "-i", "2", "--prompts", "held.jsonl", "--rubric", "additive_5pt"), 1, "two responses"),
        (
            ("small", "-i", "1", "-i", "2", "--prompts", "held.jsonl", "--set", "judge.method.type=expected"),
            1,
            "judges one response, and two are compared here",
        ),
    ],
)
def test_what_cannot_be_compared_is_said(
    command: Command, models: Models, arguments: tuple[str, ...], code: int, says: str
) -> None:
    Path("seen.txt").write_text("Name a colour.\n", encoding="utf-8")
    found, out, err = command("eval", "compare", *arguments)
    assert (found, out) == (code, "")
    assert says in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert models.asked == 0


@pytest.mark.usefixtures("otherwise_trained_run")
def test_what_a_run_is_trained_by_is_no_matter(command: Command, models: Models) -> None:
    code, _, err = command(*M1_TO_M2)
    assert code == 0, err
