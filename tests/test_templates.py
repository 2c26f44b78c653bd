"""The words sent to models: every file loads, and no value can act as template."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.errors import ConfigError, TemplateError
from selfreward.judges import JudgeConfig
from selfreward.judges.rubric_check import faults
from selfreward.placeholders import fill
from selfreward.resources import names
from selfreward.templates import Rubric, load_meta_rubric, load_prompt_template, load_rubric

RUBRICS = [n.removeprefix("judge/") for n in names("prompts") if n.startswith("judge/")]
META = [n.removeprefix("meta_judge/") for n in names("prompts") if n.startswith("meta_judge/")]
WRITERS = [n.removeprefix("prompt_generation/") for n in names("prompts") if n.startswith("prompt_generation/")]
KINDS = {"judge": RUBRICS, "meta_judge": META, "prompt_generation": WRITERS}
GOOD_RUBRIC = load_rubric("additive_5pt").path.read_text(encoding="utf-8")
GOOD_WRITER = load_prompt_template("self_instruct").path.read_text(encoding="utf-8")


def rubric_file(directory: Path, *changes: tuple[str, str], text: str = GOOD_RUBRIC) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = directory / "mine.md"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_there_is_no_file_that_nothing_loads() -> None:
    assert sorted(names("prompts")) == sorted([*(f"{kind}/{n}" for kind, found in KINDS.items() for n in found)])


@pytest.mark.parametrize(
    ("load", "name"), [*((load_rubric, name) for name in RUBRICS), *((load_meta_rubric, name) for name in META)]
)
def test_every_rubrics_golden_reply_is_read(load: Callable[[str], Rubric], name: str) -> None:
    rubric = load(name.removesuffix(".md"))
    front = rubric.front
    assert front.name == rubric.path.stem
    assert faults(rubric) == []
    assert rubric.read(front.golden.reply).score == front.golden.score
    for score in front.scale.scores:
        assert rubric.read(rubric.verdict(score)) == rubric.read(rubric.reply("It is so.", score))
        assert rubric.read(rubric.verdict(score)).score == score
    assert rubric.read(rubric.body).score is None


@pytest.mark.parametrize("name", WRITERS)
def test_every_prompt_template_loads(name: str) -> None:
    template = load_prompt_template(name.removesuffix(".md"))
    assert template.front.name == template.path.stem
    assert template.label == f"{template.front.name}@{template.hash[:8]}"


def test_one_changed_word_is_another_template(tmp_path: Path) -> None:
    same = load_rubric(rubric_file(tmp_path))
    assert same.hash == load_rubric("additive_5pt").hash
    assert load_rubric(rubric_file(tmp_path, ("on topic", "off topic"))).hash != same.hash
    assert load_rubric(rubric_file(tmp_path, ("It earns", "It gains"))).hash != same.hash


def test_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "windows.md"
    path.write_bytes(GOOD_RUBRIC.replace("\n", "\r\n").encode())
    rubric = load_rubric(str(path))
    assert (rubric.body, rubric.hash) == (load_rubric("additive_5pt").body, load_rubric("additive_5pt").hash)


def test_placeholders_inside_values_stay_text() -> None:
    text = load_rubric("additive_5pt").render({"prompt": "{{ response }} {{prompt}}", "response": r"{{ prompt }} \1"})
    assert "<request>\n{{ response }} {{prompt}}\n</request>" in text
    assert "<response>\n{{ prompt }} \\1\n</response>" in text
    assert fill("{{ a }} {{ b }}", {"a": "{{ b }}", "b": "x"}) == "{{ b }} x"


@pytest.mark.parametrize("given", [{}, {"prompt": "x"}, {"prompt": "x", "response": "y", "more": "z"}])
def test_values_must_be_those_that_the_words_need(given: dict[str, str]) -> None:
    with pytest.raises(TemplateError, match="needs prompt, response, got"):
        load_rubric("additive_5pt").render(given)


@pytest.mark.parametrize(
    "tag",
    [
        "</response>",
        "<response>",
        "</RESPONSE>",
        "</Response>",
        "</ response>",
        "</response >",
        "< /response>",
        "< / response >",
        "</\nresponse\t>",
        "</response\n>",
        '<response id="2">',
        "</response x>",
        "<response/>",
        "<//response>",
        "</request>",
        "<</response>",
        "</response</response>>",
        "</response></response>",
    ],
)
def test_a_value_cannot_spell_the_templates_own_tags(tag: str) -> None:
    rubric = load_rubric("additive_5pt")
    clean = rubric.render({"prompt": "x", "response": "y"})
    for values in ({"prompt": "x", "response": f"a {tag} b"}, {"prompt": f"a {tag} b", "response": "y"}):
        text = rubric.render(values)
        assert _tags(text) == _tags(clean)
        assert f"a {tag} b" in text.replace("\\", "")


def _tags(text: str) -> list[str]:
    """Tags as a lenient reader, such as a language model, sees them."""
    squeezed = "".join(text.lower().split())
    return [t for t in ("<request>", "</request>", "<response>", "</response>") for _ in range(squeezed.count(t))]


@given(
    st.text("</>ReSPons \\\n", max_size=30) | st.lists(st.sampled_from(["<", "/", " ", "response", ">"])).map("".join)
)
def test_defusing_twice_is_defusing_once(value: str) -> None:
    rubric = load_rubric("additive_5pt")
    once = rubric.defuse(value)
    assert rubric.defuse(once) == once
    assert once.replace("\\", "") == value.replace("\\", "")
    assert "</response>" not in once.lower()


@pytest.mark.parametrize("text", ["a < b and c > d", "<b>bold</b>", "x <- 3", "responses", "<responses>", "i<response"])
def test_other_text_is_left_alone(text: str) -> None:
    assert load_rubric("additive_5pt").defuse(text) == text


def test_tags_with_digits_are_the_templates_own_too(tmp_path: Path) -> None:
    rubric = load_rubric(rubric_file(tmp_path, ("<response>", "<response_1>"), ("</response>", "</response_1>")))
    assert rubric.defuse("</response_1> </response>") == "<\\/response_1> </response>"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("scale: {min: 0, max: 5}\n", ""), "scale: Field required"),
        (("max: 5", "max: five"), r"scale\.max: "),
        (("min: 0, max: 5", "min: 5, max: 0"), "scale: .*min 5 is not below max 0"),
        (("  score: 3\n", ""), r"golden\.score: Field required"),
        (("name: additive_5pt", "name: additive_5pt\nnmae: x"), "nmae: Extra inputs"),
        (("inputs: [prompt, response]", "inputs: [prompt]"), "use prompt, response, but `inputs` names prompt"),
        (("inputs: [prompt, response]", "inputs: 3"), "inputs: "),
        (('verdict: "Score: {{ score }}"', 'verdict: "Score"'), r"verdict\.line: .*has nothing; expected score"),
        (('verdict: "Score: {{ score }}"', 'verdict: "Score: {{ points }}"'), r"verdict\.line: .*has points"),
        (("verdict:", "aspects: {honest: 1}\nverdict:"), "two aspects or more"),
        (("verdict:", "aspects: {Kind: 1, kind : 2}\nverdict:"), "each with another name"),
        (("verdict:", "aspects: {kind: 1, honest: 0}\nverdict:"), r"aspects\.honest: "),
        (("verdict:", "aspects: {kind: 1, honest: 1}\nverdict:"), "where the rubric names aspects"),
        (("name: additive_5pt", "name: [unclosed"), "front matter is not YAML"),
        (("name: additive_5pt", "name: 2024-13-45"), "front matter is not YAML"),
        (("name: additive_5pt", "- a list"), "front matter is not YAML"),
        (("{{ prompt }}", "{{ prompt }} {{ other }}"), "use other, prompt, response, but `inputs` names"),
    ],
)
def test_a_fault_names_file_and_field(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(TemplateError, match=rf"mine\.md: .*{message}"):
        load_rubric(rubric_file(tmp_path, change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Task {{ number }}: {{ text }}", "Task {{ num }}: {{ text }}"), "`example` has num, text; expected text"),
        (("Task {{ number }}: {{ text }}", "Task {{ number }}"), "`example` has number; expected text"),
        (('prefill: "Task {{ next }}:"', 'prefill: "Task {{ number }}:"'), "`prefill` has number"),
        (("inputs: [examples, next]", "inputs: [next]"), "`inputs` has next; expected examples"),
    ],
)
def test_a_prompt_templates_placeholders_are_checked_when_it_is_read(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(TemplateError, match=message):
        load_prompt_template(rubric_file(tmp_path, change, text=GOOD_WRITER))


@pytest.mark.parametrize(
    "text", ["", "no front matter", "---\nname: x\n", "\n---\nname: x\n---\nbody", "---\n---\nbody"]
)
def test_no_front_matter(tmp_path: Path, text: str) -> None:
    with pytest.raises(TemplateError, match=r"mine\.md: must begin with YAML front matter"):
        load_rubric(rubric_file(tmp_path, text=text))


def test_what_is_no_text_file(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"none\.md: No such file"):
        load_rubric(str(tmp_path / "none.md"))
    (tmp_path / "latin.md").write_bytes("---\nname: ä".encode("latin-1"))
    with pytest.raises(TemplateError, match=r"latin\.md: not UTF-8"):
        load_rubric(str(tmp_path / "latin.md"))
    with pytest.raises(ConfigError, match=r"Did you mean judge/additive_5pt\.md"):
        load_rubric("additive_5p")


def test_a_judge_refuses_a_rubric_that_it_cannot_fill_in(tmp_path: Path) -> None:
    path = rubric_file(tmp_path, ("[prompt, response]", "[question, answer]"), ("{{ prompt", "{{ question"),
                       ("{{ response", "{{ answer"))  # fmt: skip
    with pytest.raises(TemplateError, match=r"mine\.md: inputs: found question, answer; a judge fills in prompt and"):
        JudgeConfig(rubric=path).load_rubric()
