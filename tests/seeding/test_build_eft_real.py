"""EFT data of real ranked responses, which are not part of this project."""

import json
from pathlib import Path

from fixture_run import Command

from selfreward.readings.scale import Scale
from selfreward.seeding.own_format import read_eft
from selfreward.seeding.ranked import read_ranked


def test_open_assistant_from_ranks(command: Command, shared_data: Path) -> None:
    source = shared_data.resolve() / "oasst2_ranked.jsonl"
    assert command("seeds", "import", str(source), "--as", "ranked", "-o", "ranked.jsonl")[0] == 0
    code, out, _ = command("seeds", "build-eft", "ranked.jsonl", "-o", "eft.jsonl", "--from-ranks", "--json")
    report = json.loads(out)
    assert code == 0
    seeds = read_eft(Path("eft.jsonl"), Scale(min=0, max=5), score_only=True)
    held = read_ranked(Path("eft.heldout.jsonl"))
    assert len(seeds) == report["written"]
    assert len(held) == report["heldout_rows"]
    assert len(seeds) + len(held) + sum(report["left_out"].values()) == report["rows"]
    words = [" ".join((row.prompt or "").split()).casefold() for row in held]
    assert {" ".join(s.instruction.split()).casefold() for s in seeds}.isdisjoint(words)
    assert report["after"]["against"] == 0
