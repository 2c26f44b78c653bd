"""Dropping generated prompts: each rule and setting, and ROUGE-L against a slow, plain implementation."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from selfreward.stages.prompt_cleaning import clean
from selfreward.stages.prompt_filters import FilterConfig, PromptFilter

DATA = Path(__file__).parents[2].parent / "shared" / "data"

# Few words, so that texts share many and near-duplicates are common.
WORDS = st.sampled_from(["a", "b", "c", "d", "E", "e.g", "42", "file"])
TEXTS = st.lists(WORDS, max_size=12).map(" ".join) | st.sampled_from(["", "!a b c", "é a b", "a b", "A  b c d"])


def rouge_l(one: str, other: str) -> float:
    """ROUGE-L F1 by the textbook: a table of longest common subsequences."""
    rows, columns = (re.findall("[a-z0-9]+", text.lower()) for text in (one, other))
    table = [[0] * (len(columns) + 1) for _ in range(len(rows) + 1)]
    for i, left in enumerate(rows):
        for j, right in enumerate(columns):
            equal = table[i][j] + 1
            table[i + 1][j + 1] = equal if left == right else max(table[i][j + 1], table[i + 1][j])
    return 2 * table[-1][-1] / (len(rows) + len(columns)) if rows or columns else 0.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("Say hello.", "too_short"),
        ("Say hello twice.", None),
        ("word " * 150, None),
        ("word " * 151, "too_long"),
        ("Describe this IMAGE in words.", "keyword"),
        ("How do I go\nto the station?", "keyword"),
        ("Write a plot, please.", "keyword"),
        ("Write a paragraph about photography.", None),
        ("What did the cartographer remap?", None),
        ("#1 in the charts is what?", "leading_punctuation"),
        ("¿Qué hora es?", "non_english"),
        ("Ähnliche Wörter nennen bitte.", "non_english"),
        ("3D printers work how?", None),
        ("3 простых вопроса здесь.", "non_english"),
        ("1, 2, 3, 4", "non_english"),
        ("Translate 你好 into English.", None),
        ("Translate this sentence into French.", "missing_material"),
        ("Which of the following is a mammal?", "missing_material"),
        ("What do these two animals have in common?", "missing_material"),
        ("What are its main components?", "missing_material"),
        ("Which tools would you use for this project?", "missing_material"),
        ("We plan a new project. Which tools would you use for this project?", None),
        ("Summarise the article below in a sentence.", "missing_material"),
        ("Translate this sentence into French: the sun is warm", None),
        ("Is 'the sun is warm' correct, or is this sentence wrong?", None),
        ("Fix this function.\n\nx = = 3", None),
        ("Given an equation, how would you solve this equation?", None),
        ("Tell a story of a day and the following night.", None),
        ("How does a plant make its food?", None),
        ("Write a function. What does this function cost in time?", None),
        ("  write A\nseed prompt ", "duplicate"),
        ("Write a story about a seed", None),
        ("Write a good seed prompt!", "rouge_l"),
    ],
)
def test_reason(text: str, reason: str | None) -> None:
    prompts = PromptFilter(FilterConfig(), known=["Write a seed prompt"])
    assert prompts.reason(text) == reason


@pytest.mark.parametrize(
    ("setting", "text", "reason"),
    [
        ({"min_words": 4}, "Say hello twice.", "too_short"),
        ({"min_words": 2}, "Say hello.", None),
        ({"max_words": 3}, "Say hello twice now.", "too_long"),
        ({"keywords": ("table", "C++")}, "Sort it in C++ now.", "keyword"),
        ({"keywords": ("table",)}, "Describe this image.", None),
        ({"keywords": ()}, "Describe this image.", None),
        ({"language": "any"}, "¿Qué hora es?", None),
        ({"language": "any"}, "Ähnliche Wörter nennen bitte.", None),
        ({"language": "any"}, "!Qué hora es?", "leading_punctuation"),
        ({"max_rouge_l": 0.9}, "Write a good seed prompt!", None),
        ({"max_rouge_l": 0.0}, "Please write something else.", "rouge_l"),
        ({"max_rouge_l": 1.0}, "Write a seed prompt?", None),
    ],
)
def test_each_setting_acts(setting: dict[str, object], text: str, reason: str | None) -> None:
    prompts = PromptFilter(FilterConfig.model_validate(setting), known=["Write a seed prompt"])
    assert prompts.reason(text) == reason


@pytest.mark.parametrize(
    "setting", [{"min_words": 9, "max_words": 8}, {"max_rouge_l": 1.1}, {"keywords": [" "]}, {"min_word": 3}]
)
def test_settings_without_sense_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FilterConfig.model_validate(setting)


def test_a_similarity_equal_to_the_limit_is_kept() -> None:
    known = "a b c d e f g x y z"
    prompts = PromptFilter(FilterConfig(min_words=0), known=[known])
    assert rouge_l(known, "a b c d e f g 1 2 3") == 0.7
    assert prompts.reason("a b c d e f g 1 2 3") is None
    assert prompts.reason("a b c d e f g 1 2") == "rouge_l"


def test_words_of_every_script_count_in_any_language() -> None:
    prompts = PromptFilter(FilterConfig(language="any"), known=["Какая сегодня погода в Москве"])
    assert prompts.reason("Какая завтра погода в Москве") == "rouge_l"
    assert prompts.reason("Сколько лет этому дереву") is None


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("de", "Übersetze den folgenden Satz ins Englische: Das Meer ist kalt.", None),
        ("de", "Erkläre mir, wie ein Regenbogen über dem Meer entsteht.", "rouge_l"),
        ("de", "Explain how a rainbow is made of light.", "other_language"),
        ("de", "用中文写一首关于大海的诗。", "other_language"),
        ("de", "Nenne Früchte.", "too_short"),
        ("de", "Beschreibe ein Bild deiner Stadt.", "keyword"),
        ("zh", "请用五个词形容大海。", None),
        ("zh", "解释一下彩虹是怎么形成的呢?", "rouge_l"),
        ("zh", "GPT是什么？", None),
        ("zh", "Explain how a rainbow forms.", "other_language"),
        ("zh", "你好", "too_short"),
        ("zh", "写" * 151, "too_long"),
        ("zh", "请画一张图片给我看看。", "keyword"),
        ("ar", "اكتب قصيدة قصيرة عن البحر والسماء.", None),
        ("ar", "اشرح لي كيف يتكون قوس قزح في السماء اليوم", "rouge_l"),
        ("ar", "اكتب لي عن Python", None),
        ("ar", "Explain how a rainbow forms.", "other_language"),
        ("ar", "اكتب قصيدة", "too_short"),
        ("ar", "صف لي صورة جميلة للبحر.", "keyword"),
        ("en", "请用五个词形容大海。", "too_short"),
    ],
)
def test_each_language_has_its_own_rules(language: str, text: str, reason: str | None) -> None:
    known = [
        "Erkläre mir, wie ein Regenbogen am Meer entsteht.",
        "请解释一下彩虹是怎么形成的?",
        "اشرح لي كيف يتكون قوس قزح في السماء",
    ]
    config = FilterConfig.model_validate({"language": language, "keywords": ["Bild", "图片", "صورة"]})
    assert PromptFilter(config, known).reason(text) == reason


def test_a_language_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="'de'"):
        FilterConfig.model_validate({"language": "German"})


def test_texts_without_words_are_not_alike() -> None:
    prompts = PromptFilter(FilterConfig(language="any", min_words=0), known=["— — —"])
    assert prompts.drop_reasons(["« « «", "» » »"]) == [None, None]


def test_what_was_added_counts_and_what_was_dropped_does_not() -> None:
    prompts = PromptFilter(FilterConfig())
    first, near, nearer = "a b c d e f", "a b c d e 6", "a b c d 5 6"
    assert prompts.reason(near) is None
    prompts.add(first)
    assert prompts.reason(near) == "rouge_l"
    assert prompts.drop_reasons([near, nearer, "A b c d e f"]) == ["rouge_l", None, "duplicate"]
    assert prompts.reason(near) == "rouge_l"


def test_the_first_of_a_group_wins() -> None:
    group = ["one two three four", "one two three four five", "one two three four", "six seven eight"]
    assert PromptFilter(FilterConfig()).drop_reasons(group) == [None, "rouge_l", "duplicate", None]


@given(st.lists(TEXTS, max_size=30), st.lists(TEXTS, max_size=8), st.sampled_from([0.0, 0.5, 0.7, 1.0]))
def test_decisions_equal_those_of_comparing_with_all(texts: list[str], known: list[str], limit: float) -> None:
    config = FilterConfig(max_rouge_l=limit)
    without_rouge = PromptFilter(config.model_copy(update={"max_rouge_l": 1.0}), known)
    taken, expected = list(known), []
    for text in texts:
        reason = without_rouge.reason(text)
        if reason is None and any(rouge_l(text, other) > limit for other in taken):
            reason = "rouge_l"
        if reason is None:
            taken.append(text)
            without_rouge.add(text)
        expected.append(reason)
    assert PromptFilter(config, known).drop_reasons(texts) == expected


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=90).map(" ".join),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=90).map(" ".join),
    st.floats(0, 1) | st.sampled_from([0.5, 2 / 3, 0.7, 0.8, 6 / 7]),
)
def test_rouge_l_equals_the_textbook(text: str, known: str, limit: float) -> None:
    prompts = PromptFilter(FilterConfig(min_words=0, max_rouge_l=limit), known=[known])
    if text != known:
        assert (prompts.reason(text) == "rouge_l") == (rouge_l(text, known) > limit)


def test_importing_the_filters_loads_nothing_heavy() -> None:
    code = "import sys, selfreward.stages.prompt_filters; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "torch", "transformers", "datasets", "pyarrow", "duckdb"} & set(loaded.split())


def test_real_prompts_are_kept_without_near_duplicates() -> None:
    if not (DATA / "generated_prompts_7b.jsonl").exists():
        pytest.skip("no raw outputs of a 7B model beside the repository (../shared/data)")
    raw, seeds = (
        [json.loads(line)[key] for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
        for name, key in (
            ("generated_prompts_7b.jsonl", "prompt"),
            ("self_instruct_seed_tasks.jsonl", "instruction"),
        )
    )
    texts = [clean(text) for text in raw]
    reasons = PromptFilter(FilterConfig(), seeds).drop_reasons(texts)
    counts = Counter(reasons)
    assert counts[None] > 600
    assert counts["rouge_l"] > 150
    kept = [text for text, reason in zip(texts, reasons, strict=True) if reason is None]
    assert all(rouge_l(kept[0], text) <= 0.7 for text in [*kept[1:], *seeds])
