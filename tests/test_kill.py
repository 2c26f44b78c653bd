"""kill -9 anywhere, the same command again: nothing finished is redone, and the data is that of a run never killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from word_rubrics import word_soup_recipe

from selfreward.config import load_config
from selfreward.loop import run
from selfreward.resources import find
from selfreward.storage.events import read_events
from selfreward.storage.manifest import FileEntry
from selfreward.storage.run import RunStore
from selfreward.storage.verify import verify

pytestmark = pytest.mark.slow

_HARNESS = Path(__file__).parent / "die_after.py"


def test_killed_at_many_places(make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    stages_killed_in = _whole_and_killed(make_recipe(tmp_path), tmp_path, writes_between_kills=4)
    assert len(stages_killed_in) >= 20
    assert {"prompts", "responses", "judgments", "pairs", "adapter"} <= set(stages_killed_in)


def test_killed_while_it_judges_its_judgments(make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    stages_killed_in = _whole_and_killed(word_soup_recipe(make_recipe, tmp_path), tmp_path, writes_between_kills=13)
    assert {"judgment_comparisons", "judgment_pairs"} & set(stages_killed_in)
    for t in (1, 2):
        found = RunStore(tmp_path / "runs" / "killed").iteration(t).manifest.stages
        assert found["judgment_pairs"].rows
        assert found["adapter"].counts["rows"] == found["pairs"].rows + found["judgment_pairs"].rows


def test_killed_while_the_judge_chooses_a_candidate(make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "held.txt").write_text("".join(f"Name {i} fruits.\n" for i in range(8)), encoding="utf-8")
    train = {"batch_size": 2, "micro_batch_size": 2, "learning_rate": 1.0e-3, "epochs": 2, "save_steps": 1}
    recipe = make_recipe(
        tmp_path,
        iterations=1,
        seeds={"ift": str(find("seeds", "ift.jsonl"))},
        sft={"enabled": False},
        judge={"method": {"type": "pairwise", "verdict": {"type": "expected", "min_mass": 0.0}}},
        train={**train, "keep_best": {"by": "judge", "eval_steps": 2}},
        evaluation={"prompts": "held.txt"},
    )
    stages_killed_in = _whole_and_killed(recipe, tmp_path, writes_between_kills=11)
    assert {stage.partition("_")[0] for stage in stages_killed_in} >= {"candidates", "candidate"}


def _whole_and_killed(recipe: Path, tmp_path: Path, writes_between_kills: int) -> list[str]:
    """Runs the recipe once in peace and once with many deaths; gives the stages it died in."""
    whole = run(load_config(recipe, name="whole"))
    killed_dir = tmp_path / "runs" / "killed"
    stages_killed_in: list[str] = []
    files: dict[Path, tuple[int, int]] = {}
    writes = writes_between_kills
    while (status := _run_and_die(recipe, writes)) == -signal.SIGKILL:
        assert not _processes_of(killed_dir), "a training process outlived its parent"
        if not (killed_dir / "run.json").exists():
            continue
        assert verify(killed_dir) == []
        stages_killed_in.append(_stage_under_way(killed_dir))
        files_before, files = files, _finished_files(RunStore(killed_dir))
        assert [path for path, stamp in files_before.items() if files.get(path) != stamp] == []
        # Training starts anew, so it must be left alone for longer every time to come to its end at all.
        writes = writes + writes_between_kills if files == files_before else writes_between_kills
    assert status == 0
    assert verify(killed_dir) == []
    assert _digests(RunStore(killed_dir)) == _digests(whole)
    return stages_killed_in


def _run_and_die(recipe: Path, writes: int) -> int:
    command = [sys.executable, str(_HARNESS), str(writes), "run", str(recipe), "--name", "killed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=recipe.parent)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def _processes_of(run_dir: Path) -> list[psutil.Process]:
    """Training processes of the run that are alive after a moment's grace."""
    mine = [p for p in psutil.process_iter(["cmdline"]) if any(str(run_dir) in a for a in p.info["cmdline"] or ())]
    _, alive = psutil.wait_procs(mine, timeout=20)
    return alive


def _stage_under_way(run_dir: Path) -> str:
    stages = [event["stage"] for event in read_events(run_dir / "events.jsonl") if "stage" in event]
    return str(stages[-1]) if stages else "none"


def _entries(store: RunStore) -> Iterator[tuple[Path, FileEntry]]:
    for number in store.iterations():
        iteration = store.iteration(number)
        for name, entry in iteration.manifest.stages.items():
            # Candidates are gone once one of them is chosen; the adapter is what is left of them.
            for file in entry.files if name != "candidates" else ():
                yield iteration.path / file.path, file


def _finished_files(store: RunStore) -> dict[Path, tuple[int, int]]:
    # A stage whose shards hold nothing yet begins anew, so shards without rows are left out.
    paths = [path for path, file in _entries(store) if file.rows != 0]
    return {path: (os.stat(path).st_ino, os.stat(path).st_mtime_ns) for path in paths}


def _digests(store: RunStore) -> dict[str, str]:
    """Of all that must be equal: everything but what holds times, as metrics.json does too."""
    files = {str(path.relative_to(store.path)): file.sha256 for path, file in _entries(store) if not file.timings}
    return {path: sha256 for path, sha256 in files.items() if not path.endswith("metrics.json")}
