"""Cleaning raw model outputs: what leaks goes, what belongs to the task stays."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.languages import LanguageCode
from selfreward.stages.prompt_cleaning import clean

RAW_OUTPUTS = Path(__file__).parents[2].parent / "shared" / "data" / "generated_prompts_7b.jsonl"

TASK = "Write a short poem about autumn leaves."

# What a careless eye finds first in a kept prompt; written apart from the module's own patterns.
LEAK = re.compile(
    r"^\W*(task|instruction|prompt)s? ?\d*\W*:|\btask \d|^\W*1\d[.)] (write|what|create|how|design|can)\b"
    r"|\b(answer|response|solution|output|hint|note|explanation|title|example answer|translation): "
    r"|^\W*(answer|response|solution|output|hint|note|explanation|example|assistant|a)\W*:"
    r"|^\W*(slide|step) \d+:|\*\*\w[^*\n]*:\*\*|<\||language model and|I cannot",
    re.IGNORECASE | re.MULTILINE,
)


@pytest.mark.parametrize(
    "header",
    [
        "Task 10: ",
        "Task 10:\n",
        "Task 10\n\n",
        "Task: ",
        "TASK #3 - ",
        "### Task\n",
        "### Task 4:\n",
        "## Instruction:\n\n",
        "Instruction: ",
        "**Instruction:** ",
        "**Task 10:**\n",
        "[Task 10:]\n\n",
        "(Task 10)\n",
        "New task: ",
        "Your task: ",
        "As a User:\n\n",
        "Prompt: ",
        "Question 7. ",
        "10. ",
        "10) ",
        "#10: ",
        "**10.** ",
        "Q: ",
        "- ",
        "* ",
        "• ",
        "> ",
        "Sure! Here is a new task:\n\n",
        "Here's another instruction for you: ",
        "---\n\nTask 10: 1. ",
    ],
)
def test_a_leaked_header_goes(header: str) -> None:
    assert clean(header + TASK) == TASK


@pytest.mark.parametrize("quotes", ['""', "“”", "''", "``", "[]"])
def test_surrounding_quotes_go(quotes: str) -> None:
    assert clean(f"Task 3: {quotes[0]}{TASK}{quotes[1]}") == TASK


def test_bold_markers_go() -> None:
    assert clean(f"**Task 10: {TASK}**") == TASK
    assert clean("Write a **short** poem.") == "Write a short poem."


@pytest.mark.parametrize(
    "tail",
    [
        "\n\nTask 11: Translate this into Latin.",
        "\n\nTask 11:\nTranslate this into Latin.\n\nTask 12:\nWhat is the capital of France?",
        " Task 11: Translate this into Latin.",
        "\n\n**Task 11**\nTranslate this into Latin.",
        "\n\nTasks 10 and 11: Translate this into Latin.",
        "\n\n[Task 10:]\n\nWrite a haiku.",
        "\n\nInstruction: Translate this into Latin.",
        "\n\n10. Translate this into Latin.\n11. Write a haiku.",
        "\n\n---\n\nWrite a haiku.",
        "\n\nWhat is the capital of France?",
        "\n\nGood job, here's your next task. Could you write a story?",
        "\nAnswer: Leaves fall.",
        "\n\nAnswer:\nLeaves fall.",
        " Answer: Leaves fall.",
        "\n\n(Answer: Leaves fall.)",
        "\n\n**Answer:** Leaves fall.",
        "\n\nA: Leaves fall.",
        "\nA:\nLeaves fall.",
        "\n\nResponse: Leaves fall.",
        "\n\n### Response:\nLeaves fall.",
        "\n\nAssistant: Leaves fall.",
        "\n\nOutput:\nLeaves fall.",
        "\n\nExpected output: Leaves fall.",
        "\n\nSample output:\nLeaves fall.",
        "\n\nExample answer: Leaves fall.",
        "\n\nExample:\nLeaves fall.",
        "\n\nSolution: Leaves fall.",
        "\n\nExplanation: Autumn is when leaves fall.",
        "\n\nHint: Think of colours.",
        " (Hint: think of colours)",
        "\n\nHere's a hint: think of colours.",
        "\n\nNote: This is a creative task.",
        "\n\n(Note: This is a creative task.)",
        "\n\n[Note: I cannot write poems.]",
        " (I am an AI language model and cannot write poems.)",
        "\n\nTitle: Falling\n\nThe leaves fall.",
        "\n\nThe leaves fall down,\nand the ground is brown.",
        "\n\n1. Think of a season\n2. Write about it",
        "\n\nStep 1: Think of a season",
        "\n\nHere's a possible poem outline:\n\n1. Leaves",
        "\n\n```\nleaves fall\n```",
        "\n\nBonus: Make it rhyme.",
        "<|im_end|>\n<|im_start|>assistant\nLeaves fall.",
        "</s>[INST] Write a haiku. [/INST]",
        "\n\nGood luck!",
        "\nLeaves fall down in the wind",
        "\n\nAlso, what is the capital of France?",
        "\n\nAdditionally, could you please check this spreadsheet and let me know what is wrong with the sums?",
    ],
)
def test_all_from_the_first_foreign_part_on_goes(tail: str) -> None:
    assert clean(TASK + tail) == TASK


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " \n\t ",
        "Task 10:",
        "Answer: Paris",
        "I'd be happy to help you with that.",
        "I'm sorry, but I cannot do that.",
        "I cannot create visual content.",
        "As an AI language model, I have no opinion.",
        "Sure! What would you like to know?",
        "Could you please clarify which code you mean?",
        'Can you provide more context about the "code" you mention? What does it do?',
        "Here are some ideas for your garden:\n\n1. Roses\n2. Tulips",
        "Here's a possible solution:\n\nTask: Explain vacuum energy\n\n1. Vacuum energy is energy.",
        "Ann: How are you?\n\nBob: Fine.\n\nAnn: Good.",
        "Translate the following sentence:\n\nAnswer: there is none",
    ],
)
def test_nothing_remains_of_an_output_without_a_task(raw: str) -> None:
    assert clean(raw) == ""


@pytest.mark.parametrize(
    "task",
    [
        "What is the difference between a monarchy and a republic?\n\nWhat are some examples of each?",
        "Explain inheritance.\n\nGive an example of how it is used.\n\nAlso, when should it be avoided?",
        "Design a logo.\n\nRequirements:\n- simple\n- in two colours\n\nMake sure it prints well.",
        "Write an API with these endpoints:\n\n1. GET /users\n2. POST /users\n\nThe API should return JSON.",
        'Translate the following text into Spanish:\n\n"The cat is on the mat."',
        "What is the capital of France?\n\nA) London\nB) Paris\nC) Rome",
        "Which of the following is not a planet?\nMars, Venus, Pluto.",
        "What is wrong with this function?\n\n```python\ndef f(x):\n    y = x\n\n    return  y\n```",
        "I'd like a chatbot.\n\nHere's what I have so far:\n```\nimport os\n```\nWhat should I do about it?",
        "Continue the poem below.\n\nThe stars are bright\nand so is the night",
        "Solve for x:\n\nx + y = 5\nx - y = 2",
        "Summarise the text.\n\nText: Leaves fall in autumn.",
        "A line that the model wrapped\nin the middle of a sentence.",
        "Sort the list. For example, [2, 1] becomes [1, 2].",
        'Reply with the words "Answer: yes" or "Answer: no".',
        "Write a task list for a wedding.",
        "I can't sleep at night. What should I do?",
        "3D printers are popular. Why?",
        "You are a guide. You have:\n\n* maps\n* keys\n\nWhat does a good guide do with keys?",
        "Explain what a lease is.\n\nAlso, how does a lease differ from a loan?",
        "What is the symbol of iron?\nAlso, what is its melting point?",
        "What does an IP address do?\n\nAdditionally, why do IP addresses change?",
        '"Hamlet" or "Macbeth": which is the better play?',
        "Here's a list of languages: C, Java. Your task is to rank them.",
        "Write f(x) = 2**3 and g(x) = x**2 as a product.",
        "Use the notation A: B for pairs.",
    ],
)
def test_a_clean_task_stays_as_it_is(task: str) -> None:
    assert clean(task) == task


@pytest.mark.parametrize(
    ("language", "task", "raw"),
    [
        ("de", "Schreibe ein Gedicht.", "Aufgabe 10: Schreibe ein Gedicht.\n\nAufgabe 11: Nenne drei Tiere."),
        ("de", "Schreibe ein Gedicht.", "**Aufgabe 10**\nSchreibe ein Gedicht.\n\nAntwort:\nDer Herbst ist da."),
        ("de", "Wie heißt du?", "Frage: Wie heißt du? (Antwort: Anna)"),
        ("de", "Schreibe ein Gedicht\nüber den Herbst.", "Schreibe ein Gedicht\nüber den Herbst.\nHinweis: kurz"),
        ("de", "Schreibe ein Gedicht.", "Schreibe ein Gedicht.\n\nDer Herbst ist da,\ndie Blätter fallen."),
        ("de", "Übersetze:\n\n„Guten Tag“", 'Task 3: Übersetze:\n\n„Guten Tag“\n"Good day"'),
        ("de", "Beschreibe die Antwort: Warum ist sie falsch?", "Beschreibe die Antwort: Warum ist sie falsch?"),
        ("zh", "写一首关于秋天的诗。", "任务10：写一首关于秋天的诗。\n\n任务11：翻译这句话。"),
        ("zh", "写一首关于秋天的诗。", "【任务十】写一首关于秋天的诗。\n秋叶落下。"),
        ("zh", "法国的首都是哪里？", "问题：法国的首都是哪里？答案：巴黎"),
        ("zh", "法国的首都是哪里？", "法国的首都是哪里？\n\n**参考答案：**\n巴黎"),
        ("zh", "把下面的句子翻译成英语：\n\n「你好」", "把下面的句子翻译成英语：\n\n「你好」\n“Hello”"),
        ("zh", "请介绍北京。", "请介绍北京。下面是一些要点："),
        ("ja", "秋の詩を書いてください。", "課題10：秋の詩を書いてください。\n\n回答：秋の空"),
        ("ar", "اكتب قصيدة عن الخريف.", "المهمة 10: اكتب قصيدة عن الخريف.\n\nالإجابة: الأوراق تسقط."),
        ("ar", "ما هي عاصمة فرنسا؟", "السؤال: ما هي عاصمة فرنسا؟ الجواب: باريس"),
        ("ru", "Назови три реки.", "Задание № 4: Назови три реки.\nОтвет: Волга, Дон, Обь."),
        ("any", "Schreibe ein Gedicht.", "Task 10: Schreibe ein Gedicht.\n\nAnswer: Der Herbst ist da."),
    ],
)
def test_labels_of_other_languages(language: LanguageCode, task: str, raw: str) -> None:
    assert clean(raw, language) == task


@given(
    st.lists(
        st.sampled_from(
            [*"任务问题：答案。", "\n", "Aufgabe 9:", "Antwort:", "„", "“", "**", "- ", "1. ", "سؤال:", "؟"]
        )
    ),
    st.sampled_from(["de", "zh", "ar", "any"]),
)
def test_cleaning_twice_changes_nothing_in_any_language(parts: list[str], language: LanguageCode) -> None:
    cleaned = clean("".join(parts), language)
    assert clean(cleaned, language) == cleaned


def test_escapes_in_names_go() -> None:
    assert (
        clean(r"Explain the column order\_items and the path C:\_x.")
        == r"Explain the column order_items and the path C:\_x."
    )


def test_an_answer_behind_announced_material_goes() -> None:
    task = 'Translate the following text:\n\n"The cat sleeps."'
    assert clean(task + '\n\n"El gato duerme."') == task
    assert clean(task + '\n"El gato duerme."') == task


def test_a_question_keeps_no_advice() -> None:
    assert clean("How do I stay safe online?\n\nYou should use a VPN.") == "How do I stay safe online?"
    assert clean("Write a VPN guide.\n\nYou should use simple words.").endswith("You should use simple words.")


def test_an_announcement_without_its_material_goes() -> None:
    raw = "Explain how to make a sales pitch. Here are some things to consider:\n\n1. Know your customer"
    assert clean(raw) == "Explain how to make a sales pitch."
    assert clean("Make a poster. It should show the following:") == "Make a poster."


def test_whitespace_collapses_outside_code() -> None:
    raw = "Fix   this\u00a0code:  \r\n\r\n\r\n\r\n```\nif x:\n    y  =  1\n```\n\n"
    assert clean(raw) == "Fix this code:\n\n```\nif x:\n    y  =  1\n```"


@given(st.lists(st.sampled_from([*TASK, "\n", "Task 9:", "Answer:", '"', "**", "- ", "1. ", "```", "(", ":"])))
def test_cleaning_twice_changes_nothing(parts: list[str]) -> None:
    cleaned = clean("".join(parts))
    assert clean(cleaned) == cleaned
    assert cleaned == cleaned.strip()


def test_real_outputs_are_clean_afterwards() -> None:
    if not RAW_OUTPUTS.exists():
        pytest.skip("no raw outputs of a 7B model beside the repository (../shared/data)")
    raw = [json.loads(line)["prompt"] for line in RAW_OUTPUTS.read_text(encoding="utf-8").splitlines()]
    assert sum(bool(LEAK.search(text)) for text in raw) > 400
    cleaned = [clean(text) for text in raw]
    assert [text for text in cleaned if LEAK.search(text)] == []
    assert sum(not text for text in cleaned) < 20
