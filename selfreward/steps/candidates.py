"""The best checkpoint by the judge: of a training's candidates, the one that wins most against M_t becomes M_{t+1}."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from selfreward.errors import StageError
from selfreward.evaluation.candidates import Candidate, against, best
from selfreward.evaluation.contests import contests
from selfreward.records import Prompt
from selfreward.session import Policy, Session
from selfreward.steps.comparing import BEFORE, decide, held_out, judge_inputs, prompt_inputs, store_prompts, write
from selfreward.storage.durable import TEMPORARY, discard, storing
from selfreward.storage.iteration import IterationStore, StageKey, check_file
from selfreward.storage.manifest import StageEntry
from selfreward.training.candidates import candidate
from selfreward.training.checkpoints import step_of
from selfreward.training.cost import COST
from selfreward.training.job import ADAPTER, CANDIDATES, LOG, TrainingJob

_MADE = (ADAPTER, LOG, COST)


def train_and_choose(s: Session, it: IterationStore, policy: Policy, job: TrainingJob, key: StageKey) -> None:
    """The iteration's adapter, chosen on held-out prompts by who judges M_{t+1} against M_t.

    Raises:
        StageError: there is no prompt to choose on, or no verdict could be read.
    """
    found = held_out(s, it)
    assert found is not None  # recipes without are refused
    # By what it was chosen cannot be changed under a model that goes on from it.
    chosen = StageKey(key.version, key.settings, {**key.inputs, **prompt_inputs(found), **judge_inputs(s, policy)})
    adapter = it.stage(ADAPTER)
    if adapter is not None and adapter.finished:
        it.begin(ADAPTER, chosen)
    elif not found.prompts:
        raise StageError(
            f"{it.path}: {found.said}, so {job.named('keep_best.by')}=judge has nothing to choose on; give other "
            "prompts (evaluation.prompts), or take held_out_loss"
        )
    else:
        trained = s.run_training(it, job, key)
        _keep(s, it, chosen, policy, _compare(s, it, policy, trained, store_prompts(s, it, found)))
    if it.stage(CANDIDATES) is not None:
        it.forget(CANDIDATES)
    discard(it.path / CANDIDATES)


def _compare(
    s: Session, it: IterationStore, policy: Policy, trained: StageEntry, prompts: Sequence[Prompt]
) -> list[Candidate]:
    """All answer before any is judged, so that an engine is told of other weights as seldom as can be."""
    for file in trained.files:
        check_file(it.path, file)
    steps = sorted({step_of(Path(file.path).parent) for file in trained.files if file.path.startswith(CANDIDATES)})
    before = write(s, it, BEFORE, policy, prompts)
    written = {step: write(s, it, f"candidate_{step}", _policy(it, trained, step), prompts) for step in steps}
    compared = []
    for step, after in written.items():
        pairs = contests(before.records(), after.records())
        judgments = decide(s, it, f"candidate_{step}_comparison", policy, prompts, pairs)
        compared.append(against(step, pairs, judgments.records()))
    return compared


def _policy(it: IterationStore, trained: StageEntry, step: int) -> Policy:
    """M_{t+1} if this one is kept. Its digest is that of the iteration's adapter then, so its answers are M_{t+1}'s."""
    weights = candidate(Path(CANDIDATES), step)
    own = [
        file.model_copy(update={"path": f"{ADAPTER}/{Path(file.path).name}"})
        for file in trained.files
        if Path(file.path).parent == weights
    ]
    others = [file for file in trained.files if not file.path.startswith(CANDIDATES)]
    digest = trained.model_copy(update={"files": (*own, *others)}).digest
    return Policy(f"M{it.manifest.iteration + 1}", it.path / weights, digest)


def _keep(s: Session, it: IterationStore, key: StageKey, policy: Policy, compared: Sequence[Candidate]) -> None:
    kept = best(compared)
    if kept is None:
        raise StageError(
            f"{it.path}: no verdict on any of {len(compared)} candidates could be read, so none is the best. What was "
            "trained is kept. Give other prompts (evaluation.prompts), or train anew without the judge: `selfreward "
            f"fork {it.path.parent} --from-pairs {it.manifest.iteration} --name NEW --set "
            "train.keep_best.by=held_out_loss`"
        )
    trained, scratch = it.manifest.stages[CANDIDATES], it.path / f"{TEMPORARY}{ADAPTER}"
    it.begin(ADAPTER, key)
    with s.reported(it, ADAPTER, 1, 0) as advance:
        _copy(it, kept.step, scratch)
        it.finish_with_files(
            ADAPTER,
            {name: scratch / name for name in _MADE},
            timings={COST},
            counts=trained.counts,
            seconds=trained.seconds,
            summary={
                **trained.summary,
                "candidates": [one.model_dump() for one in compared],
                "kept_step": kept.step,
            },
        )
        advance(1)
    discard(scratch)
    s.reporter.say(
        f"{it.label} {CANDIDATES}: the policy after step {kept.step} is kept: of {len(compared)} it wins most against "
        f"{policy.label} ({kept.win_rate:.1%}, ties count half)"
    )


def _copy(it: IterationStore, step: int, scratch: Path) -> None:
    """Not moved: the candidates are named in the manifest until the adapter is."""
    discard(scratch)
    with storing(scratch):
        shutil.copytree(candidate(it.path / CANDIDATES, step), scratch / ADAPTER)
        for name in (LOG, COST):
            shutil.copyfile(it.path / name, scratch / name)
