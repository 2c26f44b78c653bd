"""Gates that a run reached, out of its events."""

from selfreward.query.gates import tripped_gates
from selfreward.query.iterations import iteration_table
from selfreward.storage.run import RunStore


def test_the_last_time_counts_and_other_events_do_not(finished_run: RunStore) -> None:
    log = finished_run.events()
    for value in (3.0, 2.0):
        log.write("gate_tripped", iteration=1, gate="length_growth", value=value, limit=1.5, action="warn")
    log.write("gate_tripped", iteration=2, gate="tie_share", value=0.5, limit=0.25, action="stop")
    log.write("gate_tripped", iteration=2, gate="of another version")
    found = tripped_gates(finished_run)
    assert [gate.words for gate in found[1]] == ["warn length_growth: 2, limit 1.5"]
    assert [gate.words for gate in found[2]] == ["stop tie_share: 0.5, limit 0.25"]
    assert [len(row.gates) for row in iteration_table(finished_run)] == [0, 1, 1]
