"""vLLM's real processes on a tiny model: one that is killed, a parent that is killed, and a whole run."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from selfreward.config import RunConfig, load_config
from selfreward.engines.driver import work_through
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Answer, Ask, Asking, EngineRoom, Request, Sampling
from selfreward.engines.transformers import TransformersConfig
from selfreward.engines.vllm import VllmConfig, VllmEngine
from selfreward.engines.vllm_checks import vllm_is_installed
from selfreward.errors import EngineError
from selfreward.judges import build_judge
from selfreward.judges.protocol import Candidate, Listener
from selfreward.loop import run
from selfreward.records import Judgment, Message, PreferencePair, Prompt, Response
from selfreward.storage.events import read_events
from selfreward.storage.iteration import IterationStore
from selfreward.storage.verify import verify

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not vllm_is_installed(), reason="vLLM is not installed here (see scripts/setup.sh)"),
    pytest.mark.usefixtures("the_only_vllm"),
]

_LONGEST_WAIT = 60.0
"""Seconds until a test gives up on a process that should be gone."""

PARENT = """
import sys
from pathlib import Path
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Ask, EngineRoom, Request, Sampling
from selfreward.engines.transformers import TransformersConfig
from selfreward.engines.vllm import VllmConfig, VllmEngine
from selfreward.records import Message

engine = VllmEngine(ModelConfig(name=sys.argv[1]), VllmConfig(max_num_seqs=4), EngineRoom(Path(sys.argv[2])))
ask = Ask([Request((Message(role="user", content="Go on."),))] * 4, Sampling(max_tokens=1))
try:
    engine.submit(ask)
    engine.collect()
    print(engine.processes()[0], flush=True)
    while True:
        engine.submit(ask)
        engine.collect()
finally:
    engine.close()
"""


def members(group: int) -> list[int]:
    """Living processes of a group."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def assert_gone(group: int) -> None:
    until = time.monotonic() + _LONGEST_WAIT
    while (left := members(group)) and time.monotonic() < until:
        time.sleep(0.05)  # nothing tells of the end of a process that is not our child
    assert left == []


def worker_of(group: int) -> int:
    """The process that computes: the youngest of vLLM's, with most memory."""
    return max(members(group), key=lambda pid: psutil.Process(pid).memory_info().rss)


def pieces() -> Iterator[Asking[list[Answer]]]:
    def piece(number: int) -> Asking[list[Answer]]:
        asked = [Request((Message(role="user", content=f"Say {number} and {i}."),)) for i in range(4)]
        return (yield Ask(asked, Sampling(max_tokens=24, n=2)))

    return (piece(number) for number in range(12))


def answers_while_killing(engine: VllmEngine) -> list[list[Answer]]:
    """All answers; with the first of them here and the next asks under way, the engine's worker is killed."""
    results = work_through(engine, pieces())
    first = next(results)
    os.kill(worker_of(engine.processes()[0]), signal.SIGKILL)
    return [first, *results]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def engine(tiny_model: Path, tmp_path: Path, said: list[str]) -> Iterator[VllmEngine]:
    config = VllmConfig(max_num_seqs=4, restarts=1, max_model_len=512)
    engine = VllmEngine(ModelConfig(name=str(tiny_model)), config, EngineRoom(tmp_path / "engine", say=said.append))
    yield engine
    engine.close()


def test_a_killed_worker_costs_nothing_but_time_until_it_dies_too_often(engine: VllmEngine, said: list[str]) -> None:
    answers = answers_while_killing(engine)
    assert [[len(a.completions) for a in piece] for piece in answers] == [[2] * 4] * 12
    assert len(said) == 1
    assert "started again with max_num_seqs=2" in said[0]
    (group,) = engine.processes()
    with pytest.raises(EngineError, match=r"vLLM died after 1 restarts: .*--set engine\.max_num_seqs=1"):
        answers_while_killing(engine)
    engine.close()
    assert_gone(group)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_parent(tiny_model: Path, tmp_path: Path, how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tiny_model), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent:
        group = int(parent.stdout.readline())
        assert len(members(group)) > 1
        parent.send_signal(how)
        try:
            parent.wait(_LONGEST_WAIT)
        finally:
            parent.kill()  # or one that hears no signal is waited for without end
        if how is signal.SIGINT:
            assert members(group) == [], "they were still there when the parent had ended"
    assert_gone(group)


def stored_scores(it: IterationStore) -> list[float]:
    """Of the responses in their order."""
    found = {j.response_ids[0]: j.score for j in it.stored("judgments", Judgment).records()}
    return [score for r in it.stored("responses", Response).records() if (score := found[r.id]) is not None]


def judged_by_transformers(config: RunConfig, it: IterationStore, adapter: Path | None) -> list[float]:
    """The same responses' scores, from the transformers engine with the weights that are on disk."""
    prompts = {p.id: p.text for p in it.stored("prompts", Prompt).records()}
    candidates = [
        Candidate(r.prompt_id, r.id, prompts[r.prompt_id], r.text) for r in it.stored("responses", Response).records()
    ]
    model = config.judge.model or config.model
    room = EngineRoom(config.run_dir / "check")
    engine = TransformersConfig(dtype="float32", max_model_len=1024).open(ModelConfig(name=model.name), room)
    engine.use(adapter)
    judge = build_judge(config.judge, model.reasoning_tags)
    (judgments,) = work_through(engine, [judge.judge(candidates, Listener(engine.chat, engine.context), "", 0)])
    engine.close()
    return [j.score for j in judgments if j.score is not None]


def test_a_run_of_two_iterations(make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    engine = {"type": "vllm", "max_num_seqs": 8, "max_model_len": 1024}
    config = load_config(make_recipe(tmp_path, engine=engine))
    before = set(psutil.Process().children(recursive=True))
    store = run(config)
    assert set(psutil.Process().children(recursive=True)) <= before
    assert verify(store.path) == []
    for t in (1, 2):
        it = store.iteration(t)
        assert it.manifest.stages["responses"].settings["engine"]["type"] == "vllm"
        responses = list(it.stored("responses", Response).records())
        assert len(responses) == 18
        assert {r.model for r in responses} == {f"M{t}"}
        assert all(r.token_ids for r in responses)
        assert all(j.score is not None for j in it.stored("judgments", Judgment).records())
        assert list(it.stored("pairs", PreferencePair).records())
        adapters = [store.path / f"iter-{n:03d}" / "adapter" for n in range(3)]
        now, served = adapters.pop(t - 1), stored_scores(it)
        same = judged_by_transformers(config, it, now)
        assert same == pytest.approx(served, abs=1e-4)
        for other in (None, *adapters):  # the models differ by little, and the engines by much less
            assert math.dist(judged_by_transformers(config, it, other), served) > 5 * math.dist(same, served)
    log = (store.path / "engine" / "vllm.log").read_text(encoding="utf-8")
    assert log.count("selfreward:") == 0, "LoRA adapters are served as they are"
    finished = [e["stage"] for e in read_events(store.path / "events.jsonl") if e["event"] == "stage_finished"]
    assert finished.count("adapter") == 3


def test_a_run_that_implicit_rewards_judge(make_recipe: Callable[..., Path], tmp_path: Path) -> None:
    """vLLM writes and reads verdicts; transformers, when vLLM is gone, looks at the policy's own probabilities."""
    parts = {"score": {"method": {"type": "expected", "min_mass": 0.0}}, "ratio": {"method": "implicit"}}
    engine = {"type": "vllm", "max_num_seqs": 8, "max_model_len": 1024}
    method = {"type": "mix", "parts": parts}
    store = run(load_config(make_recipe(tmp_path, engine=engine, iterations=1, judge={"method": method})))
    assert verify(store.path) == []
    it = store.iteration(1)
    used = {name: it.manifest.stages[f"judgments_{name}"].settings["engine"]["type"] for name in parts}
    assert used == {"score": "vllm", "ratio": "transformers"}
    ratios = list(it.stored("judgments_ratio", Judgment).records())
    assert len(ratios) == 18
    assert len({j.score for j in ratios if j.score is not None}) > 1
    assert list(it.stored("pairs", PreferencePair).records())


def test_a_run_that_another_model_judges(make_recipe: Callable[..., Path], builtin_model: Path, tmp_path: Path) -> None:
    """Each through a vLLM of its own; the memory is one's at a time."""
    engine = {"type": "vllm", "max_num_seqs": 8, "max_model_len": 1024}
    recipe = make_recipe(tmp_path, engine=engine, iterations=1)
    own = {"name": str(builtin_model), "engine": {**engine, "max_num_seqs": 4}}
    config = load_config(recipe, [f"judge.model={json.dumps(own)}"])
    store = run(config)
    it = store.iteration(1)
    assert {j.model for j in it.stored("judgments", Judgment).records()} == {str(builtin_model)}
    assert judged_by_transformers(config, it, None) == pytest.approx(stored_scores(it), abs=1e-3)
    assert {r.model for r in it.stored("responses", Response).records()} == {"M1"}
