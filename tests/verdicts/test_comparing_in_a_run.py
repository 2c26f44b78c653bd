"""M_{t+1} against M_t in every iteration: what is stored, when it is done again, and that it stops nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfreward.config import make_config
from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Request, Sampling
from selfreward.errors import SeedError
from selfreward.models import ModelRef
from selfreward.progress import Reporter
from selfreward.records import Judgment, Prompt, Response
from selfreward.session import Policy, Session, Stage, at_once
from selfreward.stages.shard import Shard
from selfreward.steps import compare_models, comparison_prompts, finish_iteration
from selfreward.storage.catalogue import run_status
from selfreward.storage.iteration import IterationStore, StageKey
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify
from selfreward.terminal.render import status_lines

M1, M2, M3 = (Policy(f"M{t}", Path(f"adapter-{t}"), f"digest-{t}") for t in (1, 2, 3))
_DOUBTFUL = {"type": "expected", "min_mass": 0.1}
STAGES = {"compared_prompts", "compared_before", "compared_after", "comparison"}


class Bench:
    """Sessions over one run, whose models write how good they are; answers and verdicts are counted."""

    def __init__(self, directory: Path, chat: Chat, engine: Any) -> None:
        self.directory = directory
        self.written, self.judged = 0, 0
        self.adapter: Path | None = None
        self._chat, self._engine = chat, engine
        self.file = directory / "held.txt"
        self.prompts(10)

    def prompts(self, count: int) -> None:
        self.file.write_text("".join(f"Why {i}?\n" for i in range(count)), encoding="utf-8")

    def session(self, **changes: Any) -> Session:
        data = {"name": "r", "runs_dir": str(self.directory), "model": "m", "prompts": {"file": "p.txt"}}
        evaluation = {"prompts": str(self.file)}
        config = make_config({**data, "engine": "transformers", "evaluation": evaluation}, changes, "test")
        config.run_dir.mkdir(exist_ok=True)
        session = Session(config, RunStore.create(config.run_dir), Reporter())
        root = ModelRef(name="m", revision=None, path="", fingerprint="f")
        fake = self._engine(self._chat, self._write, self._logprobs)
        fake.use = lambda adapter: setattr(self, "adapter", adapter)
        session.__dict__.update(chat=self._chat, root=root, _engine=lambda *_: fake)
        return session

    def _write(self, request: Request, _: int, sampling: Sampling) -> str:
        self.written += 1
        return f"From {self.adapter}, seed {sampling.seed}."

    def _logprobs(self, request: Request) -> list[float]:
        self.judged += 1
        first = "adapter-1" in request.messages[0].content.split("<response_b>")[0]
        return [-0.1, -3.0] if first else [-3.0, -0.1]


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


def test_a_comparison_is_stored_and_shown(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    session = bench.session()
    it = iteration(session)
    compare_models(session, it, M1, M2)
    report = it.manifest.stages["comparison"].summary
    assert (report["first"]["model"], report["second"]["model"], report["judge"]) == ("M1", "M2", "M1")
    assert (report["wins"], report["conclusion"], report["method"]) == (10, "better", "expected")
    prompts = list(it.stored("compared_prompts", Prompt).records())
    for name in ("compared_before", "compared_after"):
        assert [r.prompt_id for r in it.stored(name, Response).records()] == [p.id for p in prompts]
    assert len(list(it.stored("comparison", Judgment).records())) == 20
    assert "M2 is better than M1 to this judge: M2 wins 100.0%" in " ".join(capsys.readouterr().err.split())

    finish_iteration(session, it)
    assert json.loads((it.path / "metrics.json").read_text())["comparison"] == report
    lines = status_lines(run_status(session.store))
    assert any(line.endswith("finished; M2 wins 100.0% [100.0, 100.0]: better") for line in lines)
    assert verify(session.store.path) == []


def test_nothing_is_stored_where_nothing_is_named(bench: Bench) -> None:
    session = bench.session(**{"evaluation.prompts": None})
    it = iteration(session)
    compare_models(session, it, M1, M2)
    assert (it.manifest.stages, bench.written) == ({}, 0)


def test_the_same_again_asks_nothing(bench: Bench) -> None:
    for _ in range(2):
        session = bench.session()
        compare_models(session, iteration(session), M1, M2)
    assert (bench.written, bench.judged) == (20, 20)


def test_what_the_iteration_before_wrote_is_taken(bench: Bench) -> None:
    session = bench.session()
    compare_models(session, iteration(session, 1), M1, M2)
    it = iteration(session, 2)
    compare_models(session, it, M2, M3)
    assert bench.written == 30
    before = list(it.stored("compared_before", Response).records())
    assert before == list(session.store.iteration(1).stored("compared_after", Response).records())


def test_it_goes_on_after_the_last_shard(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IterationStore.add_shard

    def full_disk(self: IterationStore, name: str, *arguments: Any, **more: Any) -> None:
        if name == "comparison" and self.manifest.stages[name].files:
            raise OSError("no space left")
        store(self, name, *arguments, **more)

    session = bench.session()
    with monkeypatch.context() as patch:
        patch.setattr(IterationStore, "add_shard", full_disk)
        with pytest.raises(OSError, match="no space"):
            compare_models(session, iteration(session), M1, M2)
    session, bench.judged = bench.session(), 0
    it = iteration(session)
    assert it.manifest.stages["comparison"].inputs_done == 6
    compare_models(session, it, M1, M2)
    assert (bench.written, bench.judged) == (20, 8)
    assert it.manifest.stages["comparison"].summary["pairs"] == 10


@pytest.mark.parametrize(
    ("change", "pairs", "written", "judged"),
    [
        (lambda bench: bench.prompts(12) or {}, 12, 24, 24),
        (lambda bench: {"responses.temperature": 1.0}, 10, 20, 0),  # the same words as before
        (
            lambda bench: {"judge.method": {"type": "pairwise", "verdict": _DOUBTFUL}},
            10,
            0,
            20,
        ),
    ],
)
def test_a_change_in_an_iteration_under_way_compares_again(
    bench: Bench, change: Callable[[Bench], dict[str, Any]], pairs: int, written: int, judged: int
) -> None:
    session = bench.session()
    compare_models(session, iteration(session), M1, M2)
    before, session = bench.written, bench.session(**change(bench))
    it = iteration(session)
    bench.judged = 0
    compare_models(session, it, M1, M2)
    assert it.manifest.stages["comparison"].summary["pairs"] == pairs
    assert (bench.written - before, bench.judged) == (written, judged)


def test_switched_off_under_way_takes_it_out(bench: Bench) -> None:
    session = bench.session()
    compare_models(session, iteration(session), M1, M2)
    session = bench.session(**{"evaluation.prompts": None})
    it = iteration(session)
    compare_models(session, it, M1, M2)
    finish_iteration(session, it)
    assert set(it.manifest.stages) == {"metrics"}
    assert not any((it.path / name).exists() for name in STAGES)


@pytest.mark.parametrize("changes", [{}, {"responses.temperature": 1.0}, {"evaluation.prompts": None}])
def test_a_finished_iteration_stays_as_it_is(bench: Bench, changes: dict[str, Any]) -> None:
    session = bench.session()
    it = iteration(session)
    compare_models(session, it, M1, M2)
    finish_iteration(session, it)
    manifest = (it.path / "manifest.json").read_bytes()
    session = bench.session(**changes)
    compare_models(session, session.store.iteration(1), M1, M2)
    assert (bench.written, (it.path / "manifest.json").read_bytes()) == (20, manifest)


def test_prompts_that_the_run_wrote_are_left_out_and_said(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    session = bench.session()
    it = iteration(session)
    own = [Prompt(id=f"p{i}", text=text, iteration=1) for i, text in enumerate(("why  4?", "Why 5?", "Else?"))]
    stage = Stage("prompts", Prompt, StageKey(1, {}, {}), total=3)
    session.run_stage(it, stage, at_once(lambda: Shard(own, 3)))
    compare_models(session, it, M1, M2)
    report = it.manifest.stages["comparison"].summary
    assert (report["prompts"], report["left_out"]) == (8, {"among_prompts": 2})
    bench.file.write_text("Why 4?\n", encoding="utf-8")
    session = bench.session()
    it = iteration(session)
    compare_models(session, it, M1, M2)
    assert set(it.manifest.stages) == {"prompts"}
    assert "0 held-out prompts (left out: among_prompts 1), so nothing is compared" in capsys.readouterr().err


def test_a_file_that_is_not_there_stops_a_run_at_its_start(bench: Bench, tmp_path: Path) -> None:
    assert len(comparison_prompts(bench.session().config)) == 10
    with pytest.raises(SeedError, match="No such file"):
        comparison_prompts(bench.session(**{"evaluation.prompts": str(tmp_path / "no.txt")}).config)
