"""How many examples a step has, where it is tokens that are counted."""

from typing import Any

import pytest
from pydantic import ValidationError

from selfreward.objectives.batches import batch_of_tokens, examples_in, micro_batches
from selfreward.objectives.dpo import DPOConfig
from selfreward.objectives.kto import KTOConfig
from selfreward.objectives.optimiser import OptimiserConfig
from selfreward.objectives.sft import SFTConfig


@pytest.mark.parametrize(
    ("tokens", "length", "processes", "expected"),
    [
        (1000, 100.0, 1, 8),
        (1600, 100.0, 1, 16),
        (1599, 100.0, 1, 8),
        (1600, 100.0, 3, 12),
        (1600, 100.0, 2, 16),
        (50, 100.0, 1, 1),
        (50, 100.0, 2, 2),
    ],
)
def test_a_power_of_two_for_each_process(tokens: int, length: float, processes: int, expected: int) -> None:
    config = OptimiserConfig(batch_size=5, batch_tokens=tokens)
    assert examples_in(config, length, processes) == expected
    micro, times = micro_batches(config.model_copy(update={"batch_size": expected}), processes)
    assert micro * times * processes == expected


def test_as_many_as_the_loss_needs() -> None:
    assert examples_in(KTOConfig(batch_tokens=10, micro_batch_size=2), 100.0, 1) == 2


def test_the_size_that_counts_for_nothing_is_not_refused() -> None:
    assert examples_in(KTOConfig(batch_tokens=1000, batch_size=1, micro_batch_size=2), 100.0, 1) == 8
    with pytest.raises(ValidationError, match="it needs 2 at least"):
        KTOConfig(batch_tokens=1000, micro_batch_size=1)


def test_rows_of_no_length() -> None:
    assert examples_in(OptimiserConfig(batch_tokens=4), 0.0, 1) == 4


def test_without_tokens_the_size_is_as_it_stands() -> None:
    assert examples_in(OptimiserConfig(batch_size=5), 100.0, 1) == 5


def test_packed_rows_are_full() -> None:
    packed = SFTConfig(batch_tokens=4096, packing=True, max_length=512)
    assert examples_in(packed, 10.0, 1) == 8


@pytest.mark.parametrize("micro", [3, 6, "auto"])
def test_what_halves_do_not_divide_is_refused(micro: Any) -> None:
    with pytest.raises(ValidationError, match=f"a micro_batch_size of 1, 2, 4, 8 …, not with {micro}"):
        DPOConfig(batch_tokens=100, micro_batch_size=micro)


def test_lengths_are_taken_from_rows_all_over() -> None:
    from datasets import Dataset

    rows = Dataset.from_list([{"input_ids": [7] * (10 if n < 1500 else 30)} for n in range(3000)])
    assert batch_of_tokens(SFTConfig(batch_tokens=320), rows, None, 1) == 16  # type: ignore[arg-type]
