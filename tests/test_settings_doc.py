"""docs/settings.md is what scripts/settings_doc.py makes of the code, and what it says of keys is so."""

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from selfreward import steps
from selfreward.config import RunConfig, make_config
from selfreward.engines import resolve_engine
from selfreward.objectives.optimiser import KeepBestConfig
from selfreward.session import Policy

ROOT = Path(__file__).resolve().parent.parent
SEEDS = {kind: str(ROOT / "seeds" / f"{kind}.jsonl") for kind in ("ift", "eft")}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settings_doc", ROOT / "scripts" / "settings_doc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_up_to_date(script: ModuleType) -> None:
    written = script.TARGET.read_text(encoding="utf-8")
    assert written == script.document(), "docs/settings.md is stale; run: .venv/bin/python scripts/settings_doc.py"


def test_every_setting_is_described(script: ModuleType) -> None:
    silent = [path for path, field in script.settings() if not field.description and not path.endswith(".type")]
    assert silent == []


def test_special_settings_exist(script: ModuleType) -> None:
    assert {path for path, _ in script.settings()} >= script.BY_CONTENT


@pytest.mark.parametrize(
    ("method", "engine", "rule"),
    [
        ("expected", "transformers", "best_worst"),
        ("sampled", "transformers", "best_worst"),
        ("sampled", "vllm", "length_controlled"),
        ("sampled", "vllm", "all_pairs"),
        ("sampled", "vllm", "best_random"),
        ("sampled", "vllm", "top_margin"),
        ("sampled", "vllm", "rejected_from_initial"),
        ("sampled", "vllm", "consistent"),
        ("sampled", "vllm", "positives"),
        ("sampled", "vllm", "spin"),
        ("implicit", "vllm", "best_worst"),
        ("verifiable", "vllm", "best_worst"),
    ],
)
@pytest.mark.parametrize("meta_judge", [None, "sampled", "expected"])
def test_keys_hold_what_the_page_says(
    script: ModuleType, method: str, engine: str, rule: str, meta_judge: str | None
) -> None:
    if meta_judge and (method != "sampled" or rule in ("positives", "spin")):
        pytest.skip("only written judgments are compared, and only beside pairs of judged responses")
    seeds = SEEDS if method in ("expected", "sampled") else {**SEEDS, "eft": None}
    data: dict[str, Any] = {
        "model": "some/model",
        "seeds": seeds,
        "evaluation": {"judge_data": SEEDS["eft"], "prompts": str(ROOT / "pyproject.toml")},  # any lines will do
        "judge": {"method": {"type": method, **({"function": f"{__file__}:f"} if method == "verifiable" else {})}},
        "pairs": {"type": rule},
        "prompts": {"from_seeds": rule == "spin"},
        "train": {"type": "sft" if rule == "positives" else "dpo", "keep_best": {}},
    }
    if meta_judge:
        data["meta_judge"] = {"verdict": meta_judge}
    config = make_config(data, {"engine.type": engine}, "test")
    held = {path for key in _keys_of_a_run(config) for path in _dotted(key)}
    chosen = {f"judge.method.{name}" for name in type(config.judge.method).model_fields}
    chosen |= {f"pairs.{name}" for name in type(config.pairs).model_fields}
    chosen |= {f"engine.{name}" for name in type(config.engine).model_fields}
    chosen |= {f"train.{name}" for name in type(config.train).model_fields}
    chosen |= {f"train.keep_best.{name}" for name in KeepBestConfig.model_fields}
    several: tuple[str, ...] = ("judge.method.", "meta_judge.verdict.", "pairs.", "engine.", "train.")
    if config.meta_judge is not None:
        chosen |= {f"meta_judge.verdict.{name}" for name in type(config.meta_judge.verdict).model_fields}
    else:
        several = (*several, "meta_judge.")
    if config.prompts.from_seeds:  # nothing is written, so how is in no key
        chosen |= {"prompts.count"}
        several = (*several, "prompts.")
    said = {
        path
        for path, field in script.settings()
        if script.key_of(path, field) == "yes" and (path in chosen or not path.startswith(several))
    }
    assert held == said


def _keys_of_a_run(config: RunConfig) -> Iterator[Mapping[str, Any]]:
    """The settings in the key of every stage of iterations 0 and 1."""
    session, iteration, stored = MagicMock(), MagicMock(), MagicMock()
    session.config = config
    session.model = config.model
    session.engine_config = resolve_engine(config.engine)
    session.run_stage.return_value.entry.rows = config.prompts.count
    iteration.label, iteration.manifest.iteration = "iter-000", 0
    steps.build_examples(session, iteration, *steps.store_seeds(session, iteration))
    steps.train_sft(session, iteration, stored)
    iteration.manifest.iteration = 1
    policy = Policy("M1", Path("adapter"), "digest")
    steps.write_prompts(session, iteration, policy)
    steps.write_responses(session, iteration, policy, stored)
    steps.judge_responses(session, iteration, policy, stored, stored)
    iteration.inherited_without.return_value = False
    compared = steps.compare_judgments(session, iteration, policy, stored, stored, stored)
    iteration.manifest.finished = iteration.stage.return_value.finished = False
    steps.measure_judge(session, iteration, policy)
    asked = steps.ask_for_rule(session, iteration, policy, stored, stored)
    steps.build_pairs(session, iteration, stored, stored, stored, asked)
    made = steps.build_judgment_pairs(session, iteration, stored, stored, stored, compared, stored)
    steps.train(session, iteration, policy, stored, made)
    steps.compare_models(session, iteration, policy, policy)
    yield from (call.args[1].key.settings for call in session.run_stage.call_args_list)
    yield from (call.args[2].settings for call in session.run_training.call_args_list)


def _dotted(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
