"""Formats of conversations: messages, ShareGPT, prompt/completion, Alpaca, Self-Instruct. Nothing is flattened."""

from typing import Any

import pytest
from seed_imports import Import

SYSTEM, USER, ANSWER = (
    {"role": role, "content": content} for role, content in (("system", "s"), ("user", "u"), ("assistant", "a"))
)
LONG = [SYSTEM, USER, ANSWER, {"role": "user", "content": "v"}, {"role": "assistant", "content": "b"}]


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("messages", {"messages": LONG}),
        ("own", {"messages": LONG, "task": "talk"}),
        ("sharegpt", {"conversations": LONG}),
        ("sharegpt", {"conversation": LONG[1:], "system": "s"}),
        (
            "sharegpt",
            {
                "system": "s",
                "conversations": [
                    {"from": who, "value": text}
                    for who, text in (("human", "u"), ("gpt", "a"), ("User", "v"), ("chatgpt", "b"))
                ],
            },
        ),
        ("prompt_completion", {"prompt": LONG[:-1], "completion": LONG[-1:]}),
        ("prompt_completion", {"prompt": LONG[1:-1], "completion": "b", "system_prompt": "s"}),
        ("alpaca", {"system": "s", "history": [["u", "a"]], "instruction": "v", "input": "", "output": "b"}),
    ],
)
def test_turns_and_system_prompts_are_kept(form: str, row: dict[str, Any], import_rows: Import) -> None:
    done = import_rows([row], "ift", form=form)
    assert [made["messages"] for made in done.rows] == [LONG]
    assert import_rows([row], "ift").form == form


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("messages", {"messages": [USER, ANSWER]}),
        ("messages", {"messages": [{**USER, "name": None, "tool_calls": None}, {**ANSWER, "weight": 1}]}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": "u"}]}, ANSWER]}),
        ("messages", {"messages": {"role": ["user", "assistant"], "content": ["u", "a"]}}),
        ("messages", {"messages": '[{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]'}),
        ("messages", {"messages": "[{'role': 'user', 'content': 'u'}, {'role': 'assistant', 'content': 'a'}]"}),
        ("prompt_completion", {"prompt": "u", "completion": "a"}),
        ("prompt_completion", {"question": "u", "answer": "a", "id": 3}),
        ("prompt_completion", {"instruction": "u", "response": "a", "id": 3}),
        ("own", {"instruction": "u", "response": "a"}),
        ("alpaca", {"instruction": "u", "input": None, "output": "a"}),
        ("alpaca", {"instruction": "u", "output": "a", "history": None, "system": ""}),
        ("alpaca", {"instruction": "u", "output": "a", "history": []}),
    ],
)
def test_one_turn_is_written_as_instruction_and_response(form: str, row: dict[str, Any], import_rows: Import) -> None:
    done = import_rows([row], "ift")
    assert (done.form, done.rows, done.left_out) == (form, [{"instruction": "u", "response": "a"}], [])


def test_an_input_follows_its_instruction(import_rows: Import) -> None:
    alpaca = {"instruction": "Translate. ", "input": "Good\nmorning", "output": "Bonjour"}
    task = {"instruction": "Translate.", "instances": [{"input": "Good\nmorning", "output": "Bonjour"}]}
    for row in (alpaca, task):
        (made,) = import_rows([row], "ift").rows
        assert made == {"instruction": "Translate.\n\nGood\nmorning", "response": "Bonjour"}


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "u", "context": "c", "response": "a", "category": "x"},  # Dolly
        {"instruction": "u", "input": "c", "chosen": "a", "rejected": "b"},
        {"instruction": "u", "input": "c", "response": "a", "score": 3},
        {"instruction": "u", "input": "c", "generations": ["a"]},
        {"question": "u", "context": "c", "answer": "a"},
    ],
)
def test_what_a_prompt_is_about_is_a_part_of_it(row: dict[str, Any], import_rows: Import) -> None:
    assert import_rows([row], "ift").rows == [{"instruction": "u\n\nc", "response": "a"}]
    assert import_rows([{**row, "system": "s"}], "ift").rows[0]["messages"][:2] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u\n\nc"},
    ]


def test_a_bad_instance_spoils_only_itself(import_rows: Import) -> None:
    instances = [{"input": "", "output": "a"}, {"input": "", "output": ""}, {"input": "x", "output": "b"}]
    done = import_rows([{"instruction": "u", "instances": instances}], "ift")
    assert [row["response"] for row in done.rows] == ["a", "b"]
    assert [item.detail for item in done.left_out] == ['"instances": entry 2: "output" is empty; expected text']


def test_own_rows_keep_their_task(import_rows: Import) -> None:
    rows = [{"instruction": "u", "response": "a", "task": "t"}, {"messages": LONG, "task": "t"}]
    assert import_rows(rows, "ift").rows == rows


@pytest.mark.parametrize(
    ("turns", "reason", "detail"),
    [
        ([USER], "bad_turns", 'the roles of "messages" are user; expected a system turn if any'),
        ([ANSWER, USER, ANSWER], "bad_turns", "are assistant, user, assistant"),
        ([USER, SYSTEM, ANSWER], "bad_turns", "are user, system, assistant"),
        ([USER, USER, *[USER, ANSWER] * 3], "bad_turns", "are user, user, user, … assistant (8 turns)"),
        ([USER, {"role": "tool", "content": "x"}, ANSWER], "unknown_role", "turn 2: the role is 'tool'"),
        ([USER, {"role": None, "content": "x"}], "unknown_role", "the role is None"),
        ([USER, {**ANSWER, "tool_calls": [{"id": 1}]}], "tool_call", "turn 2: calls a tool"),
        ([USER, {"role": "assistant", "content": None}], "no_text", 'turn 2: "content" is null or missing'),
        ([USER, {"role": "assistant", "content": " \n"}], "no_text", '"content" is empty'),
        ([USER, {"role": "assistant", "content": 3}], "not_text", '"content" is a number'),
        ([USER, {"role": "assistant", "content": [["x"]]}], "not_text", '"content" is a list'),
        ([USER, {"role": "assistant", "content": "\ud83d"}], "not_unicode", "character 1 is no character"),
        ([{"role": "user", "content": [{"type": "image_url"}]}, ANSWER], "not_text", "a part of type 'image_url'"),
        ([USER, "hello"], "bad_list", "entry 2 is text; expected an object"),
        ([], "bad_list", "is an empty list"),
        (None, "bad_list", "is null; expected a list of objects"),
        ("hello", "bad_list", "is text; expected a list of objects"),
        ("[" * 10_000, "bad_list", "is text"),
        ({"role": ["user"], "content": ["a", "b"]}, "bad_list", "lists of different lengths"),
    ],
)
def test_what_is_no_conversation_is_named(turns: Any, reason: str, detail: str, import_rows: Import) -> None:
    done = import_rows([{"messages": [USER, ANSWER]}, {"messages": turns}], "ift")
    (item,) = done.left_out
    assert (item.line, item.reason) == (2, reason)
    assert detail in item.detail
    assert len(done.rows) == 1


def test_turns_that_stand_as_text_and_cannot_be_read_are_never_taken_for_a_text(import_rows: Import) -> None:
    broken = "[{'content': 'u', 'role': 'user'}\n {'content': 'a', 'role': 'assistant'}]"  # as numpy writes a list
    done = import_rows([{"prompt": "u", "completion": "a"}, {"prompt": "v", "completion": broken}], "ift")
    assert done.reasons == [(2, "bad_list")]
    done = import_rows(
        [{"prompt": "u", "completion": "a"}, {"prompt": "v", "completion": "[{'x': 1}] is a list"}], "ift"
    )
    assert (len(done.rows), done.left_out) == (2, [])


@pytest.mark.parametrize("history", ["u", [["u"]], [["u", "a", "x"]], [{"u": "a"}], [["u", None]]])
def test_a_bad_history_is_named(history: Any, import_rows: Import) -> None:
    rows = [{"instruction": "u", "output": "a"}, {"instruction": "v", "output": "b", "history": history}]
    assert [line for line, _ in import_rows(rows, "ift").reasons] == [2]
