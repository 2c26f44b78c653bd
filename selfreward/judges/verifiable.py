"""Verifiable rewards: a function says whether a response is right (RLVR, Lambert et al. 2024, arXiv 2411.15124)."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Asking, Capability
from selfreward.judges import ifeval
from selfreward.judges.checking import Checker, fingerprint
from selfreward.judges.plain_score import plain_score
from selfreward.judges.protocol import Candidate, Cost, Judge, JudgedBy, Listener
from selfreward.records import Frozen, Judgment, NotInKey


class VerifiableConfig(Frozen):
    """A Python function of your own, or IFEval's checks; no model is asked, and no rubric is read."""

    type: Literal["verifiable"] = "verifiable"
    function: Annotated[str | None, NotInKey] = None
    """``path/to/file.py:name`` or ``package.module:name``. Called with ``prompt``, ``response`` and ``reference`` (the
    prompt's, or None); gives a number, True or False, or None where it cannot tell."""
    ifeval: Literal["instruction_strict", "instruction_loose", "prompt_strict", "prompt_loose"] | None = None
    """In place of a function: the share of a prompt's instructions that are followed, or whether all of them are. The
    rows of ``prompts.file`` name them, as google/IFEval's do."""
    timeout: float = Field(default=10.0, gt=0, le=86_400)
    """Seconds that one call may take; one that takes longer is unreadable."""

    compares: ClassVar[bool] = False
    judged_by: ClassVar[JudgedBy] = "function"
    usual_rubric: ClassVar[str | None] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "VerifiableConfig":
        if (self.function is None) == (self.ifeval is None):
            raise ValueError("set function (FILE.py:NAME or PACKAGE.MODULE:NAME), or ifeval, and not both")
        return self

    @property
    def called(self) -> str:
        """The function, in the form in which it is imported."""
        return self.function or f"{ifeval.__name__}:{self.ifeval}"

    @property
    def label(self) -> str:
        """As records name who judged."""
        return self.function or f"ifeval {self.ifeval}"

    def fingerprint(self) -> str:
        """Of what is called: the hash of its file, or the package with its version."""
        return fingerprint(self.function) if self.function else ifeval.version()

    def cost(self, sizes: Sequence[int]) -> Cost:
        """Of judging so many responses to each prompt."""
        return Cost(rows=sum(sizes), questions=0)

    def build(self) -> Judge:
        """The judge."""
        return VerifiableJudge(self)


class VerifiableJudge:
    """See :class:`~selfreward.judges.protocol.Judge`. The function runs in a process of its own."""

    needs: frozenset[Capability] = frozenset()

    def __init__(self, config: VerifiableConfig) -> None:
        self._config = config

    def judge(
        self, candidates: Sequence[Candidate], listener: Listener, model: str, seed: int
    ) -> Asking[list[Judgment]]:
        """One judgment a candidate; what went wrong is its raw text. No engine is asked."""
        with Checker(self._config.called, self._config.timeout) as checker:
            verdicts = [checker.verdict(c.prompt, c.response, c.reference) for c in candidates]
        yield from ()  # what an engine runs is a generator, if only one that asks nothing
        return [
            plain_score(candidate, verdict.score, method="verifiable", model=model, raw=verdict.said)
            for candidate, verdict in zip(candidates, verdicts, strict=True)
        ]

    def check(self, chat: Chat | None) -> None:
        """Whether the function can be imported and called.

        Raises:
            ConfigError: it cannot.
        """
        if self._config.ifeval:
            ifeval.check_installed()
        with Checker(self._config.called, self._config.timeout) as checker:
            checker.start()
