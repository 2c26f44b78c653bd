"""What is asked: the demo's settings, and prompts and responses from the seeds that come with the project."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from pydantic import TypeAdapter

from benchmarks.measured import Setting
from selfreward.config import RunConfig, load_config
from selfreward.engines import EngineConfig, resolve_engine
from selfreward.engines.loading import ModelConfig
from selfreward.engines.protocol import Asking, Engine, EngineRoom
from selfreward.judges import JudgeConfig, build_judge
from selfreward.judges.protocol import Listener
from selfreward.readings.scale import Scale
from selfreward.records import Judgment, Prompt, Response, content_id, derive_seed
from selfreward.resources import find
from selfreward.seeding.own_format import read_eft, read_ift
from selfreward.stages.judging import judge_responses
from selfreward.stages.responses import ResponsesConfig, generate_responses
from selfreward.stages.shard import Shard

T = TypeVar("T")
TAGS = ("<think>", "</think>")


def open_engine(setting: Setting) -> Engine:
    """The engine that the setting names, for its model."""
    engine = resolve_engine(TypeAdapter(EngineConfig).validate_python(dict(setting.engine)))
    return engine.open(ModelConfig(name=setting.model), EngineRoom(setting.scratch))


def demo() -> RunConfig:
    """The demo's recipe."""
    return load_config(find("recipes", "demo.yaml"))


def prompts(count: int, start: int = 0) -> list[Prompt]:
    """Instructions out of the IFT seeds. None is asked twice, so that no cache knows the answer."""
    known = [seed.instruction for seed in read_ift(find("seeds", "ift.jsonl"))]
    numbers = range(start, start + count)
    texts = [known[i] if i < len(known) else f"Task {i}. {known[i % len(known)]}" for i in numbers]
    return [Prompt(id=content_id("p", text), text=text, iteration=1) for text in texts]


def answered(count: int, start: int = 0) -> tuple[list[Prompt], list[Response]]:
    """Prompts and a response to each, good and bad ones, out of the EFT seeds."""
    known = read_eft(find("seeds", "eft.jsonl"), Scale(min=0, max=5))
    asked, given = [], []
    for i in range(start, start + count):
        seed = known[i % len(known)]
        text = seed.instruction if i < len(known) else f"Task {i}. {seed.instruction}"
        prompt = Prompt(id=content_id("p", i, text), text=text, iteration=1)
        asked.append(prompt)
        given.append(_response(prompt, seed.response))
    return asked, given


def _response(prompt: Prompt, text: str) -> Response:
    return Response(
        id=content_id("r", prompt.id, 0, text),
        prompt_id=prompt.id,
        index=0,
        text=text,
        token_ids=(),
        finish_reason="stop",
        prompt_tokens=0,
        special_tokens=False,
        model="M1",
    )


def generating(
    engine: Engine, asked: Sequence[Prompt], config: ResponsesConfig, shard: int
) -> Iterator[Asking[Shard[Response]]]:
    """The responses stage, as a run divides it."""
    assert engine.chat is not None
    for start, part in _parts(asked, shard):
        yield generate_responses(part, config, engine.chat, "M1", TAGS, derive_seed(0, "responses", start))


def judging(
    engine: Engine, asked: Iterable[Prompt], given: Sequence[Response], config: JudgeConfig, shard: int
) -> Iterator[Asking[Shard[Judgment]]]:
    """The judging stage, as a run divides it."""
    judge = build_judge(config, TAGS)
    by_id = {prompt.id: prompt for prompt in asked}
    listener = Listener(engine.chat, engine.context)
    for start, part in _parts(given, shard):
        yield judge_responses(part, by_id, config, judge, listener, "M1", derive_seed(0, "judgments", start))


def _parts(items: Sequence[T], size: int) -> Iterator[tuple[int, Sequence[T]]]:
    for start in range(0, len(items), size):
        yield start, items[start : start + size]
