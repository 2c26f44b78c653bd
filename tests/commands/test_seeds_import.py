"""`selfreward seeds import`: what it writes, says and refuses."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixture_run import Command

from selfreward.commands import seeds_import
from selfreward.readings.scale import Scale
from selfreward.seeding.own_format import read_eft, read_ift
from selfreward.seeding.ranked import read_ranked
from selfreward.storage.durable import TEMPORARY

ALPACA = [{"instruction": f"u{i}", "input": "", "output": f"a{i}", "id": i} for i in range(3)]
JUDGED = [{"prompt": "u", "response": str(i), "score": i, "rationale": "r"} for i in (1, 5)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three good rows, a bad line and a null, in tmp_path, where commands run."""
    lines = [json.dumps(ALPACA[0]), "nonsense", json.dumps({**ALPACA[1], "output": None}), *map(json.dumps, ALPACA[1:])]
    return write(tmp_path / "data.jsonl", *lines)


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def left_out(output: str) -> list[dict[str, Any]]:
    lines = Path(f"{output}.report.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_ift(command: Command, source: Path) -> None:
    code, out, err = command("seeds", "import", "data.jsonl", "--as", "ift", "-o", "seeds/mine.jsonl")
    assert (code, out) == (0, "")
    assert [seed.instruction for seed in read_ift(Path("seeds/mine.jsonl"))] == ["u0", "u1", "u2"]
    assert left_out("seeds/mine.jsonl") == [
        {
            "line": 2,
            "reason": "not_json",
            "detail": "not JSON (Expecting value at column 1); expected one object a line",
        },
        {"line": 3, "reason": "no_text", "detail": '"output" is null or missing; expected text'},
    ]
    for expected in (
        "data.jsonl: JSONL; format alpaca (Alpaca: instruction, output",
        "columns not used: id\n",
        "5 rows read, 3 rows written to seeds/mine.jsonl\n",
        "left out: 2; seeds/mine.jsonl.report.jsonl has line and reason of each\n",
        "        1  not_json  (line 2: not JSON",
        '        1  no_text  (line 3: "output" is null or missing',
    ):
        assert expected in err
    assert sorted(path.name for path in Path("seeds").iterdir()) == ["mine.jsonl", "mine.jsonl.report.jsonl"]


def test_eft_with_a_scale(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "data.jsonl", *JUDGED)
    code, _, err = command("seeds", "import", "data.jsonl", "--as", "eft", "--scale-from", "1", "5", "-o", "mine.jsonl")
    assert code == 0
    assert [seed.score for seed in read_eft(Path("mine.jsonl"), Scale(min=0, max=5))] == [0, 5]
    assert "scores in the source: 1 to 5, mapped from 1 to 5 onto 0 to 5 and rounded\n" in err
    assert "scores on the rubric's scale: 0: 1, 5: 1\n" in err
    assert "left out" not in err
    assert left_out("mine.jsonl") == []
    _, _, err = command("seeds", "import", "data.jsonl", "--as", "eft", "-o", "mine.jsonl", "--force")
    assert "scores in the source: 1 to 5, taken as they are for scores from 0 to 5" in err


def test_eft_for_another_rubric(command: Command, tmp_path: Path) -> None:
    from selfreward.resources import find

    words = find("prompts", "judge/additive_5pt.md").read_text(encoding="utf-8").replace("max: 5", "max: 4")
    (tmp_path / "four.md").write_text(words, encoding="utf-8")
    write(tmp_path / "data.jsonl", *JUDGED)
    code, _, err = command("seeds", "import", "data.jsonl", "--as", "eft", "--rubric", "four.md", "-o", "mine.jsonl")
    assert code == 1
    assert "data.jsonl:2: the score 5 is not on the rubric's scale, whole numbers from 0 to 4" in err
    assert list(tmp_path.glob("*mine*")) == []


def test_ranked(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "data.jsonl", {"prompt": "u", "chosen": "a", "rejected": "b"})
    assert command("seeds", "import", "data.jsonl", "--as", "ranked", "-o", "mine.jsonl")[0] == 0
    assert [(row.response, row.rank) for row in read_ranked(Path("mine.jsonl"))] == [("a", 0), ("b", 1)]
    code, _, err = command("seeds", "import", "data.jsonl", "--as", "eft", "-o", "other.jsonl")
    assert code == 1
    assert "import it --as ranked, then `selfreward seeds build-eft` makes EFT of it" in err


def test_preview_writes_nothing(command: Command, source: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, out, err = command("seeds", "import", "data.jsonl", "--as", "ift", "--preview", "2", "-o", "x.jsonl")
    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"instruction": "u0", "response": "a0"},
        {"instruction": "u1", "response": "a1"},
    ]
    assert "4 rows read for this; nothing was written\nleft out: 2\n" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_preview_shortens_and_shows_what_could_steer_a_terminal(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "data.jsonl", {"instruction": "\x1b[31m\u202e مرحبا", "output": "x" * 100_000})
    _, out, _ = command("seeds", "import", "data.jsonl", "--as", "ift", "--preview", "5")
    assert "مرحبا" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert out.rstrip().endswith('xxx… (100,000 characters)"}')


def test_nothing_fits(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "data.jsonl", {"title": "x", "tags": []})
    code, _, err = command("seeds", "import", "data.jsonl", "--as", "ift", "-o", "mine.jsonl")
    assert code == 1
    assert "columns found: title (text), tags (a list)\nexpected columns:\n" in err
    assert "  sharegpt " in err
    assert list(tmp_path.glob("*mine*")) == []


def test_no_row_could_be_taken(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "data.jsonl", {"instruction": "u", "output": ""}, {"instruction": "", "output": "a"})
    code, _, err = command("seeds", "import", "data.jsonl", "--as", "ift", "-o", "mine.jsonl")
    assert code == 1
    assert "mine.jsonl: not written, for no row could be taken" in err
    assert "        2  no_text" in err
    assert [item["line"] for item in left_out("mine.jsonl")] == [1, 2]
    assert not Path("mine.jsonl").exists()
    code, out, err = command("seeds", "import", "data.jsonl", "--as", "ift", "--preview", "5")
    assert (code, out) == (1, "")
    assert "no row could be taken" in err


def test_an_existing_file_is_kept(command: Command, source: Path) -> None:
    write(Path("mine.jsonl"), "precious")
    code, _, err = command("seeds", "import", "data.jsonl", "--as", "ift", "-o", "mine.jsonl")
    assert (code, Path("mine.jsonl").read_text(encoding="utf-8")) == (1, "precious\n")
    assert "mine.jsonl: is already there; --force writes over it" in err
    assert command("seeds", "import", "data.jsonl", "--as", "ift", "-o", "mine.jsonl", "--force")[0] == 0
    assert len(read_ift(Path("mine.jsonl"))) == 3


def test_the_source_is_never_written_over(command: Command, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(source.parent))
    code, _, err = command("seeds", "import", "~/data.jsonl", "--as", "ift", "-o", "data.jsonl", "--force")
    assert (code, "would be written over the source" in err) == (1, True)
    before = source.read_bytes()
    Path("link.jsonl").symlink_to(source)
    for output in ("data.jsonl", "link.jsonl", "../" + source.parent.name + "/data.jsonl"):
        code, _, err = command("seeds", "import", "data.jsonl", "--as", "ift", "-o", output, "--force")
        assert code == 1
        assert "would be written over the source" in err
    source.rename("out.jsonl.report.jsonl")
    assert command("seeds", "import", "out.jsonl.report.jsonl", "--as", "ift", "-o", "out.jsonl")[0] == 1
    assert Path("out.jsonl.report.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--as", "sft", "-o", "x.jsonl"], "--as sft: expected one of ift, eft, ranked"),
        (["--as", "ift"], "say where to write with -o FILE.jsonl"),
        (["--as", "ift", "-o", "x.json"], "give it a name that ends in .jsonl"),
        (["--as", "ift", "-o", "x.jsonl", "--scale-from", "1", "5"], "--scale-from and --rubric are for --as eft"),
        (["--as", "ift", "-o", "x.jsonl", "--rubric", "additive_5pt"], "--scale-from and --rubric are for --as eft"),
        (["--as", "ift", "--preview", "0"], "--preview"),
        (["-o", "x.jsonl"], "--as"),
    ],
)
def test_wrong_usage(command: Command, source: Path, arguments: list[str], message: str) -> None:
    code, _, err = command("seeds", "import", "data.jsonl", *arguments)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jsonl"], "none.jsonl: no such file or directory"),
        (["data.jsonl", "--format", "x"], "--format x: no such format"),
        (["data.jsonl", "--format", "sharegpt"], "the first rows do not fit the format sharegpt"),
        (["data.jsonl", "--split", "train"], "--split, --config and --revision are for data sets"),
        (["data.jsonl", "--config", "x"], "--split, --config and --revision are for data sets"),
        (["data.jsonl", "--revision", "x"], "--split, --config and --revision are for data sets"),
        (["data.jsonl", "--language", "en"], "the first rows name no language"),
    ],
)
def test_errors_are_a_sentence(command: Command, source: Path, arguments: list[str], message: str) -> None:
    code, _, err = command("seeds", "import", *arguments, "--as", "ift", "-o", "mine.jsonl")
    assert code == 1
    assert err.startswith("error: ")
    assert message in err


def test_an_output_that_is_a_directory(command: Command, source: Path) -> None:
    Path("there.jsonl").mkdir()
    code, _, err = command("seeds", "import", "data.jsonl", "--as", "ift", "-o", "there.jsonl", "--force")
    assert code == 1
    assert err == "error: there.jsonl: is a directory; give -o the name of a file\n"


def test_wide_tables_do_not_fill_the_terminal(command: Command, tmp_path: Path) -> None:
    write(tmp_path / "wide.jsonl", {**ALPACA[0], **{f"column {i}": i for i in range(1000)}})
    code, _, err = command("seeds", "import", "wide.jsonl", "--as", "ift", "--preview", "1")
    assert code == 0
    assert "column 38 and 961 more\n" in err


def test_languages(command: Command, tmp_path: Path) -> None:
    write(
        tmp_path / "data.jsonl", *({**row, "lang": lang} for row, lang in zip(ALPACA, ("en", "de", "fr"), strict=True))
    )
    arguments = ("seeds", "import", "data.jsonl", "--as", "ift", "-o", "mine.jsonl")
    code, _, err = command(*arguments, "--language", "en", "--language", "fr")
    assert code == 0
    assert [seed.instruction for seed in read_ift(Path("mine.jsonl"))] == ["u0", "u2"]
    assert "columns not used: id\n" in err
    assert "        1  other_language" in err


def test_format_and_gzip(command: Command, tmp_path: Path) -> None:
    row = {"instruction": "u", "output": "a", "prompt": "v", "completion": "b"}
    (tmp_path / "data.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    for name, instruction in (("alpaca", "u"), ("prompt_completion", "v")):
        arguments = ("seeds", "import", "data.jsonl.gz", "--as", "ift", "--format", name, "-o", f"{name}.jsonl")
        assert command(*arguments)[0] == 0
        assert read_ift(Path(f"{name}.jsonl"))[0].instruction == instruction


def test_ctrl_c_leaves_nothing(command: Command, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        assert list(tmp_path.glob(f"{TEMPORARY}mine.jsonl"))
        raise KeyboardInterrupt

    monkeypatch.setattr(seeds_import, "_write_row", interrupted)
    code, _, err = command("seeds", "import", "data.jsonl", "--as", "ift", "-o", "mine.jsonl")
    assert code == 130
    assert "stopped; nothing was written" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.jsonl"]


def test_a_broken_source_leaves_nothing(command: Command, tmp_path: Path) -> None:
    content = gzip.compress(
        b"".join(json.dumps({"instruction": str(os.urandom(99)), "output": "a"}).encode() + b"\n" for _ in range(3000))
    )
    (tmp_path / "data.jsonl").write_bytes(content[:-2000])
    code, _, err = command("seeds", "import", "data.jsonl", "--as", "ift", "-o", "mine.jsonl")
    assert code == 1
    assert "the gzip data are damaged or cut off" in err
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_long_imports_say_how_far_they_are(command: Command, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds_import, "_ROWS_BETWEEN_LOOKS", 2)
    monkeypatch.setattr(seeds_import, "_SECONDS_BETWEEN_LINES", 0.0)
    _, _, err = command("seeds", "import", "data.jsonl", "--as", "ift", "-o", "mine.jsonl")
    assert "4 rows read, 2 taken …\n" in err


def test_the_real_command_on_odd_bytes(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_bytes(
        b'{"instruction": "\xd7\xa9\xd7\x9c", "output": "\xf0\x9f\x99\x82"}\n\xff\xfe\x00\n'
    )
    command = [
        sys.executable,
        "-m",
        "selfreward.cli",
        "seeds",
        "import",
        "data.jsonl",
        "--as",
        "ift",
        "-o",
        "mine.jsonl",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert read_ift(tmp_path / "mine.jsonl")[0].messages[1].content == "🙂"
    assert "not_utf8" in done.stderr
