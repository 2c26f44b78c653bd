"""docs/seeds.md: every format has an example there that is recognised and gives what the page says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from seed_imports import Import

from selfreward.seeding.formats import FORMATS
from selfreward.seeding.formats.base import TARGETS, Format

PAGE = (Path(__file__).parents[3] / "docs" / "seeds.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    found = re.search(rf"^### `{name}`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/seeds.md has no section on the format {name}"
    return found[1]


def examples(name: str) -> list[dict[str, Any]]:
    found = re.search(r"```json\n(.*?)```", section(name), re.DOTALL)
    assert found, f"docs/seeds.md has no example row of {name}"
    return [json.loads(line) for line in found[1].splitlines()]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_example_rows(form: Format, import_rows: Import) -> None:
    for target in form.converters:
        # 1 to 5 is what the examples have; the scale matters for EFT alone.
        scale_from = (1.0, 5.0) if target == "eft" and form.scale else None
        done = import_rows(examples(form.name), target, scale_from=scale_from)
        assert done.form == form.name
        assert done.rows or target == "ranked"
        assert {reason for _, reason in done.reasons} <= {"not_the_best", "one_response"}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_targets_are_documented(form: Format) -> None:
    (promised,) = re.findall(r"^Gives: (.*)\.$", section(form.name), re.MULTILINE)
    assert promised == ", ".join(f"`{target}`" for target in TARGETS if target in form.converters)


def test_every_reason_is_documented() -> None:
    package = Path(__file__).parents[3] / "selfreward" / "seeding"
    code = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    raised = set(re.findall(r'Reject\(\s*"(\w+)"', code)) | set(re.findall(r'LeftOut\(\w[\w.]*, "(\w+)"', code))
    documented = set(re.findall(r"`(\w+)`", PAGE.split("| Reason |")[1].split("\n\n")[0]))
    assert raised | {"no_rank", "no_score"} == documented
