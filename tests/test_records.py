"""Ids, seeds and keys must never change by accident: stored runs hang on them."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from selfreward.engines.transformers import TransformersConfig
from selfreward.judges import JudgeConfig
from selfreward.records import Frozen, NotInKey, Prompt, content_id, derive_seed, key_settings
from selfreward.stages.prompt_generation import PromptsConfig


class Inner(Frozen):
    acts: int = 1
    """Acts."""
    speeds: Annotated[int | None, NotInKey] = None
    """Speeds."""


class Outer(Frozen):
    inner: Inner = Inner()
    """Nested."""
    kept: tuple[int, ...] = (1, 2)
    """Kept."""
    place: Annotated[Inner, NotInKey] = Inner()
    """Dropped whole."""
    further: Annotated[dict[str, int], NotInKey(frozenset({"speed"}))] = Field(default_factory=dict)
    """Dropped in part."""


def test_stored_ids_and_seeds_stay_what_they_are() -> None:
    assert content_id("p", 1, 2, "x") == "p-2b15b99058213dcc"
    assert content_id("r", "ü") == "r-25430e7ac849b692"
    assert derive_seed(0) == 1751011464
    assert derive_seed(0, 1, "prompts", 256) == 390199271
    assert derive_seed(7, "a") == 1779925578
    assert derive_seed(12345678901234567890, 0) == 33462643


def test_parts_do_not_run_together() -> None:
    parts = [("a", "b"), ("ab",), ("a", "", "b"), ("a,b",), ("b", "a"), (1, 2), ("1", "2"), (12,), ("1", 2), ()]
    assert len({content_id("x", *p) for p in parts}) == len(parts)
    assert len({derive_seed(0, *p) for p in parts}) == len(parts)
    assert derive_seed(0, 1) != derive_seed(1, 0)


@given(st.integers(), st.lists(st.integers() | st.text(), max_size=4))
def test_a_seed_has_31_bits(run_seed: int, place: list[int | str]) -> None:
    assert 0 <= derive_seed(run_seed, *place) < 2**31
    assert derive_seed(run_seed, *place) == derive_seed(run_seed, *place)


def test_a_key_drops_what_changes_no_output_however_deep() -> None:
    assert key_settings(Outer()) == {"inner": {"acts": 1}, "kept": [1, 2], "further": {}}
    assert key_settings(Outer(inner=Inner(speeds=5), place=Inner(acts=9))) == key_settings(Outer())
    assert key_settings(Outer(further={"speed": 2})) == key_settings(Outer())
    assert key_settings(Outer(further={"speed": 2, "width": 1}))["further"] == {"width": 1}
    assert key_settings(Outer(inner=Inner(acts=2))) != key_settings(Outer())


def test_settings_that_only_speed_things_up_are_in_no_key() -> None:
    assert {"batch_size", "judge_batch_size"}.isdisjoint(key_settings(TransformersConfig()))
    assert "max_attempts" not in key_settings(PromptsConfig())
    assert "count" in key_settings(PromptsConfig())
    method = key_settings(JudgeConfig())["method"]
    assert "retries" not in method
    assert method["samples"] == 3


def test_records_are_frozen_and_refuse_unknown_fields() -> None:
    prompt = Prompt(id="p", text="x", iteration=1)
    with pytest.raises(ValidationError):
        prompt.text = "y"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Prompt.model_validate({"id": "p", "text": "x", "iteration": 1, "score": 3})
