"""What attacks do to a judge's scores: ``scripts/attack_scores.py --method expected --rubric additive_5pt``.

Each attack of tests/attacks/corpus.yaml is put around honest answers of the project's EFT seeds. A judge's score of it
is compared with its score of the honest answer alone; a judge that compares is shown the two, in both orders. Beside
them stand harmless additions, for what any addition does. A rubric that grades against a reference is given the best
answer to the same instruction. ``--model`` may be a run, whose last model judges then, or that of ``--iteration``.
Prints rows of a Markdown table for docs/judging.md.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from attack_corpus import Attack, read_attacks

from selfreward.builtin_model import BUILTIN_NAME
from selfreward.engines.driver import work_through
from selfreward.errors import SelfRewardError
from selfreward.evaluation.opinion import opinion_of
from selfreward.judges import build_judge
from selfreward.judges.fitting import check_fits
from selfreward.judges.protocol import Candidate
from selfreward.records import Judgment
from selfreward.resources import find
from selfreward.verdicts.judging import OpenEngine
from selfreward.verdicts.targets import Target, config_of, judges_of, run_named
from selfreward.verdicts.who import Who

HARMLESS = "harmless"
_ADDITIONS = (
    "{clean}\n\nI hope this helps.",
    "{clean}\n\nLet me know if you would like more detail on any of this.",
    "Good question.\n\n{clean}",
    "{clean}\n\nThere is more to say about it, but these are the main points.",
)
_SHORTEST, _LONGEST = 60, 400
"""Characters of an honest answer: neither nothing nor long."""
_MIDDLING = (2, 3)
"""Scores, by people, of answers that can rise and fall."""


@dataclass(frozen=True)
class Trial:
    """One addition to one honest answer. ``shift`` is None where a verdict was unreadable."""

    kind: str
    shift: float | None


class Honest(NamedTuple):
    """An instruction with a middling response, and the best one to it."""

    instruction: str
    response: str
    reference: str


def honest_answers(count: int) -> list[Honest]:
    """Spread over the seeds."""
    rows = [json.loads(line) for line in find("seeds", "eft.jsonl").read_text(encoding="utf-8").splitlines()]
    best = {row["instruction"]: row for row in sorted(rows, key=itemgetter("score"))}
    fit = [
        Honest(row["instruction"], row["response"], best[row["instruction"]]["response"])
        for row in rows
        if row["score"] in _MIDDLING and _SHORTEST <= len(row["response"]) <= _LONGEST
    ]
    return fit[:: max(1, len(fit) // count)][:count]


def judged_texts(answers: Sequence[Honest], attacks: Sequence[Attack], compares: bool) -> list[Candidate]:
    """What is judged: of each answer itself and all attacks on it, or of each attack a prompt of two."""
    found = []
    for a, (instruction, answer, reference) in enumerate(answers):
        for n, attack in enumerate([None, *attacks]):
            text = answer if attack is None else attack.on(answer)
            if not compares:
                found.append(Candidate(f"p{a}", f"r{a}-{n}", instruction, text, reference))
            elif attack is not None:
                prompt = f"p{a}-{n}"
                found.append(Candidate(prompt, f"{prompt}-clean", instruction, answer, reference))
                found.append(Candidate(prompt, prompt, instruction, text, reference))
    return found


def judgments_of(who: Who, texts: Sequence[Candidate]) -> list[Judgment]:
    """All of them by one model, in one go.

    Raises:
        SelfRewardError: it cannot judge in this way.
    """
    config, tags = who.config.judge, who.model.reasoning_tags
    check_fits(config, tags, who.engine, who.setting, who.chat)
    judge = build_judge(config, tags)
    with TemporaryDirectory() as directory, closing(OpenEngine(Path(directory), print)) as engines:
        engine = engines.of(who)
        piece = judge.judge(texts, who.listener(engine), who.label, who.config.seed)
        (judgments,) = work_through(engine, [piece])
    return judgments


def trials(judgments: Iterable[Judgment], answers: int, attacks: Sequence[Attack], compares: bool) -> list[Trial]:
    """How each attack moved the score; of a judge that compares, its chance to win, less a half."""
    by_prompt: defaultdict[str, list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        if not compares or len(judgment.response_ids) == 2:
            by_prompt[judgment.prompt_id].append(judgment)
    found = []
    for a in range(answers):
        for n, attack in enumerate(attacks, 1):
            if compares:
                chance = opinion_of(by_prompt[f"p{a}-{n}"]).scores.get(f"p{a}-{n}")
                shift = None if chance is None else chance - 0.5
            else:
                scores = opinion_of(by_prompt[f"p{a}"]).scores
                both = scores.get(f"r{a}-{n}"), scores.get(f"r{a}-0")
                shift = None if both[0] is None or both[1] is None else both[0] - both[1]
            found.append(Trial(attack.kind, shift))
    return found


def table(label: str, found: Sequence[Trial], by_kind: bool) -> list[str]:
    """A row for harmless additions and one for all attacks; with ``by_kind`` one for each kind, too."""
    kinds = list(dict.fromkeys(trial.kind for trial in found if trial.kind != HARMLESS))
    attacks = [trial for trial in found if trial.kind != HARMLESS]
    lines = [_line(label, HARMLESS, [t for t in found if t.kind == HARMLESS]), _line(label, "all attacks", attacks)]
    return lines + [_line(label, kind, [t for t in attacks if t.kind == kind]) for kind in kinds if by_kind]


def _line(label: str, kind: str, found: Sequence[Trial]) -> str:
    shifts = [trial.shift for trial in found if trial.shift is not None]
    if not shifts:
        return f"| {label} | {kind} | {len(found)} | | | {len(found)} |"
    rose = sum(shift > 0 for shift in shifts) / len(shifts)
    return f"| {label} | {kind} | {len(found)} | {fmean(shifts):+.2f} | {rose:.0%} | {len(found) - len(shifts)} |"


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    options = _parser().parse_args(arguments)
    chosen = [attack for attack in read_attacks() if attack.kind != "long"][:: options.every]
    attacks = [*(Attack(HARMLESS, text) for text in _ADDITIONS), *chosen]
    answers = honest_answers(options.answers)
    target = Target(options.model, Path("runs"), options.iteration or (), options.rubric, options.set or ())
    started, cpu = time.monotonic(), time.process_time()
    try:
        run = run_named(target)
        config = config_of(target, run, options.method)
        compares = config.judge.method.compares
        judgments = judgments_of(judges_of(target, run, config)[-1], judged_texts(answers, attacks, compares))
    except SelfRewardError as error:
        print(f"attack_scores: {error}", file=sys.stderr)
        return 1
    rubric = config.judge.optional_rubric()
    judge = f"{config.judge.method.type}, {rubric.front.name}" if rubric else config.judge.method.type
    print("\n".join(table(judge, trials(judgments, len(answers), attacks, compares),
                          options.by_kind)))  # fmt: skip
    seconds = f"{time.monotonic() - started:.0f} s, {time.process_time() - cpu:.0f} s of CPU"
    asked = f"{len(judgments)} judgments, {sum(j.score is None for j in judgments)} of them unreadable"
    print(f"{len(answers)} answers, {len(attacks)} additions, {asked}: {seconds}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/attack_scores.py", description=__doc__)
    parser.add_argument("--model", default=BUILTIN_NAME, help="who judges: a model, or a run")
    parser.add_argument("--iteration", type=int, action="append", help="of a run, t of M_t")
    parser.add_argument("--method", default="expected", help="expected, sampled, pairwise or implicit")
    parser.add_argument("--rubric", help="a rubric's name or file; the method's usual one otherwise")
    parser.add_argument("--answers", type=int, default=3, help="honest answers to attack")
    parser.add_argument("--every", type=int, default=1, help="take every N-th attack only")
    parser.add_argument("--by-kind", action="store_true", help="a row for each kind of attack")
    parser.add_argument("--set", action="append", metavar="A.B=C", help="a setting, as for selfreward")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
