"""Every page in a real browser: reading, keys, forms, files, and what an accessibility checker finds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fixture_run import add

from selfreward.pair_rules.best_worst import BestWorstConfig
from selfreward.records import PreferencePair, Prompt, key_settings
from selfreward.storage.overrides import read_overrides
from selfreward.storage.run import RunStore, lock_run
from selfreward.viewer.security import Access

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
OpenPage = Callable[..., "Page"]
Serve = Callable[..., str]
AXE = Path(__file__).parent / "axe" / "axe.min.js"
PATIENT = 60_000
"""Milliseconds that a busy machine may take."""


@pytest.fixture
def run(unfinished_run: RunStore) -> RunStore:
    """Iteration 3 has a prompt with a dozen pairs."""
    (pair,) = unfinished_run.iteration(1).stored("pairs", PreferencePair).records()
    prompt = next(unfinished_run.iteration(3).stored("prompts", Prompt).records())
    pairs = [
        pair.model_copy(update={"id": f"pair-{n:02d}", "prompt_id": prompt.id, "margin": 12.0 - n}) for n in range(12)
    ]
    rule = {"pairs": key_settings(BestWorstConfig())}
    add(unfinished_run.iteration(3), "pairs", pairs, PreferencePair, settings=rule)
    return unfinished_run


@pytest.fixture
def home(run: RunStore, serve: Serve) -> str:
    return serve(run.path.parent)


def own_pair(run: RunStore) -> str:
    """Address of the pair of iteration 1."""
    (pair,) = run.iteration(1).stored("pairs", PreferencePair).records()
    return f"/runs/small/1/pairs/{pair.id}"


def pages(run: RunStore) -> list[str]:
    return [
        "/",
        "/runs/small",
        "/runs/small/0",
        "/runs/small/1",
        "/runs/small/3/pairs",
        "/runs/small/3/pairs?flags=length&min_margin=2",
        own_pair(run),
        "/compare",
        "/compare?run=small&t=1&other=small&u=1",
        "/compare?run=small&t=1&other=small&u=2",
        "/runs/small/items/ift-0",
        f"/runs/small/items/{next(run.iteration(1).stored('prompts', Prompt).records()).id}",
    ]


def focused(page: "Page") -> str:
    return str(page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.id"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_and_are_accessible(open_page: OpenPage, run: RunStore, home: str, scheme: str, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    found = []
    for path in pages(run):
        page.goto(home + path)
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        result = page.evaluate("axe.run({ resultTypes: ['violations'] })")
        found += [(path, one["id"], one["impact"], one["nodes"][0]["html"]) for one in result["violations"]]
    assert not found


def test_keys_walk_a_list_and_open_a_row(open_page: OpenPage, home: str) -> None:
    page = open_page()
    page.goto(f"{home}/runs/small/3/pairs?sort=margin")
    for key, number in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        assert focused(page).startswith(f"/runs/small/3/pairs/pair-{number:02d}")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pairs/pair-01")


def test_keys_leaf_through_pairs(open_page: OpenPage, home: str) -> None:
    page = open_page()
    page.goto(f"{home}/runs/small/3/pairs/pair-03?min_margin=3")
    page.keyboard.press("n")
    page.wait_for_url("**/pairs/pair-04?min_margin=3*")
    page.keyboard.press("p")
    page.wait_for_url("**/pairs/pair-03?min_margin=3*")


def test_keys_on_a_pair(open_page: OpenPage, run: RunStore, home: str) -> None:
    page = open_page()
    page.goto(home + own_pair(run))
    page.keyboard.press("2")
    assert focused(page) == "candidate-2"
    assert page.locator("#candidate-2 details").first.get_attribute("open") is not None
    page.keyboard.press("x")
    assert focused(page) == "reason"
    assert page.locator("input[value=exclude]").is_checked()
    page.keyboard.type("s, n and 2 are letters here?")
    assert page.locator("#reason").input_value() == "s, n and 2 are letters here?"
    page.locator("h1").click()
    page.keyboard.press("s")
    assert page.locator("input[value=swap]").is_checked()


def test_help_opens_and_closes(open_page: OpenPage, run: RunStore, home: str) -> None:
    page = open_page()
    page.goto(home + own_pair(run))
    dialog = page.locator("#keys")
    page.keyboard.press("?")
    assert dialog.is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    page.get_by_role("button", name="Keys").click()
    assert dialog.is_visible()
    page.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_pair_is_overridden(open_page: OpenPage, run: RunStore, home: str, scripts: bool) -> None:
    page = open_page(java_script_enabled=scripts)
    page.goto(home + own_pair(run))
    page.get_by_label("leave the pair out").check()
    page.get_by_label("Reason").fill("both are wrong")
    page.get_by_role("button", name="Write it down").click()
    page.get_by_text("The pair is left out.").wait_for(timeout=PATIENT)
    assert page.get_by_text("--from-pairs 1").is_visible()
    (written,) = read_overrides(run.path)
    assert (written.action, written.reason) == ("exclude", "both are wrong")


def test_another_page_cannot_override(chromium: "Browser", run: RunStore, home: str, tmp_path: Path) -> None:
    form = f'<form method="post" action="{home}{own_pair(run)}/override"><input name="action" value="swap"></form>'
    (tmp_path / "elsewhere.html").write_text(form, encoding="utf-8")
    page = chromium.new_page()
    page.goto((tmp_path / "elsewhere.html").as_uri())
    with page.expect_response("**/override") as answer:
        page.evaluate("document.forms[0].submit()")
    assert answer.value.status == 403
    assert read_overrides(run.path) == []
    page.close()


def test_filter_works_without_scripts(open_page: OpenPage, home: str) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{home}/runs/small/3/pairs")
    page.locator("summary").first.click()
    page.get_by_label("Margin, at least").fill("11")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("2 of 12 pairs, here 1 to 2.").wait_for(timeout=PATIENT)
    page.get_by_role("link", name="Margin").click()
    page.wait_for_url("**ascending=1**")
    assert "/pairs/pair-01?" in (page.locator("a[data-row]").first.get_attribute("href") or "")


def test_what_is_filtered_is_downloaded(open_page: OpenPage, home: str) -> None:
    page = open_page()
    page.goto(f"{home}/runs/small/3/pairs?min_margin=11")
    with page.expect_download() as file:
        page.get_by_role("link", name="JSONL for TRL").click()
    rows = [json.loads(line) for line in file.value.path().read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == ["pair-00", "pair-01"]
    assert file.value.suggested_filename == "pairs-iter-003.jsonl"


def test_report_is_downloaded_and_opens_from_disk(open_page: OpenPage, home: str, tmp_path: Path) -> None:
    page = open_page()
    page.goto(f"{home}/runs/small/1")
    with page.expect_download() as file:
        page.get_by_role("link", name="Report as a file").click()
    file.value.save_as(tmp_path / "report.html")
    page.goto((tmp_path / "report.html").as_uri())
    assert page.get_by_role("heading", name="Pairs with the widest margins").is_visible()
    assert page.locator("svg.chart").count() >= 4


def test_run_under_way_refreshes_by_itself(open_page: OpenPage, run: RunStore, home: str) -> None:
    page = open_page()
    with lock_run(run.path):
        run.events().write("progress", iteration=3, stage="prompts", done=1, total=4)
        page.goto(f"{home}/runs/small")
        assert page.locator("#progress .state").inner_text() == "running"
        page.evaluate("window.sameDocument = true")
        run.events().write("progress", iteration=3, stage="prompts", done=3, total=4)
        page.get_by_text("75.0%").wait_for(timeout=PATIENT)
    page.locator("#progress .state", has_text="stopped").wait_for(timeout=PATIENT)
    assert page.evaluate("window.sameDocument")


def test_token_lets_a_browser_in(open_page: OpenPage, run: RunStore, serve: Serve) -> None:
    home = serve(run.path.parent, Access(token="a-token"))
    page = open_page()
    assert page.request.get(home).status == 401
    page.goto(f"{home}/?token=a-token")
    assert page.url == f"{home}/"
    page.get_by_role("link", name="small").click()
    assert page.locator("h1").inner_text() == "small"
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert page.evaluate("document.cookie") == ""
