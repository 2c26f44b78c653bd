"""The project's own seed format, and the seeds that come with it."""

import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from rapidfuzz.distance import Indel

from selfreward.errors import SeedError
from selfreward.readings.scale import Scale
from selfreward.resources import find
from selfreward.seeding.own_format import read_eft, read_ift

FIVE = Scale(min=0, max=5)
EFT_ROW = {"instruction": "Why?", "response": "So.", "rationale": "Because.", "score": 3}


def turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def write(directory: Path, *rows: Any) -> Path:
    path = directory / "seeds.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows), encoding="utf-8")
    return path


def test_ift_rows(tmp_path: Path) -> None:
    talk = [turn("system", "s"), turn("user", "u"), turn("assistant", "a"), turn("user", "v"), turn("assistant", "b")]
    first, second = read_ift(
        write(tmp_path, {"instruction": "Why?", "response": "So.", "task": "explain"}, "", {"messages": talk})
    )
    assert [(m.role, m.content) for m in first.messages] == [("user", "Why?"), ("assistant", "So.")]
    assert (first.instruction, first.line) == ("Why?", 1)
    assert (second.instruction, second.line, len(second.messages)) == ("u", 3, 5)
    assert first.id != second.id


def test_ids_hang_on_content_and_place_alone(tmp_path: Path) -> None:
    row = {"instruction": "Why?", "response": "So."}
    first, second = read_ift(write(tmp_path, row, row))
    assert first.id != second.id
    assert read_ift(write(tmp_path, row))[0].id == first.id
    assert read_eft(write(tmp_path, EFT_ROW), FIVE) == read_eft(write(tmp_path, EFT_ROW), FIVE)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"instruction": "Why?"}, 'found the fields instruction; expected "instruction" and "response"'),
        ({}, "found the fields nothing"),
        ({"instruction": "Why?", "response": "So.", "extra": 1}, "found the fields extra, instruction, response"),
        ({"instruction": "Why?", "response": "So.", "messages": []}, "found the fields"),
        ({"instruction": "Why?", "response": ""}, '"response" is empty'),
        ({"instruction": 3, "response": "So."}, '"instruction" is int'),
        (r'{"instruction": "\udc00", "response": "x"}', "surrogate"),
        ({"messages": []}, '"messages" is not a list of turns'),
        ({"messages": "hi"}, '"messages" is not a list of turns'),
        ({"messages": ["hi"]}, 'a turn of "messages"'),
        ({"messages": [turn("user", "u")]}, "the roles of .* are user; expected"),
        ({"messages": [turn("assistant", "u")]}, "the roles of .* are assistant; expected"),
        ({"messages": [turn("system", "s")]}, "the roles of .* are system; expected"),
        ({"messages": [turn("user", "u"), turn("user", "v"), turn("assistant", "a")]}, "user, user, assistant"),
        ({"messages": [turn("user", "u"), turn("system", "s"), turn("assistant", "a")]}, "user, system, assistant"),
        ({"messages": [turn("user", " "), turn("assistant", "a")]}, 'a turn of "messages" is empty'),
        ({"messages": [turn("user", 3), turn("assistant", "a")]}, "content: "),
        ({"messages": [turn("tool", "u"), turn("assistant", "a")]}, "role: "),
        ({"messages": [{**turn("user", "u"), "name": "x"}, turn("assistant", "a")]}, "name: "),
        (
            r'{"messages": [{"role": "user", "content": "\ud83d"}, {"role": "assistant", "content": "a"}]}',
            "half of a surrogate pair",
        ),
    ],
)
def test_a_bad_ift_row_is_named(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(SeedError, match=rf"seeds\.jsonl:2: .*{message}"):
        read_ift(write(tmp_path, {"instruction": "Why?", "response": "So."}, row))


def test_eft_rows(tmp_path: Path) -> None:
    first, second = read_eft(write(tmp_path, EFT_ROW, {**EFT_ROW, "score": 5.0, "task": "why"}), FIVE)
    assert (first.instruction, first.response, first.rationale, first.score, first.line) == (
        *("Why?", "So.", "Because.", 3.0),
        1,
    )
    assert second.score == 5.0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({k: v for k, v in EFT_ROW.items() if k != "score"}, 'no "score"; expected a whole number from 0 to 5'),
        ({k: v for k, v in EFT_ROW.items() if k != "rationale"}, 'no "rationale"'),
        ({**EFT_ROW, "score": "3"}, "\"score\" is '3'; expected a whole number"),
        ({**EFT_ROW, "score": True}, '"score" is True'),
        ({**EFT_ROW, "score": None}, '"score" is None'),
        ({**EFT_ROW, "score": 6}, '"score" is 6'),
        ({**EFT_ROW, "score": -1}, '"score" is -1'),
        ({**EFT_ROW, "score": 10**400}, f'"score" is 1{"0" * 59}…; expected'),
        ({**EFT_ROW, "score": "x" * 100_000}, f'"score" is \'{"x" * 59}…; expected'),
        ({**EFT_ROW, "score": 3.5}, '"score" is 3.5'),
        ({**EFT_ROW, "score": float("nan")}, '"score" is nan'),
        ({**EFT_ROW, "score": float("inf")}, '"score" is inf'),
        ({**EFT_ROW, "score": [3]}, '"score" is '),
        ({**EFT_ROW, "rational": "x"}, "unknown fields rational; expected instruction, rationale, response, score"),
        ({**EFT_ROW, "response": " "}, '"response" is empty'),
    ],
)
def test_a_bad_eft_row_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(SeedError, match=rf"seeds\.jsonl:2: .*{message}"):
        read_eft(write(tmp_path, EFT_ROW, row), FIVE)


@pytest.mark.parametrize("rationale", [{}, {"rationale": None}, {"rationale": ""}, {"rationale": " \n"}])
def test_a_rationale_may_be_missing_where_judging_is_score_only(tmp_path: Path, rationale: dict[str, Any]) -> None:
    row = {name: value for name, value in EFT_ROW.items() if name != "rationale"} | rationale
    (seed,) = read_eft(write(tmp_path, row), FIVE, score_only=True)
    assert (seed.rationale, seed.score) == ("", 3.0)
    with pytest.raises(
        SeedError, match=r"seeds\.jsonl:1: (no|empty) \"rationale\".* with judge\.method\.type=expected"
    ):
        read_eft(write(tmp_path, row), FIVE)
    with pytest.raises(SeedError, match='"rationale" is int; expected text'):
        read_eft(write(tmp_path, {**row, "rationale": 3}), FIVE, score_only=True)


def test_the_rubrics_scale_counts(tmp_path: Path) -> None:
    assert read_eft(write(tmp_path, {**EFT_ROW, "score": 9}), Scale(min=1, max=10))[0].score == 9
    with pytest.raises(SeedError, match="expected a whole number from 1 to 10"):
        read_eft(write(tmp_path, {**EFT_ROW, "score": 0}), Scale(min=1, max=10))


def test_every_bad_row_is_listed(tmp_path: Path) -> None:
    rows = [EFT_ROW, {**EFT_ROW, "score": 9}, "nonsense", EFT_ROW, {**EFT_ROW, "response": 3}]
    with pytest.raises(SeedError) as error:
        read_eft(write(tmp_path, *rows), FIVE)
    assert [line.split("seeds.jsonl:")[1][:2] for line in str(error.value).splitlines()] == ["2:", "3:", "5:"]


# --- the seeds that come with the project --------------------------------------------------------------------------


def alike(one: str, other: str) -> float:
    """ROUGE-L F1 over words."""
    return Indel.normalized_similarity(one.lower().split(), other.lower().split())


def test_the_shipped_ift_seeds_are_many_and_varied() -> None:
    path = find("seeds", "ift.jsonl")
    seeds = read_ift(path)
    tasks = Counter(json.loads(line)["task"] for line in path.read_text(encoding="utf-8").splitlines())
    assert len(seeds) >= 64
    assert len(tasks) >= 10
    assert max(tasks.values()) < len(seeds) / 4
    close = [(a, b) for a, b in combinations([s.instruction for s in seeds], 2) if alike(a, b) >= 0.7]
    assert close == []


def test_the_shipped_eft_seeds_are_balanced() -> None:
    seeds = read_eft(find("seeds", "eft.jsonl"), FIVE)
    scores = Counter(s.score for s in seeds)
    assert len(seeds) >= 96
    assert set(scores) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    assert max(scores.values()) - min(scores.values()) <= 2
    assert len({(s.instruction, s.response) for s in seeds}) == len(seeds)
    responses = [s.response for s in seeds]
    assert [(a, b) for a, b in combinations(responses, 2) if alike(a, b) >= 0.7] == []


def test_length_says_little_about_the_score() -> None:
    seeds = read_eft(find("seeds", "eft.jsonl"), FIVE)
    bad = [len(s.response.split()) for s in seeds if s.score <= 1]
    good = [len(s.response.split()) for s in seeds if s.score >= 4]
    assert sum(n > 60 for n in bad) >= 5, "long bad responses"
    assert sum(n < 40 for n in good) >= 5, "short good responses"


def test_no_instruction_is_in_both_files() -> None:
    ift = {s.instruction for s in read_ift(find("seeds", "ift.jsonl"))}
    assert ift.isdisjoint(s.instruction for s in read_eft(find("seeds", "eft.jsonl"), FIVE))
