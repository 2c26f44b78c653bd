"""`selfreward seeds build-eft`: what it writes, says, refuses, and goes on with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixture_run import Command

from selfreward.engines.chat import Chat
from selfreward.engines.protocol import Ask, Request, Sampling
from selfreward.engines.transformers import TransformersConfig, TransformersEngine
from selfreward.readings.scale import Scale
from selfreward.seeding.own_format import read_eft
from selfreward.seeding.ranked import read_ranked
from selfreward.storage.durable import TEMPORARY

FIVE = Scale(min=0, max=5)
BUILTIN = "builtin:smollm2-135m-instruct"
JUDGE = ("--model", BUILTIN, "--set", "judge.method.samples=2", "--set", "judge.method.retries=0")


def rows_of(path: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Thirty prompts with a good and a bad response each, in the directory that commands run in."""
    rows = [
        {"prompt_id": f"q{i}", "prompt": f"Question {i}?", "response": text, "rank": rank, "quality": None}
        for i in range(30)
        for rank, text in enumerate((f"good {i}", f"bad {i}"))
    ]
    return write(tmp_path / "ranked.jsonl", rows)


class Judging:
    """An engine in place of the real one, which keeps count and can fail."""

    def __init__(self, engine: Any, write: Callable[[Request, int, Sampling], str], chat: Chat) -> None:
        self.asked, self.fails_at, self.error = 0, 10**6, KeyboardInterrupt()
        self._make = lambda: engine(chat, self._write)
        self._say = write

    def _write(self, request: Request, k: int, sampling: Sampling) -> str:
        return self._say(request, k, sampling)

    def open(self, *_: Any) -> Any:
        made = self._make()
        submit = made.submit

        def counted(ask: Ask) -> int:
            if self.asked >= self.fails_at:
                raise self.error
            self.asked += len(ask.requests)
            return int(submit(ask))

        made.submit = counted
        made.wants_more = lambda: not made._queue  # one ask at a time, so that they are finished in order
        return made


def verdict(request: Request, k: int, _: Sampling) -> str:
    """Good responses get 4 or 5, bad ones 1; the bad one to question 3 gets 5, those to question 4 nothing."""
    text = request.messages[-1].content
    if "Question 4?" in text:
        return "I would rather not."
    if "bad 3\n" in text:
        return "It is wonderful.\nScore: 5"
    return f"It is {'fine' if 'good' in text else 'bad'}, says {k}.\nScore: {4 + k if 'good' in text else 1}"


@pytest.fixture
def judging(fake_engine: Any, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> Judging:
    made = Judging(fake_engine, verdict, chat)
    monkeypatch.setattr(TransformersConfig, "open", lambda self, *_: made.open())
    return made


def build(command: Command, *more: str, out: str = "mine/eft.jsonl") -> tuple[int, str, str]:
    return command("seeds", "build-eft", "ranked.jsonl", "-o", out, *more)


def test_judged(command: Command, source: Path, judging: Judging) -> None:
    code, out, err = build(command, *JUDGE)
    assert (code, out) == (0, "")
    held = read_ranked(Path("mine/eft.heldout.jsonl"))
    seeds = read_eft(Path("mine/eft.jsonl"), FIVE)
    assert {s.instruction for s in seeds}.isdisjoint(r.prompt for r in held)
    assert "Question 3?" not in {s.instruction for s in seeds}
    assert {(s.response.split()[0], s.score, s.rationale) for s in seeds} == {
        ("good", 4.0, "It is fine, says 0."),
        ("bad", 1.0, "It is bad, says 0."),
    }
    for expected in (
        f"judged by {BUILTIN} (sampled), kept where the whole prompt agrees; rubric additive_5pt@",
        f"{len(seeds)} rows written to mine/eft.jsonl",
        "prompts held out in mine/eft.heldout.jsonl",
        "judge and people before: ",
        "scores written and people: 100.0% of pairs agree",
        "  disagrees\n",
        "  unreadable\n",
    ):
        assert expected in err
    names = sorted(path.name for path in Path("mine").iterdir())
    assert names == ["eft.heldout.jsonl", "eft.jsonl", "eft.jsonl.built.json", "eft.jsonl.report.jsonl"]


def test_json_is_the_report(command: Command, source: Path, judging: Judging) -> None:
    code, out, _ = build(command, *JUDGE, "--json", "--heldout", "0", "--thin", "none")
    report = json.loads(out)
    assert code == 0
    assert (report["mode"], report["keep"], report["rows"], report["prompts"]) == ("judged", "strict", 60, 30)
    assert (report["judgments"], report["unreadable"], report["written"]) == (120, 4, 56)
    assert (report["before"]["agree"], report["before"]["tied"], report["before"]["against"]) == (28, 0, 1)
    assert report["after"]["share"] == 1.0
    assert report["left_out"] == {"disagrees": 2, "unreadable": 2}
    assert not Path("mine/eft.heldout.jsonl").exists()
    assert json.loads(Path("mine/eft.jsonl.built.json").read_text())["report"] == report


def test_what_was_judged_is_not_asked_again(command: Command, source: Path, judging: Judging) -> None:
    assert build(command, *JUDGE, out="whole/eft.jsonl")[0] == 0
    everything, judging.asked = judging.asked, 0
    judging.fails_at = everything // 2
    code, _, err = build(command, *JUDGE)
    assert (code, Path("mine/eft.jsonl").exists()) == (130, False)
    assert "the judgments made so far are kept" in err
    before, judging.fails_at = judging.asked, 10**6
    code, _, err = build(command, *JUDGE)
    assert code == 0
    assert "are done already; going on after them" in err
    assert 0 < judging.asked - before < everything
    for name in ("eft.jsonl", "eft.heldout.jsonl", "eft.jsonl.report.jsonl"):
        assert (Path("mine") / name).read_bytes() == (Path("whole") / name).read_bytes()
    assert not [path for path in Path("mine").iterdir() if path.name.startswith((TEMPORARY, ".eft"))]


def test_other_settings_take_no_judgments_over(command: Command, source: Path, judging: Judging) -> None:
    judging.fails_at = 30
    build(command, *JUDGE)
    judging.fails_at, judging.asked = 10**6, 0
    code, _, err = build(command, *JUDGE, "--set", "judge.method.temperature=0.1")
    assert code == 0
    assert "are done already" not in err


def test_nothing_kept_keeps_the_judgments(command: Command, source: Path, judging: Judging) -> None:
    judging._say = lambda request, k, sampling: "Fine.\nScore: 3"
    code, _, err = build(command, *JUDGE)
    assert code == 1
    assert "error: mine/eft.jsonl: not written, for nothing could be kept (disagrees" in err
    assert "--from-ranks" in err
    assert not Path("mine/eft.jsonl").exists()
    asked = judging.asked
    build(command, *JUDGE, "--keep", "pair")
    assert judging.asked == asked


def test_from_ranks(command: Command, source: Path) -> None:
    code, _, err = build(command, "--from-ranks", "--set", "judge.rubric=additive_5pt")
    assert code == 0
    assert {tuple(row) for row in rows_of("mine/eft.jsonl")} == {("instruction", "response", "score")}
    scores = {s.response.split()[0]: s.score for s in read_eft(Path("mine/eft.jsonl"), FIVE, score_only=True)}
    assert scores == {"good": 5.0, "bad": 0.0}
    assert "scores without reasons, made of people's ranks; for judge.method.type=expected" in err


def test_a_run_that_judges_sampled_refuses_score_only_rows(command: Command, source: Path, tmp_path: Path) -> None:
    build(command, "--from-ranks")
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        f"model: {BUILTIN}\nseeds: {{eft: mine/eft.jsonl}}\nprompts: {{file: ranked.jsonl, count: 1}}\niterations: 1\n",
        encoding="utf-8",
    )
    code, _, err = command("run", str(recipe), "--dry-run")
    assert code == 1
    assert 'eft.jsonl:1: no "rationale", and a sampled judge is taught to write one' in err
    assert "judge.method.type=expected" in err
    assert command("run", str(recipe), "--dry-run", "--set", "judge.method.type=expected")[0] == 0


def test_eft_rows_are_converted(command: Command, tmp_path: Path) -> None:
    rows = [
        {"instruction": f"Question {i}?", "response": f"r{k}", "rationale": "It is.", "score": score}
        for i in range(20)
        for k, score in enumerate((5, 5, 1))
    ]
    write(tmp_path / "ranked.jsonl", rows)
    code, _, err = build(command, "--heldout", "0.4")
    assert code == 0
    assert "the source has scores; they were taken as they are" in err
    assert "people" not in err, "scores agree with themselves"
    seeds = read_eft(Path("mine/eft.jsonl"), FIVE)
    assert sum(s.score == 5 for s in seeds) == sum(s.score == 1 for s in seeds)
    held = read_ranked(Path("mine/eft.heldout.jsonl"))
    assert len(held) % 3 == 0
    assert {r.quality for r in held} == {1.0, 5.0}


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 1, "nobody is named to judge: --run RUN takes"),
        (("-i", "1", "--model", "m"), 2, "-i says which model of a run judges"),
        (("--run", "r", "--model", "m"), 2, "--run goes with neither"),
        (("--run", "r"), 1, "r: no such run"),
        (("--from-ranks", "--keep", "some"), 2, "--keep some: expected one of strict, pair"),
        (("--from-ranks", "--spread", "some"), 2, "--spread some: expected one of evenly, quality"),
        (("--from-ranks", "--thin", "7"), 1, "--thin 7: expected"),
        (("--from-ranks", "--set", "judge.rubric=aspects_5pt"), 1, "asks for a score of each aspect"),
        (("--from-ranks", "--set", "judge.nonsense=1"), 1, "no such setting"),
        (("--from-ranks", "--heldout", "2"), 2, "--heldout"),
        (("--from-ranks", "--model", "m"), 2, "--from-ranks asks no judge; leave out --model and -i"),
        (("--model", "m", "--spread", "quality"), 2, "--spread says how --from-ranks makes scores"),
        (("--model", "./nowhere"), 1, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said(
    command: Command, source: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    found, _, err = build(command, *options)
    assert found == code
    assert message in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert not Path("mine/eft.jsonl").exists()


def test_an_output_is_not_written_over(command: Command, source: Path) -> None:
    assert build(command, "--from-ranks")[0] == 0
    code, _, err = build(command, "--from-ranks")
    assert code == 1
    assert "mine/eft.jsonl: is already there; --force writes over it" in err
    assert build(command, "--from-ranks", "--force", "--heldout", "0")[0] == 0
    assert not Path("mine/eft.heldout.jsonl").exists()
    code, _, err = build(command, "--from-ranks", "--force", out="ranked.jsonl")
    assert code == 1
    assert "would be written over the source" in err
    assert build(command, "--from-ranks", out="eft.txt")[0] == 2
    Path("there.jsonl").mkdir()
    assert "there.jsonl: is a directory; give -o" in build(command, "--from-ranks", "--force", out="there.jsonl")[2]


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[1]\n", b'{"prompt": 3}\n', b'{"score": 1, "instruction": 2}\n']
)
def test_a_bad_source_is_named(command: Command, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ranked.jsonl").write_bytes(content)
    code, _, err = build(command, "--from-ranks")
    assert code == 1
    assert "error: ranked.jsonl" in err


def test_a_real_engine_judges_by_score_alone(command: Command, source: Path, tiny_model: Path) -> None:
    judge = ("--model", str(tiny_model), "--set", "judge.method.type=expected", "--set", "judge.method.min_mass=0")
    code, _, err = build(command, *judge, "--keep", "pair", "--thin", "none", "--set", "engine.type=transformers")
    assert code == 0, err
    assert {tuple(row) for row in rows_of("mine/eft.jsonl")} == {("instruction", "response", "score")}


@pytest.mark.slow
def test_the_judge_is_a_runs_own_model(
    command: Command,
    source: Path,
    tmp_path: Path,
    make_recipe: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = make_recipe(tmp_path)
    assert command("run", str(recipe), "-n", "0", "--set", "sft.max_tokens=800")[0] == 0
    used: list[Path | None] = []
    use = TransformersEngine.use
    monkeypatch.setattr(TransformersEngine, "use", lambda self, path: (used.append(path), use(self, path)))
    options = ("--run", "tiny", "--keep", "pair", "--thin", "none")
    first = build(command, *options, "--json")
    assert first[0] == 0, first[2]
    assert json.loads(first[1])["judge"] == "M1 of tiny"
    root = build(command, *options, "-i", "0", "--json", out="root/eft.jsonl")
    assert json.loads(root[1])["judge"] == "M0 of tiny"
    adapter = tmp_path / "runs" / "tiny" / "iter-000" / "adapter"
    assert [path and path.resolve() for path in used] == [adapter.resolve(), None]
    code, _, err = build(command, *options, "-i", "7", out="x.jsonl")
    assert code == 1
    assert "has no M7; it has M0, M1" in err
