"""RunConfig: recipes, --set, and errors that say what was meant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from selfreward.config import RunConfig, load_config, make_config
from selfreward.engines import FixedModel
from selfreward.errors import ConfigError
from selfreward.judges.sampled import SampledConfig
from selfreward.pair_rules.best_random import BestRandomConfig
from selfreward.pair_rules.best_worst import BestWorstConfig
from selfreward.resources import find, names
from selfreward.setting_names import changed_settings, models_in, parse_overrides

SMALL = {"model": "some/model", "seeds": {"ift": "ift.jsonl"}}


def recipe(directory: Path, text: str | None = None, **changes: Any) -> Path:
    path = directory / "mine.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}) if text is None else text, encoding="utf-8")
    return path


def all_settings(config: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in config.model_fields.items():
        yield prefix + name, field
        for inner in models_in(field.annotation):
            yield from all_settings(inner, f"{prefix}{name}.")


@pytest.mark.parametrize("name", names("recipes"))
def test_every_recipe_parses_and_survives_being_written_out(name: str) -> None:
    config = load_config(find("recipes", name))
    assert config.name == Path(name).stem
    for path in (config.seeds.ift, config.seeds.eft):
        assert path is None or Path(path).is_file()
    again = make_config(yaml.safe_load(config.to_yaml()), {}, "again")
    assert again == config
    assert again.to_yaml() == config.to_yaml()
    config.judge.load_rubric()


def test_every_setting_is_documented() -> None:
    settings = dict(all_settings(RunConfig))
    assert {"judge.method.samples", "judge.method.min_mass", "prompts.filters.max_words", "train.beta"} <= set(settings)
    bare = [path for path, field in settings.items() if not (field.description or "").strip()]
    assert [path for path in bare if not path.endswith(".type")] == []


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("iteration=1", "iteration: no such setting; did you mean iterations?"),
        ("train.betta=1", "train.betta: no such setting; did you mean beta?"),
        ("prompts.filters.max_word=1", "prompts.filters.max_word: no such setting; did you mean max_words?"),
        ("prompts.model.nam=1", "prompts.model.nam: no such setting; did you mean name?"),
        ("judge.method.sample=1", "judge.method.sample: no such setting; did you mean samples?"),
        ("judge.method={type: sampled, sample: 1}", "no such setting; did you mean samples?"),
        (
            "judge.method={type: expected, samples: 1}",
            "judge.method.samples: no such setting with type: expected; set ",
        ),
        ("judge.rubrik=x", "judge.rubrik: no such setting; did you mean rubric?"),
        ("seeds.zzzzzz=x", "seeds.zzzzzz: no such setting; known here: eft, ift"),
        ("zzzzzzzz.a=x", "zzzzzzzz: no such setting; known here: "),
        ("train.dpo=1", "train.dpo: no such setting; known here: "),
        ("dpo.beta=1", "dpo: no such setting; this section is called train now"),
        (
            "judge.method={type: mix, parts: {expected: {wight: 1, method: {type: expected}}}}",
            "judge.method.parts.expected.wight: no such setting; did you mean weight?",
        ),
        (
            "judge.method={type: mix, parts: {one: {method: {type: expected, samples: 1}}}}",
            "judge.method.parts.one.method.samples: no such setting with type: expected; set ",
        ),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_with_what_was_meant(tmp_path: Path, setting: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(recipe(tmp_path), [setting, "prompts.model.name=x"] if "prompts.model" in setting else [setting])
    assert hint in str(error.value)
    assert "mine.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("train.beta=x", "train.beta: Input should be a valid number"),
        ("train.beta=[x]", "train.beta.0: Input should be a valid number"),
        ("judge.method={type: verifiable}", "judge.method: set function"),
        ("judge.method={type: reward_model}", "judge.method.model: Field required"),
        ("judge.method={type: mix, parts: {A: {method: expected}}}", "judge.method.parts.A: String should match"),
    ],
)
def test_a_place_is_as_a_recipe_has_it(tmp_path: Path, setting: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(recipe(tmp_path), [setting])
    assert f"mine.yaml: {says}" in str(error.value)


def test_all_faults_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(recipe(tmp_path), ["iterations=-1", "train.beta=0", "sft.epoch=2", "judge.method.type=guess"])
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    for place in ("iterations: ", "train.beta: ", "sft.epoch: ", "judge.method: "):
        assert any(place in line for line in lines)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("train.beta=0.2", 0.2),
        ("a=1", 1),
        ("a=", None),
        ("a=null", None),
        ("a=x=y", "x=y"),
        ("a=[1, 2]", [1, 2]),
        ("a={b: 1}", {"b": 1}),
        ("a='1'", "1"),
        ("a=true", True),
    ],
)
def test_values_of_set_are_yaml(text: str, value: Any) -> None:
    assert list(parse_overrides([text]).values()) == [value]


@pytest.mark.parametrize("text", ["", "beta", "=1", " =1", "a=[1", "a={", "a=2024-13-45", "a=: :"])
def test_a_set_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse_overrides([text])


def test_set_lies_on_top_of_the_recipe(tmp_path: Path) -> None:
    path = recipe(tmp_path, train={"beta": 0.3, "epochs": 2}, iterations=5)
    config = load_config(path, ["train.beta=0.2", "lora.r=3", "iterations=7"], name="other", iterations=1)
    assert (config.train.beta, config.train.epochs, config.lora.r, config.iterations) == (0.2, 2, 3, 1)
    assert (config.name, config.run_dir) == ("other", Path("runs/other"))
    assert load_config(path).train.beta == 0.3


@pytest.mark.parametrize("order", [0, 1])
def test_another_type_takes_none_of_the_first_ones_settings(tmp_path: Path, order: int) -> None:
    path = recipe(tmp_path, judge={"method": {"type": "sampled", "samples": 9}})
    changes = ["judge.method.type=expected", "judge.method.min_mass=0.1"]
    config = load_config(path, changes[::-1] if order else changes)
    assert config.judge.method.model_dump() == {"type": "expected", "min_mass": 0.1}


def test_what_is_a_type_alone_stays_it_under_a_set(tmp_path: Path) -> None:
    path = recipe(tmp_path, judge={"method": "expected"}, train="simpo")
    config = load_config(path, ["judge.method.min_mass=0.1", "train.beta=0.7"])
    assert config.judge.method.model_dump() == {"type": "expected", "min_mass": 0.1}
    assert (config.objective(1).type, config.objective(1).beta) == ("simpo", 0.7)


def test_a_model_can_be_a_name_or_a_section(tmp_path: Path) -> None:
    for model in ("a/b", {"name": "a/b", "revision": "v1"}):
        path = recipe(tmp_path, model=model, prompts={"model": model})
        config = load_config(path)
        assert config.model.name == "a/b"
        assert config.prompts.model == FixedModel(**config.model.model_dump())
        changed = load_config(path, ["model=c/d", "prompts.model=e/f"])
        assert (changed.model.name, changed.prompts.model and changed.prompts.model.name) == ("c/d", "e/f")
        changed = load_config(path, ["model.revision=v2", "prompts.model.revision=v3"])
        assert (changed.model.name, changed.model.revision) == ("a/b", "v2")
        assert changed.prompts.model is not None
        assert (changed.prompts.model.name, changed.prompts.model.revision) == ("a/b", "v3")


def test_paths_are_relative_to_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    path = recipe(
        tmp_path / "sub",
        model={"name": "m", "chat_template": "t.jinja"},
        seeds={"ift": "../ift.jsonl", "eft": "/abs/eft.jsonl"},
        prompts={"file": "p.txt", "template": "mine.md"},
        judge={"rubric": "rubrics/r.md"},
        accelerate_config="two_gpus.yaml",
    )
    monkeypatch.chdir("/")
    config = load_config(path)
    assert config.seeds.ift == str(tmp_path / "ift.jsonl")
    assert config.seeds.eft == "/abs/eft.jsonl"
    assert config.model.chat_template == str(tmp_path / "sub" / "t.jinja")
    assert config.prompts.file == str(tmp_path / "sub" / "p.txt")
    assert config.accelerate_config == str(tmp_path / "sub" / "two_gpus.yaml")
    assert config.prompts.template == str(tmp_path / "sub" / "mine.md")
    assert config.judge.rubric == str(tmp_path / "sub" / "rubrics" / "r.md")
    assert load_config(recipe(tmp_path)).judge.load_rubric().front.name == "additive_5pt"


@pytest.mark.parametrize("name", ["a/b", "../x", "/abs", "..", ".", "", "a/"])
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is a path; expected a plain name"):
        load_config(recipe(tmp_path), name=name)


@pytest.mark.parametrize("changes", [{}, {"name": None}])
def test_a_run_without_a_name_has_the_recipes(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert load_config(recipe(tmp_path, **changes)).name == "mine"
    assert load_config(recipe(tmp_path, **changes), ["name=null"]).run_dir == Path("runs/mine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected settings such as"),
        ("- a\n- b\n", "expected settings such as .* found list"),
        ("model: [", "not YAML"),
        ("model: a\n\tb: c\n", "not YAML"),
        ("model: 2024-13-45\n", "not YAML"),
        ("seeds: {ift: x}\n", "model: Field required"),
        ("model: null\nseeds: {ift: x}\n", "model: "),
        ("model: 3\nseeds: {ift: x}\n", "model: "),
        ("model: m\nseeds: null\n", "seeds: "),
        ("model: m\nseeds: [a]\n", "seeds: "),
        ("model: m\n1: 2\nseeds: {ift: x}\n", "1: "),
        ("model: m\n", "set seeds.ift or prompts.file"),
        (
            "model: m\nseeds: {ift: x}\ntrain: {batch_size: 10, micro_batch_size: 4}\n",
            "train.micro_batch_size=4 does not",
        ),
        ("model: m\nseeds: {ift: x}\nresponses: {n: 1}\n", "responses.n: "),
        ("model: m\nseeds: {ift: x}\ntrain: {beta: .nan}\n", "train.beta: "),
        ("model: {name: m, reasoning_tags: ['', '']}\nseeds: {ift: x}\n", "model.reasoning_tags.0: "),
    ],
)
def test_a_recipe_that_cannot_work(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"mine\.yaml: .*{message}"):
        load_config(recipe(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("model: ä".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: not YAML"):
        load_config(tmp_path / "latin.yaml")


def test_changed_settings() -> None:
    old, new = {"a": 1, "b": {"c": 1, "d": 2}, "e": [1]}, {"a": 1, "b": {"c": 3, "d": 2}, "f": 0}
    assert changed_settings(old, new) == ["b.c: 1 -> 3", "e: [1] -> None", "f: None -> 0"]
    assert changed_settings(old, old) == []
    several = [{"train": [{"beta": 0.1}, {"beta": beta}]} for beta in (0.1, 0.2)]
    assert changed_settings(*several) == ["train.1.beta: 0.1 -> 0.2"]
    assert changed_settings({"train": {"beta": 0.1}}, several[0])[0].startswith("train.0: None -> ")


SEVERAL = [{"type": "dpo", "beta": [0.1, 0.2]}, "orpo", {"learning_rate": 1e-6}]


def test_an_objective_for_each_iteration(tmp_path: Path) -> None:
    config = load_config(recipe(tmp_path, train=SEVERAL))
    found = [config.objective(t) for t in (1, 2, 3, 4)]
    assert [objective.type for objective in found] == ["dpo", "orpo", "dpo", "dpo"]
    assert (found[0].beta, found[3].learning_rate) == (0.1, 1e-6)
    assert [config.train_section(t) for t in (1, 2, 3, 4)] == ["train.0", "train.1", "train.2", "train.2"]
    assert make_config(config.model_dump(mode="json"), {}, "itself") == config
    one = load_config(recipe(tmp_path, train={"type": "dpo", "beta": [0.1, 0.2]}))
    assert [one.objective(t).beta for t in (1, 2, 3)] == [0.1, 0.2, 0.2]
    assert one.train_section(2) == "train"


def test_set_names_one_objective_of_several(tmp_path: Path) -> None:
    path = recipe(tmp_path, train=SEVERAL[::2])
    config = load_config(path, ["train.1.beta=0.7", "train.0.type=simpo"])
    assert [objective.type for objective in config.objectives] == ["simpo", "dpo"]
    assert (config.objective(1).beta, config.objective(2).beta) == (2.0, 0.7)
    assert load_config(path, ["train.0={type: orpo}"]).objective(1).type == "orpo"
    assert load_config(path, ["train=orpo"]).objectives == load_config(path, ["train=[orpo]"]).objectives
    for name in ("train.beta", "train.2.beta", "train.type", "train.-1.beta"):
        with pytest.raises(ConfigError, match=rf"{name}: train is a list of 2; say which of it, such as train\.0\."):
            load_config(path, [f"{name}=0.2"])


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "train: .*at least 1"),
        ([{"type": "dpo"}, {"type": "dpo", "betta": 1}], r"train\.1\.betta: no such setting; did you mean beta"),
        (["dpo", {"type": "orpo", "loss_type": "ipo"}], r"train\.1\.loss_type: no such setting with type: orpo"),
        (["dpo", {"beta": -1}], r"train\.1\.beta: .*above 0"),
        (["dpo", "kto"], r"train\.1\.type=kto does not learn from what pairs\.type=best_worst makes"),
        ([{"batch_size": 10, "micro_batch_size": 4}], r"train\.0\.micro_batch_size=4 does not divide"),
        (["dpo", "ppo"], r"train\.1: .*ppo"),
        (None, "train: "),
    ],
)
def test_errors_name_one_objective_of_several(tmp_path: Path, train: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(recipe(tmp_path, train=train))


def test_a_judge_method_without_a_type_is_sampled(tmp_path: Path) -> None:
    config = load_config(recipe(tmp_path), ["judge.method.samples=5"])
    assert config.judge.method == SampledConfig(samples=5)


def test_a_model_that_begins_with_a_dot_is_beside_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("model: ./tiny\nprompts: {file: p.txt, model: {name: ../other}}\n")
    config = load_config(path)
    assert config.model.name == str(tmp_path / "tiny")
    assert config.prompts.model is not None
    assert config.prompts.model.name == str(tmp_path.parent / "other")
    path.write_text("model: org/model\nprompts: {file: p.txt}\n")
    assert load_config(path).model.name == "org/model"


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "n" * 300, "a\udcff"])
def test_a_name_that_no_directory_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="expected a short, printable name"):
        load_config(recipe(tmp_path), name=name)


def test_more_readable_verdicts_than_the_judge_gives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pairs\.min_readable=2, but judge\.method gives 1 a response"):
        load_config(recipe(tmp_path), ["judge.method=expected", "pairs.min_readable=2"])
    assert load_config(recipe(tmp_path), ["judge.method.samples=2", "pairs.min_readable=2"]).pairs.min_readable == 2


def test_a_pair_rule_is_best_worst_where_no_type_is_said(tmp_path: Path) -> None:
    assert load_config(recipe(tmp_path), ["pairs.min_margin=0.5"]).pairs == BestWorstConfig(min_margin=0.5)
    random = load_config(recipe(tmp_path), ["pairs=best_random"]).pairs
    assert random == load_config(recipe(tmp_path), ["pairs.type=best_random"]).pairs == BestRandomConfig()
    with pytest.raises(ConfigError, match=r"pairs\.rho: no such setting with type: best_random"):
        load_config(recipe(tmp_path), ["pairs.rho=0.1", "pairs.type=best_random"])


def test_a_rho_for_each_iteration(tmp_path: Path) -> None:
    rhos = ["pairs.type=length_controlled", "pairs.rho=[0.0, 0.2]"]
    assert load_config(recipe(tmp_path), rhos, iterations=2).pairs.at(2).rho == 0.2
    with pytest.raises(ConfigError, match=r"pairs\.rho has 2 values for 3 iterations; give each one"):
        load_config(recipe(tmp_path), rhos, iterations=3)


def test_deep_nesting_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 5000)
    with pytest.raises(ConfigError, match=r"deep\.yaml"):
        load_config(path)


MIX = {"type": "mix", "parts": {"one": {"method": "expected"}, "two": {"method": "implicit"}}}
CHECKED = {"type": "verifiable", "function": "checks.py:f"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"judge": {"method": "implicit", "model": "some/judge"}}, "does not ask it; leave it out"),
        ({"judge": {"method": CHECKED, "model": "some/judge"}}, "does not ask it; leave it out"),
        ({"judge": {"method": MIX, "model": "some/judge"}}, "does not ask it; leave it out"),
        ({"judge": {"method": MIX}, "sft": {"enabled": False}}, "without SFT M1 is M0"),
        ({"judge": {"method": "implicit"}, "prompts": {"file": "p.txt"}, "seeds": {}}, "without SFT M1 is M0"),
        ({"judge": {"method": MIX}, "pairs": {"type": "rejected_from_initial"}}, "a scale of their own"),
        ({"judge": {"method": "implicit"}, "pairs": {"type": "consistent"}}, "M0 has no reference"),
        ({"judge": {"method": CHECKED}, "pairs": {"type": "consistent"}}, "the same in every iteration"),
        ({"judge": {"method": CHECKED}, "pairs": {"min_readable": 2}}, "judge.method gives 1 a response"),
        ({"judge": {"method": {"type": "mix", "parts": {}}}}, "judge.method.parts"),
    ],
)
def test_judges_that_cannot_work_here_are_refused(tmp_path: Path, changes: Any, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(recipe(tmp_path, **changes))
    assert reason in str(refused.value)


def test_paths_in_a_judges_method_are_relative_to_the_recipe(tmp_path: Path) -> None:
    parts = {
        "one": {"method": {"type": "sampled"}, "rubric": "./mine.md"},
        "two": {"method": {"type": "verifiable", "function": "my checks/all.py:f"}},
        "three": {"method": {"type": "reward_model", "model": "../reward", "chat_template": "chat.jinja"}},
        "four": {"method": {"type": "verifiable", "function": "package.module:f"}},
        "five": {"method": {"type": "reward_model", "model": "org/reward"}},
    }
    found = load_config(recipe(tmp_path, judge={"method": {"type": "mix", "parts": parts}})).judge.parts()
    assert found["one"].rubric == str(tmp_path / "mine.md")
    methods: dict[str, Any] = {name: part.method for name, part in found.items()}
    assert methods["two"].function == str(tmp_path / "my checks" / "all.py:f")
    assert methods["three"].model == str(tmp_path.parent / "reward")
    assert methods["three"].chat_template == str(tmp_path / "chat.jinja")
    assert (methods["four"].function, methods["five"].model) == ("package.module:f", "org/reward")
    alone = load_config(recipe(tmp_path, judge={"method": {"type": "verifiable", "function": "checks.py:f"}}))
    assert alone.judge.method.function == str(tmp_path / "checks.py:f")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "setting", ["train.beta=.inf", "pairs.min_margin=.nan", "judge.method={type: implicit, beta: .inf}"]
)
def test_what_is_no_finite_number_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="finite number"):
        load_config(find("recipes", "demo.yaml"), ["seeds.eft=null", setting])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"evaluation.prompts": None}, "train.keep_best.by=judge compares answers to evaluation.prompts"),
        ({"lora": None}, "train.keep_best.by=judge keeps an adapter of every candidate"),
        ({"train.keep_best.held_out": 0.2}, "train.keep_best: held_out is of no use with by=judge"),
        ({"train": [{}, {"keep_best": {"by": "judge"}}], "lora": None}, "train.1.keep_best.by=judge keeps an adapter"),
        ({"sft.keep_best": {"by": "judge"}}, "sft.keep_best: no such setting"),
        ({"train.keep_best.by": "loss"}, "train.keep_best.by: Input should be"),
    ],
)
def test_what_the_judge_cannot_choose_by_is_refused(changes: dict[str, Any], says: str) -> None:
    fits = {**SMALL, "evaluation": {"prompts": "held.txt"}, "train": {"keep_best": {"by": "judge"}}}
    assert make_config(make_config(fits, {}, "r").model_dump(mode="json"), {}, "r").objective(1).candidate_steps == 25
    with pytest.raises(ConfigError) as refused:
        make_config(fits, changes, "r")
    assert says in str(refused.value)
