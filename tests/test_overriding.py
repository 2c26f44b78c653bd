"""What a person decides: checked, written down, used when pairs are built, and never a reason to stop a run."""

import json
from pathlib import Path
from typing import Any

import pytest
from fixture_run import add
from judged_answers import judgment_of, response_of

from selfreward.config import make_config
from selfreward.engines.chat import Chat
from selfreward.errors import StoreError
from selfreward.models import ModelRef
from selfreward.overriding import exclude, override_state, set_score, swap, withdraw
from selfreward.progress import Reporter
from selfreward.query.pairs import PairFilter, page_of_pairs
from selfreward.records import Judgment, Labelled, PreferencePair, Prompt, Response, content_id
from selfreward.session import Session
from selfreward.stages import pairing
from selfreward.steps import Asked, build_pairs
from selfreward.storage.fork import fork, fork_config
from selfreward.storage.iteration import IterationStore
from selfreward.storage.overrides import OVERRIDES, read_overrides
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify
from selfreward.walk import PromptWalk, walk

SCORES = ((5.0, 1.0), (4.0, 2.0), (3.0, 0.0))
"""Two candidates of each of three prompts; the first wins every time."""


class Said(Reporter):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def judged(tmp_path: Path, chat: Chat) -> Session:
    """A run whose iteration 1 is judged."""
    data = {"name": "r", "runs_dir": str(tmp_path), "model": "m", "prompts": {"file": "p.txt"}, "shard_size": 2}
    config = make_config({**data, "iterations": 1}, {}, "test")
    config.run_dir.mkdir()
    run = RunStore.create(config.run_dir)
    run.save_config(config)
    run.begin_iteration(0, _about).close()
    it = run.begin_iteration(1, _about)
    prompts = [Prompt(id=f"p-{i}", text=f"Prompt {i}?", iteration=1) for i in range(len(SCORES))]
    responses = [response_of(chat, prompt, k) for prompt in prompts for k in range(2)]
    scores = [score for of_prompt in SCORES for score in of_prompt]
    add(it, "prompts", prompts, Prompt)
    add(it, "responses", responses, Response)
    add(it, "judgments", [judgment_of(r, s) for r, s in zip(responses, scores, strict=True)], Judgment)
    return session_of(run, chat)


def session_of(run: RunStore, chat: Chat) -> Session:
    session = Session(run.config(), run, Said())
    session.__dict__.update(chat=chat, root=ModelRef(name="m", revision=None, path="", fingerprint="f"))
    return session


def _about() -> dict[str, Any]:
    return {"config": {}, "model": {"fingerprint": "f"}, "templates": {}, "environment": {}}


def built(session: Session) -> list[PreferencePair]:
    it = session.store.iteration(1)
    stored = (it.stored(name, kind) for name, kind in (("prompts", Prompt), ("responses", Response)))
    return list(build_pairs(session, it, *stored, it.stored("judgments", Judgment), Asked()).records())


def sides(pairs: list[PreferencePair]) -> dict[str, tuple[str, str]]:
    return {p.prompt_id: (p.chosen_id.removeprefix("r-"), p.rejected_id.removeprefix("r-")) for p in pairs}


def decided(session: Session) -> list[PreferencePair]:
    """Pair 0 is left out, pair 1 is swapped, and the worse response of prompt 2 gets the best score."""
    pairs = built(session)
    run = session.store
    exclude(run, pairs[0].id, "the prompt makes no sense")
    swap(run, pairs[1].id, "the other one is right", who="Ada")
    set_score(run, "r-p-2-1", 4.5, "misjudged")
    return pairs


def test_decisions_wait_for_pairs_that_are_built_anew(judged: Session) -> None:
    before = decided(judged)
    assert built(judged) == before
    said = judged.reporter.lines  # type: ignore[attr-defined]
    assert "decisions that came after they were built: 3" in said[-1]
    assert "--from-pairs 1" in said[-1]
    state = override_state(judged.store, 1)
    assert (len(state.pending), state.trained) == (3, False)
    assert state.fork_command == f"selfreward fork {judged.store.path} --from-pairs 1 --name NEW"


def test_a_fork_from_pairs_uses_them_and_counts_them(judged: Session, chat: Chat) -> None:
    before = decided(judged)
    run = judged.store
    made = fork(run, 0, fork_config(run, 0, {}, "anew"), judged=True)
    assert verify(made.path) == []
    session = session_of(made, chat)
    pairs = built(session)
    assert sides(pairs) == {"p-1": ("p-1-1", "p-1-0"), "p-2": ("p-2-1", "p-2-0")}
    assert [(p.chosen_score, p.rejected_score, p.margin) for p in pairs] == [(2.0, 4.0, -2.0), (4.5, 3.0, 1.5)]
    entry = made.iteration(1).manifest.stages["pairs"]
    counts = {name: n for name, n in entry.counts.items() if n}
    assert counts == {"override.excluded": 1, "override.swapped": 1, "override.scored": 1, "drop.excluded": 1}
    assert override_state(made, 1).pending == ()
    assert built(session) == pairs
    assert built(judged) == before, "the parent keeps what it was trained on"
    found = walk(made, "p-0")
    assert isinstance(found, PromptWalk)
    assert found.decision.reason == "excluded"
    assert page_of_pairs(made, 1, PairFilter(overridden=True)).total == 2
    assert page_of_pairs(made, 1, sort="order").rows[0].flags == ("swapped",)


def test_a_fork_needs_judgments(judged: Session) -> None:
    it = judged.store.iteration(1)
    it.forget("judgments")
    with pytest.raises(StoreError, match="is not judged to the end"):
        fork(judged.store, 0, fork_config(judged.store, 0, {}, "anew"), judged=True)


def test_decisions_before_pairs_are_built_are_used_at_once(judged: Session) -> None:
    set_score(judged.store, "r-p-1-1", 5.0, "misjudged")
    assert sides(built(judged))["p-1"] == ("p-1-1", "p-1-0")
    assert override_state(judged.store, 1).pending == ()


def test_pairs_that_were_begun_are_built_anew(judged: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    build = pairing.build_pairs

    def once(part: pairing.Part, *rest: Any) -> Any:
        if part.prompts[0].id != "p-0":
            raise KeyboardInterrupt
        return build(part, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(pairing, "build_pairs", once)
        with pytest.raises(KeyboardInterrupt):
            built(judged)
    (pair, _) = judged.store.iteration(1).stored("pairs", PreferencePair).records()
    exclude(judged.store, pair.id, "no")
    assert sorted(sides(built(judged))) == ["p-1", "p-2"]


def test_the_last_decision_holds_and_can_be_taken_back(judged: Session) -> None:
    pair = built(judged)[0]
    run = judged.store
    exclude(run, pair.id, "bad")
    swap(run, pair.id, "turned round", who="Ada")
    (holds,) = override_state(run, 1).in_force
    assert (holds.action, holds.who, holds.reason) == ("swap", "Ada", "turned round")
    withdraw(run, pair.id, "all was well")
    set_score(run, pair.chosen_id, 2, "less")
    withdraw(run, pair.chosen_id, "more")
    state = override_state(run, 1)
    assert (state.in_force, state.pending, state.fork_command) == ((), (), None)
    actions = [override.action for override in state.overrides]
    assert actions == ["exclude", "swap", "withdraw", "score", "withdraw"]


def test_old_and_new_are_written_down(judged: Session) -> None:
    pair = built(judged)[0]
    swap(judged.store, pair.id, "why not", who="Ada")
    set_score(judged.store, pair.rejected_id, 3, "better than that")
    first, second = (json.loads(line) for line in (judged.store.path / OVERRIDES).read_text().splitlines())
    assert first["old"] == {"chosen_id": pair.chosen_id, "rejected_id": pair.rejected_id}
    assert first["new"] == {"chosen_id": pair.rejected_id, "rejected_id": pair.chosen_id}
    assert (second["old"], second["new"], second["iteration"]) == (1.0, 3.0, 1)


def test_what_cannot_be_decided_is_refused(judged: Session) -> None:
    pair = built(judged)[0]
    run = judged.store
    exclude(run, pair.id, "bad")
    refused = [
        (lambda: exclude(run, "pair-none", "x"), "no such item"),
        (lambda: exclude(run, pair.chosen_id, "x"), "is a response, no pair"),
        (lambda: swap(run, pair.id, "  "), "needs a reason"),
        (lambda: swap(run, pair.id, "x" * 2001), "needs a reason"),
        (lambda: exclude(run, pair.id, "again"), "decided already"),
        (lambda: set_score(run, pair.id, 3, "x"), "only responses have scores"),
        (lambda: set_score(run, pair.chosen_id, float("nan"), "x"), "is no score"),
        (lambda: withdraw(run, pair.chosen_id, "x"), "nothing is decided"),
    ]
    for decide, why in refused:
        with pytest.raises(StoreError, match=why):
            decide()
    assert len(read_overrides(run.path)) == 1


def test_scores_stay_on_the_judges_scale(judged: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from selfreward.templates import load_rubric

    templates = {"judge.rubric": load_rubric("additive_5pt").hash}
    it = judged.store.iteration(1)
    it.manifest = it.manifest.model_copy(update={"templates": templates})
    it.save()
    with pytest.raises(StoreError, match="scale, which is 0 to 5"):
        set_score(judged.store, "r-p-1-1", 5.5, "more than all")
    set_score(judged.store, "r-p-1-1", 5, "all")


def test_a_damaged_line_is_told_and_a_cut_one_passed_over(judged: Session) -> None:
    pair = built(judged)[0]
    path = judged.store.path / OVERRIDES
    exclude(judged.store, pair.id, "bad")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert len(read_overrides(judged.store.path)) == 1
    swap(judged.store, pair.id, "turned round")
    assert len(read_overrides(judged.store.path)) == 2
    path.write_bytes(whole.replace(b"bad", b"BAD"))
    with pytest.raises(StoreError, match=r"overrides\.jsonl:1: damaged"):
        read_overrides(judged.store.path)
    assert any("overrides.jsonl:1: damaged" in problem for problem in verify(judged.store.path))


def test_a_response_that_nobody_could_judge_can_be_given_a_score(judged: Session) -> None:
    it: IterationStore = judged.store.iteration(1)
    judgments = list(it.stored("judgments", Judgment).records())
    it.forget("judgments")
    unread = [j.model_copy(update={"score": None}) if j.id == "j-r-p-0-1" else j for j in judgments]
    add(it, "judgments", unread, Judgment)
    set_score(judged.store, "r-p-0-1", 0.5, "clearly wrong")
    assert sides(built(judged))["p-0"] == ("p-0-0", "p-0-1")
    assert read_overrides(judged.store.path)[0].old is None


def test_a_score_decides_about_a_label_once_the_labels_are_made_anew(judged: Session, chat: Chat) -> None:
    config = judged.config.model_dump(mode="json")
    labels = {"pairs": {"type": "threshold", "min_score": 3.0}, "train": {"type": "kto"}}
    judged.store.save_config(make_config({**config, **labels}, {}, "test"))
    session = session_of(judged.store, chat)

    def wanted(session: Session) -> list[str]:
        built(session)
        rows = session.store.iteration(1).stored("labelled", Labelled).records()
        return [row.response_id for row in rows if row.label]

    before = ["r-p-0-0", "r-p-1-0", "r-p-2-0"]
    assert wanted(session) == before
    set_score(session.store, "r-p-0-0", 1.0, "it is wrong", of=content_id("labelled", "r-p-0-1"))
    assert wanted(session) == before
    assert "labelled: decisions that came after they were built: 1" in session.reporter.lines[-1]  # type: ignore[attr-defined]
    assert len(override_state(session.store, 1).pending) == 1
    made = fork(session.store, 0, fork_config(session.store, 0, {}, "anew"), judged=True)
    assert wanted(session_of(made, chat)) == before[1:]
    assert override_state(made, 1).pending == ()
    assert verify(made.path) == []


def test_responses_with_a_label_are_no_pairs(judged: Session, chat: Chat) -> None:
    config = judged.config.model_dump(mode="json")
    labels = {"pairs": {"type": "threshold", "min_score": 3.0}, "train": {"type": "kto"}}
    judged.store.save_config(make_config({**config, **labels}, {}, "test"))
    built(session_of(judged.store, chat))
    labelled = content_id("labelled", "r-p-0-1")
    with pytest.raises(StoreError, match="is a response with a label, no pair; a score can be set"):
        exclude(judged.store, labelled, "bad")
    with pytest.raises(StoreError, match="answers another prompt"):
        set_score(judged.store, "r-p-1-0", 1.0, "bad", of=labelled)
