"""Texts that try to run, load or leave, in a real browser: they are shown as text, and nothing else happens."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hostile_run import attacks, build_hostile_run

from selfreward.overriding import exclude
from selfreward.storage.run import RunStore
from selfreward.terminal.render import visible
from selfreward.viewer.report import iteration_report

if TYPE_CHECKING:
    from playwright.sync_api import Page

Serve = Callable[..., str]
pytestmark = pytest.mark.slow
ATTACKS = attacks()
TELL = "window.attacked = () => console.error('a text was run')"
"""The fixture fails a test on any such message."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    run = build_hostile_run(tmp_path_factory.mktemp("hostile") / "runs" / "hostile", ATTACKS)
    exclude(run, "pair-00", ATTACKS[0], who=ATTACKS[1])
    return run


@pytest.fixture
def page(open_page: Callable[..., "Page"]) -> "Page":
    opened = open_page()
    opened.add_init_script(TELL)
    return opened


def provoke(page: "Page") -> None:
    """Do what a visitor might, and what a text might wait for."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    page.mouse.move(200, 200)
    page.locator("main").click(position={"x": 5, "y": 5})
    page.keyboard.press("Tab")
    assert (
        page.evaluate("document.querySelectorAll('main :is(script, iframe, object, embed, img, style, base)').length")
        == 0
    )


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 40
    assert len(set(ATTACKS)) == len(ATTACKS)


def test_every_attack_is_text_on_the_page_of_its_pair(page: "Page", hostile: RunStore, serve: Serve) -> None:
    home = serve(hostile.path.parent)
    for number, attack in enumerate(ATTACKS):
        page.goto(f"{home}/runs/hostile/1/pairs/pair-{number:02d}")
        shown = visible(attack)
        assert page.locator("#prompt").text_content() == shown
        assert page.locator(".box.chosen .text").first.text_content() == f"{shown} 0"
        assert page.locator("pre.raw").first.text_content() == shown
        provoke(page)
        assert page.url.startswith(home)
        assert "selfreward" in page.title()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/runs/hostile",
        "/runs/hostile/1",
        "/runs/hostile/1/pairs",
        "/runs/hostile/1/pairs?offset=50",
        "/compare?run=hostile&t=1&other=hostile&u=2",
        "/compare?run=hostile&t=1&other=hostile&u=2&offset=50",
    ],
)
def test_attacks_together(page: "Page", hostile: RunStore, serve: Serve, path: str) -> None:
    home = serve(hostile.path.parent)
    page.goto(home + path)
    provoke(page)
    assert page.url == home + path


def test_attacks_as_seeds_and_prompts(page: "Page", hostile: RunStore, serve: Serve) -> None:
    home = serve(hostile.path.parent)
    for number, attack in enumerate(ATTACKS):
        page.goto(f"{home}/runs/hostile/items/ift-{number}")
        assert page.locator(".text").first.text_content() == visible(attack)
        provoke(page)


def test_attacks_in_an_address(page: "Page", hostile: RunStore, serve: Serve) -> None:
    home = serve(hostile.path.parent)
    for attack in ATTACKS[:10]:
        given = quote(attack[:100], safe="")
        page.goto(f"{home}/runs/hostile/1/pairs?text={given}&prompt_id={given}")
        assert page.locator("#text").input_value() == visible(attack[:100])
        provoke(page)


def test_report_opens_from_disk_and_loads_nothing(page: "Page", hostile: RunStore, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(iteration_report(hostile, 1), encoding="utf-8")
    page.goto(path.as_uri())
    assert page.locator(".box .text").first.text_content() in {visible(attack) for attack in ATTACKS}
    assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") != "none"
    page.mouse.move(200, 200)
    page.keyboard.press("Tab")
