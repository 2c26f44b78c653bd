"""Who judges in a run, by the method that the recipe names."""

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from selfreward.config import make_config
from selfreward.engines import ResolvedEngine
from selfreward.engines.transformers import TransformersConfig
from selfreward.engines.vllm import VllmConfig
from selfreward.errors import ConfigError
from selfreward.judges.implicit import ImplicitConfig
from selfreward.session import Policy
from selfreward.steps.judge import RunJudge, judge_of, policy_of


def session(method: dict[str, Any], *, sft: bool = True, engine: ResolvedEngine | None = None) -> Any:
    """Of a run whose models up to M3 were trained, M1 by SFT if at all."""
    data = {"model": "some/model", "seeds": {"ift": "ift.jsonl"}, "judge": {"method": method}}
    made = MagicMock()
    made.config = make_config(data, {}, "test")
    made.engine_config = engine or TransformersConfig()
    made.root.fingerprint, made.chat.fingerprint = "root model", "template"

    def iteration(k: int) -> Any:
        it = MagicMock(weights=Path(f"iter-{k}/adapter"))
        it.trained = MagicMock(digest=f"digest of M{k + 1}") if k or sft else None
        return it

    made.store.iteration.side_effect = iteration
    return made


def judged_by(s: Any, t: int) -> RunJudge:
    return judge_of(s, policy_of(s, t), s.config.judge)


@pytest.mark.parametrize(
    ("reference", "t", "label", "adapter"),
    [
        ("previous", 1, "M1 against M0", None),
        ("previous", 3, "M3 against M2", Path("iter-1/adapter")),
        ("initial", 3, "M3 against M0", None),
    ],
)
def test_rewards_are_taken_against_the_reference_that_is_named(
    reference: str, t: int, label: str, adapter: Path | None
) -> None:
    found = judged_by(session({"type": "implicit", "reference": reference}), t)
    assert (found.label, found.weights) == (label, (Path(f"iter-{t - 1}/adapter"), adapter))
    digest = "root" if adapter is None else "digest of M2"
    assert (found.inputs["model"], found.inputs["judge.method.reference"]) == (f"digest of M{t}", digest)
    listener = found.listener()
    assert (listener.weights, listener.reference) == found.weights


def test_rewards_of_a_policy_that_answers_through_vllm_are_computed_by_transformers() -> None:
    vllm = VllmConfig(dtype="bfloat16", max_model_len=512)
    s = session({"type": "implicit"}, engine=vllm)
    found = judged_by(s, 1)
    found.engine()
    s.likelihood_engine.assert_called_with(policy_of(s, 1), TransformersConfig(dtype="bfloat16", max_model_len=512))
    assert found.settings["engine"] == {"type": "transformers", "dtype": "bfloat16", "max_model_len": 512}


def test_how_many_are_computed_at_once() -> None:
    shared = TransformersConfig(judge_batch_size=9)
    assert ImplicitConfig().engine(shared) is shared
    for policy in (shared, VllmConfig()):
        s = session({"type": "implicit", "judge_batch_size": 3}, engine=policy)
        judged_by(s, 1).engine()
        assert s.likelihood_engine.call_args.args[1] == TransformersConfig(judge_batch_size=3)


def test_a_policy_that_equals_its_reference_is_refused() -> None:
    with pytest.raises(ConfigError, match="M1 and its reference M0 are the same model, so every reward is 0"):
        judged_by(session({"type": "implicit"}, sft=False), 1)
    with pytest.raises(ConfigError, match="M0 is no model that was trained against another"):
        judged_by(session({"type": "implicit"}), 0)
    assert judged_by(session({"type": "implicit"}, sft=False), 2).label == "M2 against M1"


def test_a_function_is_in_the_key_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "checks.py").write_text("def f(prompt, response, reference): return 1\n")
    s = session({"type": "verifiable", "function": f"{tmp_path / 'checks.py'}:f"})
    one, other = judged_by(s, 1), judged_by(s, 2)
    assert (one.inputs, one.settings) == (other.inputs, other.settings), "whoever the policy is"
    assert list(one.inputs) == ["judge.method.function"]
    (tmp_path / "checks.py").write_text("def f(prompt, response, reference): return 2\n")
    assert judged_by(s, 1).inputs != one.inputs


def test_a_rubrics_words_are_in_the_key() -> None:
    assert "judge.rubric" in judged_by(session({"type": "expected"}), 1).inputs
    assert Policy.root("M0").digest == "root"
