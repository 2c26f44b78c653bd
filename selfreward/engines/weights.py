"""The policy's weights in this process: one copy of a model, whichever policy it answers as."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from selfreward.engines.loading import DType, ModelConfig, dtype_name, is_adapter, load_weights, whole_model


class Weights:
    """Loaded when first asked for. Adapters stand side by side over one copy of the root model; whole models take
    turns, and each is loaded again when its turn comes."""

    def __init__(self, root: ModelConfig, dtype: DType) -> None:
        self._root, self._dtype = root, dtype
        self._model: Any = None
        self._whole: Path | None = None
        """The whole model that is loaded; None where it is the root model."""
        self._names: dict[Path, str] = {}
        self._merged = False

    def answering(self, weights: Path | None) -> Any:
        """The model that writes with these weights, and with no other adapter before :meth:`release`.

        In float32 an adapter is merged, which halves the time a token on a CPU; elsewhere it would lose precision.
        """
        if self._model is None and _adapter(weights) is not None and dtype_name(self._dtype) == "float32":
            self._model = self.beside(weights).merge_and_unload()
            self._names.clear()
            self._merged = True
        return self._model if self._merged else self.beside(weights)

    def beside(self, weights: Path | None) -> Any:
        """The model with these weights, adapters asked for before kept beside them. Nothing is merged then."""
        adapter = _adapter(weights)
        whole = None if adapter is not None else weights
        if self._merged or whole != self._whole:
            self.release()
        if self._model is None:
            self._model, self._whole = self._load(whole), whole
        if adapter is not None and adapter not in self._names:
            self._attach(adapter)
        if self._names:
            layers = self._model.base_model
            if adapter is None:
                layers.disable_adapter_layers()
            else:
                layers.enable_adapter_layers()
                self._model.set_adapter(self._names[adapter])
        return self._model

    def release(self) -> None:
        """Give the memory back, on the accelerator too."""
        import torch

        self._names.clear()
        self._merged = False
        if self._model is not None:
            self._model = None
            gc.collect()
            if torch.accelerator.is_available():
                torch.accelerator.memory.empty_cache()

    def _load(self, whole: Path | None) -> Any:
        from transformers import GenerationConfig

        model = self._root if whole is None else whole_model(self._root, whole)
        weights: Any = load_weights(model, dtype_name(self._dtype))
        # A model's own defaults (repetition_penalty, top_k=50, …) would fill in whatever ours leave open.
        weights.generation_config = GenerationConfig()
        return weights.eval()

    def _attach(self, adapter: Path) -> None:
        from peft import PeftModel

        name = f"adapter_{len(self._names)}"
        if self._names:
            self._model.load_adapter(str(adapter), adapter_name=name)
        else:
            self._model = PeftModel.from_pretrained(self._model, str(adapter), adapter_name=name)
        self._model.eval()
        self._names[adapter] = name


def _adapter(weights: Path | None) -> Path | None:
    return weights if weights is not None and is_adapter(weights) else None
