"""From a model's name to a directory with its weights: the builtin model, a local directory or a Hub id.

`python -m selfreward.models [NAME]` resolves one name, fetching it where needed, and prints the directory.
"""

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from selfreward.builtin_model import BUILTIN_NAME, builtin_directory
from selfreward.errors import ModelError, SelfRewardError

_MIB = 1024 * 1024
_WHOLE_FILE_LIMIT = 16 * _MIB
_BLOCKS, _BLOCK = 64, _MIB // 16
# The files that decide what a model does. Pickled weights (*.bin) can run code when loaded: left out.
_WEIGHTS = "*.safetensors"
_MODEL_FILES = (_WEIGHTS, "*.json", "*.txt", "*.model", "*.jinja", "*.py")
# Second copies of the same weights in other layouts, which would double the download.
_OTHER_LAYOUTS = ("original/*", "onnx/*", "consolidated*.safetensors")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ModelRef:
    """A model that is there to be loaded.

    `name` is what the user wrote, `path` the directory with config, safetensors and tokenizer, `revision` the
    commit on the Hub (None for the others) and `fingerprint` what `fingerprint()` says of the directory.
    """

    name: str
    path: str
    revision: str | None
    fingerprint: str


def resolve_model(name: str, revision: str | None = None) -> ModelRef:
    """Find a model by name, converting the builtin one or downloading one from the Hub the first time.

    Args:
        name: `builtin:smollm2-135m-instruct`, a directory, or an id on the Hub such as `org/model`.
        revision: branch, tag or commit on the Hub; only for an id on the Hub.

    Raises:
        ModelError: the model cannot be found, fetched or used.
    """
    if not name.strip():
        raise ModelError(f"a model needs a name: {BUILTIN_NAME}, a directory, or an id on the Hugging Face Hub")
    found_revision = None
    if name.startswith("builtin:"):
        _refuse_revision(name, revision, "the builtin model")
        directory = _builtin(name)
    elif _is_local(name):
        _refuse_revision(name, revision, "a local directory")
        directory = Path(name).expanduser().resolve()
    else:
        directory = _download(name, revision)
        found_revision = directory.name if _COMMIT.fullmatch(directory.name) else revision
    _check_directory(name, directory)
    return ModelRef(name, str(directory), found_revision, fingerprint(directory))


def resolve_tokenizer(name: str, revision: str | None = None) -> str:
    """Directory with a model's tokenizer and chat template; its weights may be elsewhere, and are not fetched.

    Raises:
        ModelError: it cannot be found or fetched.
    """
    if name.startswith("builtin:"):
        return resolve_model(name, revision).path
    if _is_local(name):
        _refuse_revision(name, revision, "a local directory")
        directory = Path(name).expanduser().resolve()
        if not directory.is_dir():
            raise ModelError(f"{name}: no such directory ({directory})")
    else:
        directory = _download(name, revision, tuple(kind for kind in _MODEL_FILES if kind != _WEIGHTS))
    _check_tokenizer(directory)
    return str(directory)


def fingerprint(directory: Path) -> str:
    """Return a sha256 over the model's files: sorted (name, size, digest of content), top level only.

    Files up to 16 MiB are read whole; of larger ones 64 blocks of 64 KiB, evenly spaced from first byte to last, so
    that a model of 100 GB takes no time. It tells two models apart, and retrained or merged weights from what they
    were; a change of a few weights between the blocks, or a forgery, it does not notice.
    """
    total = hashlib.sha256()
    for path in sorted({path for pattern in _MODEL_FILES for path in directory.glob(pattern) if path.is_file()}):
        total.update(f"{path.name}\0{path.stat().st_size}\0{_content_digest(path)}\n".encode())
    return total.hexdigest()


def _content_digest(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE_FILE_LIMIT:
            return hashlib.sha256(file.read()).hexdigest()
        digest = hashlib.sha256()
        for block in range(_BLOCKS):
            file.seek((size - _BLOCK) * block // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK))
        return digest.hexdigest()


def _refuse_revision(name: str, revision: str | None, what: str) -> None:
    if revision is not None:
        raise ModelError(f"{name}: {what} has no revisions, but {revision!r} was asked for; leave the revision out")


def _builtin(name: str) -> Path:
    if name != BUILTIN_NAME:
        raise ModelError(f"{name}: no such builtin model; there is one, {BUILTIN_NAME}")
    return builtin_directory()


def _is_local(name: str) -> bool:
    return name.startswith(("/", ".", "~")) or Path(name).exists()


def _check_directory(name: str, directory: Path) -> None:
    """Raise unless the directory holds a config, weights as safetensors and a tokenizer."""
    if not directory.is_dir():
        raise ModelError(f"{name}: no such directory ({directory})")
    if not (directory / "config.json").is_file():
        adapter = (directory / "adapter_config.json").is_file()
        raise ModelError(
            f"{directory}: no config.json"
            + (
                "; this is an adapter, not a model: name the model that it was trained on"
                if adapter
                else "; expected a model as transformers' save_pretrained writes it"
            )
        )
    if not any(directory.glob(_WEIGHTS)):
        _refuse_weights(directory)
    _check_tokenizer(directory)


def _check_tokenizer(directory: Path) -> None:
    if not any((directory / file).is_file() for file in _TOKENIZER_FILES):
        raise ModelError(f"{directory}: no tokenizer; expected one of {', '.join(_TOKENIZER_FILES)}")


def _refuse_weights(directory: Path) -> None:
    if any(directory.glob("*.bin")):
        raise ModelError(
            f"{directory}: the weights are pickled (*.bin), which can run code when loaded; "
            "only safetensors are read. Convert them once, where you trust them, with transformers: "
            "from_pretrained, then save_pretrained"
        )
    raise ModelError(f"{directory}: no weights; expected *.safetensors")


def _download(name: str, revision: str | None, files: tuple[str, ...] = _MODEL_FILES) -> Path:
    """Fetch a model from the Hub into its own cache, or take what that cache holds."""
    if not _HUB_ID.fullmatch(name):
        raise ModelError(
            f"{name}: neither a directory here, nor {BUILTIN_NAME}, nor an id on the Hub such as org/model"
        )
    from huggingface_hub import errors as hub
    from huggingface_hub import snapshot_download

    at = f"{name}@{revision}" if revision else name
    try:
        path = snapshot_download(
            name, revision=revision, allow_patterns=list(files), ignore_patterns=list(_OTHER_LAYOUTS)
        )
    except hub.GatedRepoError as error:
        raise ModelError(
            f"{at}: its authors ask for an agreement first; accept it on its page, then `hf auth login`"
        ) from error
    except hub.RepositoryNotFoundError as error:
        raise ModelError(
            f"{at}: no such directory here, no such model on the Hub (a private one needs `hf auth login`)"
        ) from error
    except hub.RevisionNotFoundError as error:
        raise ModelError(
            f"{at}: the Hub has this model, but not this revision; give a branch, a tag or a commit"
        ) from error
    except hub.LocalEntryNotFoundError as error:
        raise ModelError(
            f"{at}: no such directory here, the Hub cannot be reached, and its cache does not hold it; "
            f"get a network (or unset HF_HUB_OFFLINE), give a model's directory, or take {BUILTIN_NAME}"
        ) from error
    except hub.HFValidationError as error:
        raise ModelError(f"{at}: not an id that the Hub could have: {error}") from error
    # What is left is a failed transfer: an HTTP error, a proxy's, or a full disk.
    except (OSError, hub.HTTPError) as error:
        raise ModelError(f"{at}: the download failed: {_first_line(error)}; run it again to go on with it") from error
    return Path(path)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def main(arguments: list[str]) -> int:
    """Resolve one name (the builtin model by default) and print its directory; return the exit code."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print(f"usage: python -m selfreward.models [NAME]   (default: {BUILTIN_NAME})", file=sys.stderr)
        return 2
    try:
        print(resolve_model(arguments[0] if arguments else BUILTIN_NAME).path)
    except SelfRewardError as error:
        print(f"selfreward: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
