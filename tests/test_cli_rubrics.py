"""selfreward rubrics: ls, show and check."""

import json
from pathlib import Path

import pytest
from fixture_run import Command

from selfreward.resources import find

GOOD = find("prompts", "judge/additive_5pt.md").read_text(encoding="utf-8")


def changed(directory: Path, *changes: tuple[str, str], name: str = "mine") -> str:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = directory / f"{name}.md"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_ls(command: Command) -> None:
    code, out, _ = command("rubrics", "ls")
    assert code == 0
    assert "additive_5pt@" in out
    assert "faults_5pt_json@" in out
    assert {row["name"] for row in json.loads(command("rubrics", "ls", "--json")[1])} >= {"additive_5pt"}


def test_show(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("rubrics", "show", "faults_5pt_json")
    assert code == 0
    for part in ("whole scores from 0 to 5", '{"score": 5}', "is read as 3", "{{ response }}", '"required"'):
        assert part in out
    nasty = changed(tmp_path, ("on topic", "on \x1b[31mtopic [bold]"))
    out = command("rubrics", "show", nasty)[1]
    assert "on \\x1b[31mtopic [bold]" in out
    found = json.loads(command("rubrics", "show", "additive_5pt", "--json")[1])
    assert (found["form"], found["example"], found["json_schema"]) == ("line", "Score: 5", None)
    assert found["scale"] == {"min": 0, "max": 5}
    assert "Helpful (weight 2), Honest (weight 1)" in command("rubrics", "show", "aspects_5pt")[1]


def test_show_of_what_is_not_there(command: Command) -> None:
    code, out, err = command("rubrics", "show", "additive_5p")
    assert (code, out) == (1, "")
    assert "Did you mean judge/additive_5pt.md" in err


def test_check_of_all_that_come_along(command: Command) -> None:
    code, out, err = command("rubrics", "check")
    assert (code, out) == (0, "")
    assert "additive_5pt, aspects_5pt, checklist, faults_5pt_json" in err


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("{{ prompt }}", ""), "the words use response, but `inputs` names prompt, response"),
        (("{{ prompt }}", "{{ prompt }} {{ other }}"), "the words use other, prompt, response"),
        (('verdict: "Score: {{ score }}"', 'verdict: "Score: {{ points }}"'), "`verdict` has points; expected score"),
        (('"Score: {{ score }}"', '"Score: {{ score }}/7"'), "verdict: 'Score: 0/7' cannot be read back as 0"),
        (("max: 5", "max: 5.5"), "scale.max: "),
        (("  score: 3\n", "  score: 2\n"), "golden: 2 was expected of its reply, and 3 is read"),
        (("    Score: 3\n", "    It gets three.\n"), "golden: 3 was expected of its reply, and nothing is read"),
        (('"Score: {{ score }}"', "{type: yaml}"), "verdict: "),
        (
            ('"Score: {{ score }}"', '{type: line, line: "Score: {{ score }}", words: ["no", "yes"]}'),
            "2 words for the 6",
        ),
        (
            ('"Score: {{ score }}"', '{type: line, line: "Score: {{ score }}", words: [no, yes]}'),
            'quotes: ["no", "yes"]',
        ),
        (("---\nname", "name"), "must begin with YAML front matter"),
    ],
)
def test_check_says_what_is_wrong_and_where(
    command: Command, tmp_path: Path, change: tuple[str, str], fault: str
) -> None:
    path = changed(tmp_path, change)
    code, out, err = command("rubrics", "check", path, "additive_5pt")
    assert code == 1
    assert out.startswith(f"{path}: ")
    assert fault in out
    assert "1 of 2 rubrics cannot be used" in err


def test_check_names_every_fault(command: Command, tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ("[prompt, response]", "[question, response]"),
        ("{{ prompt }}", "{{ question }}"),
        ("  score: 3\n", "  score: 2\n"),
    )
    code, out, _ = command("rubrics", "check", path, str(tmp_path / "none.md"), "nothing", "--json")
    assert code == 1
    mine, gone, unknown = json.loads(out)
    assert [fault.partition(": ")[2].partition(":")[0] for fault in mine["faults"]] == ["inputs", "golden"]
    assert "No such file" in gone["faults"][0]
    assert "no 'judge/nothing.md' in prompts/" in unknown["faults"][0]
