"""Whether an engine and its model can judge as a recipe asks."""

from selfreward.engines import AnyEngine
from selfreward.engines.chat import Chat
from selfreward.engines.vllm import VllmConfig
from selfreward.errors import EngineError
from selfreward.judges import JudgeConfig, build_judge


def check_fits(config: JudgeConfig, tags: tuple[str, str], engine: AnyEngine, setting: str, chat: Chat | None) -> None:
    """Needs no weights. Of a mix each part is asked about apart.

    ``setting`` is where the engine is set; ``chat`` is None where only an endpoint knows it.

    Raises:
        EngineError: the engine lacks something, or the rubric's scores are no tokens of its model.
    """
    judge = build_judge(config, tags)
    lacking = sorted(judge.needs - engine.capabilities())
    if lacking:
        merges = isinstance(engine, VllmConfig) and engine.merge_adapter
        merged = f" ({setting}.merge_adapter leaves no reference)" if merges else ""
        raise EngineError(
            f"judge.method.type={config.method.type} needs an engine with {', '.join(lacking)}, which "
            f"{setting}.type={engine.type} has not{merged}; use judge.method.type=sampled, or another engine"
        )
    judge.check(chat)
