"""Implicit rewards: how much likelier the policy finds a response than its reference does.

DPO trains a policy whose log-ratio to its reference is a reward (Rafailov et al. 2023, arXiv 2305.18290, section 4),
and such a policy can judge without a word (DICE, Chen et al. 2024, arXiv 2406.09760).
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selfreward.engines import AnyEngine
from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Ask, Asking, Capability, Likelihood, Request
from selfreward.engines.transformers import TransformersConfig
from selfreward.engines.vllm import VllmConfig
from selfreward.judges.plain_score import plain_score
from selfreward.judges.protocol import Candidate, Cost, Judge, JudgedBy, Listener
from selfreward.records import Frozen, Judgment, Message, NotInKey


class ImplicitConfig(Frozen):
    """DPO's implicit reward of the policy; two forward passes a response, and no rubric."""

    type: Literal["implicit"] = "implicit"
    reference: Annotated[Literal["previous", "initial"], NotInKey] = "previous"
    """Against whom: ``previous`` is M_{t-1}, which M_t was trained against; ``initial`` is M0."""
    beta: float = Field(default=0.1, gt=0)
    """Factor of the log-ratio, as in ``train.beta``."""
    length_penalty: float = Field(default=0.0, ge=0)
    """Taken off for each token of the response (alpha in DICE); log-ratios grow with length."""
    judge_batch_size: Annotated[int | None, NotInKey] = Field(default=None, ge=1)
    """Sequences in one forward pass; as in ``engine`` where not set, and 8 beside vLLM."""

    compares: ClassVar[bool] = False
    judged_by: ClassVar[JudgedBy] = "policy"
    usual_rubric: ClassVar[str | None] = None

    def engine(self, policy: AnyEngine) -> AnyEngine:
        """What computes the rewards of a policy that answers through this engine: the same where it can.

        vLLM 0.32 dies when it is asked for the log-probabilities of a prompt under an adapter.
        """
        if isinstance(policy, VllmConfig):
            policy = TransformersConfig(dtype=policy.dtype, max_model_len=policy.max_model_len)
        if isinstance(policy, TransformersConfig) and self.judge_batch_size is not None:
            return policy.model_copy(update={"judge_batch_size": self.judge_batch_size})
        return policy

    def cost(self, sizes: Sequence[int]) -> Cost:
        """Of judging so many responses to each prompt."""
        return Cost(rows=sum(sizes), questions=2 * sum(sizes))

    def build(self) -> Judge:
        """The judge."""
        return ImplicitJudge(self)


class ImplicitJudge:
    """See :class:`~selfreward.judges.protocol.Judge`."""

    needs: frozenset[Capability] = frozenset({"likelihood"})

    def __init__(self, config: ImplicitConfig) -> None:
        self._config = config

    def judge(
        self, candidates: Sequence[Candidate], listener: Listener, model: str, seed: int
    ) -> Asking[list[Judgment]]:
        """One judgment a candidate; one that does not fit the context has no reward. ``seed`` is not used."""
        turns = [
            Request((Message(role="user", content=c.prompt), Message(role="assistant", content=c.response)))
            for c in candidates
        ]
        policy = yield Ask(turns, Likelihood(listener.weights))
        reference = yield Ask(turns, Likelihood(listener.reference))
        return [
            plain_score(
                candidate,
                self._reward(own.logprobs, others.logprobs),
                method="implicit",
                model=model,
                prompt_tokens=own.prompt_tokens + others.prompt_tokens,
            )
            for candidate, own, others in zip(candidates, policy, reference, strict=True)
        ]

    def check(self, chat: Chat | None) -> None:
        """Any vocabulary will do."""

    def _reward(self, policy: Sequence[float], reference: Sequence[float]) -> float | None:
        ratio = math.fsum(policy) - math.fsum(reference)
        if not policy or not math.isfinite(ratio):
            return None
        return self._config.beta * ratio - self._config.length_penalty * len(policy)
