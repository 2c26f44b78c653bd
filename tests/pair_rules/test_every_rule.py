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
from selfreward.pair_rules.settings import LabelSettings, PairSettings, RuleSettings
from selfreward.pair_rules.spin import spin
from selfreward.terminal.render_walk import _NO_PAIR, _RULES

READER: TypeAdapter[Any] = TypeAdapter(PairRuleConfig)
MEMBERS = {member.model_fields["type"].default: member for member in get_args(get_args(PairRuleConfig)[0])}
TYPES = list(MEMBERS)
COMPARING = [kind for kind, member in MEMBERS.items() if issubclass(member, PairSettings)]
LABELLING = [kind for kind, member in MEMBERS.items() if issubclass(member, LabelSettings)]
REASONS = {"too_few_usable", "tie", "small_margin", "small_tier_margin", "identical"}
REASONS |= {"one_side_only", "initial_not_worse", "small_initial_margin", "no_earlier_ranking", "inconsistent"}
OF_OTHERS = {"no_reference", "none_usable", "none_good_enough", "special_tokens", "below_top", "excluded"}
"""Of rules that compare no scores, and of the stage."""


def rule(kind: str, **settings: Any) -> Any:
    found: RuleSettings = READER.validate_python({"type": kind, **settings})
    return found.at(1)


def given_what_it_asks(config: PairSettings, found: list[Scored]) -> list[Scored]:
    """Every other response by the initial model, or the same ranking by the model before, for rules that ask."""
    if config.asks == "initial":
        return [replace(one, initial=one.response.index % 2 == 1) for one in found]
    return [replace(one, before=one.score) for one in found] if config.asks == "previous" else found


def test_every_rule_is_tried_here() -> None:
    assert {*COMPARING, *LABELLING, "spin"} == set(TYPES)


@pytest.mark.parametrize("kind", COMPARING)
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
    assert 0 < len(result) <= config.most_rows(1, len(drawn))
    margins = [chosen.score - rejected.score for chosen, rejected in result]
    assert margins == sorted(margins, reverse=True)
    assert min(margins) > 0
    assert min(margins) >= margin
    for chosen, rejected in result:
        assert chosen.response.text.strip() != rejected.response.text.strip()
        assert {chosen, rejected} <= set(given_)
    preferred = {(chosen.response.text, rejected.response.text) for chosen, rejected in result}
    assert not preferred & {(worse, better) for better, worse in preferred}


@pytest.mark.parametrize("kind", LABELLING)
@given(drawn=CANDIDATES, least=st.none() | MARGINS, order=st.randoms(use_true_random=False))
def test_what_always_holds_of_labels(
    kind: str, drawn: list[tuple[float, str]], least: float | None, order: Any
) -> None:
    config = rule(kind, min_score=least).on_scale(5.0)
    given_ = candidates(drawn)
    found, left_out = config.label(given_)
    shuffled = list(given_)
    order.shuffle(shuffled)
    assert config.label(shuffled) == (found, left_out)
    assert len(found) + left_out.total() == len(given_)
    assert len(found) <= config.most_rows(1, len(drawn))
    texts = [one.response.text.strip() for one, _ in found]
    assert len(set(texts)) == len(texts)
    assert all(wanted == (one.score >= (5.0 if least is None else least)) for one, wanted in found)
    assert {one for one, _ in found} <= set(given_)


@given(drawn=CANDIDATES, reference=st.none() | st.sampled_from(["a", " b ", "z"]), order=st.randoms())
def test_what_always_holds_of_spin(drawn: list[tuple[float, str]], reference: str | None, order: Any) -> None:
    own = [one.response for one in candidates(drawn)]
    found, unusable = spin(reference, own)
    shuffled = list(own)
    order.shuffle(shuffled)
    assert spin(reference, shuffled) == (found, unusable)
    if isinstance(found, str):
        assert found == ("no_reference" if reference is None else "identical" if own else "none_usable")
        return
    assert reference is not None
    assert 0 < len(found) <= rule("spin").most_rows(1, len(drawn))
    texts = [one.text.strip() for one in found]
    assert len(set(texts)) == len(texts)
    assert reference.strip() not in texts


@pytest.mark.parametrize("kind", COMPARING)
@given(drawn=CANDIDATES)
def test_a_pair_is_found_where_the_texts_all_differ(kind: str, drawn: list[tuple[float, str]]) -> None:
    different = [scored_response(i, score, f"{text}{i}") for i, (score, text) in enumerate(drawn)]
    if rule(kind).asks != "initial":  # which has two sides: see its own test
        found = indices(rule(kind).choose(given_what_it_asks(rule(kind), different), 1))
        assert isinstance(found, str) == (len({score for score, _ in drawn}) < 2)


@pytest.mark.parametrize("kind", TYPES)
def test_every_rule_and_reason_has_its_words(kind: str) -> None:
    settings = {"min_score": 4.0} if kind in LABELLING else {}
    assert _RULES[kind].format(**rule(kind, **settings).model_dump())
    assert set(_NO_PAIR) == REASONS | OF_OTHERS
    assert set(_RULES) == set(TYPES)


def test_best_worst_is_meant_where_no_type_is_said() -> None:
    assert READER.validate_python({"min_margin": 0.5}) == BestWorstConfig(min_margin=0.5)
    assert READER.validate_python({}) == READER.validate_python("best_worst") == BestWorstConfig()
    with pytest.raises(ValidationError, match="best_worst"):
        READER.validate_python({"type": "worst_best"})
