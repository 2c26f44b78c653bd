"""Pair rules that ask for more than an iteration's own records: who is asked, what is stored, and what show says."""

from pathlib import Path
from typing import Any

import pytest
from fixture_run import add

from selfreward.config import RunConfig, make_config
from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Request, Sampling
from selfreward.errors import ConfigError
from selfreward.models import ModelRef
from selfreward.progress import Reporter
from selfreward.records import Judgment, PreferencePair, Prompt, Response, content_id
from selfreward.session import Policy, Session
from selfreward.steps import ask_for_rule, build_pairs, judge_responses, write_responses
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify
from selfreward.terminal.render_walk import _reasons
from selfreward.walk import PromptWalk, walk

M1 = Policy("M1", Path("adapter-1"), "digest-1")
PROMPTS = [Prompt(id=content_id("p", i), text=f"Question {i}?", iteration=1) for i in range(4)]


def _about() -> dict[str, Any]:
    return {"config": {}, "model": {}, "templates": {}, "environment": {}}


class Bench:
    """An iteration whose models write and judge by a test's own functions of the adapter in use."""

    def __init__(self, directory: Path, chat: Chat, engine: Any) -> None:
        self.directory, self._chat, self._engine = directory, chat, engine
        self.adapter: Path | None = None
        self.judged_by: list[Path | None] = []

    def config(self, **changes: Any) -> RunConfig:
        data = {"name": "r", "runs_dir": str(self.directory), "model": "m", "prompts": {"file": "p.txt"}}
        judge = {"method": {"type": "sampled", "samples": 1, "retries": 0}}
        more = {"engine": "transformers", "judge": judge, "responses": {"n": 2}, "shard_size": 3}
        return make_config({**data, **more}, changes, "test")

    def pairs(self, **changes: Any) -> tuple[Session, IterationStore, list[PreferencePair]]:
        """Everything from responses to pairs; a second call goes on with the first one's run."""
        config = self.config(**changes)
        config.run_dir.mkdir(exist_ok=True)
        session = Session(config, RunStore.create(config.run_dir), Reporter())
        root = ModelRef(name="m", revision=None, path="", fingerprint="f")
        fake = self._engine(self._chat, self._write)
        fake.use = lambda adapter: setattr(self, "adapter", adapter)
        session.__dict__.update(chat=self._chat, root=root, _engine=lambda *_: fake)
        for t in (0, 1):
            if t not in session.store.iterations():
                begun = session.store.begin_iteration(t, _about)
                if t == 0:
                    begun.close()
        it = session.store.iteration(1)
        if it.stage("prompts") is None:
            add(it, "prompts", PROMPTS, Prompt)
        prompts = it.stored("prompts", Prompt)
        responses = write_responses(session, it, M1, prompts)
        judgments = judge_responses(session, it, M1, prompts, responses)
        asked = ask_for_rule(session, it, M1, prompts, responses)
        return session, it, list(build_pairs(session, it, prompts, responses, judgments, asked).records())

    def _write(self, request: Request, k: int, sampling: Sampling) -> str:
        words = request.messages[0].content
        if "<response>" not in words:
            return f"Answer {k} by {self.adapter or 'the root'}."
        self.judged_by.append(self.adapter)
        shown = words.rsplit("<response>", 1)[1]
        score = (2 if "adapter-1" in shown else 0) + (1 if "Answer 1" in shown else 0)
        if "Question 2?" in words and self.adapter is None:  # the root ranks these the other way round
            score = 3 - score
        if "Question 3?" in words and "root" in shown:  # where the root is as good
            score += 3
        return f"Score: {score + 1}"


@pytest.fixture
def bench(tmp_path: Path, chat: Chat, fake_engine: Any) -> Bench:
    return Bench(tmp_path, chat, fake_engine)


def test_rejected_are_the_initial_models(bench: Bench) -> None:
    session, it, pairs = bench.pairs(**{"pairs.type": "rejected_from_initial"})
    assert [pair.prompt_id for pair in pairs] == [prompt.id for prompt in PROMPTS[:3]]
    assert it.manifest.stages["pairs"].counts["drop.initial_not_worse"] == 1
    own = {r.id: r for r in it.stored("responses", Response).records()}
    initial = {r.id: r for r in it.stored("initial_responses", Response).records()}
    assert {r.model for r in initial.values()} == {"M0"}
    assert {r.index for r in initial.values()} == {2, 3}
    assert set(bench.judged_by) == {M1.weights}, "this iteration's judge scores both"
    assert len(list(it.stored("initial_judgments", Judgment).records())) == 8
    for pair in pairs:
        assert own[pair.chosen_id].text == "Answer 1 by adapter-1."
        assert initial[pair.rejected_id].text == "Answer 0 by the root."
        assert (pair.chosen_score, pair.rejected_score, pair.margin) == (4.0, 1.0, 3.0)
    assert {"initial_responses", "initial_judgments"} <= set(it.manifest.stages["pairs"].inputs)
    assert verify(session.store.path) == []

    found = walk(session.store, pairs[0].id)
    assert isinstance(found, PromptWalk)
    assert [c.role for c in found.candidates] == [None, "chosen", "rejected", None]
    assert "rule     rejected_from_initial: the best by mean score against the worst that M0 wrote" in _reasons(found)
    walked = walk(session.store, pairs[0].rejected_id)
    assert isinstance(walked, PromptWalk)
    assert walked.prompt.id == pairs[0].prompt_id


def test_m1_may_be_the_initial_model_and_nothing_is_done_twice(bench: Bench) -> None:
    _, it, pairs = bench.pairs(**{"pairs.type": "rejected_from_initial", "pairs.initial": "M1"})
    assert {r.model for r in it.stored("initial_responses", Response).records()} == {"M1"}
    asked = len(bench.judged_by)
    _, _, again = bench.pairs(**{"pairs.type": "rejected_from_initial", "pairs.initial": "M1"})
    assert (again, len(bench.judged_by)) == (pairs, asked)


def test_why_there_is_no_pair_is_said(bench: Bench) -> None:
    session, _, _ = bench.pairs(**{"pairs.type": "rejected_from_initial"})
    found = walk(session.store, PROMPTS[3].id)
    assert isinstance(found, PromptWalk)
    assert next(iter(_reasons(found))) == "no pair: the best response is not better than the worst of M0"


def test_the_model_before_has_to_rank_likewise(bench: Bench) -> None:
    session, it, pairs = bench.pairs(**{"pairs.type": "consistent", "pairs.min_tau": 0.0})
    assert [pair.prompt_id for pair in pairs] == [PROMPTS[i].id for i in (0, 1, 3)]
    assert it.manifest.stages["pairs"].counts["drop.inconsistent"] == 1
    assert set(bench.judged_by) == {M1.weights, None}
    now, before = (list(it.stored(n, Judgment).records()) for n in ("judgments", "previous_judgments"))
    assert [j.response_ids for j in now] == [j.response_ids for j in before]
    assert not {j.id for j in now} & {j.id for j in before}
    assert {j.model for j in before} == {"M0"}

    found = walk(session.store, PROMPTS[2].id)
    assert isinstance(found, PromptWalk)
    assert found.decision.reason == "inconsistent"
    assert [c.before for c in found.candidates] == [2.0, 1.0]
    assert "Kendall's tau is below min_tau 0" in next(iter(_reasons(found)))


def test_nothing_more_is_asked_for_other_rules(bench: Bench) -> None:
    _, it, pairs = bench.pairs()
    assert (len(pairs), set(it.manifest.stages)) == (4, {"prompts", "responses", "judgments", "pairs"})
    assert set(it.manifest.stages["pairs"].inputs) >= {"prompts", "responses", "judgments"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"pairs.type": "rejected_from_initial", "judge.method": {"type": "pairwise"}},
            "a scale of their own; use sampled or expected",
        ),
        ({"pairs.type": "consistent", "judge.model": "other"}, "the same in every iteration; leave judge.model out"),
        ({"pairs.type": "rejected_from_initial", "pairs.initial": "M5"}, "pairs"),
        ({"pairs.type": "consistent", "pairs.min_tau": 2}, "min_tau"),
    ],
)
def test_what_makes_no_sense_is_refused(bench: Bench, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match="pairs") as refused:
        bench.config(**changes)
    assert says in str(refused.value)
