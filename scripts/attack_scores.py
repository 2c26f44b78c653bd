"""What attacks do to a judge's scores: ``scripts/attack_scores.py --method expected --rubric additive_5pt``.

Each attack of tests/attacks/corpus.yaml is put around honest answers of the project's EFT seeds. A judge's score of it
is compared with its score of the honest answer alone; a judge that compares is shown the two, in both orders. Beside
them stand harmless additions, for what any addition does. Prints rows of a Markdown table for docs/judging.md.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from attack_corpus import Attack, read_attacks

from selfreward.builtin_model import BUILTIN_NAME
from selfreward.errors import SelfRewardError
from selfreward.evaluation.opinion import opinion_of
from selfreward.progress import Reporter
from selfreward.records import Judgment, Message, Ranked
from selfreward.resources import find
from selfreward.verdicts.judging import OpenEngine, judged, named_model
from selfreward.verdicts.targets import Target, config_of

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


def honest_answers(count: int) -> list[tuple[str, str]]:
    """Instructions with middling responses, spread over the seeds."""
    rows = [json.loads(line) for line in find("seeds", "eft.jsonl").read_text(encoding="utf-8").splitlines()]
    fit = [
        (row["instruction"], row["response"])
        for row in rows
        if row["score"] in _MIDDLING and _SHORTEST <= len(row["response"]) <= _LONGEST
    ]
    return fit[:: max(1, len(fit) // count)][:count]


def rows_of(answers: Sequence[tuple[str, str]], attacks: Sequence[Attack], compares: bool) -> list[Ranked]:
    """What is judged: of each answer itself and all attacks on it, or of each attack a prompt of two."""
    rows = []
    for a, (instruction, answer) in enumerate(answers):
        for n, attack in enumerate([None, *attacks]):
            text = answer if attack is None else attack.on(answer)
            if not compares:
                rows.append(_row(f"p{a}", f"r{a}-{n}", instruction, text))
            elif attack is not None:
                prompt = f"p{a}-{n}"
                rows += [_row(prompt, f"{prompt}-clean", instruction, answer), _row(prompt, prompt, instruction, text)]
    return rows


def _row(prompt_id: str, name: str, instruction: str, response: str) -> Ranked:
    turn = Message(role="user", content=instruction)
    return Ranked(id=name, prompt_id=prompt_id, messages=(turn,), response=response, rank=0, quality=None, line=1)


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
    target = Target(options.model, Path("runs"), (), options.rubric, options.set or ())
    started, cpu = time.monotonic(), time.process_time()
    try:
        config = config_of(target, None, options.method)
        compares = config.judge.method.compares
        rows = rows_of(answers, attacks, compares)
        with TemporaryDirectory() as work, closing(OpenEngine(Path(work), print)) as engine:
            judgments = judged(named_model(config).alone(config.judge), rows, Path(work), Reporter(), "attacks", engine)
    except SelfRewardError as error:
        print(f"attack_scores: {error}", file=sys.stderr)
        return 1
    rubric = config.judge.optional_rubric()
    judge = f"{config.judge.method.type}, {rubric.front.name}" if rubric else config.judge.method.type
    print("\n".join(table(judge, trials(judgments, len(answers), attacks, compares),
                          options.by_kind)))  # fmt: skip
    seconds = f"{time.monotonic() - started:.0f} s, {time.process_time() - cpu:.0f} s of CPU"
    print(f"{len(answers)} answers, {len(attacks)} additions, {len(judgments)} judgments: {seconds}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/attack_scores.py", description=__doc__)
    parser.add_argument("--model", default=BUILTIN_NAME, help="who judges")
    parser.add_argument("--method", default="expected", help="expected, sampled or pairwise")
    parser.add_argument("--rubric", help="a rubric's name or file; the method's usual one otherwise")
    parser.add_argument("--answers", type=int, default=3, help="honest answers to attack")
    parser.add_argument("--every", type=int, default=1, help="take every N-th attack only")
    parser.add_argument("--by-kind", action="store_true", help="a row for each kind of attack")
    parser.add_argument("--set", action="append", metavar="A.B=C", help="a setting, as for selfreward")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
