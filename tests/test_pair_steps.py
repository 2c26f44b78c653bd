"""How pairs are built in a run: what is in the key, and a rule that looks at the whole iteration first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixture_run import add
from judged_answers import judgment_of, response_of

from selfreward.config import make_config
from selfreward.engines.chat import Chat
from selfreward.models import ModelRef
from selfreward.progress import Reporter
from selfreward.query import page_of_pairs
from selfreward.records import Judgment, PreferencePair, Prompt, Response, derive_seed
from selfreward.session import Session
from selfreward.steps import Asked, build_pairs
from selfreward.storage.iteration import IterationStore
from selfreward.storage.run import RunStore
from selfreward.terminal.render_walk import _reasons
from selfreward.walk import PromptWalk, walk

Make = Callable[..., tuple[Session, IterationStore]]
SCORES = ((5.0, 4.0, 1.0), (5.0, 4.5, 4.0), (3.0, 3.0, 3.0), (5.0, 2.0, 3.0), (2.0, 0.0, 1.0), (4.0, 3.5, 3.0))
"""Three candidates of each of six prompts: margins 4, 1, none, 3, 2, 1."""


@pytest.fixture
def make(tmp_path: Path, chat: Chat) -> Make:
    """A session with a recipe's pairs, and an iteration that is judged."""

    def build(name: str = "r", t: int = 1, **changes: Any) -> tuple[Session, IterationStore]:
        data = {"name": name, "runs_dir": str(tmp_path), "model": "m", "prompts": {"file": "p.txt"}, "shard_size": 2}
        config = make_config({**data, "iterations": 2}, changes, "test")
        fresh = not config.run_dir.exists()
        config.run_dir.mkdir(exist_ok=True)
        session = Session(config, RunStore.create(config.run_dir) if fresh else RunStore(config.run_dir), Reporter())
        session.__dict__.update(chat=chat, root=ModelRef(name="m", revision=None, path="", fingerprint="f"))
        for u in range(t if fresh else 0):
            session.store.begin_iteration(u, _about).close()
        it = session.store.begin_iteration(t, _about)
        if fresh:
            prompts = [Prompt(id=f"p-{i}", text=f"Prompt {i}?", iteration=t) for i in range(len(SCORES))]
            responses = [response_of(chat, p, k) for p in prompts for k in range(3)]
            scores = [score for of_prompt in SCORES for score in of_prompt]
            judgments = [judgment_of(r, score) for r, score in zip(responses, scores, strict=True)]
            add(it, "prompts", prompts, Prompt)
            add(it, "responses", responses, Response)
            add(it, "judgments", judgments, Judgment)
        return session, it

    return build


def _about() -> dict[str, Any]:
    return {"config": {}, "model": {}, "templates": {}, "environment": {}}


def built(session: Session, it: IterationStore) -> list[PreferencePair]:
    stored = (it.stored(name, kind) for name, kind in (("prompts", Prompt), ("responses", Response)))
    return list(build_pairs(session, it, *stored, it.stored("judgments", Judgment), Asked()).records())


def test_the_widest_margins_of_the_whole_iteration_are_kept(make: Make) -> None:
    session, it = make(**{"pairs.type": "top_margin", "pairs.fraction": 0.5})
    assert [p.prompt_id for p in built(session, it)] == ["p-0", "p-3", "p-4"]
    entry = it.manifest.stages["pairs"]
    assert (len(entry.files), entry.inputs_done) == (3, 6)
    assert (entry.counts["drop.below_top"], entry.counts["drop.tie"]) == (2, 1)


def test_a_stage_that_was_stopped_goes_on_with_the_same_choice(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = {"pairs.type": "top_margin", "pairs.fraction": 0.5}
    whole = built(*make("whole", **rule))
    session, it = make("stopped", **rule)
    store = IterationStore.add_shard

    def full_disk(self: IterationStore, *arguments: Any, **more: Any) -> None:
        if self.manifest.stages["pairs"].files:
            raise OSError("no space left")
        store(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(IterationStore, "add_shard", full_disk)
        with pytest.raises(OSError, match="no space"):
            built(session, it)
    session, it = make("stopped", **rule)
    assert it.manifest.stages["pairs"].inputs_done == 2
    assert built(session, it) == whole


def test_the_walk_says_that_others_were_further_apart(make: Make) -> None:
    session, it = make(**{"pairs.type": "top_margin", "pairs.fraction": 0.5})
    built(session, it)
    reasons = {}
    for i in range(6):
        found = walk(session.store, f"p-{i}")
        assert isinstance(found, PromptWalk)
        reasons[i] = found.decision.reason
    assert reasons == {0: None, 1: "below_top", 2: "tie", 3: None, 4: None, 5: "below_top"}
    assert list(_reasons(found)) == [
        "no pair: best and worst differ by 1.000, not among the widest 50% of the iteration"
    ]


def test_several_pairs_of_a_prompt_are_listed_and_walked(make: Make) -> None:
    session, it = make(**{"pairs.type": "all_pairs", "pairs.min_margin": 2.0})
    pairs = built(session, it)
    assert [(p.prompt_id, p.margin) for p in pairs] == [("p-0", 4), ("p-0", 3), ("p-3", 3), ("p-3", 2), ("p-4", 2)]
    assert page_of_pairs(session.store, 1).total == 5
    found = walk(session.store, "p-0")
    assert isinstance(found, PromptWalk)
    assert (found.pair, found.further_pairs) == (pairs[0], (pairs[1].id,))
    found = walk(session.store, pairs[1].id)
    assert isinstance(found, PromptWalk)
    assert (found.pair, found.further_pairs) == (pairs[1], (pairs[0].id,))
    assert [c.role for c in found.candidates] == [None, "chosen", "rejected"]
    words = list(_reasons(found))
    assert "rule     all_pairs: every two usable candidates that are far enough apart by mean score" in words
    assert f"further  1 of this prompt's pairs: {pairs[0].id}" in words


def test_only_a_rule_that_draws_has_the_seed_in_its_key(make: Make) -> None:
    keys = {}
    for rule in ("best_worst", "best_random", "top_margin"):
        session, it = make(rule, **{"pairs.type": rule, "seed": 5})
        built(session, it)
        keys[rule] = it.manifest.stages["pairs"].settings.get("seed")
    assert keys == {"best_worst": None, "best_random": 5, "top_margin": None}


def test_the_draw_changes_with_seed_and_iteration(make: Make) -> None:
    drawn = {}
    for seed, t in ((1, 1), (1, 2), (2, 1), (3, 1)):
        pairs = built(*make(f"{seed}-{t}", t, **{"pairs.type": "best_random", "seed": seed}))
        assert [p.chosen_id for p in pairs] == [f"r-p-{i}-0" for i in (0, 1, 3, 4, 5)]
        drawn[seed, t] = tuple(p.rejected_id for p in pairs)
    assert len(set(drawn.values())) > 1
    assert derive_seed(1, 1, "pairs") != derive_seed(1, 2, "pairs")


def test_another_rho_for_later_iterations_is_no_change(make: Make) -> None:
    rule = {"pairs.type": "length_controlled", "pairs.rho": [0.0, 0.1]}
    session, it = make(**rule)
    first = built(session, it)
    assert it.manifest.stages["pairs"].settings["pairs"]["rho"] == 0.0
    session, it = make(**{**rule, "pairs.rho": [0.0, 0.3, 0.4], "iterations": 3})
    assert built(session, it) == first
