"""An iteration's figures, from its stored records: what metrics.json holds, and what old runs are diagnosed by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from selfreward.diagnosis.families import record_figures
from selfreward.diagnosis.gates import After
from selfreward.diagnosis.judge import Judge, agreement
from selfreward.diagnosis.lengths import Lengths
from selfreward.diagnosis.likelihood import training_figures
from selfreward.diagnosis.meta_judge import meta_judge_figures
from selfreward.diagnosis.pair_flags import VERSION as FLAGS_VERSION
from selfreward.diagnosis.pair_flags import PairFlags, flags_of
from selfreward.diagnosis.scores import Scores
from selfreward.errors import SelfRewardError, StoreError
from selfreward.objectives import ObjectiveConfig
from selfreward.readings.scale import Scale
from selfreward.records import Judgment, PreferencePair, Prompt, Record, Response
from selfreward.storage.grouping import by_prompt
from selfreward.storage.iteration import IterationStore, check_file
from selfreward.storage.run import RunStore
from selfreward.templates import load_rubric
from selfreward.training.cost import COST
from selfreward.training.job import LOG

R = TypeVar("R", bound=Record)
VERSION = 3
"""Raised whenever figures are added or come to mean something else; older metrics.json are then computed again."""
HELDOUT_JUDGMENTS = "heldout_judgments"
COMPARISON = "comparison"
JUDGMENT_COMPARISONS, JUDGMENT_PAIRS = "judgment_comparisons", "judgment_pairs"
FLAGS = "flags.parquet"
_USUAL_RUBRIC = "additive_5pt"
_FILE = "metrics.json"
_TRAINED_ON = ("pairs", "labelled")


def iteration_metrics(run: RunStore, it: IterationStore, flagged: list[PairFlags] | None = None) -> dict[str, Any]:
    """What metrics.json holds, computed from what is stored so far; a stage that was not begun gives nothing.

    ``flagged`` is given every pair's flags, which cost next to nothing along with the figures.
    """
    found: dict[str, Any] = {"iteration": it.manifest.iteration}
    if it.stage("prompts") is not None:
        scale = judged_scale(it)
        found |= record_figures(
            _records(it, "prompts", Prompt),
            _records(it, "responses", Response),
            _records(it, "judgments", Judgment),
            _flagging(_records(it, "pairs", PreferencePair), [] if flagged is None else flagged),
            None if scale is None else scale.max,
        )
    found |= _judge_figures(run, it)
    found |= _meta_judge_figures(it)
    compared = it.stage(COMPARISON)
    if compared is not None:
        found["comparison"] = compared.summary
    if it.manifest.iteration:
        found |= training_figures(training_log(it)) | _objective(it)
    found["counts"] = {name: dict(stage.counts) for name, stage in it.manifest.stages.items() if stage.counts}
    found["seconds"] = {name: stage.seconds for name, stage in it.manifest.stages.items()}
    training = it.trained
    if training is not None:
        found["training"] = training.summary
    return found


def figures_of_training(it: IterationStore) -> dict[str, Any]:
    """What its training alone says; nothing where it is not finished."""
    rows = {name: stage.rows for name in _TRAINED_ON if (stage := it.stage(name)) is not None}
    return training_figures(training_log(it)) | _objective(it) | rows


def figures_after(run: RunStore, it: IterationStore, after: After) -> dict[str, Any]:
    """The figures that gates look at, of the part of the iteration that was just made; nothing else is read."""
    if after == "responses":
        return record_figures((), _records(it, "responses", Response), (), (), wanted=(Lengths,))
    if after == "pairs":
        prompts, pairs = _records(it, "prompts", Prompt), _records(it, "pairs", PreferencePair)
        return record_figures(prompts, (), (), pairs, wanted=(Scores,))
    judged, scale = _records(it, "judgments", Judgment), judged_scale(it)
    highest = None if scale is None else scale.max
    return record_figures((), (), judged, (), highest, wanted=(Scores, Judge)) | _judge_figures(run, it)


def current_metrics(run: RunStore, it: IterationStore) -> dict[str, Any]:
    """The same, read from metrics.json where it has today's figures, and else computed."""
    if not has_metrics(it):
        return iteration_metrics(run, it)
    for file in it.manifest.stages["metrics"].files:
        check_file(it.path, file)
    found: dict[str, Any] = json.loads((it.path / _FILE).read_text(encoding="utf-8"))
    return found


def _objective(it: IterationStore) -> dict[str, Any]:
    """What trained, and on how many rows; nothing where nothing did."""
    entry = it.trained
    if entry is None or not entry.finished:
        return {}
    rows = entry.counts["rows"] or sum(stage.rows for name in _TRAINED_ON if (stage := it.stage(name)))
    settings = entry.settings.get("train")
    if settings is None:
        return {"trained": rows}
    objective = TypeAdapter(ObjectiveConfig).validate_python(settings)
    about = {"type": objective.type, "losses": list(objective.losses), "reference": objective.has_reference}
    return {"trained": rows, "objective": about}


def _flagging(pairs: Iterable[PreferencePair], flagged: list[PairFlags]) -> Iterator[PreferencePair]:
    for pair in pairs:
        yield pair
        flagged.append(flags_of(pair))


def flags_file(it: IterationStore) -> Path | None:
    """Where every pair's flags are stored; None where they are not, or come of another version."""
    entry = it.stage("metrics")
    known = entry is not None and entry.finished and entry.summary.get("pair_flags") == FLAGS_VERSION
    return it.path / FLAGS if known else None


def has_metrics(it: IterationStore) -> bool:
    """Whether its metrics.json has today's figures."""
    entry = it.stage("metrics")
    return entry is not None and entry.finished and entry.version == VERSION


def _records(it: IterationStore, stage: str, record: type[R]) -> Iterable[R]:
    return it.stored(stage, record).records() if it.stage(stage) is not None else ()


def judged_scale(it: IterationStore) -> Scale | None:
    """The judge's scale.

    None where scores are strengths without ends, or the rubric is not any more what the iteration was judged by.
    """
    settings = it.manifest.config.get("judge") or {}
    try:
        rubric = load_rubric(settings.get("rubric") or _USUAL_RUBRIC)
    except SelfRewardError:
        return None
    if len(rubric.response_inputs) > 1 or rubric.hash != it.manifest.templates.get("judge.rubric"):
        return None
    return rubric.front.scale


def _judge_figures(run: RunStore, it: IterationStore) -> dict[str, Any]:
    measured = it.stage(HELDOUT_JUDGMENTS)
    if measured is None or not measured.summary:
        return {}
    found: dict[str, Any] = {"judge_quality": measured.summary}
    earlier = [t for t in run.iterations() if t < it.manifest.iteration and _has_measured(run.iteration(t))]
    before = [t for t in earlier if t == it.manifest.iteration - 1]
    for name, others in (("judge_agreement", before), ("judge_agreement_with_first", earlier[:1])):
        for t in others:
            agreed = agreement(_verdicts(it), _verdicts(run.iteration(t)))
            found |= {} if agreed is None else {name: agreed}
    return found


def _meta_judge_figures(it: IterationStore) -> dict[str, Any]:
    if it.stage(JUDGMENT_COMPARISONS) is None:
        return {}
    pairs = it.stage("pairs")
    return meta_judge_figures(
        _compared(it), _records(it, JUDGMENT_PAIRS, PreferencePair), pairs.rows if pairs is not None else 0
    )


def _compared(it: IterationStore) -> Iterator[tuple[list[Judgment], list[Judgment]]]:
    """The judgments of each prompt that has any compared, and the comparisons."""
    judgments = by_prompt(it.stored("judgments", Judgment))
    comparisons = by_prompt(it.stored(JUDGMENT_COMPARISONS, Judgment))
    for prompt in it.stored("prompts", Prompt).records():
        of_prompt, compared = judgments.take(prompt.id), comparisons.take(prompt.id)
        if compared:
            yield of_prompt, compared


def _has_measured(it: IterationStore) -> bool:
    entry = it.stage(HELDOUT_JUDGMENTS)
    return entry is not None and entry.finished


def _verdicts(it: IterationStore) -> Iterator[Judgment]:
    return it.stored(HELDOUT_JUDGMENTS, Judgment).records()


def training_log(it: IterationStore) -> list[dict[str, Any]]:
    """The steps that training logged, where it is finished, without what held-out rows say between them.

    Raises:
        StoreError: the log is missing or damaged.
    """
    return [entry for entry in _lines(it, LOG) if "loss" in entry]


def cost_log(it: IterationStore) -> list[dict[str, Any]]:
    """What each of these steps cost; empty for runs of before it was noted.

    Raises:
        StoreError: the log is missing or damaged.
    """
    return _lines(it, COST)


def _lines(it: IterationStore, log: str) -> list[dict[str, Any]]:
    entry = it.trained
    logs = [file for file in entry.files if file.path == log] if entry is not None and entry.finished else []
    steps = []
    for file in logs:
        check_file(it.path, file)
        for number, line in enumerate((it.path / log).read_text(encoding="utf-8").splitlines(), 1):
            try:
                step = json.loads(line)
            except ValueError as error:
                raise StoreError(f"{it.path / log}:{number}: not JSON: {error}") from error
            steps += [step] if isinstance(step, dict) else []
    return steps
