"""Reward models: sequence classifiers with one output, in this process. No recipe names them as its engine."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any, Literal

from selfreward.engines.chat import Chat
from selfreward.engines.loading import DType, ModelConfig, context_length, dtype_name, load_chat, torch_device
from selfreward.engines.memory import even_batches, memory_for
from selfreward.engines.protocol import Answer, Ask, Capability, Engine, EngineRoom, Reward
from selfreward.errors import ModelError
from selfreward.models import resolve_model
from selfreward.records import Frozen

_SETTING = "judge.method.batch_size"


class RewardEngineConfig(Frozen):
    """How a reward model computes. See the judge method ``reward_model`` for what each setting does."""

    type: Literal["reward"] = "reward"
    batch_size: int = 8
    max_model_len: int | None = None
    dtype: DType = "auto"
    device: Literal["auto", "cpu"] = "auto"

    def capabilities(self) -> frozenset[Capability]:
        """What engines of this kind can do."""
        return frozenset({"reward"})

    def check(self, model: ModelConfig, setting: str = "judge.method.model") -> None:
        """Whether it is a reward model at all; loads no weights.

        Raises:
            ModelError: it is none.
        """
        path = Path(resolve_model(model.name, model.revision).path)
        try:
            own: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{setting}: {path / 'config.json'} cannot be read: {error}") from error
        kinds = own.get("architectures") or []
        outputs = len(own.get("id2label") or range(own.get("num_labels", 2)))
        if not any(kind.endswith("ForSequenceClassification") for kind in kinds) or outputs != 1:
            raise ModelError(
                f"{setting}: {model.name} is {', '.join(kinds) or 'of no known kind'} with {outputs} outputs; expected "
                "a sequence-classification model with one output, such as TRL's RewardTrainer makes"
            )

    def chat_of(self, model: ModelConfig) -> Chat | None:
        """The model's own tokenizer and chat template."""
        return load_chat(model)

    def open(self, model: ModelConfig, room: EngineRoom) -> Engine:
        """An engine that gives rewards."""
        return RewardEngine(model, self)


class RewardEngine:
    """Answers one ask after the other, in batches by length. Loads when it is first asked."""

    def __init__(self, model: ModelConfig, config: RewardEngineConfig) -> None:
        self._root, self._config = model, config
        self.chat = load_chat(model)
        self.context = context_length(model, config.max_model_len)
        self._model: Any = None
        self._waiting: Ask | None = None
        self._tickets = 0

    def use(self, weights: Path | None) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`. It is one fixed model."""
        assert weights is None, "a reward model was given weights"

    def wants_more(self) -> bool:
        """It works on one ask at a time."""
        return self._waiting is None

    def submit(self, ask: Ask) -> int:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        assert self._waiting is None, "one ask at a time"
        assert isinstance(ask.how, Reward), "a reward model only gives rewards"
        self._waiting = ask
        self._tickets += 1
        return self._tickets

    def collect(self) -> tuple[int, list[Answer]]:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        assert self._waiting is not None, "nothing was asked"
        ask, self._waiting = self._waiting, None
        encoded = self.chat.encode([request.messages for request in ask.requests], open_turn=False)
        answers = [Answer(len(ids)) for ids in encoded]
        fitting = [i for i, ids in enumerate(encoded) if len(ids) <= self.context]
        for batch in even_batches(fitting, encoded, self._config.batch_size):
            for index, reward in zip(batch, self._rewards([encoded[i] for i in batch]), strict=True):
                answers[index] = Answer(len(encoded[index]), reward=reward)
        return self._tickets, answers

    def pause(self) -> None:
        """Give the model's memory back, on the accelerator too."""
        import torch

        self._waiting = None
        if self._model is not None:
            self._model = None
            gc.collect()
            if torch.accelerator.is_available():
                torch.accelerator.memory.empty_cache()

    def close(self) -> None:
        """See :class:`~selfreward.engines.protocol.Engine`."""
        self.pause()

    def _rewards(self, encoded: list[list[int]]) -> list[float | None]:
        """One number a chat; none where it is not finite."""
        import torch

        if self._model is None:
            self._model = self._load()
        pad = self._model.config.get_text_config().pad_token_id
        longest = max(map(len, encoded))
        rows = [ids + [pad] * (longest - len(ids)) for ids in encoded]
        masks = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in encoded]
        ids, mask = (torch.tensor(part, device=self._model.device) for part in (rows, masks))
        with torch.inference_mode(), memory_for(_SETTING, ids):
            rewards = self._model(input_ids=ids, attention_mask=mask).logits[:, 0].float()
        return [float(one) if torch.isfinite(one) else None for one in rewards]

    def _load(self) -> Any:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForSequenceClassification
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        path = resolve_model(self._root.name, self._root.revision).path
        try:
            model, info = AutoModelForSequenceClassification.from_pretrained(
                path, dtype=dtype_name(self._config.dtype), use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(f"{self._root.name}: its weights cannot be loaded: {error}") from error
        if info["missing_keys"]:
            missing = ", ".join(sorted(info["missing_keys"])[:3])
            raise ModelError(f"{self._root.name}: weights are missing ({missing}), so its rewards would be random")
        own = model.config.get_text_config()
        if own.pad_token_id is None:  # it finds the end of each row in a batch by this
            own.pad_token_id = self.chat.tokenizer.pad_token_id
        return model.eval().to(torch.device("cpu") if self._config.device == "cpu" else torch_device())
