"""Flags are read from what the iteration's end has stored; where nothing is stored, they are taken of the texts."""

import json

import pytest
from fixture_run import add

from selfreward.diagnosis.pair_flags import VERSION, PairFlags, flags_of
from selfreward.query import flags
from selfreward.query.pairs import PairFilter, page_of_pairs
from selfreward.records import PreferencePair
from selfreward.steps.metrics import FLAGS, iteration_metrics
from selfreward.storage.iteration import StageKey
from selfreward.storage.run import RunStore
from selfreward.storage.tables import write_table
from selfreward.storage.verify import verify


def store_flags(run: RunStore, made: list[PairFlags], version: int) -> None:
    """Iteration 3 has two pairs and ends with these flags."""
    it = run.iteration(3)
    (pair,) = run.iteration(1).stored("pairs", PreferencePair).records()
    add(it, "pairs", [pair.model_copy(update={"id": f"pair-{i}"}) for i in range(2)], PreferencePair)
    metrics, table = it.path / ".tmp-metrics.json", it.path / f".tmp-{FLAGS}"
    metrics.write_text(json.dumps({"iteration": 3}), encoding="utf-8")
    write_table(table, made, PairFlags)
    it.begin("metrics", StageKey(version=0, settings={}, inputs={}))
    files = {"metrics.json": metrics, FLAGS: table}
    it.finish_with_files("metrics", files, counts={}, seconds=0.0, summary={"pair_flags": version})


MADE = [PairFlags(id="pair-1", flags=("swapped", "refusal")), PairFlags(id="pair-0", flags=())]


def test_stored_flags_are_read(unfinished_run: RunStore) -> None:
    store_flags(unfinished_run, MADE, VERSION)
    rows = page_of_pairs(unfinished_run, 3, sort="order").rows
    assert [row.flags for row in rows] == [(), ("refusal", "swapped")]
    assert [row.id for row in page_of_pairs(unfinished_run, 3, PairFilter(flags=("swapped",))).rows] == ["pair-1"]
    assert page_of_pairs(unfinished_run, 3, PairFilter(flags=("injection",))).total == 0
    assert verify(unfinished_run.path) == []


def test_those_of_another_version_are_taken_anew(unfinished_run: RunStore) -> None:
    store_flags(unfinished_run, MADE, VERSION + 1)
    rows = page_of_pairs(unfinished_run, 3, sort="order").rows
    assert [row.flags for row in rows] == [("injection",), ("injection",)]
    assert page_of_pairs(unfinished_run, 3, PairFilter(flags=("injection",))).total == 2


def test_a_large_iteration_is_taken_in_parts(unfinished_run: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flags, "_AT_ONCE", 1)
    store_flags(unfinished_run, MADE, VERSION + 1)
    assert page_of_pairs(unfinished_run, 3, PairFilter(flags=("injection",))).total == 2


def test_metrics_give_every_pairs_flags(finished_run: RunStore) -> None:
    it = finished_run.iteration(1)
    found: list[PairFlags] = []
    figures = iteration_metrics(finished_run, it, found)
    pairs = it.stored("pairs", PreferencePair).records()
    assert found == [flags_of(pair) for pair in pairs]
    assert figures == iteration_metrics(finished_run, it)
