"""The pages of iterations that other recipes leave: without verdicts, with labels, with gates that were reached."""

import json

import pytest
from pages_read import follow_every_link, text_of
from run_kinds import make_judged_judgments, make_labelled, make_mix, make_spin
from starlette.testclient import TestClient

from selfreward.query.pairs import page_of_pairs
from selfreward.storage.iteration import StageKey
from selfreward.storage.run import RunStore
from selfreward.templates import load_rubric
from selfreward.viewer.app import make_app
from selfreward.viewer.security import Access

MAKERS = (make_spin, make_labelled, make_judged_judgments)


@pytest.mark.parametrize("make", MAKERS)
def test_every_page_is_there(site: TestClient, finished_run: RunStore, make: object) -> None:
    assert callable(make)
    make(finished_run)
    assert len(follow_every_link(site)) > 20


def test_pairs_without_scores(site: TestClient, finished_run: RunStore) -> None:
    made = make_spin(finished_run)
    said = text_of(site.get(f"/runs/small/1/pairs/{made.id}"))
    assert "Chosen , score –" in said
    assert "set a score" not in said
    assert "Score " not in said.partition("What to do")[2].partition("Write it down")[0]
    assert "nothing is judged in this iteration" in said
    assert "one of the two iterations was not judged" in text_of(site.get("/compare?run=small&t=1&other=small&u=2"))


def test_labels(site: TestClient, finished_run: RunStore) -> None:
    wanted, _ = make_labelled(finished_run)
    assert "2 labelled" in text_of(site.get("/runs/small"))
    iteration = text_of(site.get("/runs/small/1"))
    assert "labelled 2" in iteration
    assert "Length against score" in iteration
    assert "Margins" not in iteration, "there are no pairs"
    assert "set a score" in text_of(site.get(f"/runs/small/items/{wanted.prompt_id}"))
    said = text_of(site.get(f"/runs/small/items/{wanted.id}"))
    assert "trained on one by one" in said
    assert "unwanted" in said
    answer = site.get("/runs/small/1/pairs")
    assert answer.status_code == 404
    assert "makes no pairs" in text_of(answer)


def test_list_of_labels(site: TestClient, finished_run: RunStore) -> None:
    wanted, unwanted = make_labelled(finished_run)
    at = "/runs/small/1/labelled"
    assert f'href="{at}"' in site.get("/runs/small").text
    assert f'href="{at}"' in site.get("/runs/small/1").text
    said = text_of(site.get(at))
    assert "2 of 2 responses, here 1 to 2." in said
    assert said.index("wanted 4.00") < said.index("unwanted 1.50")
    only = site.get(f"{at}?wanted=0&text=answer").text
    assert unwanted.id in only
    assert wanted.id not in only
    assert "1 of 2 responses" in text_of(site.get(f"{at}?min_score=2"))
    assert site.get(f"{at}?sort=margin").status_code == 400
    answer = site.get(f"{at}/export?format=jsonl&wanted=1")
    assert 'filename="labelled-iter-001.jsonl"' in answer.headers["content-disposition"]
    assert [(row["id"], row["label"]) for row in map(json.loads, answer.text.splitlines())] == [(wanted.id, True)]
    assert "no labelled responses" in text_of(site.get("/runs/small/2/labelled"))


def test_judged_judgments(site: TestClient, finished_run: RunStore) -> None:
    made = make_judged_judgments(finished_run)
    assert "and 1 of judgments" in text_of(site.get("/runs/small"))
    assert "pairs of judgments 1" in text_of(site.get("/runs/small/1"))
    said = text_of(site.get(f"/runs/small/items/{made.id}"))
    assert "Judgments of one candidate compared" in said
    assert made.rejected_id in said


def test_parts_of_a_mix(site: TestClient, finished_run: RunStore) -> None:
    rubric = load_rubric("additive_5pt")
    parts = {"words": {"method": {"type": "sampled"}}, "checks": {"method": {"type": "implicit"}}}
    mix = {"method": {"type": "mix", "parts": parts}}
    make_mix(finished_run, mix, {"judge.method.parts.words.rubric": rubric.hash})
    said = text_of(site.get(f"/runs/small/1/pairs/{page_of_pairs(finished_run, 1).rows[0].id}"))
    assert "4 judgments" in said
    assert said.count(f"What the judge was asked, by {rubric.label}") == 3, "once for each candidate"
    assert "the method implicit reads no rubric" in said


def test_tripped_gates(site: TestClient, finished_run: RunStore) -> None:
    finished_run.events().write("gate_tripped", iteration=1, gate="tie_share", value=0.5, limit=0.25, action="stop")
    assert "stop tie_share: 0.5, limit 0.25" in text_of(site.get("/runs/small"))
    assert "Limits of the recipe that were reached: stop tie_share" in text_of(site.get("/runs/small/1"))


def test_run_that_has_only_begun(finished_run: RunStore, access: Access) -> None:
    begun = RunStore.create(finished_run.path.parent / "begun")
    begun.save_config(finished_run.config())
    site = TestClient(make_app(begun.path.parent, access), base_url="http://127.0.0.1")
    assert "No iteration is begun yet." in text_of(site.get("/runs/begun"))
    assert "Where the models come from" not in text_of(site.get("/runs/begun"))


@pytest.mark.parametrize(("parent", "here"), [("small", True), ("elsewhere", False)])
def test_parent_of_a_fork_is_a_link_where_it_is(
    finished_run: RunStore, access: Access, parent: str, here: bool
) -> None:
    fork = RunStore.create(finished_run.path.parent / "branch", {"run": parent, "at": 0})
    fork.save_config(finished_run.config())
    page = TestClient(make_app(fork.path.parent, access), base_url="http://127.0.0.1").get("/runs/branch")
    assert "It shares iteration 0 with" in text_of(page)
    assert (f'href="/runs/{parent}"' in page.text) == here


def test_every_objective_has_its_training_figures(site: TestClient, unfinished_run: RunStore) -> None:
    it = unfinished_run.iteration(3)
    log = it.path / ".tmp-training.jsonl"
    rows = [{"step": n, "loss": 1 / n, "kl": 0.1 * n, "nll_loss": 2.0 / n, "num_tokens": n} for n in (1, 2, 3)]
    log.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    it.begin("adapter", StageKey(version=1, settings={}, inputs={}))
    it.finish_with_files("adapter", {"training.jsonl": log}, counts={}, seconds=1.0, summary={})
    page = site.get("/runs/small/3").text
    assert "2 more figures of training" in text_of(site.get("/runs/small/3"))
    for name in ("Loss", "kl", "nll_loss"):
        assert f'aria-label="{name}. Step by step."' in page
    assert "num_tokens" not in page
