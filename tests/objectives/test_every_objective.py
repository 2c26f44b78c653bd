"""What holds for every objective: its settings reach TRL, and what makes no sense is refused with the way out."""

import copy
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from selfreward.engines.chat import Chat
from selfreward.errors import ConfigError, TrainingError
from selfreward.judges import JudgeConfig
from selfreward.objectives import ObjectiveConfig, installed, sft
from selfreward.objectives.fitting import judge_misfit, misfit
from selfreward.objectives.installed import check_installed
from selfreward.objectives.kto import KTOConfig
from selfreward.objectives.optimiser import LoraConfig, OptimiserConfig
from selfreward.pair_rules import PairRuleConfig

READER: TypeAdapter[Any] = TypeAdapter(ObjectiveConfig)
RULES: TypeAdapter[Any] = TypeAdapter(PairRuleConfig)
TYPES = [member.model_fields["type"].default for member in get_args(get_args(ObjectiveConfig)[0])]
OWN: dict[str, dict[str, tuple[Any, str, Any]]] = {
    "dpo": {
        "beta": (0.3, "beta", 0.3),
        "loss_type": (["sigmoid", "sft"], "loss_type", ["sigmoid", "sft"]),
        "label_smoothing": (0.0, "label_smoothing", 0.0),
        "ld_alpha": (0.5, "ld_alpha", 0.5),
        "use_weighting": (True, "use_weighting", True),
        "f_divergence": ("js_divergence", "f_divergence_type", "js_divergence"),
        "discopop_tau": (0.1, "discopop_tau", 0.1),
    },
    "kto": {
        "beta": (0.3, "beta", 0.3),
        "loss_type": ("apo_zero_unpaired", "loss_type", "apo_zero_unpaired"),
        "desirable_weight": (2.0, "desirable_weight", 2.0),
        "undesirable_weight": (2.0, "undesirable_weight", 2.0),
    },
    "cpo": {
        "beta": (0.3, "beta", 0.3),
        "loss_type": ("ipo", "loss_type", "ipo"),
        "nll_weight": (0.5, "cpo_alpha", 0.5),
        "label_smoothing": (0.1, "label_smoothing", 0.1),
    },
    "simpo": {
        "beta": (3.0, "beta", 3.0),
        "gamma": (1.5, "simpo_gamma", 1.5),
        "nll_weight": (0.5, "cpo_alpha", 0.5),
    },
    "orpo": {"beta": (0.3, "beta", 0.3)},
    "sft": {"packing": (True, "packing", True)},
}
OF_ALL = {"max_length": (99, "max_length", 99), "disable_dropout": (False, "disable_dropout", False)}
OF_ANY: dict[str, tuple[Any, str, Any]] = {
    "learning_rate": (3e-4, "learning_rate", 3e-4),
    "keep_best": ({"eval_steps": 7}, "eval_steps", 7),
}
CASES = [
    (kind, setting, *case)
    for kind, own in OWN.items()
    for setting, case in {**own, **OF_ANY, **(OF_ALL if kind != "sft" else {})}.items()
]


class Caught(Exception):
    """What a trainer was asked for."""


def rows(kind: str) -> Any:
    from datasets import Dataset

    question = [{"role": "user", "content": "Name a tree."}]
    answers = [[{"role": "assistant", "content": text}] for text in ("Oak.", "No.")]
    if kind in ("kto", "sft"):
        return Dataset.from_list(
            [{"prompt": question, "completion": a, "label": i == 0} for i, a in enumerate(answers)]
        )
    return Dataset.from_list([{"prompt": question, "chosen": answers[0], "rejected": answers[1]}])


def arguments(kind: str, chat: Chat, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:
    """What TRL's trainer is given as its arguments."""
    import trl
    from trl.experimental import cpo, orpo

    def catch(**given: Any) -> None:
        raise Caught(given["args"])

    for module in (trl, cpo, orpo):
        for name in ("DPOTrainer", "KTOTrainer", "SFTTrainer", "CPOTrainer", "ORPOTrainer"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, catch)
    with pytest.raises(Caught) as caught:
        READER.validate_python({"type": kind, **settings}).trainer(None, chat, rows(kind), "out", 1)
    return caught.value.args[0]


def test_every_setting_is_tried_here() -> None:
    members = {member.model_fields["type"].default: member for member in get_args(get_args(ObjectiveConfig)[0])}
    for kind, member in members.items():
        tried = {setting for one, setting, *_ in CASES if one == kind} | {"type", "loss_weights"}
        own = set(member.model_fields) - set(OptimiserConfig.model_fields) - {"reference"}  # see test_reference.py
        assert own - tried <= ({"max_length"} if kind == "sft" else set())


@pytest.mark.parametrize(("kind", "setting", "value", "name", "expected"), CASES)
def test_each_setting_reaches_trl(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, kind: str, setting: str, value: Any, name: str, expected: Any
) -> None:
    monkeypatch.setattr(sft, "refuse_where_examples_meet", lambda model, first, second: None)  # there is no model
    more = {"max_length": 64} if setting == "packing" else {}
    assert getattr(arguments(kind, chat, monkeypatch, **{setting: value}, **more), name) == expected


def test_weights_and_smoothing_reach_trl(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = arguments("dpo", chat, monkeypatch, loss_type=["robust", "sft"], loss_weights=[1, 0.5], label_smoothing=0.1)
    assert (mixed.loss_type, mixed.loss_weights, mixed.label_smoothing) == (["robust", "sft"], [1.0, 0.5], 0.1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss_type": "exo_pair"}, "needs a label_smoothing above 0"),
        ({"label_smoothing": 0.1}, "of no use to loss_type=sigmoid"),
        ({"loss_type": ["sigmoid", "sft"], "loss_weights": [1]}, "1 values for 2 losses"),
        ({"loss_type": []}, "names no loss"),
        ({"loss_type": ["sft", "sft"]}, "one of them twice"),
        ({"loss_type": "sppo_hard", "f_divergence": "forward_kl"}, "goes with"),
        ({"loss_type": "aot", "use_weighting": True}, "sort the pairs"),
        ({"loss_type": "kto_pair"}, "loss_type"),
        ({"type": "kto", "micro_batch_size": 1}, "it needs 2"),
        ({"type": "cpo", "loss_type": "hinge", "label_smoothing": 0.1}, "of no use"),
        ({"type": "ppo"}, "ppo"),
        ({"type": "sft", "packing": True}, "packing needs max_length"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        READER.validate_python(settings)


@pytest.mark.parametrize("kind", TYPES)
def test_all_are_installed_here(kind: str) -> None:
    check_installed([READER.validate_python(kind)], LoraConfig())


@pytest.mark.parametrize("kind", TYPES)
def test_what_trl_has_not_is_refused_with_the_version_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(installed, "find_spec", lambda name: Spec())
    dpo, other = READER.validate_python("dpo"), READER.validate_python("sft" if kind == "dpo" else kind)
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "dpo_trainer.py").touch()
    check_installed([dpo], LoraConfig())
    with pytest.raises(ConfigError, match=rf"train\.type={other.type}: .* has no {other.module}; TRL 1\.16 has it"):
        check_installed([dpo, other], LoraConfig())


@pytest.mark.parametrize(
    ("train", "rule", "judge", "references", "says"),
    [
        ("dpo", "best_worst", {}, False, None),
        ("sft", {"type": "positives"}, {"method": {"type": "sampled"}}, False, None),
        ("kto", {"type": "threshold", "min_score": 3.0}, {}, False, None),
        ("orpo", "spin", {}, True, None),
        ("kto", "best_worst", {}, False, "use pairs.type threshold"),
        ("sft", "threshold", {}, False, "use pairs.type positives"),
        ("simpo", "positives", {}, False, "one that makes pairs"),
        ("dpo", "spin", {}, False, "prompts.from_seeds"),
        ("sft", "positives", {"method": {"type": "pairwise"}}, False, "no scale that has a top"),
        ("kto", "threshold", {"method": {"type": "expected"}}, False, "hardly ever are the top"),
    ],
)
def test_what_goes_together(train: Any, rule: Any, judge: Any, references: bool, says: str | None) -> None:
    chosen = RULES.validate_python(rule)
    found = misfit("train", READER.validate_python(train), chosen, references=references)
    found = found or judge_misfit(JudgeConfig.model_validate(judge), chosen, sft=True, responses=2)
    assert (found is None) if says is None else (found is not None and says in found)


@pytest.mark.parametrize(
    ("rule", "method", "says"),
    [
        ("best_worst", "sampled", "compares a prompt's responses; it needs 2"),
        ("rejected_from_initial", "sampled", None),
        ("spin", "sampled", None),
        ({"type": "positives", "min_score": 0.0}, "sampled", None),
        ({"type": "positives", "min_score": 0.0}, "pairwise", "judge.method.type=pairwise compares responses"),
    ],
)
def test_one_response_is_enough_where_nothing_is_compared(rule: Any, method: str, says: str | None) -> None:
    chosen = RULES.validate_python(rule)
    judge = JudgeConfig.model_validate({"method": {"type": method}})
    found = judge_misfit(judge, chosen, sft=True, responses=1)
    assert (found is None) if says is None else (found is not None and says in found)


def test_kto_refuses_what_is_all_on_one_side(chat: Chat) -> None:
    wanted = rows("kto").filter(lambda row: row["label"])
    with pytest.raises(TrainingError, match=r"all 1 responses are on one side of pairs\.min_score"):
        KTOConfig().trainer(None, chat, wanted, "out", 1)


def test_text_for_trainers_that_tokenise_it_ends_where_the_turn_ends(chat: Chat) -> None:
    from selfreward.objectives.rows import plain_text, without_bos

    (row,) = plain_text(rows("dpo"), chat)
    assert row["prompt"].endswith("<|im_start|>assistant\n")
    assert (row["chosen"], row["rejected"]) == ("Oak.<|im_end|>", "No.<|im_end|>")
    assert without_bos(chat).bos_token_id is None
    bare = Chat(copy.deepcopy(chat.tokenizer), {})
    bare.tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'user' %}<|im_end|>{% endif %}{% endfor %}"
    )
    (row,) = plain_text(rows("dpo"), bare)
    assert (row["prompt"], row["chosen"]) == ("Name a tree.<|im_end|>", "Oak."), "where no end of the turn is written"
    assert chat.tokenizer.bos_token_id is not None


def test_4_bit_models_need_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs bitsandbytes.*selfreward\[qlora\]"):
        check_installed([READER.validate_python("dpo")], LoraConfig(load_in_4bit=True))
