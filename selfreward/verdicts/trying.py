"""A rubric on trial: one prompt and some responses, and all that a judge says of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from selfreward.engines.driver import work_through
from selfreward.errors import ConfigError
from selfreward.judges import build_judge
from selfreward.judges.asking import ask
from selfreward.judges.fitting import check_fits
from selfreward.judges.protocol import Candidate
from selfreward.progress import Reporter
from selfreward.records import Frozen, Judgment, Message
from selfreward.templates import load_rubric
from selfreward.verdicts.judging import OpenEngine
from selfreward.verdicts.targets import Target, config_of, judges_of, run_named


class Trial(Frozen):
    """What a judge was asked, and what it said."""

    judge: str
    rubric: str
    responses: dict[str, str]
    """The files, by the ids that judgments name them with."""
    question: tuple[Message, ...]
    """As it was put for the first response, or the first two."""
    judgments: tuple[Judgment, ...]


@dataclass(frozen=True)
class Case:
    """What is judged, each text in a file of its own."""

    prompt: Path
    responses: Sequence[Path]
    reference: Path | None = None


def try_rubric(target: Target, method: str | None, case: Case, reporter: Reporter) -> Trial:
    """Judge the case's responses.

    Raises:
        SelfRewardError: a file cannot be read, or the model cannot judge in this way.
    """
    run = run_named(target)
    compares = target.rubric is not None and len(load_rubric(target.rubric).response_inputs) > 1
    config = config_of(target, run, method or ("pairwise" if compares else None))
    who = judges_of(target, run, config)[-1]
    rubric = config.judge.optional_rubric()
    assert rubric is not None  # one is named, and a method that reads none has refused it
    if len(case.responses) < len(rubric.response_inputs):
        raise ConfigError(f"{rubric.path}: compares two responses; give --response twice or more often")
    if rubric.needs_reference and case.reference is None:
        raise ConfigError(f"{rubric.path}: grades against a reference answer; give one with --reference")
    text, good = _read(case.prompt), _read(case.reference) if case.reference else None
    named = {f"r{number}": path for number, path in enumerate(case.responses, 1)}
    candidates = [Candidate("p", name, text, _read(path), good) for name, path in named.items()]
    who.engine.check(who.model, who.setting)
    check_fits(config.judge, who.model.reasoning_tags, who.engine, who.setting, who.chat)
    judge = build_judge(config.judge, who.model.reasoning_tags)
    with TemporaryDirectory() as directory, closing(OpenEngine(Path(directory), reporter.say)) as engines:
        engine = engines.of(who)
        listener = who.listener(engine)
        (judgments,) = work_through(engine, [judge.judge(candidates, listener, who.label, config.seed)])
    shown = [c.response for c in candidates[: len(rubric.response_inputs)]]
    return Trial(
        judge=who.label,
        rubric=rubric.label,
        responses={name: str(path) for name, path in named.items()},
        question=ask(rubric, text, *shown, reference=good),
        judgments=tuple(judgments),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; expected a file with the text to judge") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error
