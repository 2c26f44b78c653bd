"""overrides.jsonl: which decisions came after pairs were built, and lines that are read again when there are more."""

import random
from pathlib import Path

from selfreward.storage.overrides import Override, Sides, add_override, digest, pending, read_overrides, used


def decision(action: str, pair: int, number: int = 0) -> Override:
    sides = Sides(chosen_id=f"a{pair}", rejected_id=f"b{pair}")
    turned = Sides(chosen_id=f"b{pair}", rejected_id=f"a{pair}") if action == "swap" else None
    return Override(
        when="2026-01-01T00:00:00+00:00",
        who="me",
        reason=f"{number}",
        iteration=1,
        action=action,
        prompt_id="p",
        pair_id=f"pair-{pair}",
        old=sides,
        new=turned,
    )


def test_decisions_after_the_last_place_with_the_same_effect_are_pending() -> None:
    draw = random.Random(1)
    for _ in range(100):
        made = [
            decision(draw.choice(("swap", "exclude", "withdraw")), draw.randrange(3), n)
            for n in range(draw.randrange(9))
        ]
        for by in (None, "unknown", *(digest(made[:n]) for n in range(len(made) + 1))):
            same = [n for n in range(len(made) + 1) if digest(made[:n]) == by]
            start = same[-1] if same else 0
            assert pending(made, by) == made[start:]
            assert used(made, by) == made[:start]


def test_what_is_added_is_read(tmp_path: Path) -> None:
    assert read_overrides(tmp_path) == []
    for n in range(3):
        add_override(tmp_path, decision("swap", n))
        assert [one.pair_id for one in read_overrides(tmp_path, 1)] == [f"pair-{k}" for k in range(n + 1)]
    assert read_overrides(tmp_path, 2) == []
