"""The best against a random worse one."""

from collections import Counter

from scored_responses import all_scored, indices, scored

from selfreward.pair_rules.best_random import BestRandomConfig, best_random


def test_chosen_is_the_best_and_every_worse_one_is_drawn_sometimes() -> None:
    drawn = Counter(str(indices(best_random(all_scored(2.0, 5.0, 5.0, 1.0, 3.0), 0.0, seed))) for seed in range(300))
    assert set(drawn) == {"[(1, 0)]", "[(1, 3)]", "[(1, 4)]"}
    assert min(drawn.values()) > 60


def test_the_draw_is_the_same_for_a_seed_and_another_for_another_prompt() -> None:
    def draws(prompt_id: str) -> list[object]:
        given = [scored(i, score, prompt_id=prompt_id) for i, score in enumerate((5.0, 1.0, 2.0, 3.0, 4.0))]
        return [indices(best_random(given, 0.0, seed)) for seed in range(20)]

    assert draws("p-1") == draws("p-1") != draws("p-2")


def test_only_what_is_worse_by_the_margin_and_has_another_text_is_drawn() -> None:
    given = [scored(0, 5.0, "x"), scored(1, 1.0, "x"), scored(2, 4.5), scored(3, 3.0), scored(4, 2.0)]
    drawn = {str(indices(best_random(given, 2.0, seed))) for seed in range(50)}
    assert drawn == {"[(0, 3)]", "[(0, 4)]"}
    assert best_random(given[:2], 0.0, 1) == "identical"
    assert best_random([*given[:2], scored(2, 4.5)], 2.0, 1) == "identical"
    assert best_random(all_scored(3.0, 3.0), 0.0, 1) == "tie"


def test_its_key_holds_the_seed() -> None:
    assert BestRandomConfig.seeded
