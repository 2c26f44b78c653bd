"""What the pages say of the hand-made run, asked without a browser."""

import json
import os
import re
from pathlib import Path

import pytest
from contests import unlike, verdicts
from fixture_run import NASTY, add
from pages_read import follow_every_link, text_of
from starlette.testclient import TestClient

from selfreward.evaluation.comparison import comparison
from selfreward.pair_rules.best_worst import BestWorstConfig
from selfreward.records import Judgment, PreferencePair, Prompt, Response, key_settings
from selfreward.storage.run import RunStore, lock_run
from selfreward.viewer.app import make_app
from selfreward.viewer.security import Access

SHOWN = NASTY.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
"""How the page writes what is in the run's texts."""


def pair_id(run: RunStore, t: int = 1) -> str:
    (pair,) = run.iteration(t).stored("pairs", PreferencePair).records()
    return pair.id


def test_every_link_of_every_page_leads_somewhere(site: TestClient) -> None:
    assert len(follow_every_link(site)) > 25


def test_runs_are_listed(site: TestClient) -> None:
    said = text_of(site.get("/"))
    assert "small finished 2 of 2 2 builtin:smollm2-135m-instruct" in said


def test_damaged_run_says_so_and_hides_no_other(site: TestClient, finished_run: RunStore) -> None:
    broken = finished_run.path.parent / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{}", encoding="utf-8")
    said = text_of(site.get("/"))
    assert "broken damaged" in said
    assert "small finished" in said
    assert site.get("/runs/broken").status_code == 404


def test_no_runs(tmp_path: Path, access: Access) -> None:
    site = TestClient(make_app(tmp_path, access), base_url="http://127.0.0.1")
    assert "There are none in" in site.get("/").text


def test_run_has_its_table_and_lineage(site: TestClient) -> None:
    said = text_of(site.get("/runs/small"))
    assert "1 M2 3 9 1" in said
    assert "M0 → M1 iteration 0" in said
    assert "M2 → M3 iteration 2" in said
    assert "2 of 2 iterations are finished" in said


def test_trend_needs_two_iterations(site: TestClient) -> None:
    assert 'aria-label="Mean score, iteration by iteration"' in site.get("/runs/small").text


def test_finished_run_is_not_asked_about_again(site: TestClient) -> None:
    assert "hx-get" not in site.get("/runs/small").text


def test_run_under_way_asks_again_and_shows_how_far_it_is(unfinished_run: RunStore, access: Access) -> None:
    unfinished_run.events().write("progress", iteration=3, stage="prompts", done=1, total=4)
    site = TestClient(make_app(unfinished_run.path.parent, access), base_url="http://127.0.0.1")
    with lock_run(unfinished_run.path):
        for path in ("/runs/small", "/runs/small/progress"):
            page = site.get(path).text
            assert 'hx-get="/runs/small/progress" hx-trigger="every 2s"' in page
            assert '<progress max="4.0" value="1.0"' in page
            assert "25.0%" in page
    assert "hx-get" not in site.get("/runs/small/progress").text


def test_iteration_without_pairs_is_shown_as_far_as_it_is(unfinished_run: RunStore, access: Access) -> None:
    site = TestClient(make_app(unfinished_run.path.parent, access), base_url="http://127.0.0.1")
    said = text_of(site.get("/runs/small/3"))
    assert "under way: what is stored so far" in said
    assert "No data." in said
    assert "No figure has enough data yet" in said
    assert "has no pairs yet" in text_of(site.get("/runs/small/3/pairs"))


def test_iteration_has_charts_findings_and_figures(site: TestClient) -> None:
    answer = site.get("/runs/small/1")
    assert answer.text.count('<svg class="chart"') >= 4
    said = text_of(answer)
    assert "What needs a look" in said
    assert "Length against score" in said
    assert "correlation" in said
    assert "longer is chosen" in said


def test_iteration_0_has_its_training_only(site: TestClient) -> None:
    said = text_of(site.get("/runs/small/0"))
    assert "M0 → M1" in said
    assert "Scores and lengths" not in said


def test_judge_and_model_measured_on_held_out_data_are_shown(unfinished_run: RunStore, access: Access) -> None:
    it = unfinished_run.iteration(3)
    judgments = list(unfinished_run.iteration(1).stored("judgments", Judgment).records())
    add(it, "heldout_judgments", judgments, Judgment)
    accuracy = {"value": 0.625, "low": 0.5, "high": 0.75, "n": 8}
    it.summarise("heldout_judgments", {"whole": {"judge": {"pairwise_accuracy": accuracy}}})
    pairs = unlike([(1, 2), (2, 1), (3, 4)])
    said = [verdict for pair in pairs for verdict in verdicts(pair, 0.9, 0.8)]
    about = {"models": ("M3", "M4"), "judge": "M0", "method": "pairwise", "rubric": "pairwise@1", "left_out": {}}
    add(it, "comparison", judgments, Judgment)
    it.summarise("comparison", comparison(pairs, said, **about, seed=0).model_dump(mode="json"))
    site = TestClient(make_app(unfinished_run.path.parent, access), base_url="http://127.0.0.1")
    assert "62.5% 50.0% to 75.0%" in text_of(site.get("/runs/small"))
    assert "judge accuracy 62.5%" in text_of(site.get("/runs/small/3"))
    assert "On held-out prompts, against the model before: M4 wins" in text_of(site.get("/runs/small/3"))


@pytest.fixture
def many(unfinished_run: RunStore, access: Access) -> TestClient:
    """Iteration 3 has 120 pairs; the margin of each is a hundredth of its number."""
    (pair,) = unfinished_run.iteration(1).stored("pairs", PreferencePair).records()
    prompt = next(unfinished_run.iteration(3).stored("prompts", Prompt).records())
    pairs = [
        pair.model_copy(
            update={"id": f"pair-{i:03d}", "prompt_id": prompt.id, "margin": i / 100, "chosen_score": 1.0 + i / 100}
        )
        for i in range(120)
    ]
    rule = {"pairs": key_settings(BestWorstConfig())}
    add(unfinished_run.iteration(3), "pairs", pairs, PreferencePair, settings=rule)
    return TestClient(make_app(unfinished_run.path.parent, access), base_url="http://127.0.0.1")


def rows(site: TestClient, query: str = "") -> list[str]:
    """Ids of the pairs on a page, in order."""
    answer = site.get(f"/runs/small/3/pairs{query}")
    assert answer.status_code == 200
    return re.findall(r'data-row class="clamp" href="/runs/small/3/pairs/(pair-\d+)', answer.text)


def test_pairs_come_a_page_at_a_time(many: TestClient) -> None:
    assert rows(many) == [f"pair-{i:03d}" for i in range(119, 69, -1)]
    assert rows(many, "?offset=100") == [f"pair-{i:03d}" for i in range(19, -1, -1)]
    assert "120 of 120 pairs, here 101 to 120" in text_of(many.get("/runs/small/3/pairs?offset=100"))
    assert "The list ends before this page" in text_of(many.get("/runs/small/3/pairs?offset=500"))


def test_pairs_are_sorted_and_filtered_by_the_address(many: TestClient) -> None:
    assert rows(many, "?ascending=1&max_margin=0.02") == ["pair-000", "pair-001", "pair-002"]
    assert rows(many, "?sort=order&min_margin=1.18") == ["pair-118", "pair-119"]
    assert rows(many, "?min_chosen=2.19") == ["pair-119"]
    assert rows(many, "?text=no such words") == []
    assert len(rows(many, "?text=ANSWER&min_margin=&flags=")) == 50
    assert rows(many, "?overridden=1") == []
    assert len(rows(many, "?overridden=0")) == 50


def test_filter_is_kept_in_the_form_and_in_links(many: TestClient) -> None:
    page = many.get("/runs/small/3/pairs?min_margin=0.5&sort=variance&flags=injection&flags=length&text=a%26b").text
    assert 'name="min_margin" aria-label="Margin, at least" placeholder="from" value="0.5"' in page
    assert 'value="injection" checked' in page
    assert 'name="text" maxlength="200" value="a&amp;b"' in page
    assert "min_margin=0.5&amp;flags=injection&amp;flags=length&amp;text=a%26b" in page


def test_heads_sort_and_turn_round(many: TestClient) -> None:
    page = many.get("/runs/small/3/pairs?sort=variance").text
    assert 'aria-sort="descending"' in page
    assert 'href="/runs/small/3/pairs?sort=variance&amp;ascending=1"' in page
    assert 'href="/runs/small/3/pairs"' in page


@pytest.mark.parametrize(
    "query",
    ["min_margin=much", "max_chosen=nan", "flags=none", "sort=drop", "offset=-1", "offset=x", "overridden=maybe"],
)
def test_filters_that_make_no_sense_are_explained(many: TestClient, query: str) -> None:
    answer = many.get(f"/runs/small/3/pairs?{query}")
    assert answer.status_code == 400
    assert "This cannot be shown" in answer.text


def test_pair_shows_everything(site: TestClient, finished_run: RunStore) -> None:
    said = text_of(site.get(f"/runs/small/1/pairs/{pair_id(finished_run)}"))
    assert f"Name a fruit that is {SHOWN}, please, round 1." in said
    assert "Chosen , score 4.00" in said
    assert "1. Score 4.00 chosen" in said
    assert "2. Score 3.00" in said
    assert "Sample 1: unreadable" in said
    assert "I would rather not." in said
    assert "Kind: 4.00" in said
    assert "1 of 1 by margin" in said
    assert "pair rule: min margin 0.5" in said
    assert "seed : Name a colour." in said


def test_pair_marks_the_words_that_differ(site: TestClient, finished_run: RunStore) -> None:
    page = site.get(f"/runs/small/1/pairs/{pair_id(finished_run)}").text
    assert re.findall(r"<mark>([^<]*)</mark>", page) == ["0 ", "1 "]


def test_pair_leads_to_its_neighbours_in_the_list(many: TestClient) -> None:
    page = many.get("/runs/small/3/pairs/pair-050?ascending=1&min_margin=0.5").text
    assert 'rel="prev"' not in page
    assert 'rel="next" href="/runs/small/3/pairs/pair-051?min_margin=0.5&amp;ascending=1"' in page
    assert "1 of 70 by margin" in text_of(many.get("/runs/small/3/pairs/pair-050?ascending=1&min_margin=0.5"))


def test_pair_is_asked_for_by_its_whole_id(site: TestClient, finished_run: RunStore) -> None:
    whole = pair_id(finished_run)
    for wrong in (whole[:-1], "pair-", "none", finished_run.iteration(1).manifest.parent or ""):
        assert site.get(f"/runs/small/1/pairs/{wrong}").status_code == 404
    assert site.get(f"/runs/small/2/pairs/{whole}").status_code == 404


def test_every_item_has_a_page(site: TestClient, finished_run: RunStore) -> None:
    it = finished_run.iteration(1)
    items: list[str] = [next(it.stored("prompts", Prompt).records()).id]
    items.append(next(it.stored("responses", Response).records()).id)
    items.append(next(it.stored("judgments", Judgment).records()).id)
    for item in items:
        assert "A prompt of iteration 1" in text_of(site.get(f"/runs/small/items/{item}"))
    assert "Seed, line 1 of its file" in text_of(site.get("/runs/small/items/ift-0"))
    assert "Wrong." in text_of(site.get("/runs/small/items/eft-0"))
    assert site.get(f"/runs/small/items/{pair_id(finished_run)}").status_code == 303
    assert site.get("/runs/small/items/nothing-like-it").status_code == 404


def test_prompt_without_a_pair_says_why(site: TestClient, finished_run: RunStore) -> None:
    _, tie, _ = finished_run.iteration(1).stored("prompts", Prompt).records()
    assert "It gave no pair: tie." in text_of(site.get(f"/runs/small/items/{tie.id}"))


def test_two_iterations_are_compared(site: TestClient) -> None:
    said = text_of(site.get("/compare?run=small&t=1&other=small&u=1"))
    assert "2 prompts were answered by both" in said or "3 prompts were answered by both" in said
    said = text_of(site.get("/compare?run=small&t=1&other=small&u=2"))
    assert "No prompt was answered by both" in said
    assert "Second small 2" in said


@pytest.mark.parametrize(
    ("query", "status"), [("run=none&t=1&u=1", 404), ("run=small&t=9&u=1", 404), ("run=small&t=x&u=1", 400)]
)
def test_comparisons_that_make_no_sense_are_explained(site: TestClient, query: str, status: int) -> None:
    assert site.get(f"/compare?{query}").status_code == status


def test_export_gives_what_is_filtered(many: TestClient, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    answer = many.get("/runs/small/3/export?format=jsonl&min_margin=1.18")
    assert 'filename="pairs-iter-003.jsonl"' in answer.headers["content-disposition"]
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["id"] for row in found] == ["pair-119", "pair-118"]
    assert found[0]["chosen"] == [{"role": "assistant", "content": f"answer 0 {NASTY}"}]
    (tmp_path / "pairs.parquet").write_bytes(many.get("/runs/small/3/export?format=parquet&sort=order").content)
    assert pq.read_table(tmp_path / "pairs.parquet").num_rows == 120
    assert many.get("/runs/small/3/export?format=csv").status_code == 400


def test_names_with_odd_characters(finished_run: RunStore, access: Access) -> None:
    odd = finished_run.path.rename(finished_run.path.parent / "a b?c#d&e <é>")
    site = TestClient(make_app(odd.parent, access), base_url="http://127.0.0.1")
    (link,) = re.findall(r'data-row href="([^"]*)"', site.get("/").text)
    assert "<é>" not in site.get("/").text
    assert "a b?c#d&amp;e &lt;é&gt;" in site.get(link).text
    assert site.get(f"{link}/1/pairs").status_code == 200


def test_names_that_are_no_utf8_hide_no_other_run(finished_run: RunStore, access: Access) -> None:
    runs = finished_run.path.parent
    try:
        os.rename(finished_run.path, os.fsencode(runs / "bad") + b"\xff")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    said = text_of(TestClient(make_app(runs, access), base_url="http://127.0.0.1").get("/"))
    assert "damaged" in said
    assert "its name is not UTF-8; rename the directory" in said


def test_run_that_goes_while_its_page_is_open_is_said(
    site: TestClient, finished_run: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        (finished_run.path / "nothing").read_bytes()

    monkeypatch.setattr("selfreward.viewer.pages.run.iteration_table", gone)
    answer = site.get("/runs/small")
    assert answer.status_code == 404
    assert "nothing: No such file or directory; load the page again" in text_of(answer)


def test_missing_file_is_said(site: TestClient, finished_run: RunStore) -> None:
    (finished_run.path / "iter-001" / "pairs" / "00000.parquet").unlink()
    answer = site.get("/runs/small/1/pairs")
    assert answer.status_code == 404
    assert "selfreward verify" in answer.text
