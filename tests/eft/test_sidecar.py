"""An EFT file says which rubric it was built with, and a run notices another one."""

from pathlib import Path

import pytest

from selfreward.config import RunConfig
from selfreward.eft.sidecar import changed_since, sidecar_path, write_sidecar
from selfreward.plan import make_plan
from selfreward.resources import find
from selfreward.steps import seed_notices
from selfreward.templates import Rubric, load_rubric
from selfreward.terminal import render


@pytest.fixture
def eft(tmp_path: Path) -> Path:
    path = tmp_path / "eft.jsonl"
    path.write_bytes(find("seeds", "eft.jsonl").read_bytes())
    return path


@pytest.fixture
def other(tmp_path: Path) -> Rubric:
    """The same rubric with one more word."""
    path = tmp_path / "additive_5pt.md"
    path.write_text(load_rubric("additive_5pt").path.read_text(encoding="utf-8") + "\nThanks.\n", encoding="utf-8")
    return load_rubric(str(path))


def config(eft: Path, rubric: str = "additive_5pt") -> RunConfig:
    return RunConfig.model_validate(
        {
            "name": "x",
            "model": {"name": "builtin:smollm2-135m-instruct"},
            "seeds": {"ift": str(find("seeds", "ift.jsonl")), "eft": str(eft)},
            "judge": {"rubric": rubric},
        }
    )


def test_the_same_rubric_is_nothing_to_talk_about(eft: Path) -> None:
    assert changed_since(eft, load_rubric("additive_5pt")) is None  # no sidecar: nobody knows
    write_sidecar(eft, load_rubric("additive_5pt"), {})
    assert seed_notices(config(eft)) == []
    assert make_plan(config(eft)).notices == ()


def test_another_rubric_is_said_by_the_plan_and_does_not_stop_it(
    eft: Path, other: Rubric, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sidecar(eft, load_rubric("additive_5pt"), {})
    plan = make_plan(config(eft, str(other.path)))
    (notice,) = plan.notices
    built = load_rubric("additive_5pt").label
    assert f"was built with the rubric {built}, and judge.rubric is {other.label} now" in notice
    assert "selfreward seeds build-eft" in notice
    render.console().print(render.plan(plan))
    assert "was built with the rubric" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"rubric": 3, "seal": "x"}', "\x00"])
def test_a_damaged_sidecar_is_said(eft: Path, text: str) -> None:
    sidecar_path(eft).write_text(text, encoding="utf-8")
    said = changed_since(eft, load_rubric("additive_5pt"))
    assert said
    assert "cannot be read, so nobody knows" in said
