import gc
from pathlib import Path

import pytest

from selfreward.errors import StoreError
from selfreward.records import AspectScore, Example, Judgment, Message, PreferencePair, Prompt, Response
from selfreward.storage.tables import read_table, schema_of, write_table

JUDGMENTS = [
    Judgment(
        id=f"j{n}",
        prompt_id="p",
        response_ids=("r",),
        method="expected",
        rubric="x@1",
        sample=0,
        score=None if n else 0.1 + 0.2,
        aspects=None if n else (AspectScore(name="honest", score=0.5), AspectScore(name="kind", score=0.1)),
        raw="é\u202e\x00",
        distribution=None if n else (0.25, 0.75),
        prompt_tokens=3,
        model="M1",
    )
    for n in range(2)
]


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", JUDGMENTS, Judgment)
    assert read_table(tmp_path / "a.parquet", Judgment) == JUDGMENTS


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / name, JUDGMENTS, Judgment)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("record", [Prompt, Response, Judgment, PreferencePair, Example])
def test_an_empty_shard_has_the_same_schema(record: type, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_table(tmp_path / "empty.parquet", [], record)
    assert pq.read_schema(tmp_path / "empty.parquet").equals(schema_of(record))
    assert read_table(tmp_path / "empty.parquet", record) == []


def test_messages_become_trl_turns(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    example = Example(
        id="e",
        seed_id="s",
        kind="ift",
        messages=(Message(role="user", content="q"), Message(role="assistant", content="a")),
        input_ids=(1, 2),
        response_start=1,
    )
    write_table(tmp_path / "e.parquet", [example], Example)
    row = pq.read_table(tmp_path / "e.parquet").to_pylist()[0]
    assert row["messages"] == [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


def test_a_file_of_other_records_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", JUDGMENTS, Judgment)
    with pytest.raises(StoreError, match="Prompt records"):
        read_table(tmp_path / "a.parquet", Prompt)
    (tmp_path / "b.parquet").write_bytes(b"junk")
    with pytest.raises(StoreError, match=r"b\.parquet"):
        read_table(tmp_path / "b.parquet", Judgment)
    assert gc.isenabled()
