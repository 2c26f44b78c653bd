"""Measuring the judge of each iteration: what is stored, when it is done again, and that it stops nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfreward.config import make_config
from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Request, Sampling
from selfreward.models import ModelRef
from selfreward.progress import Reporter
from selfreward.query import iteration_table
from selfreward.records import Judgment, Ranked
from selfreward.session import Policy, Session
from selfreward.steps import finish_iteration, measure_judge, seed_notices
from selfreward.storage.catalogue import run_status
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify
from selfreward.terminal.render import status_lines

M1, M2 = Policy.root("M1"), Policy("M2", None, "another")


class Bench:
    """Sessions over one run, whose judge prefers answers that say so and is counted."""

    def __init__(self, directory: Path, chat: Chat, engine: Any) -> None:
        self.directory, self.asked = directory, 0
        self._chat, self._engine = chat, engine
        self.data = directory / "held.jsonl"
        self.rows(10)

    def rows(self, prompts: int) -> None:
        """Write the held-out file: two answers a prompt, the better one is the longer in every other."""
        rows = [
            {"prompt_id": f"q{i}", "prompt": f"Why {i}?", "response": text, "rank": rank, "quality": None}
            for i in range(prompts)
            for rank, text in enumerate(("good, very good", "bad") if i % 2 else ("good", "bad, very bad"))
        ]
        self.data.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")

    def session(self, **changes: Any) -> Session:
        data = {"name": "r", "runs_dir": str(self.directory), "model": "m", "prompts": {"file": "p.txt"}}
        method = {"type": "sampled", "samples": 1, "retries": 0}
        evaluation = {"judge_data": str(self.data)}
        config = make_config(
            {**data, "engine": "transformers", "judge": {"method": method}, "evaluation": evaluation}, changes, "test"
        )
        config.run_dir.mkdir(exist_ok=True)
        session = Session(config, RunStore.create(config.run_dir), Reporter())
        root = ModelRef(name="m", revision=None, path="", fingerprint="f")
        fake = self._engine(self._chat, self._write)
        session.__dict__.update(chat=self._chat, root=root, _engine=lambda *_: fake)
        return session

    def _write(self, request: Request, _: int, sampling: Sampling) -> str:
        self.asked += 1
        return f"Score: {5 if 'good' in request.messages[-1].content.rsplit('<response>', 1)[-1] else 1}"


@pytest.fixture
def bench(tmp_path: Path, chat: Chat, fake_engine: Any) -> Bench:
    return Bench(tmp_path, chat, fake_engine)


def iteration(session: Session, t: int = 1) -> IterationStore:
    def about() -> dict[str, Any]:
        return {"config": {}, "model": {}, "templates": {}, "environment": {}}

    for u in range(t):
        if u not in session.store.iterations():
            session.store.begin_iteration(u, about).close()
    return session.store.begin_iteration(t, about)


def test_a_report_is_stored_and_shown(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    session = bench.session()
    it = iteration(session)
    measure_judge(session, it, M1)
    report = it.manifest.stages["heldout_judgments"].summary
    assert report["judge"] == "M1"
    assert report["whole"]["judge"]["pairwise_accuracy"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 10}
    assert report["whole"]["length_only"]["pairwise_accuracy"]["value"] == 0.5
    assert report["length_balanced"]["pairs"] == 10
    judged = [j.response_ids for j in it.stored("heldout_judgments", Judgment).records()]
    assert judged == [(row.id,) for row in it.stored("heldout", Ranked).records()]
    said = "M1 agrees with people on 100.0% [100.0, 100.0] of 10 pairs, length alone on 50.0%"
    assert said in " ".join(capsys.readouterr().err.split())

    finish_iteration(session, it)
    assert json.loads((it.path / "metrics.json").read_text())["judge_quality"] == report
    status = run_status(session.store)
    assert any(line.endswith("finished; judge right 100.0% [100.0, 100.0]") for line in status_lines(status))
    row = iteration_table(session.store)[1]
    assert row.judge_accuracy is not None
    assert row.judge_accuracy.n == 10
    assert verify(session.store.path) == []


def test_nothing_is_stored_where_nothing_is_named(bench: Bench) -> None:
    session = bench.session(**{"evaluation.judge_data": None})
    it = iteration(session)
    measure_judge(session, it, M1)
    assert (it.manifest.stages, bench.asked) == ({}, 0)


def test_the_same_again_asks_nothing(bench: Bench) -> None:
    for _ in range(2):
        session = bench.session()
        measure_judge(session, iteration(session), M1)
    assert bench.asked == 20


def test_it_goes_on_after_the_last_shard(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IterationStore.add_shard

    def full_disk(self: IterationStore, name: str, *arguments: Any, **more: Any) -> None:
        if name == "heldout_judgments" and self.manifest.stages[name].files:
            raise OSError("no space left")
        store(self, name, *arguments, **more)

    session = bench.session()
    with monkeypatch.context() as patch:
        patch.setattr(IterationStore, "add_shard", full_disk)
        with pytest.raises(OSError, match="no space"):
            measure_judge(session, iteration(session), M1)
    before, session = bench.asked, bench.session()
    it = iteration(session)
    assert it.manifest.stages["heldout_judgments"].inputs_done == 6
    measure_judge(session, it, M1)
    assert bench.asked - before == 8
    assert it.manifest.stages["heldout_judgments"].summary["judgments"] == 20


def test_a_report_that_was_not_written_is_made_up_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    session = bench.session()
    with monkeypatch.context() as patch:
        patch.setattr(IterationStore, "summarise", lambda *_: None)
        measure_judge(session, iteration(session), M1)
    session = bench.session()
    it = iteration(session)
    measure_judge(session, it, M1)
    assert (it.manifest.stages["heldout_judgments"].summary["judgments"], bench.asked) == (20, 20)


@pytest.mark.parametrize(
    ("change", "prompts", "asked"),
    [
        (lambda bench: {"evaluation.judge_prompts": 4}, 4, 8),
        (lambda bench: bench.rows(12) or {}, 12, 24),
    ],
)
def test_a_change_in_an_iteration_under_way_measures_again(
    bench: Bench, change: Callable[[Bench], dict[str, Any]], prompts: int, asked: int
) -> None:
    session = bench.session()
    measure_judge(session, iteration(session), M1)
    before, session = bench.asked, bench.session(**change(bench))
    it = iteration(session)
    measure_judge(session, it, M1)
    assert it.manifest.stages["heldout_judgments"].summary["whole"]["prompts"] == prompts
    assert bench.asked - before == asked


def test_switched_off_under_way_takes_it_out(bench: Bench) -> None:
    session = bench.session()
    measure_judge(session, iteration(session), M1)
    session = bench.session(**{"evaluation.judge_data": None})
    it = iteration(session)
    measure_judge(session, it, M1)
    finish_iteration(session, it)
    assert set(it.manifest.stages) == {"metrics"}
    assert not (it.path / "heldout").exists()


@pytest.mark.parametrize("changes", [{}, {"evaluation.judge_prompts": 4}, {"evaluation.judge_data": None}])
def test_a_finished_iteration_stays_as_it_is(bench: Bench, changes: dict[str, Any]) -> None:
    session = bench.session()
    it = iteration(session)
    measure_judge(session, it, M1)
    finish_iteration(session, it)
    before, manifest = bench.asked, (it.path / "manifest.json").read_bytes()
    session = bench.session(**changes)
    measure_judge(session, session.store.iteration(1), M1)
    assert (bench.asked, (it.path / "manifest.json").read_bytes()) == (before, manifest)


def test_a_finished_iteration_without_it_stays_so(bench: Bench) -> None:
    session = bench.session(**{"evaluation.judge_data": None})
    finish_iteration(session, iteration(session))
    session = bench.session()
    measure_judge(session, session.store.iteration(1), M1)
    assert bench.asked == 0


def test_cut_off_between_metrics_and_closing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    session = bench.session()
    it = iteration(session)
    measure_judge(session, it, M1)
    with monkeypatch.context() as patch:
        patch.setattr(IterationStore, "close", lambda self: None)
        finish_iteration(session, it)
    session = bench.session(**{"evaluation.judge_prompts": 3})
    it = session.store.iteration(1)
    measure_judge(session, it, M1)
    finish_iteration(session, it)
    assert it.manifest.finished
    assert it.manifest.stages["heldout_judgments"].summary["whole"]["prompts"] == 10


def test_only_another_model_is_asked_again(bench: Bench) -> None:
    session = bench.session()
    measure_judge(session, iteration(session, 1), M1)
    measure_judge(session, iteration(session, 2), M1)
    assert bench.asked == 20
    measure_judge(session, iteration(session, 3), M2)
    assert bench.asked == 40


def test_prompts_that_are_trained_on_are_said(bench: Bench, tmp_path: Path) -> None:
    seeds = tmp_path / "ift.jsonl"
    texts = ("Why 3?", "why  4?", "Why not?")
    seeds.write_text("".join(f"{json.dumps({'instruction': t, 'response': 'So.'})}\n" for t in texts), encoding="utf-8")
    config = bench.session(**{"seeds.ift": str(seeds)}).config
    (notice,) = seed_notices(config)
    assert notice.startswith("evaluation.judge_data: 2 of its prompts are among the seeds")
    assert seed_notices(bench.session(**{"seeds.ift": str(seeds), "sft.enabled": False}).config) == []
    assert seed_notices(bench.session().config) == []
