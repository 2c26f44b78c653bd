"""A reward model: a classifier with one output, trained on preferences (Stiennon et al. 2020, arXiv 2009.01325)."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from selfreward.engines.chat import Chat
from selfreward.engines.loading import DType, ModelConfig
from selfreward.engines.protocol import Ask, Asking, Capability, Request, Reward
from selfreward.engines.reward import RewardEngineConfig
from selfreward.judges.asking import shorten
from selfreward.judges.plain_score import plain_score
from selfreward.judges.protocol import Candidate, Cost, Judge, JudgedBy, Listener
from selfreward.records import Frozen, Judgment, Message, NotInKey


class RewardModelConfig(Frozen):
    """A sequence-classification model with one output; one forward pass a response, and no rubric."""

    type: Literal["reward_model"] = "reward_model"
    model: Annotated[str, NotInKey]
    """A local directory, as TRL's RewardTrainer saves one, or a Hub id; safetensors only."""
    revision: Annotated[str | None, NotInKey] = None
    """Commit, tag or branch of a Hub model."""
    chat_template: Annotated[str | None, NotInKey] = None
    """File with a Jinja chat template, for a model that has none or in place of its own."""
    batch_size: Annotated[int, NotInKey] = Field(default=8, ge=1)
    """Sequences in one forward pass."""
    max_length: int | None = Field(default=None, ge=16)
    """Most tokens of a chat, the model's own limit where not set; of a longer one the response's middle is left out."""
    dtype: DType = "auto"
    """``auto``: bfloat16 on accelerators and on CPUs with AMX, float32 on other CPUs."""
    device: Literal["auto", "cpu"] = "auto"
    """``auto``: the accelerator where there is one."""

    compares: ClassVar[bool] = False
    judged_by: ClassVar[JudgedBy] = "reward_model"
    usual_rubric: ClassVar[str | None] = None

    def cost(self, sizes: Sequence[int]) -> Cost:
        """Of judging so many responses to each prompt."""
        return Cost(rows=sum(sizes), questions=sum(sizes))

    def build(self) -> Judge:
        """The judge."""
        return RewardModelJudge()

    def root(self) -> ModelConfig:
        """The model, as engines take it."""
        return ModelConfig(name=self.model, revision=self.revision, chat_template=self.chat_template)

    def engine(self) -> RewardEngineConfig:
        """What the model answers through."""
        return RewardEngineConfig(
            batch_size=self.batch_size, max_model_len=self.max_length, dtype=self.dtype, device=self.device
        )


class RewardModelJudge:
    """See :class:`~selfreward.judges.protocol.Judge`."""

    needs: frozenset[Capability] = frozenset({"reward"})

    def judge(
        self, candidates: Sequence[Candidate], listener: Listener, model: str, seed: int
    ) -> Asking[list[Judgment]]:
        """One judgment a candidate; ``seed`` is not used."""
        assert listener.chat is not None, "a reward model comes with its tokenizer"
        chats = [_chat(c.prompt, c.response) for c in candidates]
        shortened = set()
        for i, ids in enumerate(listener.chat.encode(chats, open_turn=False)):
            if len(ids) > listener.context and (fitting := _fit(listener, candidates[i], len(ids))):
                chats[i] = fitting
                shortened.add(i)
        answers = yield Ask([Request(chat) for chat in chats], Reward())
        return [
            plain_score(
                candidate,
                answer.reward,
                method="reward_model",
                model=model,
                prompt_tokens=answer.prompt_tokens,
                shortened=i in shortened,
            )
            for i, (candidate, answer) in enumerate(zip(candidates, answers, strict=True))
        ]

    def check(self, chat: Chat | None) -> None:
        """Its engine has been asked already."""


def _chat(prompt: str, response: str) -> tuple[Message, ...]:
    return Message(role="user", content=prompt), Message(role="assistant", content=response)


def _fit(listener: Listener, candidate: Candidate, tokens: int) -> tuple[Message, ...] | None:
    """The chat with the middle of its response left out; None where the prompt alone is too long."""
    assert listener.chat is not None
    cut = 0
    while tokens > listener.context:  # text put together from pieces may need a few tokens more than the pieces had
        cut += tokens - listener.context
        shorter = shorten(listener.chat, candidate.response, cut)
        if shorter is None:
            return None
        chat = _chat(candidate.prompt, shorter)
        tokens = len(listener.chat.encode([chat], open_turn=False)[0])
    return chat
