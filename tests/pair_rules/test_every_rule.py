"""What holds for every rule: no ties, no identical texts, scores in order, and the order of input does not matter."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scored_responses import CANDIDATES, MARGINS, candidates, indices
from scored_responses import scored as scored_response

from selfreward.pair_rules import PairRuleConfig
from selfreward.pair_rules.best_worst import BestWorstConfig
from selfreward.pair_rules.scored import Scored
from selfreward.pair_rules.settings import PairSettings
from selfreward.terminal.render_walk import _NO_PAIR, _RULES

READER: TypeAdapter[Any] = TypeAdapter(PairRuleConfig)
TYPES = [member.model_fields["type"].default for member in get_args(get_args(PairRuleConfig)[0])]
REASONS = {"too_few_usable", "tie", "small_margin", "small_tier_margin", "identical"}
REASONS |= {"one_side_only", "initial_not_worse", "small_initial_margin", "no_earlier_ranking", "inconsistent"}


def rule(kind: str, **settings: Any) -> PairSettings:
    found: PairSettings = READER.validate_python({"type": kind, **settings})
    return found.at(1)


def given_what_it_asks(config: PairSettings, found: list[Scored]) -> list[Scored]:
    """Every other response by the initial model, or the same ranking by the model before, for rules that ask."""
    if config.asks == "initial":
        return [replace(one, initial=one.response.index % 2 == 1) for one in found]
    return [replace(one, before=one.score) for one in found] if config.asks == "previous" else found


@pytest.mark.parametrize("kind", TYPES)
@given(drawn=CANDIDATES, margin=MARGINS, seed=st.integers(0, 3), order=st.randoms(use_true_random=False))
def test_what_always_holds(kind: str, drawn: list[tuple[float, str]], margin: float, seed: int, order: Any) -> None:
    config = rule(kind, min_margin=margin)
    given_ = given_what_it_asks(config, candidates(drawn))
    result = config.choose(given_, seed)
    shuffled = list(given_)
    order.shuffle(shuffled)
    assert config.choose(shuffled, seed) == result
    if isinstance(result, str):
        assert result in REASONS
        return
    assert 0 < len(result) <= config.most_pairs(1, len(drawn))
    margins = [chosen.score - rejected.score for chosen, rejected in result]
    assert margins == sorted(margins, reverse=True)
    assert min(margins) > 0
    assert min(margins) >= margin
    for chosen, rejected in result:
        assert chosen.response.text.strip() != rejected.response.text.strip()
        assert {chosen, rejected} <= set(given_)
    preferred = {(chosen.response.text, rejected.response.text) for chosen, rejected in result}
    assert not preferred & {(worse, better) for better, worse in preferred}


@pytest.mark.parametrize("kind", TYPES)
@given(drawn=CANDIDATES)
def test_a_pair_is_found_where_the_texts_all_differ(kind: str, drawn: list[tuple[float, str]]) -> None:
    different = [scored_response(i, score, f"{text}{i}") for i, (score, text) in enumerate(drawn)]
    if rule(kind).asks != "initial":  # which has two sides: see its own test
        found = indices(rule(kind).choose(given_what_it_asks(rule(kind), different), 1))
        assert isinstance(found, str) == (len({score for score, _ in drawn}) < 2)


@pytest.mark.parametrize("kind", TYPES)
def test_every_rule_and_reason_has_its_words(kind: str) -> None:
    assert _RULES[kind].format(**rule(kind).model_dump())
    assert set(_NO_PAIR) == REASONS | {"special_tokens", "below_top", "excluded"}
    assert set(_RULES) == set(TYPES)


def test_best_worst_is_meant_where_no_type_is_said() -> None:
    assert READER.validate_python({"min_margin": 0.5}) == BestWorstConfig(min_margin=0.5)
    assert READER.validate_python({}) == READER.validate_python("best_worst") == BestWorstConfig()
    with pytest.raises(ValidationError, match="best_worst"):
        READER.validate_python({"type": "worst_best"})
