"""`selfreward pairs`: its filters act, and its forms are what they say."""

import csv
import io
import json

import pytest
from fixture_run import NASTY, Command

from selfreward.query.pairs import PairFilter
from selfreward.storage.run import RunStore


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--chosen", "4:4"), 1),
        (("--chosen", "4.1:"), 0),
        (("--rejected", ":1.4"), 0),
        (("--margin", "2.5:"), 1),
        (("--margin", ":2.4"), 0),
        (("--variance", "0.2:0.3"), 1),
        (("--variance", "1:"), 0),
        (("--length-ratio", ":0.5"), 1),
        (("--length-ratio", "0.6:"), 0),
        (("--flag", "injection", "--flag", "refusal"), 1),
        (("--flag", "refusal"), 0),
        (("--text", "NAME A fruit"), 1),
        (("--text", "vegetable"), 0),
        (("--overridden",), 0),
        (("--not-overridden",), 1),
        (("--offset", "1"), 0),
    ],
)
def test_every_filter_acts(command: Command, finished_run: RunStore, options: tuple[str, ...], found: int) -> None:
    code, out, err = command("pairs", "small", "-i", "1", *options, "--json")
    assert (code, len(json.loads(out))) == (0, found)
    assert found or "of 1 in all" in err


def test_every_field_of_the_filter_has_an_option() -> None:
    ranges = {f"{end}_{name}" for end in ("min", "max") for name in _RANGES}
    assert set(PairFilter.model_fields) == ranges | {"flags", "overridden", "text", "prompt_id"}


_RANGES = ("chosen", "rejected", "margin", "variance", "length_ratio")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--margin", "1"), "expected LOW:HIGH"),
        (("--margin", "a:b"), "expected LOW:HIGH"),
        (("--length-ratio", "nan:"), "--length-ratio nan:"),
        (("--flag", "evil"), "expected one of injection"),
        (("--sort", "colour"), "expected one of margin"),
        (("--text", "x" * 201), "at most 200"),
        (("--json", "--csv"), "do not go together"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    command: Command, finished_run: RunStore, options: tuple[str, ...], said: str
) -> None:
    code, out, err = command("pairs", "small", "-i", "1", *options)
    assert (code, out) == (2, "")
    assert said in " ".join(err.replace("│", " ").split())


def test_csv_is_for_spreadsheets_and_steers_nothing(command: Command, finished_run: RunStore) -> None:
    (row,) = csv.DictReader(io.StringIO(command("pairs", "small", "-i", "1", "--csv")[1]))
    assert (row["margin"], row["flags"], row["overridden"]) == ("2.5", "injection", "False")
    assert "\x1b" in NASTY
    assert "\x1b" not in row["chosen"]
