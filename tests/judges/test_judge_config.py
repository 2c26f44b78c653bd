from pathlib import Path

import pytest

from selfreward.errors import ConfigError, TemplateError
from selfreward.judges import JudgeConfig
from selfreward.resources import find


def _rubric(directory: Path, old: str, new: str) -> JudgeConfig:
    text = find("prompts", "judge/additive_5pt.md").read_text(encoding="utf-8")
    assert old in text
    (directory / "own.md").write_text(text.replace(old, new), encoding="utf-8")
    return JudgeConfig(rubric=str(directory / "own.md"))


@pytest.mark.parametrize("verdict", ["[[{{ score }}]]", "Grade {{ score }}", "Score: {{ score }}/7"])
def test_a_verdict_that_cannot_be_read_back_is_refused(tmp_path: Path, verdict: str) -> None:
    config = _rubric(tmp_path, 'verdict: "Score: {{ score }}"', f"verdict: '{verdict}'")
    with pytest.raises(TemplateError, match=r"own\.md: verdict: .* cannot be read back as 0"):
        config.load_rubric()


def test_a_golden_reply_must_give_its_score(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"own\.md: golden: 2 was expected of its reply, and 3 is read"):
        _rubric(tmp_path, "score: 3", "score: 2").load_rubric()


def test_another_label_is_fine(tmp_path: Path) -> None:
    text = find("prompts", "judge/additive_5pt.md").read_text(encoding="utf-8").replace("Score:", "Grade:")
    (tmp_path / "own.md").write_text(text, encoding="utf-8")
    assert JudgeConfig(rubric=str(tmp_path / "own.md")).load_rubric().verdict(4) == "Grade: 4"


@pytest.mark.parametrize("rubric", ["aspects_5pt", "checklist"])
def test_an_expected_score_is_one_score(rubric: str) -> None:
    assert JudgeConfig.model_validate({"rubric": rubric}).load_rubric().front.name == rubric
    with pytest.raises(ConfigError, match=rf"expected looks at one score, and .*{rubric}\.md asks for one of"):
        JudgeConfig.model_validate({"rubric": rubric, "method": "expected"}).load_rubric()
