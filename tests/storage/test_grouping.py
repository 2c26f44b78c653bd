import pytest

from selfreward.errors import StoreError
from selfreward.storage.grouping import Grouped


def test_groups_are_taken_in_order_and_may_be_missing() -> None:
    grouped = Grouped(["a1", "a2", "c1"], lambda text: text[0])
    assert [grouped.take(key) for key in "abc"] == [["a1", "a2"], [], ["c1"]]
    grouped.close()


def test_a_record_without_its_parent_is_noticed() -> None:
    grouped = Grouped(["a1", "x1"], lambda text: text[0])
    grouped.take("a")
    grouped.take("b")
    with pytest.raises(StoreError, match="no parent with id x"):
        grouped.close()
