"""Decisions through the page's form."""

import re

import pytest
from starlette.testclient import TestClient

from selfreward.records import PreferencePair, Response
from selfreward.storage.overrides import read_overrides
from selfreward.storage.run import RunStore
from selfreward.viewer.security import Access

FROM_HERE = {"origin": "http://127.0.0.1"}


@pytest.fixture
def pair(finished_run: RunStore) -> PreferencePair:
    return next(finished_run.iteration(1).stored("pairs", PreferencePair).records())


def decide(site: TestClient, access: Access, pair: PreferencePair, **fields: str) -> tuple[int, str]:
    """Send the form; gives the status, and where it leads or what it says."""
    data = {"csrf": access.csrf, "reason": "the judge was fooled", **fields}
    answer = site.post(f"/runs/small/1/pairs/{pair.id}/override?sort=variance", data=data, headers=FROM_HERE)
    return answer.status_code, answer.headers.get("location", answer.text)


@pytest.mark.parametrize(("action", "words"), [("swap", "are swapped"), ("exclude", "is left out")])
def test_decision_is_written_down_and_shown(
    site: TestClient, access: Access, finished_run: RunStore, pair: PreferencePair, action: str, words: str
) -> None:
    assert decide(site, access, pair, action=action) == (303, f"/runs/small/1/pairs/{pair.id}?sort=variance#override")
    (written,) = read_overrides(finished_run.path, 1)
    assert (written.action, written.pair_id, written.reason) == (action, pair.id, "the judge was fooled")
    page = site.get(f"/runs/small/1/pairs/{pair.id}").text
    assert words in page
    assert "the judge was fooled" in page
    assert "a model was trained on the pairs as they were" in page
    assert "selfreward fork" in page
    assert "overridden</li>" in site.get("/runs/small/1/pairs?overridden=1").text


def test_score_is_set_and_taken_back(
    site: TestClient, access: Access, finished_run: RunStore, pair: PreferencePair
) -> None:
    assert decide(site, access, pair, action="score", response=pair.rejected_id, score="4.5")[0] == 303
    assert "Candidate 3: score 4.50 instead of 1.50." in site.get(f"/runs/small/1/pairs/{pair.id}").text
    assert decide(site, access, pair, action="withdraw", response=pair.rejected_id)[0] == 303
    assert [override.action for override in read_overrides(finished_run.path)] == ["score", "withdraw"]
    assert "Candidate 3: taken back." in site.get(f"/runs/small/1/pairs/{pair.id}").text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"action": "swap", "reason": " "}, "needs a reason"),
        ({"action": "swap", "reason": "x" * 2001}, "needs a reason of 1 to 2,000"),
        ({"action": "delete"}, "Choose what to do"),
        ({}, "Choose what to do"),
        ({"action": "score", "score": "4"}, "Choose the candidate"),
        ({"action": "score", "score": "4", "response": "r-0"}, "is no candidate of this prompt"),
        ({"action": "withdraw"}, "nothing is decided"),
    ],
)
def test_decisions_that_make_no_sense_are_explained(
    site: TestClient,
    access: Access,
    finished_run: RunStore,
    pair: PreferencePair,
    fields: dict[str, str],
    words: str,
) -> None:
    status, said = decide(site, access, pair, **fields)
    assert status == 400
    assert words in said.replace("&#39;", "'")
    assert read_overrides(finished_run.path) == []


@pytest.mark.parametrize("score", ["high", "", "nan", "1e999"])
def test_scores_that_are_none(site: TestClient, access: Access, pair: PreferencePair, score: str) -> None:
    status, said = decide(site, access, pair, action="score", response=pair.chosen_id, score=score)
    assert status == 400
    assert "is no score" in said


def test_form_of_a_page_is_accepted(site: TestClient, finished_run: RunStore, pair: PreferencePair) -> None:
    page = site.get(f"/runs/small/1/pairs/{pair.id}").text
    (token,) = re.findall(r'name="csrf" value="([^"]+)"', page)
    (action,) = re.findall(r'<form method="post" action="([^"]+)"', page)
    data = {"csrf": token, "action": "swap", "response": "", "score": "", "reason": "ä & ü"}
    assert site.post(action, data=data, headers=FROM_HERE).status_code == 303
    assert [override.reason for override in read_overrides(finished_run.path)] == ["ä & ü"]


def test_score_of_another_prompts_response_is_refused(
    site: TestClient, access: Access, finished_run: RunStore, pair: PreferencePair
) -> None:
    *_, other = finished_run.iteration(2).stored("responses", Response).records()
    status, _ = decide(site, access, pair, action="score", response=other.id, score="3")
    assert status == 400
    assert read_overrides(finished_run.path) == []


@pytest.mark.parametrize("body", [b"\xff", b"&".join([b"a=1"] * 50), b"csrf=%ff"])
def test_forms_that_cannot_be_read(site: TestClient, pair: PreferencePair, body: bytes) -> None:
    answer = site.post(f"/runs/small/1/pairs/{pair.id}/override", content=body, headers=FROM_HERE)
    assert answer.status_code == 400


def about_prompt(site: TestClient, access: Access, prompt: str, **fields: str) -> tuple[int, str]:
    """Send the form of a prompt's page."""
    data = {"csrf": access.csrf, "reason": "misjudged", **fields}
    answer = site.post(f"/runs/small/items/{prompt}/override", data=data, headers=FROM_HERE)
    return answer.status_code, answer.headers.get("location", answer.text)


def test_candidate_of_a_prompt_without_a_pair_is_given_a_score(
    site: TestClient, access: Access, finished_run: RunStore
) -> None:
    response = list(finished_run.iteration(1).stored("responses", Response).records())[4]
    page = f"/runs/small/items/{response.prompt_id}"
    assert f'<option value="{response.id}">candidate 2, score 2.00' in site.get(page).text.replace("\n", ""), (
        "the form names it"
    )
    said = about_prompt(site, access, response.prompt_id, action="score", score="4", response=response.id)
    assert said == (303, f"{page}#override")
    (written,) = read_overrides(finished_run.path, 1)
    assert (written.response_id, written.new) == (response.id, 4.0)
    shown = site.get(page).text
    assert "Candidate 2: score 4.00 instead of 2.00." in shown
    assert "selfreward fork" in shown
    assert about_prompt(site, access, response.prompt_id, action="withdraw", response=response.id)[0] == 303
    assert "Candidate 2: taken back." in site.get(page).text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": "score", "score": "4", "response": "r-0"}, "no candidate of this prompt"),
        ({"action": "score", "score": "4"}, "no candidate of this prompt"),
        ({"action": "swap", "response": "OWN"}, "set a score, or take one back"),
        ({"action": "score", "score": "99", "response": "OWN", "reason": " "}, "needs a reason"),
        ({"csrf": "wrong"}, "load the page again"),
    ],
)
def test_what_cannot_be_decided_about_a_prompt_is_explained(
    site: TestClient, access: Access, finished_run: RunStore, fields: dict[str, str], said: str
) -> None:
    own = next(finished_run.iteration(1).stored("responses", Response).records())
    given = {name: own.id if value == "OWN" else value for name, value in fields.items()}
    status, page = about_prompt(site, access, own.prompt_id, **given)
    assert (status in {400, 403}, said in page) == (True, True)
    assert read_overrides(finished_run.path, 1) == []


def test_only_prompts_have_that_form(site: TestClient, access: Access, pair: PreferencePair) -> None:
    for item in (pair.id, "ift-0", "nothing"):
        assert about_prompt(site, access, item, action="score")[0] in {400, 404}
