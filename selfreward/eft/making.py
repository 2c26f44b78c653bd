"""One EFT file, from reading the source to writing all that belongs to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.config import RunConfig
from selfreward.eft.building import (
    Built,
    Choices,
    Source,
    finish,
    from_judgments,
    from_ranks,
    from_scores,
    heldout_path,
    heldout_row,
    split,
    worth_judging,
)
from selfreward.eft.report import EFTReport
from selfreward.eft.sidecar import sidecar_path, write_sidecar
from selfreward.errors import ConfigError, SeedError
from selfreward.judges.mix import MixConfig
from selfreward.progress import Reporter
from selfreward.records import EFTSeed, Message, Ranked, content_id
from selfreward.seeding.importing import report_path
from selfreward.seeding.own_format import read_eft
from selfreward.seeding.ranked import by_prompt, read_ranked
from selfreward.seeding.rows import RowError, json_object
from selfreward.seeding.targets import Target
from selfreward.storage.durable import discard, write_text
from selfreward.templates import Rubric
from selfreward.verdicts.judging import OpenEngine, judged
from selfreward.verdicts.who import Who


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    source: Path
    output: Path
    choices: Choices
    thin: str
    """As it was said, for the report."""
    from_ranks: bool


def rubric_for(config: RunConfig) -> Rubric:
    """The rubric that rows are built for.

    Raises:
        ConfigError: it asks for several aspects, and an EFT row has one score.
    """
    if isinstance(config.judge.method, MixConfig):
        raise ConfigError(
            "judge.method.type=mix: EFT rows are built by one judge; use --set judge.method.type=expected"
        )
    rubric = config.judge.load_rubric()
    if rubric.needs_reference:
        raise ConfigError(f"{rubric.path}: grades against reference answers, which an EFT row has not; name another")
    if config.judge.method.compares:
        raise ConfigError(
            f"judge.method.type={config.judge.method.type}: compares two responses, and an EFT row has one; use "
            "--set judge.method.type=expected or sampled"
        )
    if rubric.front.aspects:
        raise ConfigError(
            f"{rubric.path}: asks for a score of each aspect, and an EFT row has one; name another rubric with "
            "--set judge.rubric=NAME"
        )
    return rubric


def make_eft(request: Request, config: RunConfig, who: Callable[[], Who], reporter: Reporter) -> EFTReport:
    """Write the EFT rows, the held-out part, what was left out, and what it was built with.

    Raises:
        SelfRewardError: the source, the settings or the judge cannot be used, or nothing could be kept.
    """
    rubric = rubric_for(config)
    work = _work_path(request.output)
    rows, targets = _read(request.source, rubric)
    parts = split(rows, request.choices)
    method, judge = None, None
    mode: Source = "judged"
    if targets is not None:
        mode, built = "converted", from_scores(parts, targets)
    elif request.from_ranks:
        mode, built = "from_ranks", from_ranks(parts, rubric, request.choices)
    else:
        asked = who()
        judge, method = asked.label, config.judge.method.type
        with closing(OpenEngine(work / "engine", reporter.say)) as engine:
            judgments = judged(asked, worth_judging(parts.training), work, reporter, "build-eft", engine)
        chat = asked.chat
        spells = chat.spells_special if chat else lambda text: False
        built = from_judgments(parts, judgments, rubric, asked.model.reasoning_tags, spells, request.choices)
    finish(built, request.choices)
    report = EFTReport(
        source=str(request.source),
        output=str(request.output),
        heldout=str(heldout_path(request.output)) if built.heldout else None,
        mode=mode,
        judge=judge,
        rubric=rubric.label,
        method=method,
        keep=request.choices.keep if mode == "judged" else None,
        thin=request.thin,
        seed=request.choices.seed,
        rows=len(rows),
        prompts=len(by_prompt(rows)),
        **built.facts,
    )
    _write(request, built, rubric, report)
    if mode == "judged":
        discard(work)
    return report


def beside(output: Path) -> tuple[Path, ...]:
    """All that is written beside the output."""
    return heldout_path(output), report_path(output), sidecar_path(output)


def _work_path(output: Path) -> Path:
    return output.with_name(f".{output.name}.work")


def _read(path: Path, rubric: Rubric) -> tuple[list[Ranked], dict[str, Target] | None]:
    """Ranked rows; EFT rows too, whose score is their quality, and then their targets."""
    if not _has_scores(path):
        return read_ranked(path), None
    seeds = read_eft(path, rubric.front.scale, score_only=True)
    rows = [_as_ranked(seed) for seed in seeds]
    return rows, {row.id: Target(int(s.score), s.rationale) for row, s in zip(rows, seeds, strict=True)}


def _has_scores(path: Path) -> bool:
    """Whether the first row is an EFT row. What is wrong with the file, its reader says."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip()), "{}")
        return {"instruction", "score"} <= json_object(first).keys()
    except (OSError, UnicodeDecodeError, RowError):
        return False


def _as_ranked(seed: EFTSeed) -> Ranked:
    return Ranked(
        id=seed.id,
        prompt_id=content_id("prompt", seed.instruction),
        messages=(Message(role="user", content=seed.instruction),),
        response=seed.response,
        rank=None,
        quality=seed.score,
        line=seed.line,
    )


def _write(request: Request, built: Built, rubric: Rubric, report: EFTReport) -> None:
    """The rows last but one: until the sidecar stands, nobody claims to know what they were built with."""
    output = request.output
    write_text(report_path(output), _jsonl(item._asdict() for item in built.left_out))
    if not report.written:
        reasons = ", ".join(f"{reason} {count}" for reason, count in report.left_out.items()) or "no rows to train on"
        way_out = (
            "; the judgments are kept, so --keep pair costs nothing. A judge too weak to write reasons can still be "
            "taught from the ranks: --from-ranks"
            if report.mode == "judged"
            else ""
        )
        raise SeedError(f"{output}: not written, for nothing could be kept ({reasons}){way_out}")
    sidecar_path(output).unlink(missing_ok=True)
    if built.heldout:
        write_text(heldout_path(output), _jsonl(map(heldout_row, built.heldout)))
    else:
        heldout_path(output).unlink(missing_ok=True)
    write_text(output, _jsonl(built.rows()))
    write_sidecar(output, rubric, report.model_dump(mode="json"))


def _jsonl(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
