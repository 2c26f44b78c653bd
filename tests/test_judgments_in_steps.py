"""Judging the judgments in a run: two stages, going on inside them, what stops it, and what can be looked at."""

import json
import re
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from fixture_run import Command, add

from selfreward import open_run
from selfreward.config import RunConfig, make_config
from selfreward.diagnose import diagnose
from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Ask, Request, Sampling
from selfreward.errors import StoreError
from selfreward.models import ModelRef
from selfreward.progress import Reporter
from selfreward.records import Judgment, PreferencePair, Prompt, Response, content_id
from selfreward.session import Policy, Session
from selfreward.steps import (
    build_judgment_pairs,
    build_pairs,
    compare_judgments,
    judge_responses,
    train,
    write_responses,
)
from selfreward.steps.metrics import iteration_metrics
from selfreward.steps.pairs import Asked
from selfreward.storage.iteration import IterationStore, Stored
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify
from selfreward.walk import PromptWalk, walk

M1 = Policy("M1", Path("adapter-1"), "digest-1")
PROMPTS = [Prompt(id=content_id("p", i), text=f"Question {i}?", iteration=1) for i in range(5)]
_STAGES = ("judgment_comparisons", "judgment_pairs")


class Killed(BaseException):
    pass


class Bench:
    """An iteration whose model writes, judges and compares as the test says."""

    def __init__(self, directory: Path, chat: Chat, engine: Any) -> None:
        self.directory, self._chat, self._fake = directory, chat, engine
        self.compared = 0
        self.die_at: int | None = None

    def config(self, **changes: Any) -> RunConfig:
        data = {"name": "r", "runs_dir": str(self.directory / "runs"), "model": "m", "prompts": {"file": "p.txt"}}
        judge = {"method": {"type": "sampled", "samples": 3, "retries": 0}}
        limits = {"max_share": 0.5, "max_score_share": 1.0}
        more = {"engine": "transformers", "judge": judge, "responses": {"n": 2}, "shard_size": 2, "meta_judge": limits}
        return make_config({**data, **more}, changes, "test")

    def run(self, **changes: Any) -> tuple[Session, IterationStore, Stored[PreferencePair] | None]:
        """Everything from responses to pairs of judgments; a second call goes on with the first one's run."""
        config = self.config(**changes)
        config.run_dir.mkdir(parents=True, exist_ok=True)
        session = Session(config, RunStore.create(config.run_dir), Reporter())
        root = ModelRef(name="m", revision=None, path="", fingerprint="f")
        engine = self._fake(self._chat, self._write)
        engine.wants_more = lambda: not engine._queue  # one after the other, so that shards are stored as they come
        submit = engine.submit
        engine.submit = lambda ask: submit(self._noted(ask))
        session.__dict__.update(chat=self._chat, root=root, _engine=lambda *_: engine)
        about = {"config": config.model_dump(mode="json"), "model": {}, "templates": {}, "environment": {}}
        for t in (0, 1):
            if t not in session.store.iterations():
                begun = session.store.begin_iteration(t, lambda: about)
                if t == 0:
                    begun.close()
        it = session.store.iteration(1)
        if it.stage("prompts") is None:
            add(it, "prompts", PROMPTS, Prompt)
        prompts = it.stored("prompts", Prompt)
        responses = write_responses(session, it, M1, prompts)
        judgments = judge_responses(session, it, M1, prompts, responses)
        comparisons = compare_judgments(session, it, M1, prompts, responses, judgments)
        pairs = build_pairs(session, it, prompts, responses, judgments, Asked())
        made = build_judgment_pairs(session, it, prompts, responses, judgments, comparisons, pairs)
        return session, it, made

    def _noted(self, ask: Ask) -> Ask:
        if "<judging_task>" in ask.requests[0].messages[0].content:
            if self.compared == self.die_at:
                raise Killed
            self.compared += 1
        return ask

    def _write(self, request: Request, k: int, sampling: Sampling) -> str:
        words = request.messages[0].content
        if "<judging_task>" in words:
            a, b = re.findall(r"^Score: (\d)", words, re.MULTILINE)[-2:]
            if "Question 4?" in words:
                return "Verdict: A"  # the place decides
            return f"Verdict: {'A' if a < b else 'B'}"
        if "<response>" not in words:
            return f"Answer {k}."
        base = 1 if "Answer 0" in words else 2
        return f"Said {k}.\nScore: {base + (k if 'Answer 1' in words else 0)}"


@pytest.fixture
def bench(tmp_path: Path, chat: Chat, fake_engine: Any) -> Bench:
    return Bench(tmp_path, chat, fake_engine)


def test_pairs_of_judgments_and_what_can_be_looked_at(bench: Bench, command: Command) -> None:
    session, it, made = bench.run()
    assert made is not None
    pairs, comparisons = list(made.records()), list(it.stored(_STAGES[0], Judgment).records())
    judgments = {j.id: j for j in it.stored("judgments", Judgment).records()}
    assert [pair.prompt_id for pair in pairs] == [prompt.id for prompt in PROMPTS[:4]]
    assert len(comparisons) == 5 * 3 * 2
    for pair in pairs:
        assert judgments[pair.chosen_id].response_ids == judgments[pair.rejected_id].response_ids
        assert (judgments[pair.chosen_id].score, judgments[pair.rejected_id].score) == (2, 4)
        assert pair.chosen[0].content == judgments[pair.chosen_id].raw
    assert made.entry.counts["drop.no_agreement"] == 1
    assert open_run(session.store.path).iteration(1).judgment_pairs["chosen_id"] == [pair.chosen_id for pair in pairs]
    assert verify(session.store.path) == []

    found = iteration_metrics(session.store, it)
    assert (found["judgments_compared"], found["meta_judge"]["order_agreement_share"]) == (15, 0.8)
    assert found["meta_judge"]["swap_flip_share"] == 0.2
    assert found["meta_judge"]["wins_by_score"] == {"2": 1.0, "3": 0.5, "4": 0.0}
    assert found["meta_judge"]["training_share"] == pytest.approx(4 / 9, abs=1e-4)
    assert found["counts"]["judgment_comparisons"]["compared"] == 15
    flips = [f for f in diagnose(session.store).iterations[1].findings if f.name == "meta_judge_flips"]
    assert [f.value for f in flips] == [0.2]

    walked = walk(session.store, pairs[0].id)
    assert isinstance(walked, PromptWalk)
    assert walked.judgments_compared is not None
    assert walked.judgments_compared.pair == pairs[0]
    code, out, err = command("show", "r", pairs[0].id)
    assert code == 0, err
    assert f"Pair of judgments {pairs[0].id} <-" in out
    assert f"{pairs[0].chosen_id}  strength" in out
    code, out, err = command("show", "r", PROMPTS[4].id)
    assert "of no two is the same one better in both orders" in out
    assert command("show", "r", comparisons[0].id)[0] == 0
    code, out, err = command("pairs", "r", "-i", "1", "--of", "judgments", "--json")
    assert {row["id"] for row in json.loads(out)} == {pair.id for pair in pairs}
    code, out, err = command("pairs", "r", "-i", "1", "--of", "judgments")
    assert "4 pairs of judgments from 5 prompts (none for the others: no_agreement 1)" in err
    assert command("pairs", "r", "-i", "1", "--of", "prompts")[0] == 2


def test_it_goes_on_inside_the_comparisons(bench: Bench, tmp_path: Path) -> None:
    _, whole, _ = bench.run(shard_size=1)
    assert bench.compared == 5
    bench.directory, bench.compared, bench.die_at = tmp_path / "killed", 0, 4
    with pytest.raises(Killed):
        bench.run(shard_size=1)
    stored = RunStore(tmp_path / "killed" / "runs" / "r").iteration(1).manifest.stages[_STAGES[0]].inputs_done
    assert 0 < stored < 5
    bench.compared, bench.die_at = 0, None
    _, it, _ = bench.run(shard_size=1)
    assert bench.compared == 5 - stored, "what was stored is not asked again"
    for stage in _STAGES:
        assert it.manifest.stages[stage].digest == whole.manifest.stages[stage].digest
    bench.run(shard_size=1)
    assert bench.compared == 5 - stored


def test_without_it_no_key_is_another_one(bench: Bench, tmp_path: Path) -> None:
    _, on, _ = bench.run()
    bench.directory = tmp_path / "off"
    _, off, made = bench.run(meta_judge=None)
    assert made is None
    assert set(on.manifest.stages) - set(off.manifest.stages) == set(_STAGES)
    for name, entry in off.manifest.stages.items():
        other = on.manifest.stages[name]
        assert (entry.settings, entry.inputs, entry.digest) == (other.settings, other.inputs, other.digest)


@pytest.mark.parametrize(
    ("changes", "made", "reason"),
    [
        ({"max_share": 0.3}, 2, "over_share"),
        ({"max_score_share": 0.5}, 0, "score_balance"),
        ({"max_judgment_tokens": 2}, 0, "long_judgment"),
    ],
)
def test_the_limits_act(bench: Bench, changes: dict[str, Any], made: int, reason: str) -> None:
    _, _, pairs = bench.run(**{f"meta_judge.{name}": value for name, value in changes.items()})
    assert pairs is not None
    assert (pairs.entry.rows, pairs.entry.counts[f"drop.{reason}"]) == (made, 4 - made)


def test_train_max_length_leaves_out_what_training_would(bench: Bench) -> None:
    _, _, pairs = bench.run(**{"train.max_length": 200})
    assert pairs is not None
    assert (pairs.entry.rows, pairs.entry.counts["drop.too_long"]) == (0, 4)


def test_after_the_last_iteration_nothing_is_compared(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    session, it, made = bench.run()
    assert made is not None
    prompts = it.stored("prompts", Prompt)
    later = it.manifest.model_copy(update={"iteration": 3})
    monkeypatch.setattr(it, "manifest", later)
    session.config = bench.config(**{"meta_judge.last_iteration": 2})
    nothing: Any = None
    assert compare_judgments(session, it, M1, prompts, nothing, nothing) is None


def test_other_settings_for_finished_work_are_refused_by_name(bench: Bench) -> None:
    bench.run()
    for change, named in (
        ({"meta_judge.verdict.temperature": 0.1}, "meta_judge.verdict.temperature: 0.7 -> 0.1"),
        ({"meta_judge.max_share": 0.1}, "meta_judge.max_share: 0.5 -> 0.1"),
    ):
        with pytest.raises(StoreError, match="--name") as refused:
            bench.run(**change)
        assert named in str(refused.value)


def test_training_takes_both_kinds_and_it_cannot_be_switched_off_under_a_model(bench: Bench) -> None:
    session, it, made = bench.run()
    assert made is not None
    pairs, asked = it.stored("pairs", PreferencePair), MagicMock()
    session.run_training = asked  # type: ignore[method-assign]
    train(session, it, M1, pairs, made)
    train(session, it, M1, pairs, None)
    (_, with_both, on), (_, without, off) = (call.args for call in asked.call_args_list)
    assert with_both.data == tuple(map(str, [*pairs.paths(), *made.paths()]))
    assert without.data == tuple(map(str, pairs.paths()))
    assert set(on.inputs) - set(off.inputs) == {"judgment_pairs"}
    it.begin("adapter", on)
    it.finish("adapter")
    with pytest.raises(StoreError, match=r"meta_judge: \{.*\} -> None"):
        it.begin("adapter", off)


def test_a_fork_leaves_what_it_took_over_as_it_is(bench: Bench) -> None:
    session, it, _ = bench.run(meta_judge=None)
    it.close()
    inherited = IterationStore(it.path, it.manifest, inherited=True)
    session.config = bench.config()
    prompts = it.stored("prompts", Prompt)
    made = it.stored("responses", Response), it.stored("judgments", Judgment)
    assert compare_judgments(session, inherited, M1, prompts, *made) is None
    with pytest.raises(StoreError, match="was made without judgment_comparisons"):
        compare_judgments(session, it, M1, prompts, *made)
