"""Whether an engine and its model can judge as a recipe asks."""

from selfreward.engines import AnyEngine
from selfreward.engines.chat import Chat
from selfreward.errors import EngineError
from selfreward.judges import JudgeConfig, build_judge
from selfreward.judges.implicit import ImplicitConfig
from selfreward.judges.protocol import Judge, Reader


def check_fits(config: JudgeConfig, tags: tuple[str, str], engine: AnyEngine, setting: str, chat: Chat | None) -> None:
    """Needs no weights. Of a mix each part is asked about apart, of implicit rewards the engine that computes them.

    ``setting`` is where the engine is set; ``chat`` is None where only an endpoint knows it.

    Raises:
        EngineError: the engine lacks something, or the rubric's scores are no tokens of its model.
    """
    asks = ("judge.method.type", config.method.type)
    if isinstance(config.method, ImplicitConfig):
        engine = config.method.engine(engine)
    check_can(build_judge(config, tags), asks, engine, setting, chat)


def check_can(judge: Judge | Reader, asks: tuple[str, str], engine: AnyEngine, setting: str, chat: Chat | None) -> None:
    """The same of any way to ask for a verdict: ``asks`` is the setting that chooses it, and its value."""
    lacking = sorted(judge.needs - engine.capabilities())
    if lacking:
        raise EngineError(
            f"{'='.join(asks)} needs an engine with {', '.join(lacking)}, which "
            f"{setting}.type={engine.type} has not; use {asks[0]}=sampled, or another engine"
        )
    judge.check(chat)
