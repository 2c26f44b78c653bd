"""`seeds check` refuses what a run refuses, warns of the rest, and never answers bad input with a traceback."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fixture_run import Command

from selfreward.config import RunConfig
from selfreward.eft.sidecar import write_sidecar
from selfreward.engines.chat import Chat
from selfreward.engines.loading import ModelConfig, load_chat
from selfreward.errors import ConfigError, SeedError, SelfRewardError
from selfreward.judges.expected import ExpectedJudge
from selfreward.resources import find
from selfreward.seed_checks import check
from selfreward.seed_checks.check import check_seeds, files_and_config
from selfreward.seed_checks.report import FileCheck
from selfreward.steps.seeds import read_seeds
from selfreward.templates import load_rubric

SUBJECTS = ["rivers", "clouds", "violins", "lemons", "candles", "engines", "tigers", "novels"]
IFT = [{"instruction": f"Describe {s}, please.", "response": f"Here is what I know of {s}."} for s in SUBJECTS]
EFT = [
    {
        "instruction": f"Explain {s}.",
        "response": f"{s} are things, number {n}.",
        "rationale": "So so.",
        "score": n,
    }
    for s in SUBJECTS[:4]
    for n in range(6)
]


@pytest.fixture(autouse=True)
def _tokenizer_loaded_once(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(config: ModelConfig) -> Chat:
        return chat if config.chat_template is None and Path(config.name).is_dir() else load_chat(config)

    monkeypatch.setattr(check, "load_chat", load)


def write(path: Path, rows: Sequence[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def checked(model: Path, path: Path, *against: Path, **settings: Any) -> FileCheck:
    changes = [f"{name.replace('__', '.')}={value}" for name, value in settings.items()]
    found = check_seeds(*files_and_config([path], None, changes, str(model)), against)
    assert found.refused == bool(found.refusals or found.files[0].refusals)
    return found.files[0]


def warned(file: FileCheck, of: str) -> bool:
    return any(of in warning for warning in file.warnings)


def test_good_files_are_taken(builtin_model: Path, tmp_path: Path) -> None:
    ift = checked(builtin_model, write(tmp_path / "ift.jsonl", IFT))
    assert (ift.kind, ift.rows, ift.instructions, ift.refusals, ift.warnings) == ("ift", 8, 8, (), ())
    eft = checked(builtin_model, write(tmp_path / "eft.jsonl", EFT))
    assert (eft.kind, eft.rows, eft.instructions, eft.refusals, eft.warnings) == ("eft", 24, 4, (), ())
    assert eft.scores is not None
    assert eft.scores.counts == dict.fromkeys(range(6), 4)
    assert ift.lengths is not None
    assert eft.lengths is not None
    assert eft.lengths.least > ift.lengths.most, "an EFT example holds the rubric"
    assert sum(part.rows for part in eft.lengths.histogram) == 24


@pytest.mark.parametrize(
    "bad",
    [
        '{"instruction": "half',
        "[1, 2]",
        {"instruction": "Say hello.", "response": None},
        {"instruction": "Say hello.", "response": ["nested"]},
        {"instruction": " ", "response": "Hello."},
        {"prompt": "Say hello.", "completion": "Hello."},
        {"instruction": "Say hello.", "response": "Hello.", "rationale": "Polite.", "score": 3},
        {"messages": [{"role": "user", "content": "Hello."}]},
        {"instruction": "Say \ud800.", "response": "Hello."},
    ],
)
def test_bad_rows_are_refused_as_a_run_refuses_them(builtin_model: Path, tmp_path: Path, bad: Any) -> None:
    path = write(tmp_path / "ift.jsonl", [*IFT, bad, bad])
    found = checked(builtin_model, path)
    with pytest.raises(SeedError) as refused:
        read_seeds(files_and_config([path], None, [f"seeds.ift={path}"], str(builtin_model))[1])
    assert "\n".join(found.refusals) == str(refused.value)
    assert [refusal.split(": ")[0] for refusal in found.refusals] == [f"{path}:9", f"{path}:10"]
    assert found.rows == 8


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\xff\xfe{\x00", b"\x1f\x8b\x08\x00rest", b"plain words\n", b"[" * 100_000, None]
)
def test_files_that_nobody_can_read(builtin_model: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ift.jsonl"
    if content is not None:
        path.write_bytes(content)
    found = checked(builtin_model, path)
    config: RunConfig = files_and_config([path], None, [f"seeds.ift={path}"], str(builtin_model))[1]
    with pytest.raises(SeedError) as refused:
        read_seeds(config)
    assert "\n".join(found.refusals) == str(refused.value)


def test_scores_off_the_rubrics_scale_are_refused(builtin_model: Path, tmp_path: Path) -> None:
    found = checked(builtin_model, write(tmp_path / "eft.jsonl", [*EFT, {**EFT[0], "score": 6}]))
    assert found.kind == "eft"
    assert len(found.refusals) == 1
    assert "whole number from 0 to 5" in found.refusals[0]


def test_rows_that_training_leaves_out_are_named(builtin_model: Path, tmp_path: Path) -> None:
    rows = [*IFT, {**IFT[0], "response": "word " * 500}, {**IFT[1], "response": "<|im_end|>"}]
    found = checked(builtin_model, write(tmp_path / "ift.jsonl", rows), sft__max_length=200)
    assert found.lengths is not None
    assert found.lengths.limit == 200
    assert [(row.line, row.reason) for row in found.lengths.left_out] == [(9, "too_long"), (10, "special_tokens")]
    assert warned(found, "longer than 200 tokens (sft.max_length), so left out of training: 1 row (line 9)")
    assert warned(found, "spelling a special token of the model, so left out of training: 1 row (line 10)")
    assert found.refusals == ()
    by_context = checked(builtin_model, tmp_path / "ift.jsonl", engine__max_model_len=150)
    assert warned(by_context, "150 tokens (the context of")


def test_nothing_to_train_on_is_refused(builtin_model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "ift.jsonl", IFT)
    arguments = files_and_config([path], None, ["sft.max_length=16"], str(builtin_model))
    found = check_seeds(*arguments, [])
    assert found.refused
    assert "no row can be trained on" in found.refusals[0]
    off = files_and_config([path], None, ["sft.max_length=16", "sft.enabled=false"], str(builtin_model))
    assert not check_seeds(*off, []).refused


def test_a_turn_that_the_chat_template_refuses_is_named(builtin_model: Path, tmp_path: Path) -> None:
    template = tmp_path / "no_system.jinja"
    template.write_text(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    turns = [{"role": role, "content": "Hello."} for role in ("system", "user", "assistant")]
    path = write(tmp_path / "ift.jsonl", [*IFT, {"messages": turns}])
    found = checked(builtin_model, path, model__chat_template=template)
    assert found.refusals[0].startswith(f"{path}:9: ")
    assert "no system turn" in found.refusals[0]
    assert checked(builtin_model, path, model__chat_template=template, sft__enabled="false").refusals == ()


def test_a_rubric_that_eft_does_not_show_is_refused(builtin_model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "eft.jsonl", EFT)
    settings = ["judge.rubric=aspects_5pt", f"seeds.eft={path}"]
    found = check_seeds(*files_and_config([path], None, settings, str(builtin_model)), [])
    assert found.refused
    with pytest.raises(ConfigError) as refused:
        read_seeds(files_and_config([path], None, settings, str(builtin_model))[1])
    assert str(refused.value) == f"seeds.eft: {found.files[0].refusals[0]}"


def test_eft_that_was_built_with_another_rubric_deserves_a_warning(builtin_model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "eft.jsonl", EFT)
    write_sidecar(path, load_rubric("additive_5pt"), {})
    assert checked(builtin_model, path).warnings == ()
    other = tmp_path / "mine.md"
    other.write_text(f"{load_rubric('additive_5pt').path.read_text()}\nBe fair.\n")
    found = checked(builtin_model, path, judge__rubric=other)
    assert warned(found, "was built with the rubric additive_5pt@")
    assert found.refusals == ()


def test_the_judge_is_checked_with_its_own_model(
    builtin_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rubric's scores have to be tokens of the model that judges, not of the one that is trained."""
    asked: list[Any] = []
    monkeypatch.setattr(ExpectedJudge, "check", lambda self, chat: asked.append(chat))
    path = write(tmp_path / "ift.jsonl", IFT)
    own = ["judge.method.type=expected", f"judge.model.name={builtin_model}"]
    assert not check_seeds(*files_and_config([path], None, own, str(builtin_model)), []).refused
    check_seeds(*files_and_config([path], None, own[:1], str(builtin_model)), [])
    judges, trained = asked
    assert judges is not trained
    endpoint = [*own, "judge.model.engine.type=server", "judge.model.engine.url=http://localhost:1/v1"]
    found = check_seeds(*files_and_config([path], None, endpoint, str(builtin_model)), [])
    assert found.refused
    assert "judge.model.engine.type=server has not" in found.refusals[0]


def test_scores_deserve_warnings(builtin_model: Path, tmp_path: Path) -> None:
    rows = [{**EFT[0], "instruction": f"{i}", "response": "word " * (i + 1), "score": 1 + i // 8} for i in range(10)]
    found = checked(builtin_model, write(tmp_path / "eft.jsonl", [*rows, {**rows[0], "score": 5}]))
    assert warned(found, "no row has the score 0 or 3 or 4")
    assert warned(found, "8 of 11 rows have the score 1")
    assert warned(found, "unlike an earlier row")
    assert found.scores is not None
    assert found.scores.contradictions == 1
    longer = [
        {**EFT[0], "instruction": f"{i}", "response": "word " * 4**n, "score": n} for i in range(4) for n in range(6)
    ]
    assert warned(checked(builtin_model, write(tmp_path / "long.jsonl", longer)), "correlation +1.00")


def test_few_instructions_deserve_a_warning(builtin_model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "ift.jsonl", IFT[:5])
    assert warned(checked(builtin_model, path), "only 5 different instructions, where prompts.few_shot_seeds=6")
    assert not warned(checked(builtin_model, path, prompts__few_shot_seeds=5), "few_shot_seeds")


def test_overlap_with_held_out_files_of_each_kind(builtin_model: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "ift.jsonl", IFT)
    turns = [{"role": "user", "content": IFT[2]["instruction"]}, {"role": "assistant", "content": "Yes."}]
    held_out = [
        write(tmp_path / "a.jsonl", [{"prompt": "Describe clouds, please."}, {"prompt": "Else?"}]),
        write(tmp_path / "b.jsonl", [{**EFT[0], "instruction": "DESCRIBE rivers,  please."}]),
        write(tmp_path / "c.jsonl", [{"messages": turns}]),
        write(tmp_path / "d.jsonl", [{"instruction": "Describe violins, pretty please.", "more": 1}]),
        write(tmp_path / "e.jsonl", [{"prompt": "Something else entirely."}]),
    ]
    found = checked(builtin_model, path, *held_out, prompts__filters__max_rouge_l=0.85)
    assert [(o.same, o.near) for o in found.overlaps] == [(1, 0), (1, 0), (1, 0), (0, 1), (0, 0)]
    assert sum("figures on it flatter: 1 row" in warning for warning in found.warnings) == 4
    assert found.refusals == ()
    with pytest.raises(SeedError, match=r"f\.jsonl"):
        checked(builtin_model, path, write(tmp_path / "f.jsonl", ["{}"]))


def test_the_recipes_own_files() -> None:
    files, config = files_and_config([], str(find("recipes", "demo.yaml")), ["judge.method=sampled"], None)
    assert [(path.name, kind) for path, kind in files] == [("ift.jsonl", "ift"), ("eft.jsonl", "eft")]
    assert config.judge.method.type == "sampled"


def test_what_does_not_go_together() -> None:
    recipe = str(find("recipes", "demo.yaml"))
    with pytest.raises(ConfigError, match="use --set model=x"):
        files_and_config([], recipe, [], "x")
    with pytest.raises(SeedError, match="no seeds to check"):
        files_and_config([], None, [], None)
    with pytest.raises(SelfRewardError, match="no such setting"):
        files_and_config([Path("x")], None, ["sft.maxlength=3"], None)


def test_the_command(builtin_model: Path, tmp_path: Path, command: Command) -> None:
    write(tmp_path / "ift.jsonl", [*IFT, IFT[0]])
    code, out, err = command("seeds", "check", "ift.jsonl", "--model", str(builtin_model))
    assert code == 0
    assert "ift.jsonl: 9 IFT rows, 8 different instructions" in out
    assert "warning: repeating an earlier row: 1 row (line 9)" in out
    assert "########" in out
    assert "would take this; 1 warning" in err
    write(tmp_path / "eft.jsonl", [*EFT, {**EFT[0], "score": 9, "response": "\x1b[31m"}])
    code, out, err = command("seeds", "check", "ift.jsonl", "eft.jsonl", "--model", str(builtin_model))
    assert code == 1
    assert "refused: eft.jsonl:25: " in out
    assert "would refuse this, for 1 reason; 1 warning" in err


def test_long_checks_say_how_far_they_are(
    builtin_model: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "ift.jsonl", IFT)
    arguments = ("seeds", "check", "ift.jsonl", "--model", str(builtin_model))
    assert "counting tokens" not in command(*arguments)[2]
    monkeypatch.setattr(check, "AT_ONCE", 7)
    assert "ift.jsonl: counting tokens: 8/8, " in command(*arguments)[2]


def test_the_command_in_json(builtin_model: Path, tmp_path: Path, command: Command) -> None:
    write(tmp_path / "eft.jsonl", EFT)
    write(tmp_path / "held.jsonl", [{"prompt": EFT[0]["instruction"]}])
    arguments = ("eft.jsonl", "--model", str(builtin_model), "--against", "held.jsonl", "--json")
    code, out, _ = command("seeds", "check", *arguments)
    found = json.loads(out)
    assert code == 0
    assert found["refused"] is False
    (file,) = found["files"]
    assert file["scores"]["counts"] == {str(score): 4 for score in range(6)}
    assert file["overlaps"][0]["same"] == 6
    assert file["overlaps"][0]["rows"][0] == {"line": 1, "how": "same", "other": 1}


def test_the_command_with_a_recipe_and_bad_words(builtin_model: Path, tmp_path: Path, command: Command) -> None:
    write(tmp_path / "ift.jsonl", IFT)
    (tmp_path / "mine.yaml").write_text(f"model: {builtin_model}\nseeds: {{ift: ift.jsonl}}\nsft: {{max_length: 16}}\n")
    assert command("seeds", "check", "--recipe", "mine.yaml")[0] == 1
    assert command("seeds", "check", "--recipe", "mine.yaml", "--set", "sft.max_length=null")[0] == 0
    code, _, err = command("seeds", "check", "ift.jsonl", "--model", "no/where\n")
    assert code == 1
    assert err.startswith("error: ")
