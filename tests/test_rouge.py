"""The index of known texts gives what comparing with every one of them gives, on made-up and on real prompts."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from selfreward import rouge
from selfreward.rouge import RougeIndex

DATA = Path(__file__).parents[1].parent / "shared" / "data"
REAL = {
    "generated_prompts_7b.jsonl": "prompt",
    "oasst2_ranked.jsonl": "prompt_text",
    "self_instruct_seed_tasks.jsonl": "instruction",
}

# A few words that are common and some that are rare, so that texts are alike in every degree.
WORDS = st.sampled_from([*"aaabbcde", *(f"rare{i}" for i in range(20))])
TEXTS = st.lists(WORDS, max_size=14)
LIMITS = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 2 / 3, 0.7, 0.8, 6 / 7, 1.0])


def exhaustive(texts: Sequence[Sequence[str]], known: Sequence[Sequence[str]], limit: float) -> list[list[int]]:
    """For each text the known ones above the limit, every pair compared."""
    common = process.cdist(texts, known, scorer=LCSseq.similarity, dtype=np.uint32, workers=-1).astype(np.int64)
    lengths = np.array([len(text) for text in texts])[:, None] + np.array([len(text) for text in known])
    return [np.nonzero(row)[0].tolist() for row in 2 * common / np.maximum(lengths, 1) > limit]


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=20), LIMITS)
def test_known_texts_at_once(text: list[str], known: list[list[str]], limit: float) -> None:
    assert [RougeIndex(limit, known).above(text)] == exhaustive([text], known, limit)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=20), LIMITS)
def test_candidates_counted_by_sorting(text: list[str], known: list[list[str]], limit: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rouge, "_SORTED_WHERE_FEWER", 0)
        assert [RougeIndex(limit, known).above(text)] == exhaustive([text], known, limit)


@given(st.lists(TEXTS, min_size=1, max_size=20), LIMITS, st.integers(0, 20))
def test_texts_added_later(texts: list[list[str]], limit: float, at_once: int) -> None:
    index = RougeIndex(limit, texts[:at_once])
    for text in texts[at_once:]:
        index.add(text)
    assert len(index) == len(texts)
    assert [index.above(text) for text in texts] == exhaustive(texts, texts, limit)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=20))
def test_more_words_than_there_are_characters(text: list[str], known: list[list[str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rouge, "_CODE_POINTS", 3)
        assert [RougeIndex(0.7, known).above(text)] == exhaustive([text], known, 0.7)


def test_long_texts() -> None:
    known = [[str(i % 977) for i in range(start, start + 5_000)] for start in (0, 100, 2_000)]
    text = [*known[0][:3_000], *["else"] * 1_000]
    assert [RougeIndex(0.5, known).above(text)] == exhaustive([text], known, 0.5)


def test_real_prompts() -> None:
    if not all((DATA / name).exists() for name in REAL):
        pytest.skip("no real prompts beside the repository (../shared/data)")
    texts = [
        re.findall(r"[a-z0-9]+", json.loads(line)[field].lower())
        for name, field in REAL.items()
        for line in (DATA / name).read_text(encoding="utf-8").splitlines()
    ]
    index = RougeIndex(0.7, texts[::2])
    found = [index.above(text) for text in texts]
    assert found == exhaustive(texts, texts[::2], 0.7)
    assert sum(map(len, found)) > len(texts)
